"""What all tests share: quiet threads, no network, marks by folder, no time lost in the garbage collector."""

import gc
import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import hypothesis
import pytest

from modules.cli import PATIENT_THREADS
from modules.webui.stub_files import skip_stub_files

TESTS = Path(__file__).parent

for variable, value in PATIENT_THREADS.items():  # as the program does, before torch is imported
    os.environ.setdefault(variable, value)
skip_stub_files()  # as the program does, and workers that start at once must not write the same files

# A loaded machine must not fail a test by being slow, and CI must judge a change by the same examples twice
hypothesis.settings.register_profile("studio", deadline=None, derandomize=os.environ.get("CI") == "true")
hypothesis.settings.load_profile("studio")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the garbage collector off what was imported: one look at all of it takes a third of a second."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session", autouse=True)
def _one_pickle_opener() -> Iterator[None]:
    """All tests' pickled files are opened by children of the same processes, as those of one program are."""
    if "modules.checkpoints.pickles" not in sys.modules:  # no test that was collected opens any
        yield
        return
    from modules.checkpoints.pickle_opener import PickleOpener

    with pytest.MonkeyPatch.context() as patch:
        opener = PickleOpener()
        patch.setattr("modules.checkpoints.pickles.PickleOpener", lambda: opener)
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every test of a folder that needs some its marks, so that no file can forget them.

    What runs processes of its own gets a second try, which pytest's summary tells (see CONTRIBUTING.md).
    Browser tests come last: Playwright's synchronous interface keeps an event loop running in the main
    thread, in which no other test could start one.
    """
    second_try = pytest.mark.flaky(reruns=1)
    marks = {
        TESTS / "browser": (pytest.mark.browser, second_try),
        TESTS / "acceptance": (second_try,),
        TESTS / "golden": (pytest.mark.golden,),
    }
    for item in items:
        for folder, of_folder in marks.items():
            if folder in item.path.parents:
                for mark in of_folder:
                    item.add_marker(mark)
    items.sort(key=lambda item: TESTS / "browser" in item.path.parents)
