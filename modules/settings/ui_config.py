"""A1111's ``ui-config.json``: the defaults of the forms, under ``<tab>/<label>/<field>``."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path

from pydantic import JsonValue

__all__ = ["UiConfig"]

log = logging.getLogger(__name__)

FIELDS = ("value", "visible", "minimum", "maximum", "step")
MAX_SIZE = 2**20  # bytes that are read; A1111's own file has about 60,000


class UiConfig:
    """Changed defaults of the forms. The file may be A1111's own: keys that are not ours stay in it.

    It is read each time, for it is small and people edit it by hand.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    def changes(self, tab: str) -> dict[str, dict[str, JsonValue]]:
        """What the file says of one tab: label -> field -> value."""
        found: dict[str, dict[str, JsonValue]] = {}
        for key, value in self._read().items():
            owner, _, rest = key.partition("/")
            label, _, field = rest.rpartition("/")
            if owner == tab and label and field in FIELDS:
                found.setdefault(label, {})[field] = value
        return found

    def with_values(self, tab: str, values: Mapping[str, JsonValue]) -> str:
        """The file's new text when the fields of a tab get other values, by label."""
        content = {**self._read(), **{f"{tab}/{label}/value": value for label, value in values.items()}}
        return json.dumps(content, indent=4, ensure_ascii=False)

    def without_values(self, tab: str) -> str:
        """The file's new text without any value of a tab; its limits stay."""
        content = {
            key: value
            for key, value in self._read().items()
            if not (key.startswith(f"{tab}/") and key.endswith("/value"))
        }
        return json.dumps(content, indent=4, ensure_ascii=False)

    def _read(self) -> dict[str, JsonValue]:
        try:
            if self._path.stat().st_size > MAX_SIZE:
                raise ValueError("it is too large")
            content = json.loads(self._path.read_text(encoding="utf-8-sig"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError) as error:
            log.warning("%s cannot be read (%s); the forms begin as they are built", self._path.name, error)
            return {}
        return content if isinstance(content, dict) else {}
