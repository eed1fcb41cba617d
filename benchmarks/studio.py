"""The whole studio with networks that do nothing: what remains is what the program itself costs."""

import json
import math
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from benchmarks.crowd import open_services
from benchmarks.kinds import Kind
from modules.checkpoints.model import LoadedModel
from modules.checkpoints.small_vaes import SmallVaes
from modules.commands.workplace import make_pictures
from modules.conditioning.encoder import ConditioningCache
from modules.diffusion.sampling import SamplerState
from modules.domain.request import GenerationRequest
from modules.generation.effects import FinishedImage, PassDone, StepEnd
from modules.generation.engine import Engine, ImageTask
from modules.generation.preview import Previewer, preview_file
from modules.generation.prompts import PromptRoom
from modules.generation.resolve import resolve
from modules.generation.step_store import ImageMemory
from modules.generation.story import Story, StoryRoom
from modules.generation.text_to_image import text_to_image
from modules.server.access import Access, HostRule
from modules.server.accounts import AccountStore
from modules.server.app import create_app
from modules.server.lifecycle import Lifecycle
from modules.server.run import bind_socket, serve
from modules.services import Services, catalogs_of

__all__ = ["Studio"]

Subject = Literal["photograph", "noise"]
_HOST = "127.0.0.1"


class Studio:
    """Queue, engine, API and files as in real life; U-Net and VAE answer at once."""

    def __init__(self, device: str = "cpu") -> None:
        self._device = device
        self._folder = tempfile.TemporaryDirectory(prefix="studio-")
        self._seed = 0
        self._texts = ConditioningCache()

    def load(self, checkpoint: Path, kind: Kind) -> None:
        """Open the studio, load the checkpoint and take its networks' work away."""
        self._services = open_services(Path(self._folder.name), checkpoint, self._device)
        self._kind = kind
        self._run(1, 64)
        model = self._services.models.loaded()[-1]
        self._shown: dict[tuple[int, int], Tensor] = {}
        _take_work_away(model, self._picture)
        self._model = model
        access = Access(
            AccountStore(self._services.options.folders.data / "accounts.sqlite3"),
            HostRule(frozenset({_HOST})),
            api_open=True,
        )
        self._client = _client_of_a_server(self._services, access)

    def step(self, side: int) -> float:
        """Seconds of one sampling step without the U-Net's."""
        few, many = 10, 50
        return (
            self._seconds(lambda: self._run(many, side)) - self._seconds(lambda: self._run(few, side))
        ) / (many - few)

    def request(self, side: int, subject: Subject = "photograph", keep: bool = False) -> float:
        """Seconds of one picture of one step through the HTTP API, PNG included.

        Args:
            side: of the picture in pixels.
            subject: what the VAE draws.
            keep: whether the picture is saved in the outputs folder, which clients must ask for.
        """
        self._shown = {(side, side): _DRAWN[subject](side, side)}

        def ask() -> None:
            asked = json.dumps({**self._asked(1, side), "save_images": keep})
            self._client.request("POST", "/sdapi/v1/txt2img", asked, {"Content-Type": "application/json"})
            answer = self._client.getresponse()
            content = answer.read()
            if answer.status != HTTPStatus.OK:
                raise RuntimeError(content[:500])

        self._client.close()  # the server has closed it if it was not used for some seconds
        ask()
        return self._seconds(ask)

    def generation(self, side: int, subject: Subject = "photograph") -> float:
        """Seconds that an engine needs for the same picture, from plan to pixels: no queue, no file."""
        self._shown = {(side, side): _DRAWN[subject](side, side)}
        services, previewer = (
            self._services,
            Previewer(SmallVaes((), self._services.catalog.store, self._model.runtime)),
        )
        prompts = PromptRoom(services.embeddings, self._texts)
        room = StoryRoom(
            prompts, services.blobs, services.upscalers, services.faces, previewer, services.reuse
        )
        engine, listener = Engine(lambda _key: self._model, batch_invariant=True), _Listener()

        def make() -> None:
            request = GenerationRequest.model_validate(self._asked(1, side))
            plan = resolve(request, catalogs_of(services))
            begun = time.perf_counter()
            engine.start(text_to_image(Story(plan, plan.images[0], room, ImageMemory.empty())), listener, 0)
            while engine.tick():
                pass
            listener.seconds = time.perf_counter() - begun

        make()  # encodes the texts
        make()
        return listener.seconds

    def preview(self, side: int) -> float:
        """Seconds of drawing one preview by the default method and packing it as a file."""
        store, runtime = self._services.catalog.store, self._model.runtime
        previewer = Previewer(SmallVaes((Path(self._folder.name),), store, runtime))
        cells = side // self._kind.vae.factor
        latent = torch.randn(1, 4, cells, cells)
        step = StepEnd("first", SamplerState(latent), latent, 1, 1, 1)
        method = self._services.settings.current.show_progress_type

        def draw() -> None:
            preview_file([previewer.draw(self._model, step.denoised, method).picture])

        draw()
        return self._seconds(draw)

    def _picture(self, height: int, width: int) -> Tensor:
        if (height, width) not in self._shown:
            self._shown[height, width] = _photograph(height, width)
        return self._shown[height, width]

    def _run(self, steps: int, side: int) -> None:
        make_pictures(
            self._services,
            GenerationRequest.model_validate({**self._asked(steps, side), "save_images": False}),
        )

    def _asked(self, steps: int, side: int) -> dict[str, object]:
        self._seed += 1  # steps that are known would not be made again
        return {"prompt": "a lighthouse", "steps": steps, "width": side, "height": side, "seed": self._seed,
                "sampler_name": "Euler"}  # fmt: skip

    @staticmethod
    def _seconds(run: Callable[[], None]) -> float:
        begun = time.perf_counter()
        run()
        return time.perf_counter() - begun


