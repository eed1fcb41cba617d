"""Equal values have equal fingerprints, others have not."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from modules.generation.fingerprint import fingerprint


@dataclass(frozen=True)
class Pair:
    left: object
    right: object


@dataclass(frozen=True)
class Couple:
    left: object
    right: object


VALUES = [
    (), (None,), (None, None), ((None, None),), (1,), (1.0,), (True,), ("1",), (b"1",), (Path("1"),),
    ("", "1"), ("1", ""), (("1",), ()), ((), ("1",)), (Pair(1, 2),), (Pair(2, 1),), (Couple(1, 2),),
    ({"a": 1},), ({"a": 2},), (torch.zeros(2, 2),),
    (torch.zeros(4),), (torch.zeros(2, 2).half(),), (torch.ones(2, 2),),
    (torch.zeros(()),), (torch.zeros(0),), (torch.zeros(0, 2),), (0.1,), (0.1 + 2**-55,),
]  # fmt: skip


def test_different_values_have_different_fingerprints() -> None:
    assert len({fingerprint(*value) for value in VALUES}) == len(VALUES)


def test_numbers_of_numpy_have_one_of_their_own() -> None:
    assert fingerprint(np.float64(0.1)) == fingerprint(np.float64(0.1)) != fingerprint(np.float64(0.2))


def test_equal_values_have_equal_fingerprints() -> None:
    strided = torch.arange(12).reshape(3, 4).t()
    assert fingerprint(strided) == fingerprint(strided.contiguous())
    ordered = {"a": 1, "b": Pair(1, torch.ones(2))}
    assert fingerprint(ordered) == fingerprint(dict(reversed(ordered.items())))


def test_what_has_no_content_is_refused() -> None:
    with pytest.raises(TypeError, match="object has no fingerprint"):
        fingerprint((1, object()))
