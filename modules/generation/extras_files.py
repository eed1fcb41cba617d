"""The Extras from file to file: read a picture, work on it, save what comes out with all it knows."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from modules.domain.extras import ExtrasRequest
from modules.generation.postprocess import Postprocessor
from modules.imaging.decode import load_image
from modules.imaging.filenames import NameFacts
from modules.imaging.metadata import read_infotext
from modules.imaging.writer import ImageWriter, SavedImage
from modules.settings.options import Settings

__all__ = ["ExtrasFiles", "ProcessedFile"]


@dataclass(frozen=True)
class ProcessedFile:
    """What became of one picture's file.

    Attributes:
        saved: the new files, usually one.
        infotext: what was done, as parameters.
        comments: what could not be done.
    """

    saved: tuple[SavedImage, ...]
    infotext: str
    comments: tuple[str, ...]


@dataclass(frozen=True)
class ExtrasFiles:
    """Works on files and saves into the folder for the Extras."""

    extras: Postprocessor
    writer: ImageWriter

    def process(
        self,
        content: bytes,
        asked: ExtrasRequest,
        settings: Settings,
        *,
        name: str = "",
        user: str = "",
        stop: Callable[[], bool] = lambda: False,
    ) -> ProcessedFile:
        """Work on one picture. PNG files say what was done in ``extras``; old parameters are kept.

        Args:
            content: the picture's file.
            asked: what to do.
            settings: options in force.
            name: of the picture in a batch, without extension; "" is a single picture.
            user: for ``[user]`` in names.
            stop: asked now and then; ends the work by :class:`JobInterrupted`.

        Raises:
            WebuiError: the picture cannot be read, the work not done, or the result not saved.
        """
        done = self.extras.run(load_image(content), asked, settings, stop=stop)
        infotext, _items = read_infotext(content)
        facts = NameFacts(
            now=datetime.now().astimezone(),
            basename=name if settings.use_original_name_batch else "",
            user=user,
        )
        saved = tuple(
            self.writer.save(
                image,
                facts,
                settings,
                kind="extras",
                infotext=infotext,
                items={"postprocessing": done.infotext, "extras": done.infotext} if done.infotext else None,
                suffix=_suffix(asked, settings),
            )
            for image in done.images
        )
        return ProcessedFile(saved, done.infotext, done.comments)


def _suffix(asked: ExtrasRequest, settings: Settings) -> str:
    upscaling = asked.upscaling
    if upscaling is None or upscaling.upscaler_1 == "None" or not settings.use_upscaler_name_as_suffix:
        return ""
    return f"-{upscaling.upscaler_1}"
