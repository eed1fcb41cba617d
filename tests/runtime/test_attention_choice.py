"""The fastest way is taken, if it is right and clearly faster."""

import logging
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from modules.runtime.attention import attention, use_attention
from modules.runtime.attention_choice import USUAL, Form, Way, choose_way, fastest_attention

FORM = Form((1, 2, 5, 8), (1, 2, 3, 8), torch.float32, torch.device("cpu"), causal=False)


def right(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
    return torch.softmax(q @ k.transpose(2, 3) / 8**0.5, dim=-1) @ v


def wrong(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
    return right(q, k, 1.1 * v, causal)


def impossible(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
    raise RuntimeError("No available kernel. Aborting execution.")


def chosen(other: Way, seconds: float, usual: Way = right) -> str:
    def measure(call: Callable[[], Tensor]) -> float:
        return seconds if getattr(call, "func", None) is other else 1.0

    return choose_way(FORM, {"other": other, USUAL: usual}, measure)


def test_a_clearly_faster_way_is_taken() -> None:
    def same(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
        return right(q, k, v, causal)

    assert chosen(same, 0.5) == "other"
    assert chosen(same, 0.95) == USUAL  # the next start might find otherwise
    assert chosen(same, 2.0) == USUAL
    assert chosen(same, 2.0, usual=impossible) == "other"


def test_a_way_that_cannot_do_it_or_does_it_wrong_is_not_taken() -> None:
    assert chosen(wrong, 0.1) == USUAL
    assert chosen(impossible, 0.1) == USUAL
    assert chosen(impossible, 0.1, usual=impossible) == USUAL


@pytest.mark.parametrize("causal", [False, True])
def test_it_is_found_once_and_gives_the_same(causal: bool, caplog: pytest.LogCaptureFixture) -> None:
    q, k, v = (torch.randn(2, 3, 19 + causal, 8) for _ in range(3))
    before = torch.get_rng_state()
    with caplog.at_level(logging.INFO), use_attention("fastest"):
        first, second = (attention(q, k, v, causal=causal) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.allclose(first, attention(q, k, v, causal=causal), atol=1e-5)
    assert torch.equal(first, second)
    assert len([record for record in caplog.records if "is computed by" in record.message]) == 1


def test_gradients_flow() -> None:
    q, k, v = (torch.randn(1, 2, 4, 8, requires_grad=True) for _ in range(3))
    fastest_attention(q, k, v, False).sum().backward()
    assert q.grad is not None
