"""Languages of the page: maps from English text to its translation, in A1111's file format.

A file ``localizations/<name>.json`` is one flat JSON object. Ours lie beside this module; whatever a user
or an extension puts into a ``localizations`` folder is added, and wins where both speak.
"""

import json
import logging
import re
from collections.abc import Iterable
from pathlib import Path

__all__ = ["LanguageCatalog"]

log = logging.getLogger(__name__)

_BUILT_IN = Path(__file__).parent / "translations"
_NAME = re.compile(r"[\w .()-]{1,100}")


class LanguageCatalog:
    """Translations by name, read when they are asked for.

    Args:
        folders: folders of A1111 localisation files, the last one wins.
    """

    def __init__(self, folders: Iterable[Path] = ()) -> None:
        self._folders = (_BUILT_IN, *folders)

    @classmethod
    def of(cls, root: Path, extensions: Path) -> "LanguageCatalog":
        """The languages of an installation: of its extensions, and of ``localizations`` in its root."""
        return cls([*sorted(extensions.glob("*/localizations")), root / "localizations"])

    def names(self) -> tuple[str, ...]:
        """Names of all languages but English, sorted."""
        return tuple(sorted({path.stem for folder in self._folders for path in folder.glob("*.json")}))

    def translations(self, name: str) -> dict[str, str]:
        """English text -> translation; empty for a language that there is not.

        A file that cannot be read is told to the log and left out.
        """
        merged: dict[str, str] = {}
        if not _NAME.fullmatch(name):
            return merged
        for folder in self._folders:
            path = folder / f"{name}.json"
            if path.is_file():
                merged |= _read(path)
        return merged


def _read(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        log.warning("the language file %s cannot be read: %s", path.name, error)
        return {}
    if not isinstance(found, dict):
        log.warning("the language file %s is no JSON object", path.name)
        return {}
    return {key: text for key, text in found.items() if isinstance(text, str) and text}
