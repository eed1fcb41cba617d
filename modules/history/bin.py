"""The bin: deleted pictures wait in a folder of their own until it is emptied."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from modules.exceptions import NotFoundError, StorageError
from modules.imaging.files import make_folder, storage_error

__all__ = ["BIN", "PictureBin"]

BIN = ".bin"
_COMPANIONS = (".txt", ".jpg")  # parameters as text and the smaller copy, which the writer may lay beside


class PictureBin:
    """Moves picture files below the outputs folder into ``.bin`` and back; nothing outside is touched.

    Paths are given and returned below the outputs folder, with "/".

    Args:
        outputs: the folder of all pictures.
    """

    def __init__(self, outputs: Path) -> None:
        self._outputs = outputs

    def throw_in(self, path: str) -> str:
        """Move a picture and what lies beside it into the bin; returns where it lies now.

        Raises:
            NotFoundError: the file is gone, or does not lie in the outputs folder.
            StorageError: it cannot be moved.
        """
        return self._move(path, f"{BIN}/{path}")

    def take_out(self, path: str) -> str:
        """Move a picture back to where it was, beside a newer one of that name if need be.

        Raises:
            NotFoundError: the file is gone.
            StorageError: it cannot be moved.
        """
        return self._move(path, path.removeprefix(f"{BIN}/"))

    def destroy(self, path: str) -> None:
        """Delete a picture that lies in the bin; one that is gone already is no error.

        Raises:
            StorageError: it does not lie in the bin, or cannot be deleted.
        """
        if not path.startswith(f"{BIN}/"):
            raise StorageError(path, "Only pictures in the bin are deleted.")
        try:
            file = self._inside(path)
        except NotFoundError:
            return
        try:
            for each in (file, *_companions(file)):
                each.unlink(missing_ok=True)
        except OSError as error:
            raise storage_error(file, error) from error
        self._prune(file.parent)

    def _move(self, path: str, wanted: str) -> str:
        file = self._inside(path)
        target = _free(self._outputs / PurePosixPath(wanted))
        make_folder(target.parent)
        try:
            for companion in _companions(file):
                shutil.move(companion, target.with_suffix(companion.suffix))
            shutil.move(file, target)
        except OSError as error:
            raise storage_error(file, error) from error
        if path.startswith(f"{BIN}/"):
            self._prune(file.parent)
        return target.relative_to(self._outputs).as_posix()

    def _inside(self, path: str) -> Path:
        """The file, if it is a file and truly lies in the outputs folder, links followed."""
        file = self._outputs / PurePosixPath(path)
        if not file.is_file() or not file.resolve().is_relative_to(self._outputs.resolve()):
            raise NotFoundError("picture", "the picture's file is not in the outputs folder any more")
        return file

    def _prune(self, folder: Path) -> None:
        """Remove folders of the bin that have become empty."""
        with contextlib.suppress(OSError):  # not empty
            while folder != self._outputs and folder.is_relative_to(self._outputs / BIN):
                folder.rmdir()
                folder = folder.parent


def _companions(file: Path) -> Iterator[Path]:
    for suffix in _COMPANIONS:
        beside = file.with_suffix(suffix)
        if beside != file and beside.is_file():
            yield beside


def _free(wanted: Path) -> Path:
    """The path itself, or the first of ``name-1``, ``name-2`` ... that is free."""
    path, number = wanted, 0
    while path.exists():
        number += 1
        path = wanted.with_stem(f"{wanted.stem}-{number}")
    return path
