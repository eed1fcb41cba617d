import asyncio
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest

from modules.services import Services
from modules.webui.page import build_page
from tests.webui.fake_services import PaintingRunner, fake_services


@pytest.fixture(autouse=True)
def _closed_loops(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Gradio makes an event loop for each lock when blocks are built outside of one; close them."""
    made: list[asyncio.AbstractEventLoop] = []
    real = asyncio.new_event_loop

    def remembered() -> asyncio.AbstractEventLoop:
        made.append(real())
        return made[-1]

    monkeypatch.setattr(asyncio, "new_event_loop", remembered)
    yield
    asyncio.set_event_loop(None)
    for loop in made:
        if not loop.is_running():
            loop.close()


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    """Services without a model and without a runner: jobs stay in the queue."""
    made = fake_services(tmp_path)
    yield made
    made.jobs.close()
    made.history.close()


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """Services that the tests of a file share: none may disturb another."""
    made = fake_services(tmp_path_factory.mktemp("standing"))
    yield made
    made.jobs.close()
    made.history.close()


@pytest.fixture(scope="module")
def standing_page(standing: Services) -> gr.Blocks:
    """A page that the tests of a file share, as it is when it has just been built."""

    async def build() -> gr.Blocks:
        return build_page(standing)

    return asyncio.run(build())  # Gradio takes this loop instead of making its own


@pytest.fixture
def painted(services: Services) -> Iterator[Services]:
    """Services whose jobs are painted at once."""
    runner = PaintingRunner(services.jobs, services.options.folders.outputs, step_seconds=0.002)
    runner.start()
    yield services
    runner.stopping.set()
    runner.join(5)
