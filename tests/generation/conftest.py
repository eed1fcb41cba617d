"""A studio without a server, on the tiny models with exactly defined weights."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from modules.app import create_services
from modules.services import Services
from modules.settings.launch import Folders, LaunchOptions
from tests.golden.weights import GOLDEN, write_embeddings_and_models

Studio = Callable[..., AbstractContextManager[Services]]


@pytest.fixture(scope="session")
def tiny_models() -> Path:
    """Folder with ``models/`` and ``embeddings/`` of the reference."""
    cache = GOLDEN.parent / ".weights" / "golden"
    write_embeddings_and_models(cache)
    return cache


@pytest.fixture(scope="session")
def studio(tiny_models: Path) -> Studio:
    """Opens services on a data folder and closes them again, as a restart of the server does.

    The second argument is a folder of models other than the reference's; the rest is the command line's.
    Every step is made anew unless it says otherwise: equal pictures shall mean equal work.
    """

    @contextmanager
    def opened(data: Path, models: Path | None = None, **options: object) -> Iterator[Services]:
        folders = Folders(
            data=data / "data",
            models=models or tiny_models / "models",
            outputs=data / "outputs",
            embeddings=tiny_models / "embeddings",
            extensions=data / "extensions",
        )
        launch = LaunchOptions(
            folders=folders, device="cpu", precision="full", checkpoint="tiny-sd1", step_cache=0
        )
        services = create_services(replace(launch, **options))  # type: ignore[arg-type]
        services.runner.start()
        try:
            yield services
        finally:
            services.runner.stop()
            services.jobs.close()

    return opened


@pytest.fixture(scope="module")
def services(studio: Studio, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    with studio(tmp_path_factory.mktemp("studio")) as opened:
        yield opened
