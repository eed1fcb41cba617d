"""Scripts without an engine: a painter answers what they ask for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image
from pydantic import JsonValue

from modules.domain.request import GenerationRequest
from modules.domain.script import read_arguments
from modules.exceptions import NotFoundError
from modules.generation.scripts.script import (
    Render,
    RenderAnswer,
    RenderedPicture,
    RenderItem,
    Script,
    ScriptResult,
    ScriptRoom,
)
from modules.imaging.blobs import BlobStore
from modules.imaging.metadata import encode_image
from modules.imaging.upscale import PLAIN_UPSCALERS
from modules.settings.options import Settings

__all__ = ["Stage"]

CHOICES = {
    "axes": tuple(PLAIN_UPSCALERS),
    "upscalers": tuple(PLAIN_UPSCALERS),
}
Painter = Callable[[GenerationRequest, int], Image.Image | None]


def flat(request: GenerationRequest, index: int) -> Image.Image:
    """A picture in a colour of its own for each seed."""
    seed = request.seed + index
    return Image.new("RGB", (request.width, request.height), (seed % 256, seed * 7 % 256, seed * 31 % 256))


@dataclass
class Stage:
    """Performs a script and remembers what it asked for.

    Args:
        root: folder for blobs and pictures.
        painter: makes a picture; None stands for one that failed.
        interrupt_after: number of pictures after which the owner wants no more.
    """

    root: Path
    painter: Painter = flat
    settings: Settings = field(default_factory=Settings)
    choices: dict[str, tuple[str, ...]] = field(default_factory=lambda: dict(CHOICES))
    unknown: tuple[str, ...] = ()
    describe: Callable[[Image.Image, str], str] | None = None
    interrupt_after: int = 10_000
    renders: list[Render] = field(default_factory=list)
    made: int = 0

    @property
    def items(self) -> list[RenderItem]:
        return [item for render in self.renders for item in render.items]

    @property
    def requests(self) -> list[GenerationRequest]:
        return [item.request for item in self.items]

    @property
    def blobs(self) -> BlobStore:
        return BlobStore(self.root / "blobs")

    def put(self, image: Image.Image) -> str:
        return self.blobs.put(encode_image(image, "png"))

    def perform(
        self, script: Script, request: GenerationRequest, arguments: Sequence[JsonValue] = ()
    ) -> ScriptResult:
        room = ScriptRoom(self.settings, self.blobs, PLAIN_UPSCALERS, self._check_name, self.describe)
        read = read_arguments(script.declaration, list(arguments), self.choices)
        coroutine = script.start(request, read, room)
        try:
            render = next(coroutine)
            while True:
                self.renders.append(render)
                interrupted = self.made >= self.interrupt_after
                pictures = tuple(() if interrupted else self._paint(item) for item in render.items)
                answer = RenderAnswer(pictures, interrupted or self.made >= self.interrupt_after)
                render = coroutine.send(answer)
        except StopIteration as end:
            result: ScriptResult = end.value
            return result

    def _paint(self, item: RenderItem) -> tuple[RenderedPicture, ...]:
        made = []
        for index in range(item.request.image_count):
            if self.made >= self.interrupt_after:
                break
            image = self.painter(item.request, index)
            if image is None:
                return ()
            self.made += 1
            path = self.root / f"{self.made}.png"
            image.save(path)
            seed = item.request.seed + index
            entries = "".join(f", {key}: {value}" for key, value in item.parameters.items())
            infotext = (
                f"{item.request.prompt}\nSteps: {item.request.steps}, Seed: {seed}{entries}, Version: 1"
            )
            made.append(RenderedPicture(path, infotext, seed, 0, item.request.prompt, ""))
        return tuple(made)

    def _check_name(self, kind: str, name: str) -> None:
        if name in self.unknown:
            raise NotFoundError(kind, f"there is no {kind} {name!r}")
