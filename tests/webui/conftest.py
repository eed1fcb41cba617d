import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from modules.services import Services
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


@pytest.fixture
def painted(services: Services) -> Iterator[Services]:
    """Services whose jobs are painted at once."""
    runner = PaintingRunner(services.jobs, services.options.folders.outputs, step_seconds=0.002)
    runner.start()
    yield services
    runner.stopping.set()
    runner.join(5)
