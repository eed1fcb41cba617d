"""Running out of memory: recognised, survived, reported."""

import weakref

import pytest
import torch

from modules.exceptions import DeviceMemoryError
from modules.runtime.memory import climb_down, is_out_of_memory

CPU = torch.device("cpu")
ALLOCATOR = "[enforce fail at alloc_cpu.cpp:119] . DefaultCPUAllocator: can't allocate memory: you tried ..."


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"),
        RuntimeError(ALLOCATOR),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"),
    ],
)
def test_allocators_errors_are_recognised(error: BaseException) -> None:
    assert is_out_of_memory(error)


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), ValueError("out of memory"), OSError()])
def test_other_errors_are_not(error: BaseException) -> None:
    assert not is_out_of_memory(error)


def test_lower_rungs_are_tried_until_one_carries() -> None:
    tried: list[int] = []

    def attempt(rung: int) -> str:
        tried.append(rung)
        if rung > 1:
            raise RuntimeError(ALLOCATOR)
        return "done"

    assert climb_down(4, attempt, lambda rung: rung - 1 or None, CPU) == ("done", 1)
    assert tried == [4, 3, 2, 1]


def test_the_last_rung_is_tried_twice() -> None:
    tries: list[int] = []

    def attempt(rung: int) -> str:
        tries.append(rung)
        if len(tries) < 2:
            raise MemoryError
        return "done"

    assert climb_down(1, attempt, lambda rung: None, CPU) == ("done", 1)


def test_below_the_last_rung_the_error_says_what_to_do() -> None:
    def attempt(rung: int) -> None:
        raise MemoryError

    with pytest.raises(DeviceMemoryError, match="smaller size"):
        climb_down(2, attempt, lambda rung: rung - 1 or None, CPU)


def test_other_errors_end_the_climb_at_once() -> None:
    def attempt(rung: int) -> None:
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        climb_down(2, attempt, lambda rung: rung - 1 or None, CPU)


def test_what_a_failed_attempt_held_is_gone_before_the_next_one() -> None:
    held: list[weakref.ref[torch.Tensor]] = []

    def attempt(rung: int) -> bool:
        if held:
            return held[0]() is None
        large = torch.zeros(1000)
        held.append(weakref.ref(large))
        raise MemoryError

    assert climb_down(2, attempt, lambda rung: rung - 1 or None, CPU) == (True, 1)
