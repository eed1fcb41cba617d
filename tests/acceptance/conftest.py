"""What the acceptance checks share: their size, and where they write what they measured."""

import json
import os
import re
import sys
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.generation.conftest import studio, tiny_models

__all__ = ["Check", "studio", "tiny_models"]

OUTPUT = "STUDIO_ACCEPTANCE_OUTPUT"  # file for the rows of the table
FULL = "STUDIO_ACCEPTANCE_FULL"
_NAME = re.compile(r"test_(\d\d)_")
_LOOPBACK = ("127.", "::1", "localhost", "::ffff:127.")
_rows: list[dict[str, object]] = []
_outbound: list[str] = []


@dataclass
class Check:
    """One of the 25 checks.

    Attributes:
        number: of the specification.
        full: whether it runs at its full length.
        measured: what was found, in a few words with numbers.
    """

    number: int
    full: bool
    measured: str = ""

    def count(self, short: int, full: int) -> int:
        """How many cases to run."""
        return full if self.full else short


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if event == "socket.connect":
        address = arguments[1]
        host = str(address[0]) if isinstance(address, tuple) else ""
        if host and not host.startswith(_LOOPBACK):
            _outbound.append(host)


@pytest.fixture(scope="session")
def outbound() -> list[str]:
    """Foreign addresses that anything in this process tried to reach while the checks ran."""
    return _outbound


@pytest.fixture
def check(request: pytest.FixtureRequest) -> Iterator[Check]:
    found = _NAME.match(request.node.name)
    assert found is not None, "an acceptance check begins with its number"
    current = Check(int(found[1]), bool(os.environ.get(FULL)))
    yield current
    request.node.stash[_KEY] = current


_KEY = pytest.StashKey[Check]()


def pytest_configure() -> None:
    sys.addaudithook(_watch)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    found = _NAME.match(report.location[2])
    if found is None or "acceptance" not in report.nodeid or str(report.outcome) == "rerun":
        return
    if report.when == "call" or report.failed:
        measured = dict(report.user_properties).get("measured", "")
        row = {"number": int(found[1]), "test": report.location[2], "outcome": report.outcome,
               "seconds": round(report.duration, 1), "measured": measured,
               "foreign": len(_outbound)}  # fmt: skip
        _rows.append(row)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    current = getattr(item, "funcargs", {}).get("check")
    if isinstance(current, Check):
        report.user_properties.append(("measured", current.measured))
    return report


def pytest_sessionfinish() -> None:
    if os.environ.get(OUTPUT):
        Path(os.environ[OUTPUT]).write_text(json.dumps(_rows, indent=1), encoding="utf-8")
