"""What can be done to finished pictures, one operation at a time, in A1111's order or the user's."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from PIL import Image

from modules.checkpoints.face_restorers import FaceRestorers
from modules.checkpoints.upscalers import UpscalerCatalog
from modules.domain.extras import ExtrasRequest, Upscaling
from modules.exceptions import RequestError
from modules.imaging.crops import auto_sized_crop, flipped_copies, focal_crop, split_oversized
from modules.imaging.decode import MAX_PIXELS
from modules.imaging.upscale import Upscaler, upscale
from modules.settings.options import Settings

__all__ = ["OPERATIONS", "Operations", "Work", "operations_in_order"]

OPERATIONS = (
    "Upscale",
    "GFPGAN",
    "CodeFormer",
    "Split oversized images",
    "Auto focal point crop",
    "Auto-sized crop",
    "Create flipped copies",
)
"""A1111's names in A1111's order."""


@dataclass
class Work:
    """A picture on its way, and what has become of it.

    Attributes:
        images: one at first; operations may add to them.
        asked: what is to be done.
        settings: options in force.
        stop: asked now and then; a True ends the work.
        target: width and height in pixels that upscaling aims at; crops go by it.
        parameters: A1111's keys and values for what was done.
        comments: what could not be done.
    """

    images: list[Image.Image]
    asked: ExtrasRequest
    settings: Settings
    stop: Callable[[], bool]
    target: tuple[int, int] = (0, 0)
    parameters: dict[str, object] = field(default_factory=dict)
    comments: list[str] = field(default_factory=list)


def operations_in_order(settings: Settings) -> tuple[str, ...]:
    """Names of the operations that the settings leave on: those they put in front, then the others."""
    wanted = settings.postprocessing_operation_order
    left_out = set(settings.postprocessing_disable_in_extras)
    first = [name for name in wanted if name in OPERATIONS]
    others = [name for name in OPERATIONS if name not in first]
    return tuple(name for name in dict.fromkeys([*first, *others]) if name not in left_out)


class Operations:
    """The operations by their names; each does nothing where it is not asked for.

    Args:
        upscalers: by their names.
        faces: GFPGAN and CodeFormer.
    """

    def __init__(self, upscalers: UpscalerCatalog, faces: FaceRestorers) -> None:
        self._upscalers = upscalers
        self._faces = faces
        self._by_name: Mapping[str, Callable[[Work], None]] = {
            "Upscale": self._upscale,
            "GFPGAN": self._gfpgan,
            "CodeFormer": self._codeformer,
            "Split oversized images": self._split,
            "Auto focal point crop": self._focal_crop,
            "Auto-sized crop": self._auto_crop,
            "Create flipped copies": self._flip,
        }

    def check(self, asked: ExtrasRequest, settings: Settings) -> None:
        """Raise at once what would fail for every picture.

        Raises:
            RequestError: an upscaler or a face restorer is not there.
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

    def run(self, work: Work) -> None:
        """Do everything, in the order of the settings."""
        (image,) = work.images
        work.target = image.size if work.asked.upscaling is None else _aim(image, work.asked.upscaling)[1]
        for name in operations_in_order(work.settings):
            self._by_name[name](work)

    def _upscale(self, work: Work) -> None:
        how = work.asked.upscaling
        if how is None or how.upscaler_1 == "None":
            return
        first = self._upscalers.find(how.upscaler_1, work.settings, field="upscaler_1", stop=work.stop)
        second = None
        if how.upscaler_2 != "None" and how.upscaler_2_visibility > 0:
            second = self._upscalers.find(how.upscaler_2, work.settings, field="upscaler_2", stop=work.stop)
        limited = not how.to_size and 0 < how.max_side < max(work.images[0].size) * how.by
        work.images = [_enlarged(image, how, first, second) for image in work.images]
        work.parameters |= {
            "Postprocess upscale to": f"{how.width}x{how.height}" if how.to_size else None,
            "Postprocess upscale by": None if how.to_size else how.by,
            "Max side length": how.max_side if limited else None,
            "Postprocess crop to": f"{how.width}x{how.height}" if how.to_size and how.crop else None,
            "Postprocess upscaler": how.upscaler_1,
            "Postprocess upscaler 2": None if second is None else how.upscaler_2,
        }

    def _gfpgan(self, work: Work) -> None:
        self._restore(work, "GFPGAN", work.asked.gfpgan_visibility, 0.0)

    def _codeformer(self, work: Work) -> None:
        weight = work.asked.codeformer_weight
        if self._restore(work, "CodeFormer", work.asked.codeformer_visibility, weight):
            work.parameters["CodeFormer weight"] = round(weight, 3)

    def _restore(self, work: Work, name: str, visibility: float, weight: float) -> bool:
        if visibility == 0:
            return False
        before = [image.convert("RGB") for image in work.images]
        after = [self._faces.restore(image, name, weight=weight) for image in before]
        work.images = [Image.blend(*pair, visibility) for pair in zip(before, after, strict=True)]
        work.parameters[f"{name} visibility"] = round(visibility, 3)
        return True

    @staticmethod
    def _split(work: Work) -> None:
        how = work.asked.split
        if how is not None:
            pieces = [split_oversized(image, *work.target, how) for image in work.images]
            work.images = [piece for several in pieces for piece in several]

    def _focal_crop(self, work: Work) -> None:
        how = work.asked.focal_crop
        if how is not None:
            work.images = [
                focal_crop(image, *work.target, how, self._faces.centres(image)) for image in work.images
            ]

    @staticmethod
    def _auto_crop(work: Work) -> None:
        how = work.asked.auto_crop
        if how is None:
            return
        cropped = [auto_sized_crop(image, how) for image in work.images]
        if None in cropped:
            work.comments.append("Auto-sized crop was left out: no size within its limits fits the picture.")
        work.images = [new or old for new, old in zip(cropped, work.images, strict=True)]

    @staticmethod
    def _flip(work: Work) -> None:
        work.images += [copy for image in work.images for copy in flipped_copies(image, work.asked.flips)]


def _enlarged(image: Image.Image, how: Upscaling, first: Upscaler, second: Upscaler | None) -> Image.Image:
    scale, size, crop = _aim(image, how)
    _check_size(image, scale)
    if image.mode == "L":
        image = image.convert("RGB")
    result = upscale(image, scale, first)
    if second is not None:
        other = upscale(image, scale, second)
        result = Image.blend(result.convert(other.mode), other, how.upscaler_2_visibility)
    if crop:
        canvas = Image.new(result.mode, size)
        canvas.paste(result, (size[0] // 2 - result.width // 2, size[1] // 2 - result.height // 2))
        result = canvas
    return result


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
