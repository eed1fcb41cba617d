"""A batch of pictures through img2img: each file is one job, all with one seed and one form."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from modules.domain.infotext import parse_infotext
from modules.exceptions import NotFoundError, RequestError
from modules.imaging.metadata import read_infotext
from modules.webui.form.mask_canvas import PictureReader
from modules.webui.form.start_pictures import Start, load_start

__all__ = ["BatchFiles", "BatchItem", "batch_seed", "output_overrides", "with_png_info"]

MAX_FILES = 1000  # a folder that holds more is probably the wrong one
MAX_SEED = 2**32 - 2  # A1111 draws random seeds below this
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".avif", ".bmp", ".gif", ".tif", ".tiff"})

# a part of the png info -> key of the control that it fills
_CONTROLS = {
    "Seed": "seed",
    "CFG scale": "cfg_scale",
    "Sampler": "sampling",
    "Steps": "steps",
    "Model hash": "setting_sd_model_checkpoint",
}


@dataclass(frozen=True)
class BatchItem:
    """One picture of a batch and its mask."""

    path: Path
    mask: Path | None = None


class BatchFiles:
    """Finds the files of a batch.

    Args:
        reader: knows which uploads there are.
        root: the outputs folder; folders outside it are not looked into.
    """

    def __init__(self, reader: PictureReader, root: Path) -> None:
        self._reader = reader
        self._root = root.resolve()

    def items(self, values: Mapping[str, object], *, reads_folders: bool) -> tuple[BatchItem, ...]:
        """The pictures that a form names, those without a mask left out where masks are wanted.

        Args:
            values: of the form.
            reads_folders: whether the visitor may look into the server's folders.

        Raises:
            RequestError: nothing is there, or it is not the visitor's business; ``field`` is the control.
        """
        if values.get("batch_source") != "directory":
            return self._uploaded(values.get("batch_files"))
        if not reads_folders:
            raise RequestError("batch_input_dir", "Folders of the server belong to its administrator.")
        files = self._files(values, "batch_input_dir")
        if not files:
            raise NotFoundError("batch_input_dir", "This folder holds no pictures.")
        if not _text(values, "batch_inpaint_mask_dir"):
            return tuple(BatchItem(path) for path in files)
        masks = self._files(values, "batch_inpaint_mask_dir")
        items = tuple(BatchItem(path, mask) for path in files if (mask := _mask_for(path, masks)))
        if not items:
            raise NotFoundError("batch_inpaint_mask_dir", "No mask has the name of one of the pictures.")
        return items

    def png_info(self, item: BatchItem, values: Mapping[str, object]) -> str:
        """The generation parameters for a picture: its own, or those of its namesake in a folder."""
        path = item.path
        if values.get("batch_source") == "directory" and _text(values, "batch_png_info_dir"):
            path = self.folder(values, "batch_png_info_dir") / path.name
        if not path.is_file():
            return ""
        return read_infotext(path.read_bytes())[0] or ""

    def folder(self, values: Mapping[str, object], key: str) -> Path:
        """The folder that a control names, inside the outputs folder; it need not exist.

        Raises:
            RequestError: it lies elsewhere.
        """
        folder = (self._root / _text(values, key)).resolve()
        if not folder.is_relative_to(self._root):
            raise RequestError(key, "This folder must lie inside the outputs folder.")
        return folder

    def start(self, item: BatchItem, put: Callable[[bytes], str]) -> Start:
        """Put picture and mask of an item into the blob store.

        Raises:
            RequestError: a file is no picture; ``field`` is the control of the batch.
        """
        return load_start(
            item.path.read_bytes(),
            None if item.mask is None else item.mask.read_bytes(),
            put,
            field="batch_files",
        )

    def _uploaded(self, sent: object) -> tuple[BatchItem, ...]:
        paths = sent if isinstance(sent, (list, tuple)) else ()
        if not paths:
            raise NotFoundError("batch_files", "Choose the pictures of the batch first.")
        return tuple(BatchItem(self._reader.uploaded(path, field="batch_files")) for path in paths)

    def _files(self, values: Mapping[str, object], key: str) -> tuple[Path, ...]:
        folder = self.folder(values, key)
        if not _text(values, key) or not folder.is_dir():
            raise NotFoundError(key, "There is no such folder inside the outputs folder.")
        found = sorted(path for path in folder.rglob("*") if self._is_picture(path))
        if len(found) > MAX_FILES:
            raise RequestError(
                key, f"This folder holds {len(found)} pictures; at most {MAX_FILES} are taken at once."
            )
        return tuple(found)

    def _is_picture(self, path: Path) -> bool:
        known = path.suffix.lower() in SUFFIXES and path.is_file()
        return known and path.resolve().is_relative_to(self._root)


def batch_seed(values: Mapping[str, object]) -> object:
    """The one seed of all jobs of a batch: the form's, or a random one drawn once."""
    seed = values.get("seed")
    return secrets.randbelow(MAX_SEED) if seed == -1 else seed


def with_png_info(values: Mapping[str, object], infotext: str) -> dict[str, object]:
    """The form's values with the chosen parts of a picture's own parameters."""
    merged = dict(values)
    chosen = values.get("batch_png_info_props")
    if values.get("batch_use_png_info") is not True or not isinstance(chosen, list) or not infotext:
        return merged
    found = parse_infotext(infotext)
    for part, key in (("Prompt", "prompt"), ("Negative prompt", "neg_prompt")):
        if part in chosen and found.get(part):
            merged[key] = f"{values.get(key) or ''} {found[part]}".strip()
    for part, key in _CONTROLS.items():
        if part in chosen and found.get(part):
            merged[key] = _value(str(found[part]), merged.get(key))
    return merged


def output_overrides(item: BatchItem, folder: Path | None, images: int) -> dict[str, JsonValue]:
    """Settings under which a job saves into the batch's own folder by the name of its file."""
    if folder is None:
        return {}
    stem = item.path.stem.translate(str.maketrans("[]", "()"))  # brackets are patterns in file names
    return {
        "outdir_samples": "",
        "outdir_img2img_samples": str(folder),
        "save_to_dirs": False,
        "save_images_add_number": False,
        "samples_filename_pattern": stem if images == 1 else f"{stem}-[generation_number]",
        "grid_save": False,
    }


def _mask_for(path: Path, masks: tuple[Path, ...]) -> Path | None:
    if len(masks) == 1:
        return masks[0]
    return next((mask for mask in masks if mask.stem == path.stem), None)


def _value(text: str, before: object) -> object:
    """A text as the kind of value that a control holds; what it held before when it is no number."""
    if not isinstance(before, (int, float)):
        return text
    try:
        number = float(text)
    except ValueError:
        return before
    return int(number) if number.is_integer() else number


def _text(values: Mapping[str, object], key: str) -> str:
    value = values.get(key)
    return value.strip() if isinstance(value, str) else ""
