"""Saving finished pictures: where, under which name, atomically, and never over another file."""

import functools
import logging
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from PIL import Image

from modules.exceptions import StorageError
from modules.imaging.filenames import NameFacts, expand_pattern, safe_parts
from modules.imaging.files import make_folder, stem_is_free, storage_error, write_new
from modules.imaging.metadata import encode_image, fitting_format, holds_infotext
from modules.settings.options import Settings

__all__ = ["ImageWriter", "OutputKind", "SavedImage"]

log = logging.getLogger(__name__)

OutputKind = Literal["txt2img", "img2img", "extras", "txt2img-grid", "img2img-grid", "save", "init"]

MAX_KNOWN_FOLDERS = 1000  # folders whose next number is remembered
MAX_NAME = 240  # UTF-8 bytes before the extension; file systems take 255 in all
MAX_TRIES = 10_000  # names tried before giving up
RESCAN_AFTER = 20  # taken names in a row: somebody else writes into the folder too
_LEADING_NUMBER = re.compile(r"\d{1,9}(?=[-.]|$)")


@dataclass(frozen=True)
class SavedImage:
    """What was written.

    Attributes:
        path: the picture's file.
        content: what is in it, so that nobody has to encode the picture again.
        text_path: the file with its parameters, when the settings ask for one or they did not fit.
        copy_path: the smaller JPEG beside a large picture.
    """

    path: Path
    content: bytes = field(repr=False)
    text_path: Path | None = None
    copy_path: Path | None = None


class ImageWriter:
    """Writes pictures below one folder; safe to use from several threads.

    The next number of a folder is found by listing it once and counted in memory from then on, so that
    a folder of 50,000 pictures costs no more per picture than an empty one.

    Args:
        root: the outputs folder; nothing is ever written outside it.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._next: OrderedDict[tuple[Path, str], int] = OrderedDict()

    def save(
        self,
        image: Image.Image,
        facts: NameFacts,
        settings: Settings,
        *,
        kind: OutputKind,
        infotext: str | None = None,
        items: Mapping[str, str] | None = None,
        suffix: str = "",
    ) -> SavedImage:
        """Save a picture as the settings say.

        Args:
            image: the picture.
            facts: what its name may be made of; ``basename`` makes a series of its own (``grid``).
            settings: options in force for the job.
            kind: decides the folder, and the format of grids.
            infotext: generation parameters to embed.
            items: further PNG texts.
            suffix: end of the name, such as ``-before-color-correction``.

        Raises:
            StorageError: disk full, no permission, a folder that leads elsewhere ...; nothing is left
                half-written.
        """
        is_grid = kind.endswith("-grid")
        format = fitting_format(settings.grid_format if is_grid else settings.samples_format, *image.size)
        written = infotext if settings.enable_pnginfo else None
        content = encode_image(
            image,
            format,
            written,
            items=items if settings.enable_pnginfo else None,
            quality=settings.jpeg_quality,
            lossless=settings.webp_lossless,
        )
        folder = self.folder(facts, settings, kind=kind)
        stem, series = _stem(facts, settings, kind=kind, suffix=suffix)
        path = self._write(folder, stem, series, f".{format}", content)
        return SavedImage(
            path,
            content,
            _write_text(path, infotext, settings),
            _write_small_copy(image, path, len(content), written, settings),
        )

    def folder(self, facts: NameFacts, settings: Settings, *, kind: OutputKind) -> Path:
        """The folder in which a picture of this kind is saved; it need not exist yet.

        Raises:
            StorageError: a link on the way leads out of the outputs folder.
        """
        base = self._root.joinpath(*self._below_root(_output_folder(settings, kind)))
        folder = base.joinpath(*_sub_folder(facts, settings, kind))
        if not folder.resolve().is_relative_to(self._root.resolve()):
            raise StorageError(folder, f"The folder {folder.name} leads out of the outputs folder.")
        return folder

    def _below_root(self, setting: str) -> tuple[str, ...]:
        """An output folder setting as names below the root; A1111's ``outputs/...`` is the root itself."""
        path = Path(setting)
        if path.is_absolute() and path.is_relative_to(self._root):  # compares names: ".." may lead out again
            return safe_parts("/".join(path.relative_to(self._root).parts))
        parts = safe_parts(setting)
        return parts[1:] if parts[:1] == ("outputs",) else parts

    def _write(self, folder: Path, stem: str, series: str | None, extension: str, content: bytes) -> Path:
        make_folder(folder)
        for attempt in range(MAX_TRIES):
            if series is None:
                name = f"{_fitting(stem)}-{attempt}" if attempt else _fitting(stem)
            else:
                name = self._numbered(folder, stem, series, rescan=attempt % RESCAN_AFTER == RESCAN_AFTER - 1)
            path = folder / f"{name}{extension}"
            if stem_is_free(path) and write_new(path, content):
                return path
        raise StorageError(folder, f"No free file name was found in the folder {folder.name}.")

    def _numbered(self, folder: Path, stem: str, series: str, *, rescan: bool) -> str:
        """``00042-stem``, or ``grid-0042-stem`` in a series with a name of its own."""
        key = (folder, series)
        with self._lock:
            if rescan or key not in self._next:
                self._next[key] = _next_number(folder, series)
            number = self._next[key]
            self._next[key] = number + 1
            self._next.move_to_end(key)
            while len(self._next) > MAX_KNOWN_FOLDERS:
                self._next.popitem(last=False)
        numbered = f"{series}-{number:04}" if series else f"{number:05}"
        return _fitting(f"{numbered}-{stem}") if stem else numbered


