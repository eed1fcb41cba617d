"""Errors as one sentence for the page. The only place where an exception becomes text for a visitor."""

import logging
from dataclasses import dataclass

from modules.exceptions import RequestError, WebuiError

__all__ = ["Notice", "explain"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Notice:
    """A sentence and the key of the control beside which it belongs, "" for none."""

    text: str
    field: str = ""


def explain(error: Exception) -> Notice:
    """What the visitor is told about an error; unexpected ones go to the log with their traceback."""
    if isinstance(error, RequestError):
        return Notice(_sentence(str(error)), error.field)
    if isinstance(error, WebuiError):
        return Notice(_sentence(str(error)))
    _log.error("the page could not do what was asked", exc_info=error)
    kind = type(error).__name__
    return Notice(
        f"Something inside the program failed ({kind}); its log says more. Nothing of yours was lost."
    )


def _sentence(text: str) -> str:
    text = text.strip() or "That did not work."
    return text[0].upper() + text[1:] + ("" if text[-1] in ".!?" else ".")
