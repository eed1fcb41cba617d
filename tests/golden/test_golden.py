"""Pictures and parameters equal those of A1111 1.10.1, through the HTTP API."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.golden.cases import Case, load_cases
from tests.golden.compare import Verdict, compare
from tests.golden.studio import golden_studio, run_case
from tests.golden.verify import report
from tests.golden.waiting import waits_for
from tests.golden.weights import GOLDEN

CASES = load_cases(GOLDEN)
WAITING = [case for case in CASES if waits_for(case.feature) is not None]
COMPARED = [case for case in CASES if waits_for(case.feature) is None]


@pytest.fixture(scope="module")
def studio(golden_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with golden_studio(golden_root, tmp_path_factory.mktemp("studio")) as client:
        yield client


@pytest.mark.parametrize("case", COMPARED, ids=lambda case: case.id)
def test_picture_and_parameters_equal_the_reference(studio: TestClient, case: Case) -> None:
    verdict = run_case(studio, case)
    assert verdict.passed, "; ".join(verdict.reasons)


def test_few_cases_wait() -> None:
    assert len(WAITING) <= 10, "see waiting.py"


def test_what_waits_really_cannot_pass_yet(studio: TestClient) -> None:
    assert [case.id for case in WAITING if run_case(studio, case).passed] == [], "see waiting.py"


def test_report_names_what_fails_and_what_waits() -> None:
    good, bad = COMPARED[:2]
    verdicts = [compare(good, good.pictures(), good.infotexts), Verdict(bad, 7, 0.5, ("too red",))]
    text = report(verdicts, COMPARED[2:3])
    assert f"{bad.id}: too red" in text
    assert "1 of 2 compared cases pass" in text
    assert f"waiting: {COMPARED[2].id}" in text
