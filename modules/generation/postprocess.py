"""The Extras: enlarge, restore faces, cut. Works on finished pictures, beside the jobs of the engine.

Several callers may ask at once; one picture is worked on at a time, a few callers wait, more are sent away.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from PIL import Image

from modules.checkpoints.face_restorers import FaceRestorers
from modules.checkpoints.upscalers import UpscalerCatalog
from modules.domain.extras import ExtrasRequest, Upscaling
from modules.domain.infotext import format_infotext
from modules.exceptions import JobInterrupted, QueueFullError, RequestError
from modules.imaging.crops import auto_sized_crop, flipped_copies, focal_crop, split_oversized
from modules.imaging.decode import MAX_PIXELS
from modules.imaging.upscale import upscale
from modules.settings.options import Settings

__all__ = ["Postprocessed", "Postprocessor"]

MAX_WAITING = 8  # callers, the one whose picture is worked on included
RETRY_AFTER = 10  # seconds

Stop = Callable[[], bool]


@dataclass(frozen=True)
class Postprocessed:
    """What became of one picture.

    Attributes:
        images: usually one; pieces and mirrored copies follow it.
        parameters: A1111's keys and values for what was done.
        comments: what could not be done.
    """

    images: tuple[Image.Image, ...]
    parameters: Mapping[str, object]
    comments: tuple[str, ...] = ()

    @property
    def infotext(self) -> str:
        """The parameters as text."""
        return format_infotext("", "", self.parameters)


@dataclass
class _Work:
    """A picture on its way."""

    images: list[Image.Image]
    target: tuple[int, int]
    parameters: dict[str, object] = field(default_factory=dict)
    comments: list[str] = field(default_factory=list)


class Postprocessor:
    """Does what an :class:`ExtrasRequest` asks for; safe between threads.

    Args:
        upscalers: by their names.
        faces: GFPGAN and CodeFormer.
    """

    def __init__(self, upscalers: UpscalerCatalog, faces: FaceRestorers) -> None:
        self._upscalers = upscalers
        self._faces = faces
        self._one_at_a_time = threading.Lock()
        self._waiting = threading.BoundedSemaphore(MAX_WAITING)

    def check(self, asked: ExtrasRequest, settings: Settings) -> None:
        """Raise at once what would fail for every picture.

        Raises:
            NotFoundError: an upscaler or a face restorer is not there.
        """
        if asked.upscaling is not None:
            for name in ("upscaler_1", "upscaler_2"):
                self._upscalers.find(getattr(asked.upscaling, name), settings, field=name)
        for name, visibility in (
            ("GFPGAN", asked.gfpgan_visibility),
            ("CodeFormer", asked.codeformer_visibility),
        ):
            missing = self._faces.missing(name) if visibility > 0 else None
            if missing is not None:
                raise RequestError(f"{name.lower()}_visibility", missing)

    def run(
        self, image: Image.Image, asked: ExtrasRequest, settings: Settings, *, stop: Stop = lambda: False
    ) -> Postprocessed:
        """Work on one picture.

        Args:
            image: mode L, RGB or RGBA.
            asked: what to do.
            settings: options in force.
            stop: asked now and then; ends the work by :class:`JobInterrupted`.

        Raises:
            RequestError: it cannot be done to this picture.
            QueueFullError: too many callers wait.
            CheckpointError, DeviceMemoryError: a network cannot be used.
        """
        self.check(asked, settings)
        with self._turn():
            if stop():
                raise JobInterrupted("stopped")
            work = _Work([image], target=image.size)
            if asked.upscaling is not None:
                self._upscale(work, asked.upscaling, settings, stop)
            self._restore(work, "GFPGAN", asked.gfpgan_visibility, 0.0)
            self._restore(work, "CodeFormer", asked.codeformer_visibility, asked.codeformer_weight)
            self._cut(work, asked)
            return Postprocessed(tuple(work.images), work.parameters, tuple(work.comments))

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._waiting.acquire(blocking=False):
            raise QueueFullError("Too many pictures wait to be enlarged. Try again soon.", RETRY_AFTER)
        try:
            with self._one_at_a_time:
                yield
        finally:
            self._waiting.release()

    def _upscale(self, work: _Work, how: Upscaling, settings: Settings, stop: Stop) -> None:
        image = work.images[0]
        scale, size, crop = _aim(image, how)
        work.target = size
        if how.upscaler_1 == "None":
            return
        _check_size(image, scale)
        if image.mode == "L":
            image = image.convert("RGB")
        first = self._upscalers.find(how.upscaler_1, settings, field="upscaler_1", stop=stop)
        result = upscale(image, scale, first)
        second = None
        if how.upscaler_2 != "None" and how.upscaler_2_visibility > 0:
            second = self._upscalers.find(how.upscaler_2, settings, field="upscaler_2", stop=stop)
            other = upscale(image, scale, second)
            result = Image.blend(result.convert(other.mode), other, how.upscaler_2_visibility)
        if crop:
            canvas = Image.new(result.mode, size)
            canvas.paste(result, (size[0] // 2 - result.width // 2, size[1] // 2 - result.height // 2))
            result = canvas
        work.images = [result]
        limited = not how.to_size and how.max_side > 0 and max(image.size) * how.by > how.max_side
        work.parameters |= {
            "Postprocess upscale to": f"{how.width}x{how.height}" if how.to_size else None,
            "Postprocess upscale by": None if how.to_size else how.by,
            "Max side length": how.max_side if limited else None,
            "Postprocess crop to": f"{result.width}x{result.height}" if crop else None,
            "Postprocess upscaler": how.upscaler_1,
            "Postprocess upscaler 2": how.upscaler_2 if second is not None else None,
        }

    def _restore(self, work: _Work, name: str, visibility: float, weight: float) -> None:
        if visibility == 0:
            return
        before = work.images[0].convert("RGB")
        after = self._faces.restore(before, name, weight=weight)
        work.images = [Image.blend(before, after, visibility)]
        work.parameters[f"{name} visibility"] = round(visibility, 3)
        if name == "CodeFormer":
            work.parameters["CodeFormer weight"] = round(weight, 3)

    def _cut(self, work: _Work, asked: ExtrasRequest) -> None:
        """Pieces, crops and copies, each made of all that there is by then."""
        width, height = work.target
        if asked.split is not None:
            work.images = [
                piece for image in work.images for piece in split_oversized(image, width, height, asked.split)
            ]
        if asked.focal_crop is not None:
            work.images = [
                focal_crop(image, width, height, asked.focal_crop, self._faces.centres(image))
                for image in work.images
            ]
        if asked.auto_crop is not None:
            cropped = [auto_sized_crop(image, asked.auto_crop) for image in work.images]
            if None in cropped:
                work.comments.append(
                    "Auto-sized crop was left out: no size within its limits fits the picture."
                )
            work.images = [new or old for new, old in zip(cropped, work.images, strict=True)]
        if asked.flips:
            work.images += [copy for image in work.images for copy in flipped_copies(image, asked.flips)]


def _aim(image: Image.Image, how: Upscaling) -> tuple[float, tuple[int, int], bool]:
    """Factor, target size in pixels, and whether to cut to it."""
    if how.to_size:
        return max(how.width / image.width, how.height / image.height), (how.width, how.height), how.crop
    scale = how.by
    if how.max_side > 0:
        scale = min(scale, how.max_side / max(image.size))
    return scale, (max(1, int(image.width * scale)), max(1, int(image.height * scale))), False


def _check_size(image: Image.Image, scale: float) -> None:
    width, height = image.width * scale, image.height * scale
    if width * height > MAX_PIXELS:
        raise RequestError("upscaling_resize", f"the picture would have more than {MAX_PIXELS:,} pixels")
    if min(width, height) < 8:
        raise RequestError("upscaling_resize", "the picture would be smaller than 8 pixels")
