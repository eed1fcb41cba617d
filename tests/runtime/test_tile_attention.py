"""The attention kernel for processors with AMX: its code can be made anywhere, its results only there."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from modules.runtime import tile_attention as module
from modules.runtime.attention import attention, use_attention
from modules.runtime.device import choose_runtime
from modules.runtime.machine_code import compile_function
from modules.runtime.tile_attention import can_attend, tile_attention
from modules.runtime.tile_kernel import FEATURES, write_kernel

has_tiles = pytest.mark.skipif(
    choose_runtime("cpu", "half").attention != "tiled", reason="this processor lends no tiles"
)


def _inputs(
    batch: int, heads: int, queries: int, keys: int, width: int, spread: float = 1.0
) -> tuple[Tensor, Tensor, Tensor]:
    """Laid out as the networks have them: heads beside each other in a row."""
    generator = torch.Generator().manual_seed(queries * keys + width)
    q, k, v = (
        torch.randn(batch, length, heads * width, generator=generator)
        .bfloat16()
        .unflatten(-1, (heads, width))
        for length in (queries, keys, keys)
    )
    return (q * spread).transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)


def _error(out: Tensor, q: Tensor, k: Tensor, v: Tensor) -> float:
    exact = F.scaled_dot_product_attention(q.double(), k.double(), v.double())
    return float((out.double() - exact).norm() / exact.norm())


def _some(out: Tensor | None) -> Tensor:
    assert out is not None
    return out


@pytest.mark.parametrize("width", [16, 40, 72, 80])
def test_the_compiler_accepts_the_code_on_any_processor(width: int) -> None:
    address, _code = compile_function(write_kernel(width).module, FEATURES)
    assert address


@has_tiles
@pytest.mark.parametrize(
    ("batch", "heads", "queries", "keys", "width"),
    [
        (2, 8, 300, 256, 40),
        (1, 2, 64, 64, 64),
        (1, 3, 100, 77, 80),  # the last block is not full
        (2, 1, 33, 300, 64),  # nor are the last queries
        (1, 1, 16, 3, 16),
        (1, 2, 1, 1, 24),
        (1, 1, 500, 1000, 72),
    ],
)
def test_it_is_as_exact_as_torchs_own(batch: int, heads: int, queries: int, keys: int, width: int) -> None:
    q, k, v = _inputs(batch, heads, queries, keys, width)
    out = _some(tile_attention(q, k, v))
    assert out.shape == q.shape
    theirs = _error(F.scaled_dot_product_attention(q, k, v), q, k, v)
    assert _error(out, q, k, v) < 1.15 * theirs + 1e-4


@has_tiles
def test_where_one_key_matters_most_only_rounding_is_left() -> None:
    q, k, v = _inputs(1, 2, 64, 500, 40, spread=8.0)
    assert _error(_some(tile_attention(q, k, v)), q, k, v) < 2**-8  # one rounding to bfloat16


@has_tiles
def test_a_picture_does_not_depend_on_its_company(monkeypatch: pytest.MonkeyPatch) -> None:
    q, k, v = _inputs(3, 2, 200, 130, 40)
    together = _some(tile_attention(q, k, v))
    for row in range(3):
        only = slice(row, row + 1)
        assert torch.equal(together[only], _some(tile_attention(q[only], k[only], v[only])))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 5)
    assert torch.equal(together, _some(tile_attention(q, k, v)))


@has_tiles
def test_scores_that_overflow_are_left_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LEAST", 0)
    q, k, v = _inputs(1, 1, 32, 64, 40)
    k[:, :, 40] = 60 * q[:, :, 3]  # far above any score of the first block
    assert tile_attention(q, k, v) is None
    with use_attention("tiled"), torch.no_grad():
        assert torch.equal(attention(q, k, v), F.scaled_dot_product_attention(q, k, v))


@has_tiles
def test_nan_stays_nan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LEAST", 0)
    q, k, v = _inputs(1, 1, 32, 64, 40)
    q[0, 0, 5, 0] = torch.nan
    with use_attention("tiled"), torch.no_grad():
        out = attention(q, k, v)
    assert out[0, 0, 5].isnan().all()
    assert out[0, 0, 4].isfinite().all()


@has_tiles
def test_the_networks_attention_is_taken_by_it() -> None:
    q, k, v = _inputs(1, 2, 1024, 1024, 40)
    with use_attention("tiled"), torch.no_grad():
        assert torch.equal(attention(q, k, v), _some(tile_attention(q, k, v)))


def test_it_takes_only_what_it_can() -> None:
    assert can_attend(*_inputs(1, 8, 1024, 1024, 40))
    assert not can_attend(*_inputs(1, 8, 64, 64, 40))  # too little work
    assert not can_attend(*_inputs(1, 8, 1024, 1024, 160))
    assert not can_attend(*_inputs(1, 8, 1024, 1024, 42))
    assert not can_attend(*(each.float() for each in _inputs(1, 8, 1024, 1024, 40)))
    q, k, v = _inputs(1, 8, 1024, 1024, 40)
    assert not can_attend(q, k.transpose(2, 3).contiguous().transpose(2, 3), v)


@pytest.mark.parametrize("causal", [False, True])
def test_what_it_does_not_take_is_torchs(causal: bool) -> None:
    q, k, v = (each.float() for each in _inputs(1, 2, 20, 20, 40))
    with use_attention("tiled"):
        assert torch.equal(
            attention(q, k, v, causal=causal), F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        )
