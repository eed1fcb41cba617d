from collections.abc import Iterator
from pathlib import Path

import pytest

from modules.services import Services
from tests.webui.fake_services import PaintingRunner, fake_services


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    """Services without a model and without a runner: jobs stay in the queue."""
    made = fake_services(tmp_path)
    yield made
    made.jobs.close()


@pytest.fixture
def painted(services: Services) -> Iterator[Services]:
    """Services whose jobs are painted at once."""
    runner = PaintingRunner(services.jobs, services.options.folders.outputs, step_seconds=0.002)
    runner.start()
    yield services
    runner.stopping.set()
    runner.join(5)
