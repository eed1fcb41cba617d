"""Comments in prompts: from ``#`` to the end of the line."""

import re

__all__ = ["strip_comments"]

_WHOLE_LINE = re.compile(r"(?:\A|\n)#[^\n]*(?:\n|\Z)")
_REST_OF_LINE = re.compile(r"#[^\n]*(?:\n|\Z)")


def strip_comments(text: str) -> str:
    """Remove comments; each leaves a line break behind. There is no way to escape ``#``."""
    return _REST_OF_LINE.sub("\n", _WHOLE_LINE.sub("\n", text))
