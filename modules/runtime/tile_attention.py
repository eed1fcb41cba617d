"""Attention on processors with AMX, by a kernel of our own.

torch's kernel does its products on the tile unit (AMX), then its exponentials on the vector unit (AVX-512),
each waiting for the other. Here, 16 queries at a time go through the keys in blocks of 32, and while the
vector unit makes the weights of one block, the tile unit multiplies the scores of the next and sums the
values of the one before:

    scores of block b + 1    S = Q K^T                 tiles, float32
    weights of block b       P = 2^(c S - m)           vectors, float32, kept in bfloat16
    values of block b - 1    O += P V                  tiles, float32

with ``c = log2(e) / sqrt(D)``. The softmax is the same for every m, as long as no number overflows; so m is a
query's largest score within the first block, and is not corrected later. Should scores differ so much that
the sum overflows after all, the kernel says so, and torch's own is asked instead.

Source: Dao et al. 2022, "FlashAttention", section 3.1, for the blocks; Milakov and Gimelshein 2018, "Online
normalizer calculation for softmax", for the freedom of m.
"""

import ctypes
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from modules.runtime.machine_code import LANES, compile_function
from modules.runtime.tile_kernel import FEATURES, PAGE, Layout, write_kernel

__all__ = ["can_attend", "tile_attention"]

_WIDEST = 80  # of a head: five tiles of sums, and three to compute with
_NARROWEST = 16
_LEAST = 2**20  # scores; below it torch's kernel is sooner done than our threads are woken


def can_attend(q: Tensor, k: Tensor, v: Tensor) -> bool:
    """Whether the kernel pays: many scores, in bfloat16, of heads of 16 to 80 features in steps of 8."""
    width = q.shape[-1]
    return (
        q.dtype is k.dtype is v.dtype is torch.bfloat16
        and _NARROWEST <= width <= _WIDEST
        and width % 8 == 0
        and q.shape[0] * q.shape[1] * q.shape[2] * k.shape[2] > _LEAST
        and all(x.stride(-1) == 1 and x.shape[-2] > 0 for x in (q, k, v))
    )


def tile_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor | None:
    """Scaled dot-product attention, as :func:`modules.runtime.attention.attention` says, not causal.

    Only for processes that have been lent the tiles; see :func:`modules.runtime.device.choose_runtime`.

    Each query's result depends on its own values, the keys and their values alone, not on the batch.

    Args:
        q: queries, (B, H, Tq, D), for which :func:`can_attend` holds.
        k: keys, (B, H, Tk, D).
        v: values, (B, H, Tk, D).

    Returns:
        (B, H, Tq, D), or None where the scores differ too much.
    """
    batch, heads, length, width = q.shape
    kernel = _kernel(width)
    out = q.new_empty(batch, length, heads, width).transpose(1, 2)  # as the layers behind want it
    threads = torch.get_num_threads()
    stretches = 1 if batch * heads >= 2 * threads else math.ceil(2 * threads / (batch * heads))
    rows = math.ceil(length / (stretches * LANES)) * LANES
    parts = [
        (row, head, slice(start, start + rows))
        for row in range(batch)
        for head in range(heads)
        for start in range(0, length, rows)
    ]

    def attend(first: int) -> int:
        scratch = torch.empty(kernel.scratch_bytes(k.shape[2]), dtype=torch.uint8)
        aligned = scratch.data_ptr() + -scratch.data_ptr() % PAGE
        return sum(
            kernel.run(q[row, head, which], k[row, head], v[row, head], out[row, head, which], aligned)
            for row, head, which in parts[first::threads]
        )

    overflowed = sum(_workers(threads).map(attend, range(min(threads, len(parts)))))
    return None if overflowed else out


@cache
def _workers(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="attention")


@dataclass(frozen=True, eq=False)
class _Kernel:
    """Machine code for one width of heads."""

    layout: Layout
    function: Callable[..., int]
    engine: object  # the code is gone without it

    def scratch_bytes(self, keys: int) -> int:
        """Memory that one thread needs, with what its beginning may have to be moved by."""
        return self.layout.fixed + self.layout.bytes_of_keys(keys) + PAGE

    def run(self, q: Tensor, k: Tensor, v: Tensor, out: Tensor, scratch: int) -> int:
        """One head; how many of its queries overflowed."""
        addresses = (x.data_ptr() for x in (q, k, v, out))
        strides = (x.stride(0) * x.element_size() for x in (q, k, v, out))
        scale = math.log2(math.e) / math.sqrt(self.layout.width)
        return self.function(*addresses, scratch, *strides, len(q), len(k), scale)


@cache
def _kernel(width: int) -> _Kernel:
    address, engine = compile_function(write_kernel(width).module, FEATURES)
    kind = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_void_p] * 5, *[ctypes.c_int64] * 6, ctypes.c_float)
    return _Kernel(Layout(width), kind(address), engine)
