"""What routes answer with where no model says it, for the OpenAPI document."""

from typing import Any

__all__ = ["NULL_ANSWER", "PICTURE_ANSWER", "Responses"]

Responses = dict[int | str, dict[str, Any]]

NULL_ANSWER: Responses = {
    200: {"content": {"application/json": {"schema": {"type": "null"}}}, "description": "null, when done"}
}
_FILE = {"schema": {"type": "string", "format": "binary"}}
PICTURE_ANSWER: Responses = {200: {"content": {"image/*": _FILE}, "description": "the picture's file"}}
