"""Style sheets, scripts and fixed templates of the page, read from this folder.

Every file of ``page/`` belongs to the whole page and is found by its name alone: a part of the page
brings ``page/<part>.js`` and ``page/<part>.css``. The other files are templates of single components.
"""

from functools import cache
from pathlib import Path

__all__ = ["asset_path", "asset_text", "component_script", "page_script", "page_styles"]

_FIRST = ("core", "base", "kit")  # what the other scripts and style sheets build on
_READY = "studio-ready"  # event of the window: the page's scripts have run


def asset_path(name: str) -> Path:
    """Where an asset lies."""
    return Path(__file__).parent / name


@cache
def asset_text(name: str) -> str:
    """An asset's text."""
    return asset_path(name).read_text(encoding="utf-8")


def component_script(name: str) -> str:
    """The script of one component, which runs when the component and :func:`page_script` are there.

    Gradio does not say which of the two comes first.
    """
    return (
        f"const begin = () => {{\n{asset_text(name)}}};\n"
        f"if (window.studio?.isReady) begin(); else addEventListener('{_READY}', begin, {{ once: true }});"
    )


def page_script() -> str:
    """One JavaScript function that runs all scripts of the page, each in a scope of its own."""
    scopes = "\n".join(f"(() => {{\n{path.read_text(encoding='utf-8')}}})();" for path in _page_files(".js"))
    return f"() => {{\n{scopes}\nstudio.isReady = true;\ndispatchEvent(new Event('{_READY}'));\n}}"


def page_styles() -> list[Path]:
    """Style sheets of the page in the order in which they apply."""
    return _page_files(".css")


def _page_files(suffix: str) -> list[Path]:
    found = asset_path("page").glob(f"*{suffix}")
    return sorted(found, key=lambda path: (path.stem not in _FIRST, path.stem))
