"""The one composition root: builds every owner of state and hands them to each other."""

import gc
import logging
from dataclasses import replace
from pathlib import Path

from modules.adapters.network_catalog import NetworkCatalog
from modules.adapters.textual_inversion import EmbeddingCatalog
from modules.checkpoints.catalog import ModelCatalog
from modules.checkpoints.describers import CAPTIONER, RANKER, TAGGER, Describers
from modules.checkpoints.face_restorers import FACE_RESTORERS, FaceRestorers
from modules.checkpoints.small_vaes import SmallVaes
from modules.checkpoints.upscalers import UPSCALER_FOLDERS, UpscalerCatalog
from modules.conditioning.encoder import ConditioningCache
from modules.domain.request import GenerationRequest
from modules.domain.styles import StyleCatalog
from modules.exceptions import NotFoundError
from modules.generation.engine import Engine
from modules.generation.estimate import Estimator
from modules.generation.interrogate import Interrogator
from modules.generation.job_run import RunKit
from modules.generation.models import ModelPool
from modules.generation.postprocess import Postprocessor
from modules.generation.prepare import Preparer
from modules.generation.preview import Previewer, StepPreviews
from modules.generation.prompts import PromptRoom
from modules.generation.resolve import Catalogs, freeze_request, resolve
from modules.generation.runner import Runner
from modules.generation.speed import SpeedLog
from modules.generation.step_reuse import StepReuse
from modules.generation.step_store import StepStore
from modules.generation.story import StoryRoom
from modules.history.history import History
from modules.imaging.blobs import BlobStore
from modules.imaging.files import remove_leftovers, write_replacing
from modules.imaging.writer import ImageWriter
from modules.jobs.board import JobBoard
from modules.jobs.queue import JobQueue
from modules.jobs.service import JobService
from modules.plugins.manager import PluginManager
from modules.runtime.compiled import keep_compiled_below
from modules.runtime.device import Runtime, choose_runtime, configure_process
from modules.server.app import create_app
from modules.server.identity import caller_of
from modules.server.lifecycle import EXIT_REFUSED, Lifecycle
from modules.server.run import RefusedToStartError, bind_socket, login_url, open_access, serve, show_page
from modules.server.startup import StartupTimes
from modules.services import Services
from modules.settings.launch import Folders, LaunchOptions
from modules.settings.store import SettingsStore
from modules.training.finetuning.job import TrainingJobs
from modules.training.finetuning.opening import TrainingRoom
from modules.webui.mount import mount

__all__ = ["create_services", "run"]

log = logging.getLogger(__name__)

MODEL_FOLDERS = (
    "Stable-diffusion",
    "VAE",
    "VAE-approx",
    "Lora",
    "hypernetworks",
    *UPSCALER_FOLDERS,
    *(restorer.folder for restorer in FACE_RESTORERS),
    *(describer.folder for describer in (CAPTIONER, RANKER, TAGGER)),
)


def create_services(options: LaunchOptions) -> Services:
    """Build everything but the HTTP server. The runner is not started yet."""
    folders = options.folders
    _make_folders(folders)
    runtime = _runtime(options)
    settings = SettingsStore(folders.data / "config.json")
    catalog = ModelCatalog(folders, hashing=options.hashing, vae_path=options.vae_path)
    _choose_checkpoint(options.checkpoint, settings, catalog)
    networks = _networks(folders, catalog)
    embeddings = EmbeddingCatalog((folders.embeddings,), catalog.store)
    styles = StyleCatalog((folders.data.parent / "styles.csv",), write_replacing)
    blobs = BlobStore(folders.data / "blobs")
    writer = ImageWriter(folders.outputs)
    history = History(folders.outputs, folders.data)
    jobs = JobService(
        JobQueue(folders.data / "queue.sqlite"),
        JobBoard(),
        freeze=lambda request: freeze_request(request, settings.current),
        archive=history,
        wait_for=blobs.wait_for,
    )
    small_vaes = SmallVaes(
        (folders.models / "VAE-approx", folders.models / "VAE-taesd"), catalog.store, runtime
    )
    capacity, midas = settings.current.sd_checkpoints_limit, folders.models / "midas"
    models = ModelPool(catalog, runtime, small_vaes, capacity=capacity, depth_folder=midas)
    estimator = Estimator(models, SpeedLog(folders.data / "speeds.json"))
    engine = Engine(
        models.use,
        batch_invariant=runtime.device.type == "cpu",
        at_work=jobs.hold,
        speeds=estimator.speeds,
    )
    previewer = Previewer(small_vaes)
    upscalers = UpscalerCatalog(folders.models, catalog.store, runtime, lambda: settings.current)
    faces = FaceRestorers(folders.models, catalog.store, runtime)
    interrogator = Interrogator(
        Describers(folders.models, runtime.device, catalog.store), folders.data.parent / "interrogate"
    )
    reuse = StepReuse(options.step_cache * 2**20)
    room = StoryRoom(PromptRoom(embeddings, ConditioningCache()), blobs, upscalers, faces, previewer, reuse)
    kit = RunKit(jobs, engine, StepStore(folders.data / "steps"), StepPreviews(models, previewer))
    catalogs = Catalogs(catalog, networks, styles, upscalers, faces)
    plugins = PluginManager(folders.extensions, lambda: settings.current)
    room_to_train = TrainingRoom(folders, catalog, embeddings, replace(runtime, graphs=False, compiled=False))
    training = _training(room_to_train, jobs, models, networks)
    runner = Runner(
        jobs,
        engine,
        Preparer(catalogs, room, writer, kit, plugins, interrogator),
        training.run,
        warm_up=lambda: _load_first_model(settings, catalogs, models, previewer),
    )
    return Services(
        options=options,
        settings=settings,
        catalog=catalog,
        networks=networks,
        embeddings=embeddings,
        styles=styles,
        upscalers=upscalers,
        faces=faces,
        extras=Postprocessor(upscalers, faces),
        interrogator=interrogator,
        jobs=jobs,
        history=history,
        blobs=blobs,
        models=models,
        reuse=reuse,
        estimator=estimator,
        plugins=plugins,
        training=training,
        runner=runner,
    )


