"""All ways to compute attention agree."""

import threading

import pytest
import torch
from torch import Tensor

from modules.runtime import attention as module
from modules.runtime.attention import attention, use_attention


def _inputs(queries: int = 33, keys: int = 20) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    q = torch.randn(2, 3, queries, 8, generator=generator)
    k, v = (torch.randn(2, 3, keys, 8, generator=generator) for _ in range(2))
    return q, k, v


def _expected(q: Tensor, k: Tensor, v: Tensor, *, causal: bool = False) -> Tensor:
    scores = torch.einsum("bhqd,bhkd->bhqk", q.double(), k.double()) / 8**0.5
    if causal:
        scores = scores + torch.full(scores.shape[-2:], -torch.inf, dtype=torch.double).triu(1)
    return (scores.softmax(-1) @ v.double()).float()


@pytest.mark.parametrize("kind", ["sdpa", "sliced", "blocked"])
@pytest.mark.parametrize("causal", [False, True])
def test_it_is_the_softmax_of_scaled_products(kind: module.AttentionKind, causal: bool) -> None:
    q, k, v = _inputs(20 if causal else 33)
    with use_attention(kind):
        assert torch.allclose(attention(q, k, v, causal=causal), _expected(q, k, v, causal=causal), atol=1e-6)


@pytest.mark.parametrize("block_bytes", [1, 400, 4000, 9000, 2**20])
def test_blocks_of_any_size_give_the_same(monkeypatch: pytest.MonkeyPatch, block_bytes: int) -> None:
    q, k, v = _inputs()
    monkeypatch.setattr(module, "_BLOCK_BYTES", block_bytes)
    with use_attention("blocked"), torch.no_grad():
        assert torch.allclose(attention(q, k, v), _expected(q, k, v), atol=1e-6)


@pytest.mark.parametrize("causal", [False, True])
def test_slices_of_any_size_give_the_same(monkeypatch: pytest.MonkeyPatch, causal: bool) -> None:
    q, k, v = _inputs(20)
    for slice_bytes in (1, 2000, 2**20):
        monkeypatch.setattr(module, "_SLICE_BYTES", slice_bytes)
        with use_attention("sliced"):
            assert torch.allclose(
                attention(q, k, v, causal=causal), _expected(q, k, v, causal=causal), atol=1e-6
            )


def test_gradients_flow_through_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SLICE_BYTES", 2000)
    gradients = []
    for kind in ("sdpa", "sliced"):
        q, k, v = (tensor.requires_grad_() for tensor in _inputs())
        with use_attention(kind):
            attention(q, k, v).square().sum().backward()
        gradients.append((q.grad, k.grad, v.grad))
    for first, second in zip(*gradients, strict=True):
        assert first is not None
        assert second is not None
        assert torch.allclose(first, second, atol=1e-5)


def test_the_choice_holds_for_its_block_and_thread_only(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[str] = []

    def fused(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
        used.append("sdpa")
        return q

    def sliced(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
        used.append("sliced")
        return q

    monkeypatch.setattr(module, "_IMPLEMENTATIONS", {"sdpa": fused, "sliced": sliced})
    with use_attention("sliced"):
        attention(*_inputs())
        other = threading.Thread(target=lambda: attention(*_inputs()))
        other.start()
        other.join()
    attention(*_inputs())
    assert used == ["sliced", "sdpa", "sdpa"]
