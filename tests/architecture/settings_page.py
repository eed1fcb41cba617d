"""``docs/settings.md`` as the code has it: ``python -m tests.architecture.settings_page`` writes it anew."""

from itertools import groupby

from modules.settings.option import OptionInfo
from modules.settings.options import describe_options
from tests.architecture.source import ROOT

__all__ = ["PAGE", "settings_page"]

PAGE = ROOT / "docs" / "settings.md"

HEAD = """\
# Settings

Every option of the settings page and of `/sdapi/v1/options`, by section. Keys and defaults are A1111's. An
option marked "no effect" is kept for clients that read or write it; nothing here goes by it. A request may
override any of them for itself (`override_settings`). "Saved as" is the key in a picture's parameters.

This page is written from the code by `python -m tests.architecture.settings_page`.
"""


def _row(option: OptionInfo) -> str:
    default = str(option.default).replace("|", "\\|").replace("\n", " ")
    limits = "" if option.minimum is None else f"{option.minimum:g} to {option.maximum:g}"
    allowed = ", ".join(option.choices) or limits
    cells = (
        f"`{option.key}`",
        option.label + (" (no effect)" if option.inert else ""),
        f"`{default}`" if default else "",
        allowed,
        option.infotext or "",
    )
    return f"| {' | '.join(cells)} |"


def settings_page() -> str:
    """The whole page."""
    parts = [HEAD]
    for section, options in groupby(describe_options(), key=lambda option: option.section.title):
        parts.append(f"## {section}\n\n| key | what | default | allowed | saved as |\n|---|---|---|---|---|")
        parts[-1] += "".join(f"\n{_row(option)}" for option in options) + "\n"
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(settings_page(), encoding="utf-8")
