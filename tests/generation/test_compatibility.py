"""Switches for pictures of old versions, and networks that the settings add to every prompt."""

from pathlib import Path

import pytest

from modules.domain.request import GenerationRequest, Hires
from modules.generation.hires_size import old_first_size
from modules.imaging.metadata import read_infotext
from modules.services import Services
from tests.generation.test_pictures import BASE, make

LORA = "tinylora"


def infotext(services: Services, **changes: object) -> str:
    request = GenerationRequest.model_validate({**BASE, **changes})
    view = services.jobs.wait(services.jobs.submit(request, "artist"), 120.0)
    text, _ = read_infotext(Path(view.images[0].path))
    assert text is not None, view.error
    return text


def comments(services: Services, **changes: object) -> tuple[str, ...]:
    request = GenerationRequest.model_validate({**BASE, **changes})
    return tuple(services.jobs.wait(services.jobs.submit(request, "artist"), 120.0).comments)


def test_a_lora_of_the_settings_acts_as_if_it_stood_in_the_prompt(services: Services) -> None:
    said = f"{BASE['prompt']}<lora:{LORA}:1.0>"
    overrides = {"sd_lora": LORA}
    assert infotext(services, override_settings=overrides).startswith(said + "\n")
    assert infotext(services, override_settings=overrides) == infotext(services, prompt=said)
    assert make(services, override_settings=overrides) != make(services)


def test_a_network_that_the_prompt_names_itself_is_not_added(services: Services) -> None:
    said = f"{BASE['prompt']} <lora:{LORA}:0.3>"
    assert infotext(services, prompt=said, override_settings={"sd_lora": LORA}) == infotext(
        services, prompt=said
    )


def test_hypernetworks_of_the_settings_come_first_and_the_strength_is_a_setting(services: Services) -> None:
    overrides = {"sd_lora": LORA, "sd_hypernetwork": "tinyhn", "extra_networks_default_multiplier": 0.5}
    text = infotext(services, override_settings=overrides)
    assert text.startswith(f"{BASE['prompt']}<hypernet:tinyhn:0.5><lora:{LORA}:0.5>\n")


def test_a_network_of_the_settings_that_is_gone_is_said(services: Services) -> None:
    (comment,) = comments(services, override_settings={"sd_lora": "gone"})
    assert '"gone"' in comment
    assert "not found" in comment


def test_nothing_is_added_where_networks_are_off(services: Services) -> None:
    changes = {"disable_extra_networks": True, "override_settings": {"sd_lora": LORA}}
    assert "<lora" not in infotext(services, **changes)


def test_loras_beside_the_weights_give_nearly_the_same_picture(services: Services) -> None:
    said = f"{BASE['prompt']} <lora:{LORA}:1>"
    plain = infotext(services, prompt=said)
    assert infotext(services, prompt=said, override_settings={"lora_functional": True}) == plain
    assert make(services, prompt=said, override_settings={"lora_functional": True}) != make(services)


def test_what_the_network_predicts_may_be_said(services: Services) -> None:
    usual = make(services, steps=1, override_settings={"enable_pnginfo": False})
    same = {"enable_pnginfo": False, "sd_prediction_type": "epsilon"}
    assert make(services, steps=1, override_settings=same) == usual
    other = {"enable_pnginfo": False, "sd_prediction_type": "v"}
    assert make(services, steps=1, override_settings=other) != usual
    assert ", Prediction type: v" in infotext(
        services, steps=1, override_settings={"sd_prediction_type": "v"}
    )


@pytest.mark.parametrize(
    ("target", "first"), [((1024, 1024), (512, 512)), ((768, 512), (640, 448)), ((64, 64), (512, 512))]
)
def test_old_versions_began_near_512_pixels(target: tuple[int, int], first: tuple[int, int]) -> None:
    assert old_first_size(*target) == first


def test_with_old_sizes_width_and_height_are_the_target(services: Services) -> None:
    text = infotext(
        services,
        width=1024,
        height=64,
        steps=1,
        hires=Hires(denoising_strength=0.1),
        override_settings={"use_old_hires_fix_width_height": True},
    )
    assert "Size: 2048x128" in text
    assert "Hires resize: 1024x64" in text


def test_the_second_pass_may_keep_the_first_ones_text_encoder(services: Services) -> None:
    hires = Hires(scale=1.0, denoising_strength=0.6, prompt=f"a photo of a cat <lora:{LORA}:1>")
    usual = make(services, hires=hires)
    early = make(services, hires=hires, override_settings={"hires_fix_use_firstpass_conds": True})
    assert early != usual


def test_old_timelines_are_said_where_they_change_the_second_pass(services: Services) -> None:
    changes: dict[str, object] = {
        "prompt": "a [cat:dog:1.5]",
        "steps": 2,
        "hires": Hires(scale=1.0, denoising_strength=0.6),
        "override_settings": {"use_old_scheduling": True},
    }
    assert ", Old prompt editing timelines: True, " in infotext(services, **changes)
    assert "Old prompt" not in infotext(services, **{**changes, "override_settings": {}})
    assert "Old prompt" not in infotext(services, **{**changes, "prompt": "a cat"})
