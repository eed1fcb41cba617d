"""A whole server without a model: real queue, catalogs and files, a stub for the engine."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, cast

import httpx
import torch
from fastapi import FastAPI
from safetensors.torch import save_file

from modules.adapters.network_catalog import NetworkCatalog
from modules.adapters.textual_inversion import EmbeddingCatalog
from modules.checkpoints.catalog import ModelCatalog
from modules.checkpoints.describers import Describers
from modules.checkpoints.face_restorers import FaceRestorers
from modules.checkpoints.upscalers import UpscalerCatalog
from modules.domain.styles import StyleCatalog
from modules.generation.effects import ModelKey
from modules.generation.estimate import Estimator
from modules.generation.interrogate import Interrogator
from modules.generation.postprocess import Postprocessor
from modules.generation.speed import SpeedLog
from modules.history.history import History
from modules.imaging.blobs import BlobStore
from modules.imaging.files import write_replacing
from modules.jobs.board import JobBoard
from modules.jobs.queue import JobQueue
from modules.jobs.service import JobService
from modules.plugins.manager import PluginManager
from modules.runtime.device import Runtime
from modules.server.access import Access
from modules.server.app import create_app
from modules.services import Services
from modules.settings.launch import Folders, LaunchOptions
from modules.settings.store import SettingsStore
from modules.training.finetuning.job import TrainingJobs
from modules.training.finetuning.opening import TrainingRoom
from tests.server.doors import knock, make_access
from tests.server.type_adapters import shared_type_adapters
from tests.stub_runner import StubRunner

T = TypeVar("T")


class NoModels:
    """Stands for the models in memory."""

    def __init__(self) -> None:
        self.unloaded = 0
        self.runtime = Runtime(torch.device("cpu"))

    def in_memory(self, key: ModelKey) -> None:
        return None

    def unload(self) -> None:
        self.unloaded += 1


@dataclass
class Studio:
    services: Services
    runner: StubRunner
    access: Access

    @cached_property
    def app(self) -> FastAPI:
        with shared_type_adapters():
            return create_app(self.services, self.access)

    def run(
        self,
        story: Callable[[httpx.AsyncClient], Awaitable[T]],
        *,
        client: str = "127.0.0.1",
        base_url: str = "http://127.0.0.1:7860",
        patience: float = 60.0,
    ) -> T:
        """Let a client talk to the server."""

        async def talk() -> T:
            async with knock(self.app, client=client, base_url=base_url) as connection:
                connection.timeout = httpx.Timeout(60)
                return await asyncio.wait_for(story(connection), patience)

        return asyncio.run(talk())

    def request(self, method: str, path: str, **options: object) -> httpx.Response:
        """One request without any frills; options are httpx's."""
        return self.run(lambda client: client.request(method, path, **cast("dict[str, Any]", options)))

    def get(self, path: str, **options: object) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, body: object = None, **options: object) -> httpx.Response:
        return self.request("POST", path, json=body, **options)


@contextmanager
def open_studio(
    root: Path, *, limit: int = 100, step_seconds: float = 0.0, start: bool = True, **access: object
) -> Iterator[Studio]:
    folders = Folders.below(root)
    checkpoints = folders.models / "Stable-diffusion"
    checkpoints.mkdir(parents=True, exist_ok=True)
    save_file({"weight": torch.zeros(1)}, checkpoints / "tiny.safetensors")
    catalog = ModelCatalog(folders)
    catalog.refresh()
    history = History(folders.outputs, folders.data)
    jobs = JobService(JobQueue(folders.data / "jobs.sqlite3", limit=limit), JobBoard(), archive=history)
    runner = StubRunner(jobs, folders.outputs, step_seconds=step_seconds)
    runtime = Runtime(torch.device("cpu"))
    models = NoModels()
    upscalers = UpscalerCatalog(folders.models, catalog.store, runtime)
    faces = FaceRestorers(folders.models, catalog.store, runtime)
    services = Services(
        options=LaunchOptions(folders, api=True),
        settings=SettingsStore(folders.data / "config.json"),
        catalog=catalog,
        networks=NetworkCatalog(
            (folders.models / "Lora",), (folders.models / "hypernetworks",), catalog.store
        ),
        embeddings=EmbeddingCatalog((folders.embeddings,), catalog.store),
        styles=StyleCatalog((root / "styles.csv",), write_replacing),
        upscalers=upscalers,
        faces=faces,
        extras=Postprocessor(upscalers, faces),
        interrogator=Interrogator(Describers(folders.models, runtime.device), root / "interrogate"),
        jobs=jobs,
        history=history,
        blobs=BlobStore(folders.data / "blobs"),
        models=cast("Any", models),
        estimator=Estimator(cast("Any", models), SpeedLog(folders.data / "speeds.json")),
        plugins=PluginManager(folders.extensions),
        training=TrainingJobs(
            TrainingRoom(folders, catalog, EmbeddingCatalog((folders.embeddings,), catalog.store), runtime),
            jobs,
            folders.data / "training",
        ),
        runner=cast("Any", runner),
    )
    studio = Studio(services, runner, make_access(root, **{"api_open": True, **access}))
    if start:
        runner.start()
    try:
        yield studio
    finally:
        runner.stop()
        jobs.close()
        history.close()
        studio.access.accounts.close()
