from pathlib import Path

from modules.plugins.manifest import InstalledExtension
from modules.webui.tabs.extensions import describe_extensions


def extension(**changes: object) -> InstalledExtension:
    values: dict[str, object] = {
        "id": "paper", "name": "Paper", "version": "1.2", "description": "Draws on paper.",
        "path": Path("paper"), "enabled": True, "asks_for": ("change finished pictures",), **changes,
    }  # fmt: skip
    return InstalledExtension(**values)  # type: ignore[arg-type]


def test_a_card_says_what_an_extension_is_and_asks_for() -> None:
    html = describe_extensions([extension()])
    assert all(
        text in html for text in ("Paper", "1.2", "Draws on paper.", "change finished pictures", "is-on")
    )


def test_a_broken_extension_says_why() -> None:
    assert "no module named x" in describe_extensions([extension(enabled=False, error="no module named x")])


def test_markup_in_a_manifest_stays_text() -> None:
    html = describe_extensions([extension(name="<script>", description="<img>", asks_for=("<b>",))])
    assert "<script>" not in html
    assert "<img>" not in html
    assert "<b>" not in html


def test_without_any_the_tab_says_how_to_install_one() -> None:
    assert "extension.toml" in describe_extensions([])
