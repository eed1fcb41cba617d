"""The bin: deleted pictures wait in a folder of their own until it is emptied."""

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from modules.exceptions import NotFoundError, StorageError
from modules.history.companions import companions
from modules.imaging.files import make_folder, move_new, stem_is_free, storage_error

__all__ = ["BIN", "PictureBin"]

log = logging.getLogger(__name__)

BIN = ".bin"


class PictureBin:
    """Moves picture files below the outputs folder into ``.bin`` and back; nothing outside is touched.

    Paths are given and returned below the outputs folder, with "/".

    Args:
        outputs: the folder of all pictures.
        is_picture: whether the history knows a path (as above) as a picture of its own, which is never
            moved or deleted for another one's sake.
    """

    def __init__(self, outputs: Path, is_picture: Callable[[str], bool]) -> None:
        self._outputs = outputs
        self._is_picture = is_picture

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
            for each in (*self._companions(file), file):
                each.unlink(missing_ok=True)
        except OSError as error:
            raise storage_error(file, error) from error
        self._prune(file.parent)

    def _move(self, path: str, wanted: str) -> str:
        file = self._inside(path)
        beside = self._companions(file)
        target = self._outputs / PurePosixPath(wanted)
        make_folder(target.parent)
        while not move_new(file, target := _free(target)):
            pass  # somebody took the name at this moment
        for companion in beside:
            try:
                if not move_new(companion, target.with_suffix(companion.suffix)):
                    log.warning("%s stays where it is: its place is taken", companion.name)
            except StorageError as error:
                log.warning("a picture was moved without what lay beside it: %s", error)
        if path.startswith(f"{BIN}/"):
            self._prune(file.parent)
        return target.relative_to(self._outputs).as_posix()

    def _companions(self, file: Path) -> tuple[Path, ...]:
        return companions(file, lambda beside: self._is_picture(beside.relative_to(self._outputs).as_posix()))

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


def _free(wanted: Path) -> Path:
    """The path itself, or the first of ``name-1``, ``name-2`` ... of which no file bears the stem."""
    path, number = wanted, 0
    while not stem_is_free(path):
        number += 1
        path = wanted.with_stem(f"{wanted.stem}-{number}")
    return path
