"""Softmax attention: the one place in the program where it is computed.

Five ways give the same result: torch's fused kernel (``sdpa``), plain matrix products over blocks of
query rows (``sliced``, for devices without a memory-saving fused kernel), the same over blocks that fit
into a CPU's cache (``blocked``, where the fused kernel misses the CPU's units for 16 bits), our own kernel
for CPUs with AMX (``tiled``), xformers'. On GPUs ``fastest`` is one of them, by shape.
The way is chosen once, by whoever owns the thread that computes, with :func:`use_attention`.
"""

import importlib
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from modules.runtime.attention_choice import fastest_attention, xformers_attention

__all__ = ["AttentionKind", "attention", "use_attention"]

AttentionKind = Literal["sdpa", "sliced", "blocked", "tiled", "xformers", "fastest"]

_SLICE_BYTES = 64 * 2**20  # of scores at a time; larger blocks gain no speed on any device tried
_BLOCK_BYTES = 4 * 2**20  # of scores at a time, which stay in the cache between product and softmax
_kind: ContextVar[AttentionKind] = ContextVar("attention_kind", default="sdpa")


def attention(q: Tensor, k: Tensor, v: Tensor, *, causal: bool = False) -> Tensor:
    """Scaled dot-product attention, ``softmax(q k^T / sqrt(D)) v``.

    Args:
        q: queries, (B, H, Tq, D).
        k: keys, (B, H, Tk, D).
        v: values, (B, H, Tk, D).
        causal: whether row i sees only keys 0..i.

    Returns:
        (B, H, Tq, D), not necessarily contiguous.

    Source: Vaswani et al. 2017, "Attention Is All You Need", equation 1.
    """
    if torch.compiler.is_compiling():  # the compiler sees no context variable; it is only asked with "sdpa"
        return _fused(q, k, v, causal)
    return _IMPLEMENTATIONS[_kind.get()](q, k, v, causal)


@contextmanager
def use_attention(kind: AttentionKind) -> Iterator[None]:
    """Compute attention in the given way within the block, in this thread only."""
    token = _kind.set(kind)
    try:
        yield
    finally:
        _kind.reset(token)


def _fused(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v, is_causal=causal)


def _sliced(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
    batch, heads, length, width = q.shape
    row_bytes = batch * heads * k.shape[2] * q.element_size()
    rows = max(1, _SLICE_BYTES // row_bytes)
    keys = k.transpose(2, 3) / math.sqrt(width)  # B H D Tk
    blocks = []
    for start in range(0, length, rows):
        scores = q[:, :, start : start + rows] @ keys  # B H rows Tk
        if causal:
            query_index = torch.arange(start, start + scores.shape[2], device=q.device)[:, None]
            later = torch.arange(k.shape[2], device=q.device)[None] > query_index
            scores = scores.masked_fill(later, -torch.inf)
        blocks.append(scores.softmax(dim=-1) @ v)
    return torch.cat(blocks, dim=2)


def _blocked(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
    batch, heads, length, width = q.shape
    head_bytes = length * k.shape[2] * q.element_size()
    if causal or torch.is_grad_enabled() or batch * heads * head_bytes <= _BLOCK_BYTES:
        return _sliced(q, k, v, causal)
    keys = (k / math.sqrt(width)).transpose(2, 3)  # B H D Tk
    out = q.new_empty(batch, length, heads, width).transpose(1, 2)  # as the layers behind want it
    together = max(1, _BLOCK_BYTES // head_bytes)  # heads whose scores fit
    rows = max(1, min(length, _BLOCK_BYTES * length // head_bytes))
    for row in range(batch):
        for first in range(0, heads, together):
            some = slice(first, first + together)
            for start in range(0, length, rows):
                block = slice(start, start + rows)
                scores = q[row, some, block] @ keys[row, some]  # H' rows Tk
                out[row, some, block] = torch.softmax(scores, dim=-1) @ v[row, some]
    return out


def _tiled(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
    kernel = importlib.import_module("modules.runtime.tile_attention")  # with LLVM, only where it is of use
    if causal or torch.is_grad_enabled() or not kernel.can_attend(q, k, v):
        return _fused(q, k, v, causal)
    out: Tensor | None = kernel.tile_attention(q, k, v)
    return _fused(q, k, v, causal) if out is None else out


_IMPLEMENTATIONS: Mapping[AttentionKind, Callable[[Tensor, Tensor, Tensor, bool], Tensor]] = {
    "sdpa": _fused,
    "sliced": _sliced,
    "blocked": _blocked,
    "tiled": _tiled,
    "xformers": xformers_attention,
    "fastest": fastest_attention,
}