def _fitting(name: str) -> str:
    return name.encode()[:MAX_NAME].decode("utf-8", "ignore")


def _output_folder(settings: Settings, kind: OutputKind) -> str:
    samples, grids = settings.outdir_samples, settings.outdir_grids
    folders: dict[OutputKind, str] = {
        "txt2img": samples or settings.outdir_txt2img_samples,
        "img2img": samples or settings.outdir_img2img_samples,
        "extras": samples or settings.outdir_extras_samples,
        "txt2img-grid": grids or settings.outdir_txt2img_grids,
        "img2img-grid": grids or settings.outdir_img2img_grids,
        "save": settings.outdir_save,
        "init": settings.outdir_init_images,
    }
    return folders[kind]


def _uses_sub_folder(settings: Settings, kind: OutputKind) -> bool:
    if kind.endswith("-grid"):
        return settings.grid_save_to_dirs
    return settings.use_save_to_dirs_for_ui if kind == "save" else settings.save_to_dirs


def _sub_folder(facts: NameFacts, settings: Settings, kind: OutputKind) -> tuple[str, ...]:
    if not _uses_sub_folder(settings, kind):
        return ()
    return safe_parts(expand_pattern(settings.directories_filename_pattern or "[prompt_words]", facts))


def _stem(facts: NameFacts, settings: Settings, *, kind: OutputKind, suffix: str) -> tuple[str, str | None]:
    """Name without number and extension, and the series it is numbered in; None means no number."""
    short = facts.seed is None or (kind.endswith("-grid") and not settings.grid_extended_filename)
    if short:
        pattern = ""
    elif settings.samples_filename_pattern:
        pattern = settings.samples_filename_pattern
    else:
        pattern = "[seed]" if _uses_sub_folder(settings, kind) else "[seed]-[prompt_spaces]"
    stem = "_".join(safe_parts(expand_pattern(pattern, facts)))
    stem = "_".join(safe_parts(stem + suffix))
    numbered = settings.save_images_add_number or not stem
    return stem, (("_".join(safe_parts(facts.basename))) if numbered else None)


def _next_number(folder: Path, series: str) -> int:
    """One more than the largest number that leads a name of the series in the folder."""
    prefix = f"{series}-" if series else ""
    largest = -1
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                match = (
                    _LEADING_NUMBER.match(entry.name, len(prefix)) if entry.name.startswith(prefix) else None
                )
                if match is not None:
                    largest = max(largest, int(match.group()))
    except FileNotFoundError:
        pass
    except OSError as error:
        raise storage_error(folder, error) from error
    return largest + 1


def _write_text(path: Path, infotext: str | None, settings: Settings) -> Path | None:
    """The parameters beside the picture, when the settings ask for it or the picture cannot hold them."""
    too_long = settings.enable_pnginfo and not holds_infotext(path.suffix[1:], infotext or "")
    if not infotext or not (settings.save_txt or too_long):
        return None
    text_path = path.with_suffix(".txt")
    try:
        return text_path if write_new(text_path, f"{infotext}\n".encode("utf-8", "replace")) else None
    except StorageError as error:
        log.warning("the picture was saved without its text file: %s", error)
        return None


def _write_small_copy(
    image: Image.Image, path: Path, size: int, infotext: str | None, settings: Settings
) -> Path | None:
    """A JPEG beside a picture of many bytes or pixels, when the settings ask for it."""
    side = max(16, round(settings.target_side_length))
    too_large = max(image.size) > side
    heavy = size > settings.img_downscale_threshold * 1024 * 1024
    copy_path = path.with_suffix(".jpg")
    if not settings.export_for_4chan or not (too_large or heavy) or copy_path == path:
        return None
    small = image
    if too_large:
        scale = functools.partial(_scaled, longer=max(image.size), side=side)
        small = image.resize((scale(image.width), scale(image.height)), Image.Resampling.LANCZOS)
    content = encode_image(small, "jpg", infotext, quality=settings.jpeg_quality)
    try:
        return copy_path if write_new(copy_path, content) else None
    except StorageError as error:
        log.warning("the small copy was left out: %s", error)
        return None


def _scaled(length: int, *, longer: int, side: int) -> int:
    return max(1, round(length * side / longer))
