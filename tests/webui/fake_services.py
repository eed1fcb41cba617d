"""Services without a model: the real queue, board and settings, and a runner that paints."""

import hashlib
import io
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import torch
from PIL import Image, ImageDraw, PngImagePlugin

from modules.adapters.network_catalog import NetworkCatalog
from modules.adapters.textual_inversion import EmbeddingCatalog
from modules.checkpoints.catalog import ModelCatalog
from modules.checkpoints.describers import Describers
from modules.checkpoints.face_restorers import FaceRestorers
from modules.checkpoints.upscalers import UpscalerCatalog
from modules.domain.job import JobState, ResultImage
from modules.domain.request import GenerationRequest
from modules.domain.styles import StyleCatalog
from modules.exceptions import CheckpointError, NotFoundError
from modules.generation.estimate import Estimator
from modules.generation.interrogate import Interrogator
from modules.generation.postprocess import Postprocessor
from modules.generation.speed import SpeedLog
from modules.history.history import History
from modules.imaging.files import write_replacing
from modules.jobs.board import JobBoard
from modules.jobs.queue import Job, JobQueue, Outcome
from modules.jobs.service import JobService
from modules.plugins.manager import PluginManager
from modules.runtime.device import Runtime
from modules.settings.launch import Folders, LaunchOptions
from modules.settings.store import SettingsStore
from modules.training.finetuning.job import TrainingJobs
from modules.training.finetuning.opening import TrainingRoom

if TYPE_CHECKING:
    from modules.generation.models import ModelPool
    from modules.services import Services


