"""Which checkpoints and VAEs there are, and which one a name means."""

import os
import re
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from modules.checkpoints.files import CheckpointFile, ModelStore, VaeFile
from modules.exceptions import NotFoundError
from modules.settings.launch import Folders

__all__ = ["AUTOMATIC_VAE", "BAKED_IN_VAE", "ModelCatalog"]

AUTOMATIC_VAE = "Automatic"
BAKED_IN_VAE = "None"

CHECKPOINT_SUFFIXES = (".ckpt", ".safetensors")
VAE_SUFFIXES = (".ckpt", ".pt", ".safetensors")
_DIFFUSERS_INDEX = "model_index.json"
_CHECKSUM = re.compile(r"\s*\[[a-f0-9]+\]\s*$")


class ModelCatalog:
    """Checkpoints and VAEs on disk. Safe between threads; lists change only by :meth:`refresh`.

    Args:
        folders: where models lie.
        hashing: whether files may be hashed (--no-hashing).
        vae_path: a VAE given on the command line; it wins over every setting.
    """

    def __init__(self, folders: Folders, *, hashing: bool = True, vae_path: Path | None = None) -> None:
        self._checkpoint_folders = (folders.models / "Stable-diffusion", *folders.extra_checkpoints)
        self._embedded = folders.embedded
        self._vae_folders = (folders.models / "VAE", *folders.extra_vaes)
        self._vae_path = vae_path
        self._store = ModelStore.below(folders.data / "cache" / "models", hashing=hashing)
        self._lock = threading.Lock()
        self._checkpoints: tuple[CheckpointFile, ...] = ()
        self._vaes: tuple[VaeFile, ...] = ()
        self.refresh()

    @property
    def store(self) -> ModelStore:
        """Hashes and converted copies, for whoever else reads model files."""
        return self._store

    def refresh(self) -> None:
        """Look at the folders again."""
        checkpoints: dict[str, CheckpointFile] = {}
        vaes: dict[str, VaeFile] = {}
        for folder in self._checkpoint_folders:
            self._look_into(folder, checkpoints, vaes)
        if not checkpoints and self._embedded is not None:
            self._look_into(self._embedded, checkpoints, vaes)
        for folder in self._vae_folders:
            for path in _files_below(folder):
                if path.suffix.lower() in VAE_SUFFIXES:
                    vaes[path.name] = VaeFile(path, self._store)
        with self._lock:
            self._checkpoints = tuple(sorted(checkpoints.values(), key=lambda file: _natural(file.name)))
            self._vaes = tuple(sorted(vaes.values(), key=lambda file: _natural(file.name)))

    def _look_into(
        self, folder: Path, checkpoints: dict[str, CheckpointFile], vaes: dict[str, VaeFile]
    ) -> None:
        for path in _files_below(folder):
            if _is_vae_name(path):
                vaes[path.name] = VaeFile(path, self._store)
            elif path.name == _DIFFUSERS_INDEX:
                _add_checkpoint(checkpoints, folder, path.parent, self._store)
            elif path.suffix.lower() in CHECKPOINT_SUFFIXES:
                _add_checkpoint(checkpoints, folder, path, self._store)

    def checkpoints(self) -> tuple[CheckpointFile, ...]:
        """All checkpoints in natural order of their names."""
        with self._lock:
            return self._checkpoints

    def vaes(self) -> tuple[VaeFile, ...]:
        """All VAE files in natural order of their names."""
        with self._lock:
            return self._vaes

    def find_checkpoint(self, wanted: str, field: str = "sd_model_checkpoint") -> CheckpointFile:
        """The checkpoint that a title, name, stem or hash means.

        An exact id wins; else the shortest title that contains the text, with or without a trailing
        ``[hash]``.

        Raises:
            NotFoundError: nothing fits.
        """
        files = self.checkpoints()
        for file in files:
            if file.is_called(wanted):
                return file
        by_title = sorted(files, key=lambda file: len(file.title))
        for text in (wanted, _CHECKSUM.sub("", wanted)):
            for file in by_title:
                if text and text in file.title:
                    return file
        raise NotFoundError(
            field, f"there is no checkpoint {wanted!r}; {_choice(file.name for file in files)}"
        )

    def find_vae(self, name: str, field: str = "sd_vae") -> VaeFile:
        """The VAE file of that name.

        Raises:
            NotFoundError: there is none.
        """
        for file in self.vaes():
            if name in {file.name, file.path.stem, str(file.path)}:
                return file
        raise NotFoundError(field, f"there is no VAE {name!r}; {_choice(file.name for file in self.vaes())}")

    def resolve_vae(
        self, checkpoint: CheckpointFile, setting: str = AUTOMATIC_VAE, *, overrides_per_model: bool = True
    ) -> VaeFile | None:
        """The VAE file to use with a checkpoint, None for the one that is baked in.

        In order: the command line; the setting, unless "Automatic" or not ``overrides_per_model``; what the
        user noted beside the checkpoint; a VAE file whose name begins with the checkpoint's stem; the
        setting.

        Args:
            checkpoint: the checkpoint in question.
            setting: the option ``sd_vae``: "Automatic", "None" or a file name.
            overrides_per_model: the option ``sd_vae_overrides_per_model_preferences``.

        Raises:
            NotFoundError: the VAE that the setting names is not there.
        """
        if self._vae_path is not None:
            return VaeFile(self._vae_path, self._store)
        if overrides_per_model and setting != AUTOMATIC_VAE:
            return self._vae_of_setting(setting)
        noted = checkpoint.user_metadata.get("vae")
        if noted == BAKED_IN_VAE:
            return None
        for file in self.vaes():
            if file.name == noted:
                return file
        for file in self.vaes():
            if file.name.startswith(checkpoint.stem):
                return file
        return self._vae_of_setting(setting)

    def _vae_of_setting(self, setting: str) -> VaeFile | None:
        return None if setting in {AUTOMATIC_VAE, BAKED_IN_VAE, ""} else self.find_vae(setting)


def _add_checkpoint(found: dict[str, CheckpointFile], folder: Path, path: Path, store: ModelStore) -> None:
    name = path.relative_to(folder).as_posix()
    found.setdefault(name, CheckpointFile(path.absolute(), name, store))


def _files_below(folder: Path) -> Iterator[Path]:
    """All files, links followed once; a diffusers folder is only its index file."""
    seen: set[str] = set()
    for root, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        if _DIFFUSERS_INDEX in files and Path(root) != folder:
            folders.clear()
            yield Path(root, _DIFFUSERS_INDEX)
            continue
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(root, name) for name in sorted(files) if not name.startswith("."))


def _is_vae_name(path: Path) -> bool:
    return path.suffix.lower() in VAE_SUFFIXES and Path(path.stem).suffix.lower() == ".vae"


def _natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key that orders numbers by value."""
    parts = re.split(r"(\d{1,18})", name.casefold())
    return tuple((0, int(part), "") if place % 2 else (1, 0, part) for place, part in enumerate(parts))


def _choice(names: Iterable[str]) -> str:
    listed = list(names)
    if not listed:
        return "there is none at all; put one into the models folder and refresh"
    shown = ", ".join(listed[:10]) + (", ..." if len(listed) > 10 else "")
    return f"there are: {shown}"
