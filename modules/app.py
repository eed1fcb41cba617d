"""The one composition root: builds every owner of state and hands them to each other."""

import logging
from pathlib import Path

from PIL import Image
from torch import Tensor

from modules.adapters.network_catalog import NetworkCatalog
from modules.adapters.textual_inversion import EmbeddingCatalog
from modules.checkpoints.catalog import ModelCatalog
from modules.conditioning.encoder import ConditioningCache
from modules.domain.styles import StyleCatalog
from modules.generation.engine import Engine
from modules.generation.job_run import RunKit
from modules.generation.models import ModelPool
from modules.generation.plan import GenerationPlan
from modules.generation.prepare import Preparer
from modules.generation.preview import Previewer, PreviewMethod
from modules.generation.prompts import PromptRoom
from modules.generation.resolve import Catalogs, freeze_request
from modules.generation.runner import Runner
from modules.generation.step_store import StepStore
from modules.generation.story import StoryRoom
from modules.imaging.blobs import BlobStore
from modules.imaging.upscale import PLAIN_UPSCALERS
from modules.imaging.writer import ImageWriter
from modules.jobs.board import JobBoard
from modules.jobs.queue import JobQueue
from modules.jobs.service import JobService
from modules.runtime.device import choose_runtime, configure_process
from modules.services import Services
from modules.settings.launch import Folders, LaunchOptions
from modules.settings.store import SettingsStore

__all__ = ["create_services"]

log = logging.getLogger(__name__)

MODEL_FOLDERS = ("Stable-diffusion", "VAE", "Lora", "hypernetworks", "VAE-approx", "ESRGAN")


def create_services(options: LaunchOptions) -> Services:
    """Build everything but the HTTP server. The runner is not started yet."""
    folders = options.folders
    _make_folders(folders)
    configure_process(options.threads)
    runtime = choose_runtime(options.device, options.precision, attention=options.attention)
    settings = SettingsStore(folders.data / "config.json")
    catalog = ModelCatalog(folders, hashing=options.hashing, vae_path=options.vae_path)
    networks = NetworkCatalog(
        (folders.models / "Lora", folders.models / "LyCORIS", *folders.extra_loras),
        (folders.models / "hypernetworks",),
        catalog.store,
    )
    embeddings = EmbeddingCatalog((folders.embeddings,), catalog.store)
    styles = StyleCatalog((folders.data.parent / "styles.csv",))
    blobs = BlobStore(folders.data / "blobs")
    writer = ImageWriter(folders.outputs)
    jobs = JobService(
        JobQueue(folders.data / "queue.sqlite"),
        JobBoard(),
        freeze=lambda request: freeze_request(request, settings.current),
    )
    models = ModelPool(catalog, runtime, capacity=settings.current.sd_checkpoints_limit)
    engine = Engine(models.use, batch_invariant=runtime.device.type == "cpu")
    previewer = Previewer()

    def draw(plan: GenerationPlan, latent: Tensor) -> Image.Image:
        method: PreviewMethod = "Full" if plan.settings.show_progress_type == "Full" else "Approx cheap"
        return previewer.draw(models.use(plan.model), latent, method)

    room = StoryRoom(PromptRoom(embeddings, ConditioningCache()), blobs, PLAIN_UPSCALERS)
    kit = RunKit(jobs, engine, StepStore(folders.data / "steps"), draw)
    runner = Runner(jobs, engine, Preparer(Catalogs(catalog, networks, styles), room, writer, kit))
    return Services(
        options=options,
        settings=settings,
        catalog=catalog,
        networks=networks,
        embeddings=embeddings,
        styles=styles,
        jobs=jobs,
        blobs=blobs,
        models=models,
        runner=runner,
    )


def _make_folders(folders: Folders) -> None:
    folders.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in (folders.outputs, folders.embeddings, *(folders.models / name for name in MODEL_FOLDERS)):
        Path(path).mkdir(parents=True, exist_ok=True)
