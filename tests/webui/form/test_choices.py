from types import SimpleNamespace

import pytest

from modules.services import Services
from modules.webui.form.choices import native_size, read_choices, suggested_cfg_scale


def test_lists_offer_what_the_engine_has(services: Services) -> None:
    choices = read_choices(services)
    assert choices.samplers[0] == "DPM++ 2M"
    assert {"Euler", "Euler a", "Heun", "DDIM", "PLMS"} <= set(choices.samplers)
    assert choices.schedulers[0] == "Automatic"
    assert choices.upscalers[0] == "Latent"
    assert choices.checkpoint == choices.checkpoints[0]


def test_hidden_samplers_are_not_offered(services: Services) -> None:
    services.settings.update({"hide_samplers": ["Heun"]})
    assert "Heun" not in read_choices(services).samplers


def test_a_checkpoint_that_cannot_be_read_still_leaves_a_page(services: Services) -> None:
    assert native_size(services, "missing") == 512


@pytest.mark.parametrize(
    ("notes", "expected"),
    [
        ({}, 7),
        ({"cfg scale": 4}, 4),
        ({"cfg scale": 400}, 7),
        ({"cfg scale": "x"}, 7),
        ({"cfg scale": None}, 7),
    ],
)
def test_the_notes_beside_a_checkpoint_may_suggest_a_cfg_scale(
    services: Services, monkeypatch: pytest.MonkeyPatch, notes: dict[str, object], expected: float
) -> None:
    noted = SimpleNamespace(user_metadata=notes)
    monkeypatch.setattr(services.catalog, "find_checkpoint", lambda wanted: noted)
    assert suggested_cfg_scale(services, "any") == expected