class MemoryBlobs:
    """Blob store in memory."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}

    def put(self, data: bytes) -> str:
        name = hashlib.sha256(data).hexdigest()
        self.blobs[name] = data
        return name

    def __contains__(self, name: str) -> bool:
        return name in self.blobs

    def get(self, name: str) -> bytes:
        if name not in self.blobs:
            raise NotFoundError("image", "there is no such picture")
        return self.blobs[name]


class NoStore:
    """Where the files of no checkpoint lie."""

    def readable(self, path: Path) -> Path:
        raise CheckpointError(path, "there is no such file")


@dataclass
class FakeCatalog:
    titles: list[str] = field(default_factory=lambda: ["embedded.safetensors [0123abcd]"])

    def checkpoints(self) -> tuple[SimpleNamespace, ...]:
        return tuple(self.find_checkpoint(title) for title in self.titles)

    def find_checkpoint(self, wanted: str, field: str = "sd_model_checkpoint") -> SimpleNamespace:
        if wanted in self.titles:
            name = wanted.partition(" [")[0]
            return SimpleNamespace(
                title=wanted,
                name=name,
                stem=Path(name).stem,
                path=Path("nowhere") / name,
                shorthash="",
                metadata={},
                user_metadata={},
                is_folder=False,
                store=NoStore(),
            )
        raise NotFoundError(field, f"there is no checkpoint {wanted}")

    def vaes(self) -> tuple[SimpleNamespace, ...]:
        return ()

    def resolve_vae(self, checkpoint: object, name: str, *, overrides_per_model: bool) -> None:
        return None

    def refresh(self) -> None:
        self.titles.append(f"new-{len(self.titles)}.safetensors [00000000]")


def fake_services(root: Path) -> "Services":
    """What the page needs of ``Services``, over one temporary folder."""
    folders = Folders.below(root)
    folders.data.mkdir(parents=True, exist_ok=True)
    folders.outputs.mkdir(parents=True, exist_ok=True)
    history = History(folders.outputs, folders.data)
    jobs = JobService(JobQueue(folders.data / "jobs.sqlite"), JobBoard(), archive=history)
    store = ModelCatalog(folders).store
    runtime = Runtime(torch.device("cpu"))
    upscalers = UpscalerCatalog(folders.models, store, runtime)
    faces = FaceRestorers(folders.models, store, runtime)
    services = SimpleNamespace(
        options=LaunchOptions(folders=folders),
        settings=SettingsStore(folders.data / "config.json"),
        catalog=FakeCatalog(),
        styles=StyleCatalog([root / "styles.csv"], write_replacing),
        embeddings=EmbeddingCatalog((folders.embeddings,), store),
        networks=NetworkCatalog((folders.models / "Lora",), (folders.models / "hypernetworks",), store),
        upscalers=upscalers,
        faces=faces,
        extras=Postprocessor(upscalers, faces),
        estimator=Estimator(
            cast("ModelPool", SimpleNamespace(runtime=runtime, in_memory=lambda _: None)),
            SpeedLog(folders.data / "speeds.json"),
        ),
        interrogator=Interrogator(Describers(folders.models, runtime.device), root / "interrogate"),
        jobs=jobs,
        history=history,
        blobs=MemoryBlobs(),
        plugins=PluginManager(folders.extensions),
        training=TrainingJobs(
            TrainingRoom(
                folders,
                cast("ModelCatalog", FakeCatalog()),
                EmbeddingCatalog((folders.embeddings,), store),
                runtime,
            ),
            jobs,
            folders.data / "training",
        ),
    )
    return cast("Services", services)


class PaintingRunner(threading.Thread):
    """Works off the queue: each step paints one more ring, which is the preview.

    Image to image paints the rings where the mask is white; without a mask the picture stays as it came.
    """

    def __init__(
        self,
        jobs: JobService,
        outputs: Path,
        *,
        step_seconds: float = 0.05,
        blobs: MemoryBlobs | None = None,
    ) -> None:
        super().__init__(daemon=True)
        self._jobs = jobs
        self._blobs = blobs
        self._outputs = outputs
        self._step_seconds = step_seconds
        self.stopping = threading.Event()

    def run(self) -> None:
        while not self.stopping.is_set():
            job = self._jobs.claim(0.05)
            if job is not None:
                self._paint(job)

    def _paint(self, job: Job) -> None:
        request = GenerationRequest.model_validate_json(job.payload)
        if "fail" in request.prompt:
            self._jobs.finish(
                job.id, Outcome(JobState.FAILED, error="The checkpoint is damaged: choose another one.")
            )
            return
        first = 1000 if request.seed < 0 else request.seed
        for index in range(request.image_count):
            for step in range(1, request.steps + 1):
                wish = self._jobs.wants(job.id)
                while wish.pause and not (wish.interrupt or wish.cancel or self.stopping.is_set()):
                    time.sleep(self._step_seconds)
                    wish = self._jobs.wants(job.id)
                if wish.interrupt or wish.cancel:
                    self._jobs.finish(job.id, Outcome(JobState.DONE))
                    return
                if wish.skip:
                    self._jobs.acknowledge_skip(job.id)
                    break
                time.sleep(self._step_seconds)
                self._report(job, request, index, step)
            self._jobs.add_images(job.id, self._save(request, index, first + index))
        self._jobs.finish(job.id, Outcome(JobState.DONE, comments=("Painted without a model.",)))

    def _report(self, job: Job, request: GenerationRequest, index: int, step: int) -> None:
        preview = io.BytesIO()
        painting(request, index, step).save(preview, "JPEG")
        self._jobs.report(
            job.id,
            step=step,
            steps=request.steps,
            progress=(index + step / request.steps) / request.image_count,
            preview=preview.getvalue(),
            eta_seconds=(request.steps - step) * self._step_seconds,
        )

    def _save(self, request: GenerationRequest, index: int, seed: int) -> ResultImage:
        infotext = (
            f"{request.prompt}\nNegative prompt: {request.negative_prompt}\nSteps: {request.steps}, "
            f"Sampler: {request.sampler_name}, Schedule type: {request.scheduler or 'Automatic'}, "
            f"CFG scale: {request.cfg_scale:g}, Seed: {seed}, Size: {request.width}x{request.height}"
        )
        text = PngImagePlugin.PngInfo()
        text.add_text("parameters", infotext)
        image_id = hashlib.sha256(f"{time.time_ns()}{seed}".encode()).hexdigest()[:32]
        path = self._outputs / f"{image_id}.png"
        self._finished(request, index).save(path, "PNG", pnginfo=text)
        return ResultImage(image_id, str(path), index, request.width, request.height, seed, infotext)

    def _finished(self, request: GenerationRequest, index: int) -> Image.Image:
        rings, start = painting(request, index, request.steps), request.image_to_image
        if start is None or self._blobs is None:
            return rings
        size = (request.width, request.height)
        with Image.open(io.BytesIO(self._blobs.get(start.images[0]))) as source:
            picture = source.convert("RGB").resize(size)
        if start.mask is None:
            return picture
        with Image.open(io.BytesIO(self._blobs.get(start.mask))) as mask:
            return Image.composite(rings, picture, mask.convert("L").resize(size))


def painting(request: GenerationRequest, index: int, step: int) -> Image.Image:
    """Rings around the middle, one for each step, in a colour for each picture."""
    image = Image.new("RGB", (request.width, request.height), (238, 236, 250))
    draw = ImageDraw.Draw(image)
    for ring in range(step):
        radius = (request.steps - ring) / request.steps * min(image.size) / 2
        middle = (image.width / 2, image.height / 2)
        colour = ((index * 70 + 90 + ring * 5) % 256, 70, (ring * 12) % 256)
        draw.ellipse(
            (middle[0] - radius, middle[1] - radius, middle[0] + radius, middle[1] + radius), fill=colour
        )
    return image


__all__ = ["FakeCatalog", "MemoryBlobs", "PaintingRunner", "fake_services", "painting"]
