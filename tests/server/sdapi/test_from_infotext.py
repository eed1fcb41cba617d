import pytest
import torch
from safetensors.torch import save_file

from modules.exceptions import RequestError
from modules.server.sdapi.from_infotext import filled_from_infotext
from modules.server.sdapi.payloads import TextToImagePayload
from modules.server.sdapi.translate import text_to_image_request
from modules.services import catalogs_of
from modules.settings.options import Settings
from tests.server.studio import Studio

TXT2IMG = "/sdapi/v1/txt2img"
TEXT = "a cat\nSteps: 2, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 64x64"


def filled(
    studio: Studio, text: str, settings: dict[str, object] | None = None, **given: object
) -> TextToImagePayload:
    payload = TextToImagePayload.model_validate({"infotext": text, **given})
    current = Settings().overridden(settings or {})
    found = filled_from_infotext(payload, current, catalogs_of(studio.services))
    assert isinstance(found, TextToImagePayload)
    return found


def overrides(studio: Studio, text: str, **settings: object) -> dict[str, object]:
    return dict(filled(studio, text, settings).override_settings or {})


def test_a_checkpoint_from_elsewhere_is_disregarded(standing: Studio) -> None:
    answer = standing.post(TXT2IMG, {"infotext": f"{TEXT}, Model hash: 6ce0161689"})
    assert answer.status_code == 200, answer.text


def test_the_texts_checkpoint_only_counts_where_the_settings_say_so(standing: Studio) -> None:
    text = f"{TEXT}, Model hash: tiny"
    assert "sd_model_checkpoint" not in overrides(standing, text)
    assert overrides(standing, text, disable_weights_auto_swap=False)["sd_model_checkpoint"] == "tiny"


def test_weights_that_are_not_here_are_left_out(standing: Studio) -> None:
    text = f"{TEXT}, Model hash: 6ce0161689, VAE: other.safetensors"
    assert overrides(standing, text, disable_weights_auto_swap=False) == {}
    assert overrides(standing, f"{TEXT}, VAE: None")["sd_vae"] == "None"


@pytest.mark.parametrize(
    ("sampler", "expected"),
    [
        ("DPM++ 2M SDE Karras", ("DPM++ 2M SDE", "Karras")),
        ("LMS Karras", ("LMS", "Karras")),
        ("Euler a Karras", ("Euler a", "Karras")),
        ("Euler a, Schedule type: Exponential", ("Euler a", "Exponential")),
        ("Euler", ("Euler", "Automatic")),
    ],
)
def test_a_schedule_in_the_samplers_name_is_kept(
    standing: Studio, sampler: str, expected: tuple[str, str]
) -> None:
    request = text_to_image_request(filled(standing, TEXT.replace("Euler", sampler)))
    assert (request.sampler_name, request.scheduler) == expected


def test_the_clients_sampler_keeps_its_schedule(standing: Studio) -> None:
    request = text_to_image_request(filled(standing, TEXT, sampler_name="LMS Karras"))
    assert (request.sampler_name, request.scheduler) == ("LMS", "Karras")


@pytest.mark.parametrize(
    "size", ["Size: 128x128, First pass size: 64x64", "Size: 64x64, Hires resize: 128x128"]
)
def test_a_size_alone_makes_a_second_pass(standing: Studio, size: str) -> None:
    text = f"{TEXT.replace('Size: 64x64', size)}, Denoising strength: 0.7"
    request = text_to_image_request(filled(standing, text))
    assert request.hires is not None
    assert (request.width, request.height) == (64, 64)
    assert (request.hires.resize_x, request.hires.resize_y) == (128, 128)
    assert filled(standing, f"{TEXT}, Denoising strength: 0.7").enable_hr is False


def test_fields_that_the_settings_disregard_are_not_filled(standing: Studio) -> None:
    assert filled(standing, TEXT, {"infotext_skip_pasting": ("Seed",)}).seed == -1
    assert filled(standing, TEXT).seed == 1


def test_styles_are_found_unless_the_settings_say_otherwise(studio: Studio) -> None:
    path = studio.services.styles.default_path
    path.write_text("name,prompt,negative_prompt\nsoft,soft light,\n", encoding="utf-8")
    studio.services.styles.reload()
    text = TEXT.replace("a cat", "a cat, soft light")
    found = filled(studio, text)
    assert (found.prompt, found.styles) == ("a cat", ["soft"])
    kept = filled(studio, text, {"infotext_styles": "Ignore"})
    assert (kept.prompt, kept.styles) == ("a cat, soft light", None)


def test_a_lora_gets_the_name_that_it_has_here(studio: Studio) -> None:
    folder = studio.services.networks.folders[0]
    folder.mkdir(parents=True, exist_ok=True)
    weights = {"lora_unet_x.lora_up.weight": torch.zeros(1, 1)}
    save_file(weights, folder / "local.safetensors", {"sshs_model_hash": "0123456789abcdef"})
    studio.services.networks.refresh()
    text = TEXT.replace("a cat", "a <lora:theirs:0.5> <lora:other:1> cat")
    known = f'{text}, Lora hashes: "theirs: 0123456789ab, other: ffffffffffff"'
    assert filled(studio, known).prompt == "a <lora:local:0.5> <lora:other:1> cat"
    assert filled(studio, text).prompt == "a <lora:theirs:0.5> <lora:other:1> cat"


def test_a_restorers_name_switches_restoration_on(standing: Studio) -> None:
    assert overrides(standing, f"{TEXT}, Face restoration: CodeFormer") == {"face_restoration": True}
    assert overrides(standing, f"{TEXT}, Face restoration: False") == {}


def test_a_number_that_is_none_is_the_texts_fault(standing: Studio) -> None:
    with pytest.raises(RequestError, match="steps"):
        filled(standing, TEXT.replace("Steps: 2", "Steps: many"))


def test_the_answer_repeats_the_filled_request(standing: Studio) -> None:
    said = standing.post(TXT2IMG, {"infotext": f"{TEXT}, Clip skip: 2", "steps": 3}).json()["parameters"]
    assert (said["prompt"], said["seed"], said["width"], said["steps"]) == ("a cat", 1, 64, 3)
    assert said["override_settings"] == {"CLIP_stop_at_last_layers": 2}


def test_png_info_reads_as_a_paste_does(studio: Studio) -> None:
    picture = studio.post(TXT2IMG, {"infotext": TEXT}).json()["images"][0]
    studio.services.settings.update({"infotext_skip_pasting": ["Seed"]})
    parameters = studio.post("/sdapi/v1/png-info", {"image": picture}).json()["parameters"]
    assert "Prompt" in parameters
    assert "Seed" not in parameters
