"""A zip file of chosen pictures."""

import io
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from modules.imaging.filenames import NameFacts, expand_pattern, safe_parts
from modules.imaging.files import make_folder, storage_error, write_new

__all__ = ["DEFAULT_PATTERN", "pack_pictures", "write_archive"]

DEFAULT_PATTERN = "[datetime]_[[model_name]]_[seed]-[seed_last]"


def write_archive(files: Iterable[Path], folder: Path, facts: NameFacts, *, pattern: str = "") -> Path:
    """Write pictures, and the text files beside them, into one new zip file.

    Args:
        files: the pictures; two of one name in different folders both go in.
        folder: where the archive is written.
        facts: what its name may be made of.
        pattern: the option ``grid_zip_filename_pattern``; empty is A1111's default.

    Raises:
        StorageError: a picture cannot be read or the archive not be written.
    """
    out = io.BytesIO()
    pack_pictures(files, out)
    stem = "_".join(safe_parts(expand_pattern(pattern or DEFAULT_PATTERN, facts))) or "images"
    make_folder(folder)
    attempt = 0
    while True:
        target = folder / (f"{stem}-{attempt}.zip" if attempt else f"{stem}.zip")
        if write_new(target, out.getvalue()):
            return target
        attempt += 1


def pack_pictures(files: Iterable[Path], out: IO[bytes]) -> None:
    """Write pictures, and the text files beside them, as a zip file into an open file.

    Raises:
        StorageError: a picture cannot be read.
    """
    names: set[str] = set()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:  # pictures are compressed already
        for path in _with_texts(files):
            name = _free(path.name, names)
            names.add(name)
            try:
                archive.writestr(zipfile.ZipInfo.from_file(path, name), path.read_bytes())
            except OSError as error:
                raise storage_error(path, error) from error


def _with_texts(files: Iterable[Path]) -> Iterable[Path]:
    for path in files:
        yield path
        text = path.with_suffix(".txt")
        if text != path and text.is_file():
            yield text


def _free(name: str, taken: set[str]) -> str:
    path, attempt, free = Path(name), 0, name
    while free in taken:
        attempt += 1
        free = f"{path.stem}-{attempt}{path.suffix}"
    return free
