"""When a picture counts as the reference's, and what differs when it does not.

The same number and shape of pictures; no value off by more than one; at most 0.2 % of the values off, or
three times what the reference itself differs by with another attention or on another CPU. Two features
need more room because they decide or round on the way. Infotexts are equal but for the version.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tests.golden.cases import Case, Pixels

__all__ = ["Verdict", "allowed_values", "compare", "without_version"]

LARGEST = 1
USUAL_SHARE = 0.002
WIDE_SHARE = 0.05
# DPM adaptive decides its steps by a threshold; a hires pass through an image upscaler rounds to 8 bits
WIDE_SAMPLERS = ("DPM adaptive",)
IMAGE_UPSCALERS = ("Lanczos", "Nearest", "None")

_VERSION = re.compile(r", Version: [^,\n]*")


@dataclass(frozen=True)
class Verdict:
    """How an answer compares with the reference.

    Attributes:
        largest: largest difference of any value, 0..255.
        share: part of all values that differ, 0..1.
        reasons: why it does not pass; empty when it does.
    """

    case: Case
    largest: int
    share: float
    reasons: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing differs by more than the rule allows."""
        return not self.reasons


def allowed_values(case: Case, total: int) -> int:
    """How many of ``total`` values may differ by one."""
    request = case.request
    decides = request.get("sampler_name") in WIDE_SAMPLERS
    rounds = bool(request.get("enable_hr")) and request.get("hr_upscaler") in IMAGE_UPSCALERS
    usual = int(total * (WIDE_SHARE if decides or rounds else USUAL_SHARE))
    return max(usual, 3 * case.noise)


def without_version(infotext: str) -> str:
    """The infotext less its version entry."""
    return _VERSION.sub("", infotext)


def compare(case: Case, pictures: Sequence[Pixels], infotexts: Sequence[str]) -> Verdict:
    """Hold an answer against the reference's."""
    expected = case.pictures()
    reasons: list[str] = []
    shapes, wanted = [one.shape for one in pictures], [one.shape for one in expected]
    largest, changed, total = 0, 0, sum(one.size for one in expected)
    if shapes != wanted:
        reasons.append(f"pictures {shapes} instead of {wanted}")
    else:
        differences = [np.abs(a.astype(int) - b.astype(int)) for a, b in zip(pictures, expected, strict=True)]
        largest = max((int(one.max()) for one in differences), default=0)
        changed = sum(int(np.count_nonzero(one)) for one in differences)
        allowed = allowed_values(case, total)
        if largest > LARGEST:
            reasons.append(f"largest difference {largest}, {changed} of {total} values")
        elif changed > allowed:
            reasons.append(f"{changed} of {total} values differ, {allowed} may")
    reasons += _infotext_reasons(case.infotexts, infotexts)
    return Verdict(case, largest, changed / total if total else 0.0, tuple(reasons))


def _infotext_reasons(expected: Sequence[str], got: Sequence[str]) -> list[str]:
    if len(expected) != len(got):
        return [f"{len(got)} infotexts instead of {len(expected)}"]
    pairs = [(without_version(a), without_version(b)) for a, b in zip(expected, got, strict=True)]
    return [f"infotext {b!r} instead of {a!r}" for a, b in pairs if a != b][:1]
