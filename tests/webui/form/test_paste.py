import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.settings.options import Settings
from modules.webui.form.paste import pasted_values, read_overrides

PARAMETERS = (
    "a castle (tower:1.2)\nNegative prompt: fog\n"
    "Steps: 33, Sampler: Euler a, Schedule type: Karras, CFG scale: 5.5, Seed: 4294967295, Size: 192x448"
)


def paste(text: str, **settings: object) -> dict[str, object]:
    return pasted_values(text, Settings().overridden(settings))


def test_parameters_fill_their_controls() -> None:
    values = paste(PARAMETERS)
    expected = {
        "prompt": "a castle (tower:1.2)",
        "neg_prompt": "fog",
        "steps": 33,
        "sampling": "Euler a",
        "scheduler": "Karras",
        "cfg_scale": 5.5,
        "seed": 4294967295,
        "width": 192,
        "height": 448,
    }
    assert {key: values[key] for key in expected} == expected


def test_an_old_name_of_a_sampler_is_taken_apart() -> None:
    text = "a\nSteps: 9, Sampler: DPM++ 2M SDE Karras, CFG scale: 7, Seed: 1"
    assert (paste(text)["sampling"], paste(text)["scheduler"]) == ("DPM++ 2M SDE", "Karras")
    plain = text.replace("DPM++ 2M SDE Karras", "LMS")
    assert (paste(plain)["sampling"], paste(plain)["scheduler"]) == ("LMS", "Automatic")
    unknown = paste(text.replace("DPM++ 2M SDE Karras", "Sampler of dreams"))
    assert (unknown["sampling"], unknown["scheduler"]) == ("Sampler of dreams", "Automatic")


def test_switches_go_off_when_the_parameters_do_not_speak_of_them() -> None:
    values = paste(PARAMETERS)
    assert (values["hr"], values["enable"], values["subseed_show"]) == (False, False, False)


def test_what_the_second_pass_had_of_its_own_is_pasted_and_else_taken_back() -> None:
    text = PARAMETERS + ', Hires upscale: 2, Hires sampler: Euler a, Hires prompt: "sharp, clear"'
    values = paste(text)
    assert (values["hr_sampler"], values["hr_prompt"]) == ("Euler a", "sharp, clear")
    plain = paste(PARAMETERS)
    assert (plain["hr_sampler"], plain["hr_prompt"]) == ("Use same sampler", "")


def test_a_second_pass_opens_hires() -> None:
    values = paste(
        PARAMETERS + ", Denoising strength: 0.5, Hires upscale: 1.5, Hires upscaler: Latent, Hires steps: 7"
    )
    assert values["hr"] is True
    assert (values["hr_scale"], values["hires_steps"], values["denoising_strength"]) == (1.5, 7, 0.5)


def test_a_size_of_the_second_pass_alone_opens_hires() -> None:
    assert paste(PARAMETERS + ", Denoising strength: 0.5, Hires resize: 384x896")["hr"] is True
    assert paste(PARAMETERS + ", Denoising strength: 0.5, Hires resize: 0x0")["hr"] is False


def test_a_variation_opens_extra() -> None:
    values = paste(PARAMETERS + ", Variation seed: 9, Variation seed strength: 0.25")
    assert (values["subseed_show"], values["subseed"], values["subseed_strength"]) == (True, 9, 0.25)


def test_clip_skip_goes_to_its_own_control_also_when_absent() -> None:
    assert paste(PARAMETERS + ", Clip skip: 2")["setting_CLIP_stop_at_last_layers"] == 2
    assert paste(PARAMETERS)["setting_CLIP_stop_at_last_layers"] == 1


def test_other_options_become_override_settings_and_come_back() -> None:
    labels = paste(PARAMETERS + ", ENSD: 31337")["override_settings"]
    assert labels == ["ENSD: 31337"]
    assert read_overrides(labels) == {"eta_noise_seed_delta": "31337"}


def test_the_checkpoint_is_left_alone_unless_the_setting_says_otherwise() -> None:
    text = PARAMETERS + ", Model hash: 0123abcd99"
    assert "setting_sd_model_checkpoint" not in paste(text)
    assert paste(text, disable_weights_auto_swap=False)["setting_sd_model_checkpoint"] == "0123abcd99"


def test_fields_that_the_settings_disregard_are_left_alone() -> None:
    assert "seed" not in paste(PARAMETERS, infotext_skip_pasting=("Seed",))


def test_mask_choices_come_back_in_the_words_of_the_page() -> None:
    values = paste(PARAMETERS + ", Mask blur: 8, Inpaint area: Only masked, Masked area padding: 16")
    assert (values["mask_blur"], values["inpaint_full_res"], values["inpaint_full_res_padding"]) == (
        8,
        "Only masked",
        16,
    )
    assert values["mask_mode"] == "Inpaint masked"


def test_a_value_without_sense_is_left_out() -> None:
    assert "seed" not in paste("a cat\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: banana, Size: 64x64")


@pytest.mark.parametrize("labels", [None, "text", [], ["no colon"], ["Unknown: 5"], [None]])
def test_override_labels_that_mean_nothing_are_left_out(labels: object) -> None:
    assert read_overrides(labels) == {}


@given(st.text(max_size=300))
def test_any_text_can_be_pasted(text: str) -> None:
    assert "prompt" in paste(text)
