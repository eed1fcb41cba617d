"""A folder of pictures with captions; everything that is wrong with it is said at once, by file name.

Captions are looked for in this order: ``NAME.txt`` or ``NAME.caption`` beside the picture, a line of
``metadata.jsonl`` (``{"file_name": ..., "text": ...}``), the words of a sub-folder that is named like
``10_words``, the words of the file's own name.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from modules.exceptions import RequestError, TrainingError
from modules.imaging.decode import load_image
from modules.training.finetuning.recipe import DataChoice

__all__ = [
    "IMAGE_SUFFIXES",
    "PictureSet",
    "TrainingPicture",
    "name_words",
    "picture_paths",
    "read_mask",
    "read_picture",
    "read_pictures",
]

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".avif", ".bmp", ".gif", ".tif", ".tiff")
CAPTION_SUFFIXES = (".txt", ".caption")
MASK_ENDING = ".mask"
METADATA = "metadata.jsonl"

_REPEATED = re.compile(r"(\d{1,4})_(.*)")
_NUMBER_FIRST = re.compile(r"^[-\d]+\s*[-_]?\s*")
_NAMED_AT_ONCE = 12  # file names in one message


@dataclass(frozen=True)
class TrainingPicture:
    """One picture.

    Attributes:
        path: the file.
        caption: what is said about it; may be empty where a trigger word says it all.
        width, height: upright, in pixels.
        repeats: how often it is seen in one round.
        mask: where to learn, None for everywhere.
    """

    path: Path
    caption: str
    width: int
    height: int
    repeats: int = 1
    mask: Path | None = None


@dataclass(frozen=True)
class PictureSet:
    """The pictures of a run, and what deserves attention without preventing it, one sentence each."""

    pictures: tuple[TrainingPicture, ...]
    notes: tuple[str, ...] = ()


def read_pictures(choice: DataChoice, word: str) -> PictureSet:
    """Read a folder, decoding every picture once.

    Args:
        choice: which folder, and how it is read.
        word: what stands for the subject; with one, a picture needs no caption.

    Raises:
        TrainingError: the folder is missing or empty, pictures or masks cannot be read, or there are
            pictures about which nothing is said; the message names the files.
    """
    folder = Path(choice.folder).expanduser()
    if not folder.is_dir():
        raise TrainingError(f"There is no folder {folder}; put your pictures there or choose another.")
    listed, problems = _listed_captions(folder)
    pictures, silent, by_name = [], [], []
    paths = list(picture_paths(folder))
    for path in paths:
        try:
            picture, is_named = _read_one(path, folder, choice, listed)
        except TrainingError as error:
            problems.append(str(error))
            continue
        pictures.append(picture)
        if not picture.caption and not word:
            silent.append(path.name)
        elif is_named:
            by_name.append(path.name)
    missing = sorted(set(listed) - {path.relative_to(folder).as_posix() for path in paths})
    if missing and paths:
        problems.append(f"{METADATA} names pictures that are not there: {_names(missing)}.")
    if silent:
        problems.append(
            f"Nothing is said about {_names(silent)}: write a caption into a .txt file of the same name "
            "beside each, or give a trigger word."
        )
    if not pictures and not problems:
        raise TrainingError(
            f"There are no pictures in {folder}; known are {', '.join(IMAGE_SUFFIXES)} and their captions in "
            ".txt files of the same name."
        )
    if problems:
        raise TrainingError(" ".join(problems))
    notes = (f"The file's name is the caption of {_names(by_name)}.",) if by_name else ()
    return PictureSet(tuple(pictures), notes)


def picture_paths(folder: Path) -> Iterator[Path]:
    """All pictures in a folder and its sub-folders, masks and hidden files left out, in order of names."""
    for path in sorted(folder.rglob("*")):
        is_hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        is_picture = path.suffix.lower() in IMAGE_SUFFIXES and not path.stem.endswith(MASK_ENDING)
        if is_picture and not is_hidden and path.is_file():
            yield path


def name_words(stem: str) -> str:
    """The words of a file's name: without numbers at its beginning, "_" and "-" as spaces."""
    return " ".join(_NUMBER_FIRST.sub("", stem).replace("_", " ").replace("-", " ").split())


def _read_one(
    path: Path, folder: Path, choice: DataChoice, listed: Mapping[str, str]
) -> tuple[TrainingPicture, bool]:
    """A picture, and whether its caption is but its file's name."""
    size = _checked(path).size
    mask = path.with_name(f"{path.stem}{MASK_ENDING}.png")
    has_mask = choice.masks and mask.is_file()
    if has_mask:
        _checked(mask)
    repeats, words = _of_folder(path, folder)
    written = _written_caption(path, listed.get(path.relative_to(folder).as_posix()))
    caption = written if written is not None else words or name_words(path.stem)
    picture = TrainingPicture(
        path, caption, *size, repeats=repeats * choice.repeats, mask=mask if has_mask else None
    )
    return picture, written is None and not words


def _checked(path: Path) -> Image.Image:
    try:
        return load_image(path.read_bytes(), field=path.name)
    except (RequestError, OSError) as error:
        raise TrainingError(f"{path.name} cannot be read: {error}.") from error


def _of_folder(path: Path, folder: Path) -> tuple[int, str]:
    """Repeats and words of the sub-folder that a picture lies in."""
    match = _REPEATED.fullmatch(path.parent.name) if path.parent != folder else None
    return (max(1, int(match[1])), match[2].replace("_", " ").strip()) if match else (1, "")


def _written_caption(path: Path, listed: str | None) -> str | None:
    for suffix in CAPTION_SUFFIXES:
        beside = path.with_suffix(suffix)
        if beside.is_file():
            try:
                return " ".join(beside.read_text(encoding="utf-8-sig").split())
            except (OSError, UnicodeDecodeError) as error:
                raise TrainingError(f"{beside.name} cannot be read as UTF-8 text: {error}.") from error
    return listed


def _listed_captions(folder: Path) -> tuple[dict[str, str], list[str]]:
    """Captions of ``metadata.jsonl`` by picture, and its lines that say nothing."""
    path = folder / METADATA
    if not path.is_file():
        return {}, []
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        return {}, [f"{METADATA} cannot be read as UTF-8 text: {error}."]
    captions, bad = {}, []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            captions[str(entry["file_name"])] = " ".join(str(entry["text"]).split())
        except (ValueError, KeyError, TypeError):
            bad.append(str(number))
    if not bad:
        return captions, []
    return captions, [f"{METADATA} needs file_name and text in every line; wrong: {', '.join(bad)}."]


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMED_AT_ONCE])
    return shown if len(names) <= _NAMED_AT_ONCE else f"{shown} and {len(names) - _NAMED_AT_ONCE} more"


def read_picture(path: Path) -> tuple[Image.Image, Image.Image | None]:
    """A picture as RGB on white, and its opacity if it has one."""
    image = _checked(path)
    if image.mode != "RGBA":
        return image.convert("RGB"), None
    opacity = image.getchannel("A")
    paper = Image.new("RGB", image.size, "white")
    paper.paste(image, mask=opacity)
    return paper, opacity


def read_mask(path: Path) -> Image.Image:
    """A mask in grey."""
    return _checked(path).convert("L")
