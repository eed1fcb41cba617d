import json
import re
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest

from modules.domain import languages
from modules.domain.script import BOTH_TABS
from modules.services import Services
from modules.settings.options import describe_options
from tests.webui.visible_text import component_texts, script_argument_texts, script_texts, template_texts

COMPLETE = ("zh-Hans",)  # A1111's users' files need not be complete, ours must
OF_GRADIO = ("Drop File Here", "- or -", "Click to Upload")  # in its fields for files
PLACEHOLDERS = frozenset({"${value}", "@children", "LABEL"})  # filled before anybody sees them


def _translations(name: str) -> dict[str, str]:
    path = Path(languages.__file__).parent / "translations" / f"{name}.json"
    found: dict[str, str] = json.loads(path.read_text("utf-8"))
    return found


def setting_texts() -> Iterator[str]:
    for info in describe_options():
        if info.section.category != "hidden":
            yield from (info.label, info.section.title)


def needs_translation(text: str) -> bool:
    return re.search(r"[A-Za-z]{2}", text) is not None and text not in PLACEHOLDERS


@pytest.mark.parametrize("language", COMPLETE)
def test_every_visible_text_has_a_translation(
    language: str, standing: Services, standing_page: gr.Blocks
) -> None:
    known = _translations(language)
    scripts = [one for kind in BOTH_TABS for one in standing.plugins.scripts.declarations(kind)]
    texts = {
        *component_texts(standing_page),
        *template_texts(),
        *script_texts(),
        *script_argument_texts(scripts),
        *setting_texts(),
        *OF_GRADIO,
    }
    missing = sorted(text for text in map(str.strip, texts) if needs_translation(text) and text not in known)
    assert missing == []


@pytest.mark.parametrize("language", COMPLETE)
def test_a_translation_keeps_the_places_of_its_sentence(language: str) -> None:
    for english, translation in _translations(language).items():
        assert sorted(re.findall(r"\{\w+\}", english)) == sorted(re.findall(r"\{\w+\}", translation)), english