def run(options: LaunchOptions) -> int:
    """Serve page and API until asked to stop; returns the exit status."""
    startup = StartupTimes()
    try:
        listener = bind_socket(options.host, options.port)
        access = open_access(options, listener)
    except RefusedToStartError as error:
        log.error("%s", error)
        return EXIT_REFUSED
    services = create_services(options)
    startup.mark("services")
    lifecycle = Lifecycle()
    app = create_app(services, access, lifecycle, startup)
    if options.page:
        mount(app, services, current_user=lambda request: caller_of(request).name)
    services.runner.start()
    services.history.start()
    startup.mark("page")

    def ready() -> None:
        startup.mark("server")
        gc.freeze()  # what is there now stays, and is never searched for garbage again
        gc.enable()
        url = login_url(access, listener)
        log.info("ready: %s", url)
        if options.open_browser and options.page:
            show_page(url)

    tls = (options.tls_certfile, options.tls_keyfile)
    try:
        return serve(
            app,
            listener,
            lifecycle=lifecycle,
            tls=(tls[0], tls[1]) if tls[0] is not None and tls[1] is not None else None,
            on_ready=ready,
        )
    finally:
        services.runner.stop()
        services.jobs.close()
        services.history.close()


def _choose_checkpoint(wanted: str | None, settings: SettingsStore, catalog: ModelCatalog) -> None:
    """Make the checkpoint of ``--ckpt`` the current one."""
    if wanted is None:
        return
    try:
        settings.update({"sd_model_checkpoint": catalog.find_checkpoint(wanted).title})
    except NotFoundError as error:
        log.warning("--ckpt: %s", error)


def _load_first_model(
    settings: SettingsStore, catalogs: Catalogs, models: ModelPool, previewer: Previewer
) -> None:
    """Have the checkpoint in memory before the first picture is asked for."""
    if catalogs.models.checkpoints():
        request = freeze_request(GenerationRequest(), settings.current)
        previewer.prepare(models.use(resolve(request, catalogs).model))


def _networks(folders: Folders, catalog: ModelCatalog) -> NetworkCatalog:
    loras = (folders.models / "Lora", folders.models / "LyCORIS", *folders.extra_loras)
    return NetworkCatalog(loras, (folders.models / "hypernetworks",), catalog.store)


def _training(
    room: TrainingRoom, jobs: JobService, models: ModelPool, networks: NetworkCatalog
) -> TrainingJobs:
    """What teaches models; on a GPU the models that make pictures leave its memory first."""

    def look_again() -> None:
        room.catalog.refresh()
        networks.refresh()
        room.embeddings.refresh()

    on_gpu = room.runtime.device.type != "cpu"
    make_room = models.unload if on_gpu else lambda: None
    return TrainingJobs(room, jobs, room.folders.data / "training", make_room=make_room, on_result=look_again)


def _runtime(options: LaunchOptions) -> Runtime:
    """Device, number formats and ways to compute, as the command line wants them."""
    configure_process(options.threads)
    if options.torch_compile:
        keep_compiled_below(options.folders.data / "compiled")
    return choose_runtime(
        options.device,
        options.precision,
        attention=options.attention,
        check_values=options.check_values,
        residency=options.residency,
        graphs=options.cuda_graphs,
        compiled=options.torch_compile,
    )


def _make_folders(folders: Folders) -> None:
    folders.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in (folders.outputs, folders.embeddings, *(folders.models / name for name in MODEL_FOLDERS)):
        Path(path).mkdir(parents=True, exist_ok=True)
    for folder in (folders.outputs, folders.data):
        remove_leftovers(folder)
