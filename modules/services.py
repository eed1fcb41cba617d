"""The owners of all state, built once by ``app.create_services`` and passed to whoever needs them."""

from dataclasses import dataclass, field

from modules.adapters.network_catalog import NetworkCatalog
from modules.adapters.textual_inversion import EmbeddingCatalog
from modules.checkpoints.catalog import ModelCatalog
from modules.checkpoints.face_restorers import FaceRestorers
from modules.checkpoints.upscalers import UpscalerCatalog
from modules.domain.styles import StyleCatalog
from modules.generation.estimate import Estimator
from modules.generation.interrogate import Interrogator
from modules.generation.models import ModelPool
from modules.generation.postprocess import Postprocessor
from modules.generation.resolve import Catalogs
from modules.generation.runner import Runner
from modules.generation.step_reuse import StepReuse
from modules.history.history import History
from modules.imaging.blobs import BlobStore
from modules.jobs.service import JobService
from modules.plugins.manager import PluginManager
from modules.settings.launch import LaunchOptions
from modules.settings.store import SettingsStore
from modules.training.finetuning.job import TrainingJobs

__all__ = ["Services", "catalogs_of"]


@dataclass(frozen=True)
class Services:
    """One of each; immutable as a set, each member guards its own state.

    Attributes:
        options: the command line.
        settings: A1111's options, changed at run time.
        catalog: checkpoints and VAEs on disk.
        networks: LoRAs and hypernetworks on disk.
        embeddings: textual inversions on disk.
        styles: prompt styles.
        upscalers: by their names, for the second pass, img2img and the Extras.
        faces: GFPGAN and CodeFormer.
        extras: work on finished pictures.
        interrogator: says in words what a picture shows.
        jobs: submit, watch and steer jobs; find pictures by id.
        history: everything made and saved, searchable.
        blobs: uploaded pictures and results that are not kept.
        models: checkpoints in memory.
        estimator: foresees what a job will need.
        plugins: extensions, and with them all scripts.
        training: what is being taught to models.
        runner: the engine thread that works off the queue.
        reuse: steps of the latest pictures, for those that begin alike.
    """

    options: LaunchOptions
    settings: SettingsStore
    catalog: ModelCatalog
    networks: NetworkCatalog
    embeddings: EmbeddingCatalog
    styles: StyleCatalog
    upscalers: UpscalerCatalog
    faces: FaceRestorers
    extras: Postprocessor
    interrogator: Interrogator
    jobs: JobService
    history: History
    blobs: BlobStore
    models: ModelPool
    estimator: Estimator
    plugins: PluginManager
    training: TrainingJobs
    runner: Runner
    reuse: StepReuse = field(default_factory=StepReuse)


def catalogs_of(services: Services) -> Catalogs:
    """What is on disk, as the generation asks for it."""
    return Catalogs(services.catalog, services.networks, services.styles, services.upscalers, services.faces)
