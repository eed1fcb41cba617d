from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.studio import Studio, open_studio


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    with open_studio(tmp_path) as studio:
        yield studio


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """A studio that the tests of a file share: none may mind what another has left in it."""
    with open_studio(tmp_path_factory.mktemp("standing")) as studio:
        yield studio