class _Listener:
    """Waits for one picture, and looks at nothing else."""

    owner, job_id, is_suspect, seconds = "benchmark", "benchmark", False, math.nan

    def started(self, task: ImageTask) -> None:
        pass

    def step_ended(self, task: ImageTask, step: StepEnd) -> bool:
        return False

    def wants_end(self) -> bool:
        return False

    def pass_ended(self, task: ImageTask, done: PassDone) -> None:
        pass

    def finished(self, task: ImageTask, image: FinishedImage) -> None:
        pass

    def failed(self, task: ImageTask, error: Exception) -> None:
        raise error

    def used_device(self, seconds: float) -> None:
        pass


def _client_of_a_server(services: Services, access: Access) -> HTTPConnection:
    """A connection that stays open, as clients have it, to the server that users start."""
    listener, lifecycle, ready = bind_socket(_HOST, 0), Lifecycle(), threading.Event()
    app = create_app(services, access, lifecycle)
    told = {"lifecycle": lifecycle, "on_ready": ready.set}
    threading.Thread(target=serve, args=(app, listener), kwargs=told, daemon=True).start()
    ready.wait()
    return HTTPConnection(_HOST, listener.getsockname()[1])


def _take_work_away(model: LoadedModel, picture: Callable[[int, int], Tensor]) -> None:
    """Let U-Net and VAE answer at once, the VAE with a picture (1, 3, H, W) of height and width."""

    def predict(x: Tensor, *_: object, **__: object) -> Tensor:
        return torch.zeros_like(x[:, :4])

    def decode(z: Tensor) -> Tensor:
        return picture(z.shape[-2] * model.latent_factor, z.shape[-1] * model.latent_factor)

    model.execution.forget_recordings()
    vars(model.unet)["forward"] = predict
    vars(model.vae)["decode"] = decode


def _photograph(height: int, width: int) -> Tensor:
    """What packs like a photograph: slow waves under a grain of two grey levels, (1, 3, H, W)."""
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    waves = torch.stack([torch.sin(2 * math.pi * (a * x + b * y)) for a, b in ((1, 2), (3, 1), (2, 2))])
    grain = torch.randn(3, height, width, generator=torch.Generator().manual_seed(0)) / 64
    return (0.7 * waves + grain)[None]


def _noise(height: int, width: int) -> Tensor:
    """What packs worst of all, (1, 3, H, W)."""
    return 2 * torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0)) - 1


_DRAWN: Mapping[Subject, Callable[[int, int], Tensor]] = {"photograph": _photograph, "noise": _noise}
