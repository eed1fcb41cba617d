"""Documents that cannot go stale unseen: what they name exists, and what exists they name."""

import re
from pathlib import Path

import pytest

from modules.diffusion.samplers import SAMPLERS
from modules.diffusion.schedulers import SCHEDULERS
from modules.domain.plot_axes import AXES
from modules.generation.scripts.catalog import BUILT_IN
from modules.settings.options import describe_options
from tests.architecture.settings_page import PAGE, settings_page
from tests.architecture.source import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "models" / "README.md"])
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
FOLDERS = "modules|tests|docs|scripts|configs|embeddings"  # in models/ lies what people put there
PATH = re.compile(rf"`((?:{FOLDERS})/[\w./*-]*|(?:launch|webui)\.py|[\w-]+\.(?:toml|txt))`")
EXAMPLES = re.compile(r"<|\*")


def _names(path: Path, pattern: re.Pattern[str]) -> set[str]:
    return {name for name in pattern.findall(path.read_text(encoding="utf-8")) if not EXAMPLES.search(name)}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(path: Path) -> None:
    local = {link for link in _names(path, LINK) if not link.startswith(("http:", "https:"))}
    assert {link for link in local if not (path.parent / link).exists()} == set()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_file_that_is_named_exists(path: Path) -> None:
    named = _names(path, PATH)
    assert {name for name in named if not (ROOT / name).exists()} == set()


def test_every_sampler_is_explained() -> None:
    text = (ROOT / "docs" / "samplers.md").read_text(encoding="utf-8")
    missing = {sampler.name for sampler in SAMPLERS if f"\n| {sampler.name} |" not in text}
    missing |= {alias for sampler in SAMPLERS for alias in sampler.aliases if f"`{alias}`" not in text}
    assert missing == set()


def test_every_schedule_is_explained() -> None:
    text = (ROOT / "docs" / "samplers.md").read_text(encoding="utf-8")
    missing = {schedule.label for schedule in SCHEDULERS if f"\n| {schedule.label} |" not in text}
    missing |= {schedule.name for schedule in SCHEDULERS if f"`{schedule.name}`" not in text}
    assert missing == set()


def test_page_of_settings_is_what_the_code_says() -> None:
    assert len(describe_options()) > 50
    assert PAGE.read_text(encoding="utf-8") == settings_page(), (
        "run python -m tests.architecture.settings_page"
    )


def test_every_package_has_its_place_in_the_layers_of_the_map() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    layers = text.partition("## Layers")[2].partition("## Tests")[0]
    packages = {path.name for path in (ROOT / "modules").iterdir() if (path / "__init__.py").exists()}
    assert {name for name in packages if not re.search(rf"^.*\b{name}\b", layers, re.MULTILINE)} == set()


def test_every_script_and_every_axis_is_explained() -> None:
    text = (ROOT / "docs" / "scripts.md").read_text(encoding="utf-8")
    titles = {script.declaration.title for script in BUILT_IN}
    assert {name for name in titles | {axis.label for axis in AXES} if f"\n| {name} |" not in text} == set()
