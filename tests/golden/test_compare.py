"""The rule by which a picture counts as the reference's."""

import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from tests.golden.cases import Case, Pixels, load_cases
from tests.golden.compare import allowed_values, compare, without_version
from tests.golden.waiting import WAITING, waits_for
from tests.golden.weights import GOLDEN

CASES = load_cases(GOLDEN)
PLAIN = next(case for case in CASES if case.id == "sampler_euler-1")


def _off(case: Case, count: int, by: int = 1) -> list[Pixels]:
    """The case's pictures with ``count`` values of the first off by ``by``."""
    first, *others = case.pictures()
    flat = first.astype(np.int16).ravel()
    flat[:count] += np.where(flat[:count] < 128, by, -by).astype(np.int16)
    return [flat.astype(np.uint8).reshape(first.shape), *others]


def test_all_cases_of_the_reference_are_here() -> None:
    assert len(CASES) == 295
    assert all(case.pictures() and case.request for case in CASES)
    assert not any("@inputs/" in str(case.request) for case in CASES)


def test_the_reference_passes_its_own_comparison() -> None:
    for case in CASES[::10]:
        verdict = compare(case, case.pictures(), case.infotexts)
        assert (verdict.passed, verdict.largest, verdict.share) == (True, 0, 0.0), verdict


def test_few_values_off_by_one_pass_and_more_do_not() -> None:
    total = 64 * 64 * 3
    allowed = allowed_values(PLAIN, total)
    assert allowed == int(total * 0.002)
    assert compare(PLAIN, _off(PLAIN, allowed), PLAIN.infotexts).passed
    assert not compare(PLAIN, _off(PLAIN, allowed + 1), PLAIN.infotexts).passed


def test_one_value_off_by_two_fails() -> None:
    verdict = compare(PLAIN, _off(PLAIN, 1, by=2), PLAIN.infotexts)
    assert verdict.reasons == ("largest difference 2, 1 of 12288 values",)


def test_a_noisy_case_gets_three_times_its_noise() -> None:
    assert allowed_values(replace(PLAIN, noise=100), 12288) == 300


@pytest.mark.parametrize(
    "name", ["sampler_dpm_adaptive-1", "img2img_sampler_dpm_adaptive-1", "hires_lanczos-1"]
)
def test_thresholds_and_rounding_on_the_way_get_more_room(name: str) -> None:
    case = next(case for case in CASES if case.id == name)
    assert allowed_values(replace(case, noise=0), 10_000) == 500
    assert allowed_values(replace(PLAIN, noise=0), 10_000) == 20


def test_missing_or_resized_pictures_fail() -> None:
    pictures = PLAIN.pictures()
    assert not compare(PLAIN, [], PLAIN.infotexts).passed
    assert not compare(PLAIN, [*pictures, *pictures], PLAIN.infotexts).passed
    assert not compare(PLAIN, [pictures[0][:32]], PLAIN.infotexts).passed


def test_infotext_differs_only_in_the_version() -> None:
    text = PLAIN.infotexts[0]
    newer = text.replace("Version: 1.10.1", "Version: studio 9, Model hash: x")
    assert compare(PLAIN, PLAIN.pictures(), [text.replace("1.10.1", "2")]).passed
    assert not compare(PLAIN, PLAIN.pictures(), [newer]).passed
    assert not compare(PLAIN, PLAIN.pictures(), [text.replace("Steps: ", "Steps: 1")]).passed
    assert not compare(PLAIN, PLAIN.pictures(), []).passed
    assert without_version("a\nSteps: 1, Version: 1.10.1, X: 2") == "a\nSteps: 1, X: 2"


def test_every_waiting_feature_is_one_of_the_reference() -> None:
    features = {case.feature for case in CASES}
    assert set(WAITING) <= features
    assert waits_for("sampler:Euler") is None


def test_the_document_accounts_for_every_case() -> None:
    text = (GOLDEN.parents[1] / "docs" / "golden.md").read_text()
    rows = re.findall(r"^\| [^|]+ \| (\d+) \| ((?:`[^`]+` ?)+)\|$", text, re.MULTILINE)
    told = {feature for _, names in rows for feature in re.findall("`([^`]+)`", names)}
    counted = Counter(case.feature.partition(":")[0] for case in CASES)
    assert told == set(counted)
    assert [int(count) for count, _ in rows] == [
        sum(counted[feature] for feature in re.findall("`([^`]+)`", names)) for _, names in rows
    ]
    assert sum(int(count) for count, _ in rows) == len(CASES)
