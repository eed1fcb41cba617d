"""The one owner of the settings file: read at start, written atomically at every change."""

import json
import logging
import os
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import JsonValue

from modules.exceptions import RequestError, StorageError
from modules.settings.options import Settings

__all__ = ["SettingsStore"]

log = logging.getLogger(__name__)

Listener = Callable[[Settings, Settings], None]


class SettingsStore:
    """Current settings and their file; safe to use from several threads.

    The file is A1111's ``config.json``: a flat object of option keys. Keys that are not ours (options of
    extensions, or of A1111 itself) are kept as they are. A file that is no JSON is set aside with the
    suffix ``.bad`` and the defaults are used; a single bad value costs only that option.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._listeners: list[Listener] = []
        stored = self._read()
        ours, foreign = Settings.known(stored)
        self._foreign: dict[str, object] = {key: stored[key] for key in foreign}
        self._current = _lenient(ours)

    @property
    def current(self) -> Settings:
        """The settings as they are now; a frozen value that later changes do not touch."""
        return self._current

    def update(self, changes: Mapping[str, object]) -> Settings:
        """Change some options, write the file, tell the subscribers.

        Unknown keys are ignored. Nothing changes when a value is wrong or the file cannot be written.

        Raises:
            RequestError: a value has the wrong type or lies outside its limits.
            StorageError: the file cannot be written.
        """
        with self._lock:
            before = self._current
            after = before.overridden(changes)
            if after == before:
                return before
            self._write(after)
            self._current = after
            listeners = tuple(self._listeners)
        for listener in listeners:
            listener(before, after)
        return after

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener(before, after)`` after every change, in the thread that made it.

        Returns:
            A function that ends the subscription.
        """
        with self._lock:
            self._listeners.append(listener)

        def unsubscribe() -> None:
            with self._lock:
                if listener in self._listeners:
                    self._listeners.remove(listener)

        return unsubscribe

    def _read(self) -> dict[str, object]:
        try:
            content = json.loads(self._path.read_text(encoding="utf-8-sig"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError) as error:
            log.warning("settings file %s cannot be read (%s); using the defaults", self._path.name, error)
            self._set_aside()
            return {}
        if not isinstance(content, dict):
            log.warning("settings file %s holds no JSON object; using the defaults", self._path.name)
            self._set_aside()
            return {}
        return content

    def _set_aside(self) -> None:
        try:
            self._path.replace(self._path.with_name(self._path.name + ".bad"))
        except OSError as error:
            log.warning("%s could not be set aside: %s", self._path.name, error)

    def _write(self, settings: Settings) -> None:
        content: dict[str, JsonValue | object] = {**self._foreign, **settings.as_json()}
        text = json.dumps(content, indent=4, ensure_ascii=False)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            _replace_atomically(self._path, text)
        except OSError as error:
            raise StorageError(
                self._path, f"The settings could not be saved: {error.strerror}. They stay as they were."
            ) from error


def _lenient(stored: Mapping[str, object]) -> Settings:
    settings = Settings()
    try:
        return settings.overridden(stored)
    except RequestError:
        pass  # find out which one is wrong
    for key, value in stored.items():
        try:
            settings = settings.overridden({key: value})
        except RequestError as error:
            log.warning("settings file: %s; using the default", error)
    return settings


def _replace_atomically(path: Path, text: str) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise
