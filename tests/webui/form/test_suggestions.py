"""Values that suit a checkpoint."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from modules.services import Services
from modules.webui.form import suggestions
from modules.webui.form.suggestions import Suggestions, suggestions_for


def test_a_checkpoint_that_cannot_be_read_still_leaves_a_page(services: Services) -> None:
    assert suggestions_for(services, "missing") == Suggestions()


@pytest.mark.parametrize(
    ("notes", "differs"),
    [
        ({}, {}),
        ({"cfg scale": 4}, {"cfg_scale": 4}),
        ({"cfg scale": 400}, {}),
        ({"cfg scale": "x", "hires strength": None, "hires upscaler": 3}, {}),
        ({"hires upscaler": "nobody's"}, {}),
        (
            {"hires strength": 0.25, "hires upscaler": "Lanczos"},
            {"hires_strength": 0.25, "hires_upscaler": "Lanczos"},
        ),
    ],
)
def test_the_notes_beside_a_checkpoint_may_suggest_values(
    services: Services, monkeypatch: pytest.MonkeyPatch, notes: dict[str, object], differs: dict[str, Any]
) -> None:
    family = SimpleNamespace(native_size=768)
    monkeypatch.setattr(suggestions, "detect_checkpoint", lambda file: SimpleNamespace(family=family))
    noted = SimpleNamespace(user_metadata=notes)
    monkeypatch.setattr(services.catalog, "find_checkpoint", lambda wanted: noted)
    assert suggestions_for(services, "any") == replace(Suggestions(side=768), **differs)
