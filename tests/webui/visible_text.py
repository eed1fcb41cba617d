"""Every English text that the page can show: of its components, its templates and its scripts."""

import re
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser

import gradio as gr

from modules.domain.script import ScriptDeclaration
from modules.webui.assets import asset_path

__all__ = ["component_texts", "script_argument_texts", "script_texts", "template_texts"]

_TEXT_KEYS = ("label", "info", "placeholder")
_SHOWN_VALUES = (gr.Button, gr.Markdown, gr.Tab, gr.DownloadButton, gr.UploadButton)
_ATTRIBUTES = ("aria-label", "title", "placeholder", "alt")
# studio.text('…') in its three kinds of quotes
_CALL = re.compile(r"""studio\.text\(\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|`((?:[^`\\$]|\\.)*)`)""")


def component_texts(page: gr.Blocks) -> Iterator[str]:
    """Labels, hints, captions and radio choices of all components."""
    for block in page.blocks.values():
        for key in _TEXT_KEYS:
            yield from _strings(getattr(block, key, None))
        if isinstance(block, _SHOWN_VALUES):
            yield from _strings(getattr(block, "value", None))
        if isinstance(block, (gr.Radio, gr.CheckboxGroup)):
            yield from (str(label) for label, _ in block.choices)
        if isinstance(block, gr.HTML):
            yield from html_texts(str(getattr(block, "html_template", "") or ""))
            yield from html_texts(block.value if isinstance(block.value, str) else "")


def script_argument_texts(scripts: Iterable[ScriptDeclaration]) -> Iterator[str]:
    """What scripts write on the controls of their arguments."""
    for script in scripts:
        for argument in script.arguments:
            yield from (argument.label, argument.fill, argument.upload)
            if argument.kind in ("radio", "checkboxes"):
                yield from argument.choices
        yield from (swap.label for swap in script.swaps)


def template_texts() -> Iterator[str]:
    """Texts and labels of the HTML templates."""
    for path in sorted(asset_path("").glob("**/*.html")):
        yield from html_texts(path.read_text("utf-8"))


def script_texts() -> Iterator[str]:
    """Sentences that scripts show through ``studio.text``."""
    for path in sorted(asset_path("").glob("**/*.js")):
        for found in _CALL.finditer(path.read_text("utf-8")):
            text = next(group for group in found.groups() if group is not None)
            yield re.sub(r"\\(.)", r"\1", text)


def html_texts(html: str) -> Iterator[str]:
    """Texts and labels of a piece of HTML but for what is marked ``translate="no"``."""
    reader = _Reader()
    reader.feed(html)
    yield from reader.texts


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value


class _Reader(HTMLParser):
    """Collects texts; counts the depth inside ``translate="no"``."""

    _VOID = frozenset({"img", "input", "br", "hr", "meta", "link", "path", "circle", "rect", "line"})

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._open: list[bool] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        left_alone = named.get("translate") == "no" or tag in ("style", "script") or self._left_alone
        if not left_alone or tag == "select":
            self.texts += [text for key in _ATTRIBUTES if (text := named.get(key))]
        if tag not in self._VOID:
            self._open.append(left_alone)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self._VOID and self._open:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in self._VOID and self._open:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if not self._left_alone:
            self.texts.append(data.strip())

    @property
    def _left_alone(self) -> bool:
        return bool(self._open) and self._open[-1]
