"""The Extras: enlarge, restore faces, cut. Works on finished pictures, beside the jobs of the engine.

Several callers may ask at once; one picture is worked on at a time, a few callers wait, more are sent away.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from PIL import Image

from modules.checkpoints.face_restorers import FaceRestorers
from modules.checkpoints.upscalers import UpscalerCatalog
from modules.domain.extras import ExtrasRequest
from modules.domain.infotext import format_infotext
from modules.exceptions import JobInterrupted
from modules.generation.extras_operations import Operations, Work
from modules.generation.turns import Turns
from modules.settings.options import Settings

__all__ = ["Postprocessed", "Postprocessor"]


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


class Postprocessor:
    """Does what an :class:`ExtrasRequest` asks for; safe between threads.

    Args:
        upscalers: by their names.
        faces: GFPGAN and CodeFormer.
    """

    def __init__(self, upscalers: UpscalerCatalog, faces: FaceRestorers) -> None:
        self._operations = Operations(upscalers, faces)
        self._turns = Turns("Too many pictures wait to be enlarged. Try again soon.")

    def check(self, asked: ExtrasRequest, settings: Settings) -> None:
        """Raise at once what would fail for every picture.

        Raises:
            RequestError: an upscaler or a face restorer is not there.
        """
        self._operations.check(asked, settings)

    def run(
        self,
        image: Image.Image,
        asked: ExtrasRequest,
        settings: Settings,
        *,
        stop: Callable[[], bool] = lambda: False,
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
        with self._turns.take():
            if stop():
                raise JobInterrupted("stopped")
            work = Work([image], asked, settings, stop)
            self._operations.run(work)
            return Postprocessed(tuple(work.images), work.parameters, tuple(work.comments))
