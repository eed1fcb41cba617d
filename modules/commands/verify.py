"""``webui.py verify``: make a picture again from what its file says, and tell whether it is the same."""

import argparse
import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from modules.commands.generate import FORMATS
from modules.commands.workplace import make_pictures, open_workplace
from modules.domain.infotext import split_infotext
from modules.domain.infotext_request import request_from_infotext
from modules.domain.request import GenerationRequest
from modules.exceptions import NotFoundError, RequestError, WebuiError
from modules.imaging.decode import load_image
from modules.imaging.metadata import ImageMetadata, read_metadata
from modules.services import Services
from modules.settings.launch import LaunchOptions
from modules.settings.options import infotext_options

__all__ = ["Comparison", "add_verify_arguments", "compare_pictures", "different_parameters", "run_verify"]

log = logging.getLogger(__name__)

IDENTICAL, DIFFERENT, NOT_VERIFIED = 0, 1, 2  # exit statuses, the worst of several pictures counts


@dataclass(frozen=True)
class Comparison:
    """How two pictures of one size differ.

    Attributes:
        changed: share of pixels that differ, 0 to 1.
        largest: largest difference of a channel, 0 to 255.
        mean: mean difference of a channel, 0 to 255.
    """

    changed: float
    largest: int
    mean: float

    @property
    def is_identical(self) -> bool:
        """Whether every pixel is the same."""
        return self.largest == 0

    def sentence(self) -> str:
        """The difference in words."""
        if self.is_identical:
            return "identical"
        return (
            f"different: {100 * self.changed:.2f} % of the pixels, by {self.mean:.3f} of 255 on average "
            f"and by {self.largest} at most"
        )


def add_verify_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command beside those for folders and device."""
    parser.add_argument("pictures", nargs="+", type=Path, metavar="picture", help="PNG, JPEG, WebP or AVIF")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the new pictures in this folder")


def run_verify(arguments: argparse.Namespace, options: LaunchOptions) -> int:
    """Make each picture again and compare; returns the exit status.

    Returns:
        0 when all are identical, 1 when one is different, 2 when one could not be made again.
    """
    statuses = []
    with open_workplace(options) as services:
        for path in arguments.pictures:
            try:
                lines, status = _verified(services, path, arguments.keep)
            except WebuiError as error:
                lines, status = [f"not verified: {error}"], NOT_VERIFIED
            except OSError as error:
                lines, status = [f"not verified: the file cannot be read: {error.strerror}"], NOT_VERIFIED
            sys.stdout.write(
                "\n".join([f"{path}: {lines[0]}", *(f"  - {line}" for line in lines[1:])]) + "\n"
            )
            sys.stdout.flush()
            statuses.append(status)
    return max(statuses)


def _verified(services: Services, path: Path, keep: Path | None) -> tuple[list[str], int]:
    """What to say of one picture, the verdict first, and its exit status."""
    content = path.read_bytes()
    metadata = read_metadata(content)
    if metadata.infotext is None:
        raise RequestError("picture", "it holds no generation parameters")
    request, reasons = _request(services, metadata, path)
    view = make_pictures(services, request)
    new = Path(view.images[0].path).read_bytes()
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        (keep / path.name).write_bytes(new)
    reasons += view.comments
    reasons += different_parameters(metadata.infotext, view.images[0].infotext)
    comparison = compare_pictures(content, new)
    if comparison.is_identical:
        return [comparison.sentence()], IDENTICAL
    runtime = services.models.runtime
    precision = str(runtime.dtype).removeprefix("torch.")
    reasons.append(
        f"made here on {runtime.device} in {precision}; another device or precision rounds otherwise"
    )
    if FORMATS.get(path.suffix.lower()) != "png":
        reasons.append("the file's format loses detail, and the quality it was saved with is not known")
    return [comparison.sentence(), *dict.fromkeys(reasons)], DIFFERENT


def _request(services: Services, metadata: ImageMetadata, path: Path) -> tuple[GenerationRequest, list[str]]:
    """The request that the picture's file describes, and what of it could not be honoured.

    Raises:
        RequestError: the file does not say enough.
        NotFoundError: its checkpoint or VAE is not here.
    """
    text = metadata.infotext or ""
    request, comments = request_from_infotext(
        text, settings=services.settings.current.as_json(), setting_keys=infotext_options()
    )
    said = split_infotext(text).parameters
    if "Denoising strength" in said and request.hires is None:
        raise RequestError("picture", "it was made from another picture, which its file does not contain")
    if "Seed" not in said:
        raise RequestError("picture", "its file does not say the seed")
    reasons = [*metadata.lost, *comments]
    checkpoint = _checkpoint(services, said, reasons)
    suffix = FORMATS.get(path.suffix.lower(), "png")
    changes = {
        "checkpoint": checkpoint,
        "batch_size": 1,  # a picture does not depend on its batch
        "n_iter": 1,
        "save_images": False,
        "override_settings": {**request.override_settings, "samples_format": suffix},
    }
    return request.model_copy(update=changes), reasons


def _checkpoint(services: Services, said: Mapping[str, str], reasons: list[str]) -> str:
    """Title of the checkpoint that the file names, by its hash, else by its name.

    Raises:
        NotFoundError: there is neither.
    """
    digest, name = said.get("Model hash", ""), said.get("Model", "")
    by_name = next((file for file in services.catalog.checkpoints() if name and file.stem == name), None)
    if by_name is not None and digest in {"", by_name.shorthash}:
        return by_name.title
    if digest:
        for file in services.catalog.checkpoints():
            if file.is_called(digest) or file.shorthash == digest:
                return file.title
    if by_name is not None:
        reasons.append(f"the checkpoint {name} is here, but its hash is {by_name.shorthash}, not {digest}")
        return by_name.title
    raise NotFoundError("picture", f"its checkpoint {name or 'of unknown name'} [{digest}] is not here")


def different_parameters(said: str, now: str) -> list[str]:
    """Parameters that the new picture's text has otherwise, one sentence each."""
    before, after = split_infotext(said).parameters, split_infotext(now).parameters
    sentences = []
    for key in dict.fromkeys((*before, *after)):
        old, new = before.get(key), after.get(key)
        if old != new and key != "User":  # whose it is changes no picture
            sentences.append(f"{key}: {_said(old)} in the file, {_said(new)} here")
    return sentences


def _said(value: str | None) -> str:
    return "absent" if value is None else value[:80]


def compare_pictures(one: bytes, other: bytes) -> Comparison:
    """Compare two picture files pixel by pixel.

    Raises:
        RequestError: one is no picture, or the sizes differ.
    """
    pictures = [load_image(content, field="picture").convert("RGB") for content in (one, other)]
    sizes = [picture.size for picture in pictures]
    if sizes[0] != sizes[1]:
        raise RequestError(
            "picture",
            f"it is {_size(sizes[0])}, but its parameters give {_size(sizes[1])}; it was changed since",
        )
    first, second = (np.asarray(picture, dtype=np.int16) for picture in pictures)  # (H, W, 3)
    distance = np.abs(first - second)
    return Comparison(
        changed=float((distance.max(axis=2) > 0).mean()),
        largest=int(distance.max()),
        mean=float(distance.mean()),
    )


def _size(size: Sequence[int]) -> str:
    return f"{size[0]}x{size[1]}"
