"""What a script is: a coroutine that asks for pictures and is sent them.

A script gets the frozen request and its arguments. It yields :class:`Render`, is sent the finished pictures,
and returns what the job shows beside them. The whole of a script that shows a prompt in two styles::

    def run(request, arguments, room):
        asked = tuple(
            RenderItem(request.model_copy(update={"prompt": p}), place=i) for i, p in enumerate(TWO)
        )
        answer = yield Render(asked)
        sheet = image_grid([one.image() for one in answer.all()], rows=1)
        return ScriptResult((Sheet(sheet, answer.all()[0].infotext, request.seed, is_grid=True),))

A script must be a function of its inputs and of what it is sent: after a crash it is run again from the
start, and pictures that were finished are handed to it without being rendered again.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image
from pydantic import JsonValue

from modules.domain.request import GenerationRequest
from modules.domain.script import Arguments, ScriptDeclaration
from modules.imaging.blobs import BlobStore
from modules.imaging.legend import LegendStyle
from modules.imaging.metadata import encode_image
from modules.imaging.upscale import Upscaler
from modules.settings.options import Settings

__all__ = [
    "Render",
    "RenderAnswer",
    "RenderItem",
    "RenderedPicture",
    "Script",
    "ScriptCoroutine",
    "ScriptResult",
    "ScriptRoom",
    "Sheet",
]


@dataclass(frozen=True)
class RenderItem:
    """One request to be rendered.

    Attributes:
        parameters: further entries of the infotext, before all others that are not always there.
        place: of its first picture among those that the job shows, 0-based; None shows none of them.
        keep: save the pictures as the settings say; otherwise only the script sees them.
    """

    request: GenerationRequest
    parameters: Mapping[str, JsonValue] = field(default_factory=dict)
    place: int | None = None
    keep: bool = True


@dataclass(frozen=True)
class Render:
    """What a script yields: render these, in this order.

    Attributes:
        parallel: how many items may be worked on side by side.
        later: pictures that the script expects to ask for afterwards, for the progress bar.
        tolerant: an item that fails is answered with no pictures instead of ending the job.
    """

    items: tuple[RenderItem, ...]
    parallel: int = 1
    later: int = 0
    tolerant: bool = False


@dataclass(frozen=True)
class RenderedPicture:
    """A finished picture; its pixels are read from disk when they are asked for.

    Attributes:
        path: a file without losses.
        prompt, negative_prompt: as the infotext has them.
    """

    path: Path
    infotext: str
    seed: int
    subseed: int
    prompt: str
    negative_prompt: str

    def image(self) -> Image.Image:
        """The picture, mode RGB."""
        with Image.open(self.path) as picture:
            return picture.convert("RGB")


@dataclass(frozen=True)
class RenderAnswer:
    """What a script is sent.

    Attributes:
        pictures: those of each item, in order; fewer when the job was interrupted.
        interrupted: the owner wants no more; nothing that is asked for from now on is rendered.
    """

    pictures: tuple[tuple[RenderedPicture, ...], ...]
    interrupted: bool = False

    def all(self) -> tuple[RenderedPicture, ...]:
        """The pictures of all items one after another."""
        return tuple(picture for item in self.pictures for picture in item)


@dataclass(frozen=True)
class Sheet:
    """A picture that the script made of others.

    Attributes:
        infotext: parameters to write into it.
        series: name of its numbered files, "" for that of ordinary pictures.
        is_grid: shown before all others and saved among the grids.
        shown: among the job's pictures; otherwise it is only saved.
    """

    image: Image.Image
    infotext: str
    seed: int
    prompt: str = ""
    series: str = ""
    is_grid: bool = False
    shown: bool = True


@dataclass(frozen=True)
class ScriptResult:
    """What a script returns.

    Attributes:
        sheets: in the order in which they are shown.
        infotexts: those that A1111's ``info`` lists, where they are not just those of the pictures shown.
    """

    sheets: tuple[Sheet, ...] = ()
    infotexts: tuple[str, ...] | None = None


@dataclass(frozen=True)
class ScriptRoom:
    """What a script may use.

    Attributes:
        settings: options in force for the job.
        check_name: raises :class:`~modules.exceptions.RequestError` when there is no sampler, checkpoint,
            refiner or VAE of that name.
        describe: says in words what a picture shows, by the method of that name, or raises
            :class:`~modules.exceptions.NotFoundError`; None where nothing can.
    """

    settings: Settings
    blobs: BlobStore
    upscalers: Mapping[str, Upscaler]
    check_name: Callable[[str, str], None]
    describe: Callable[[Image.Image, str], str] | None = None

    def load(self, blob: str) -> Image.Image:
        """A start picture or mask of the request."""
        return self.blobs.image(blob)

    def store(self, image: Image.Image) -> str:
        """Make a picture usable as start picture or mask of a request."""
        return self.blobs.put(encode_image(image, "png"))

    @property
    def legend_style(self) -> LegendStyle:
        """Font and colours of legends as the settings say."""
        settings = self.settings
        return LegendStyle(
            settings.font,
            settings.grid_text_active_color,
            settings.grid_text_inactive_color,
            settings.grid_background_color,
        )


ScriptCoroutine = Generator[Render, RenderAnswer, ScriptResult]


@dataclass(frozen=True)
class Script:
    """A script: what it asks the user, and what it does."""

    declaration: ScriptDeclaration
    run: Callable[[GenerationRequest, Arguments, ScriptRoom], ScriptCoroutine]

    def start(self, request: GenerationRequest, arguments: Arguments, room: ScriptRoom) -> ScriptCoroutine:
        """Begin; the request that scripts see names no script itself."""
        plain = request.model_copy(update={"script_name": None, "script_args": ()})
        return self.run(plain, arguments, room)
