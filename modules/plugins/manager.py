"""Finds extensions, loads those that are switched on, calls their hooks, and contains their mistakes."""

import importlib.util
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType

import pluggy
from PIL import Image

from modules.domain.request import GenerationRequest
from modules.exceptions import ExtensionError
from modules.generation.scripts.catalog import BUILT_IN, ScriptCatalog
from modules.generation.scripts.script import Script
from modules.plugins import hookspecs
from modules.plugins.hookspecs import HOOKS, PROJECT
from modules.plugins.manifest import FILE_NAME, InstalledExtension, Manifest, read_manifest
from modules.settings.options import Settings

__all__ = ["PluginManager"]

log = logging.getLogger(__name__)

CAUGHT = (Exception, SystemExit)  # whatever the code of an extension raises; Ctrl+C still ends the program

Call = tuple[str, Callable[..., object], Sequence[str]]
"""Folder name of an extension, its function, and the arguments that this wants."""


class PluginManager:
    """The extensions of one folder. May be used from any thread.

    An extension's code is run when its hooks are first needed, never when it is only listed. The settings
    ``disabled_extensions`` and ``disable_all_extensions`` are obeyed at every call.

    Args:
        folder: with one folder for each extension; it need not exist.
        settings: the settings of the moment.
    """

    def __init__(self, folder: Path, settings: Callable[[], Settings] = Settings) -> None:
        self._folder = folder
        self._settings = settings
        self._lock = threading.RLock()
        self._pluggy = pluggy.PluginManager(PROJECT)
        self._pluggy.add_hookspecs(hookspecs)
        self._errors: dict[str, str] = {}

    def installed(self) -> tuple[InstalledExtension, ...]:
        """Everything in the folder, whether it works or not, in order of the folders' names."""
        settings = self._settings()
        return tuple(self._record(folder, settings) for folder in self._folders())

    @property
    def scripts(self) -> ScriptCatalog:
        """The built-in scripts and those that extensions add."""
        found: list[Script] = []
        for name, function, arguments in self._calls("scripts"):
            try:
                answer = self._call(function, arguments, {})
                if not isinstance(answer, Sequence) or not all(isinstance(one, Script) for one in answer):
                    raise TypeError("scripts() must return a list of Script")
                found += answer
            except CAUGHT as error:  # the boundary: code of an extension
                self._note(name, "scripts", error)
        return ScriptCatalog((*BUILT_IN, *found))

    def transform_request(self, request: GenerationRequest) -> tuple[GenerationRequest, tuple[str, ...]]:
        """Let extensions change a request; returns it with what went wrong, one sentence each."""
        comments: list[str] = []
        for name, function, arguments in self._calls("transform_request"):
            try:
                answer = self._call(function, arguments, {"request": request})
                if not isinstance(answer, GenerationRequest | None):
                    raise TypeError("transform_request() must return a GenerationRequest or None")
                # what a function made with model_copy was not checked yet
                request = GenerationRequest.model_validate(dict(answer)) if answer else request
            except CAUGHT as error:  # the boundary: code of an extension
                comments.append(self._note(name, "transform_request", error))
        return request, tuple(comments)

    def transform_image(
        self, image: Image.Image, request: GenerationRequest, infotext: str
    ) -> tuple[Image.Image, tuple[str, ...]]:
        """Let extensions change a finished picture; returns it with what went wrong."""
        comments: list[str] = []
        for name, function, arguments in self._calls("transform_image"):
            given = {"image": image.copy(), "request": request, "infotext": infotext}
            try:
                answer = self._call(function, arguments, given)
                if not isinstance(answer, Image.Image | None):
                    raise TypeError("transform_image() must return a picture or None")
                image = answer.convert("RGB") if answer else image
            except CAUGHT as error:  # the boundary: code of an extension
                comments.append(self._note(name, "transform_image", error))
        return image, tuple(comments)

    # --- inside ----------------------------------------------------------------------------------

    def _folders(self) -> list[Path]:
        try:
            entries = sorted(self._folder.iterdir(), key=lambda path: path.name.lower())
        except OSError:
            return []
        return [path for path in entries if path.name[0] not in "._" and (path / FILE_NAME).is_file()]

    def _record(self, folder: Path, settings: Settings) -> InstalledExtension:
        try:
            manifest = read_manifest(folder)
        except ExtensionError as error:
            return InstalledExtension(
                folder.name, folder.name, "", "", folder, enabled=False, error=str(error)
            )
        return InstalledExtension(
            folder.name,
            manifest.name,
            manifest.version,
            manifest.description,
            folder,
            enabled=_is_enabled(folder.name, manifest, settings),
            asks_for=tuple(HOOKS[hook] for hook in manifest.hooks),
            error=self._errors.get(folder.name),
        )

    def _calls(self, hook: str) -> Iterator[Call]:
        """The functions that implement a hook, of extensions that are switched on and asked for it."""
        with self._lock:
            self._load_enabled()
            implementations = self._pluggy.subset_hook_caller(hook, ()).get_hookimpls()
            calls: list[Call] = [
                (one.plugin_name, one.function, one.argnames) for one in reversed(implementations)
            ]
        return iter(calls)

    @staticmethod
    def _call(function: Callable[..., object], names: Sequence[str], given: dict[str, object]) -> object:
        return function(**{name: given[name] for name in names})

    def _load_enabled(self) -> None:
        """Load what is switched on and not loaded yet; take out what was switched off."""
        settings = self._settings()
        wanted: dict[str, tuple[Path, Manifest]] = {}
        for folder in self._folders():
            try:
                manifest = read_manifest(folder)
            except ExtensionError as error:
                self._note_once(folder.name, error)
                continue
            if _is_enabled(folder.name, manifest, settings):
                wanted[folder.name] = folder, manifest
        for name, _ in self._pluggy.list_name_plugin():
            if name not in wanted:
                self._pluggy.unregister(name=name)
        # pluggy calls what was registered last first
        for name, (folder, manifest) in reversed(wanted.items()):
            if not self._pluggy.has_plugin(name) and name not in self._errors:
                self._load(folder, manifest)

    def _load(self, folder: Path, manifest: Manifest) -> None:
        try:
            module = _import(folder, manifest)
            self._pluggy.register(module, folder.name)
            used = {caller.name for caller in self._pluggy.get_hookcallers(module) or ()}
            if undeclared := used - set(manifest.hooks):
                self._pluggy.unregister(module)
                raise ExtensionError(
                    folder.name, FILE_NAME, f"it uses {min(undeclared)} without asking for it in {FILE_NAME}"
                )
            log.info("extension %s is loaded", folder.name)
        except CAUGHT as error:  # the boundary: code of an extension
            self._note_once(folder.name, error)

    def _note_once(self, name: str, error: BaseException) -> None:
        """Remember why an extension cannot be loaded; it is not tried again before a restart."""
        if name not in self._errors:
            log.warning("extension %s cannot be loaded", name, exc_info=error)
            self._errors[name] = f"{type(error).__name__}: {error}"

    def _note(self, name: str, hook: str, error: BaseException) -> str:
        """Log a failed hook; returns the sentence for the job's owner."""
        log.warning("extension %s failed in %s", name, hook, exc_info=error)
        return f"The extension {name} failed in {hook} and was left out: {type(error).__name__}: {error}"


def _is_enabled(name: str, manifest: Manifest, settings: Settings) -> bool:
    all_off = settings.disable_all_extensions != "none"
    return manifest.enabled and not all_off and name not in settings.disabled_extensions


def _import(folder: Path, manifest: Manifest) -> ModuleType:
    path = folder / manifest.module
    spec = importlib.util.spec_from_file_location(f"studio_extension_{folder.name}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{manifest.module} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
