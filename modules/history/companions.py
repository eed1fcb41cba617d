"""What lies beside a picture and goes where it goes: its parameters as text, and its smaller copy."""

from collections.abc import Callable
from pathlib import Path

from modules.exceptions import RequestError
from modules.imaging.files import PICTURE_SUFFIXES
from modules.imaging.metadata import read_metadata

__all__ = ["companions", "is_small_copy"]


def companions(file: Path, is_picture: Callable[[Path], bool]) -> tuple[Path, ...]:
    """The files that belong to a picture.

    Another picture of the same stem is none of them; while one lies there, nobody knows whose the text is.

    Args:
        file: the picture.
        is_picture: whether the history knows a file as a picture of its own.
    """
    beside = [path for path in map(file.with_suffix, PICTURE_SUFFIXES) if path != file and path.is_file()]
    copies = tuple(path for path in beside if not is_picture(path) and is_small_copy(path, file))
    text = file.with_suffix(".txt")
    is_ours = len(copies) == len(beside) and text.is_file()
    return (*copies, text) if is_ours else copies


def is_small_copy(path: Path, picture: Path) -> bool:
    """Whether a JPEG is the smaller copy that the writer lays beside a large picture: it says the same."""
    if path.suffix != ".jpg":
        return False
    try:
        said = read_metadata(path).infotext
        return bool(said) and said == read_metadata(picture).infotext
    except (OSError, RequestError):
        return False
