"""The random numbers of a CUDA card, computed anywhere: Philox-4x32-10 with Box-Muller.

Gives what ``torch.randn`` gives on NVIDIA cards for tensors of picture size, so that a picture made there
can be made again on any machine.

Source: Salmon et al. 2011, "Parallel Random Numbers: As Easy as 1, 2, 3", section 4.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["philox_randn"]

MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
KEY_INCREMENTS = (np.uint32(0x9E3779B9), np.uint32(0xBB67AE85))
ROUNDS = 10
LOW_32_BITS = 0xFFFFFFFF
TO_UNIT = np.float32(2.3283064e-10)  # 2^-32 as CUDA writes it
TO_CIRCLE = np.float32(2.3283064e-10 * 6.2831855)  # 2^-32 * 2 pi

Words = NDArray[np.uint32]


def _multiply(word: Words, multiplier: np.uint64) -> tuple[Words, Words]:
    """High and low 32 bits of the product."""
    product = word.astype(np.uint64) * multiplier
    return (product >> np.uint64(32)).astype(np.uint32), product.astype(np.uint32)


def _philox(counter: tuple[Words, Words, Words, Words], key: tuple[int, int]) -> tuple[Words, Words]:
    """First two of the four output words for each counter."""
    c0, c1, c2, c3 = counter
    k0, k1 = (np.array([word], dtype=np.uint32) for word in key)  # arrays wrap around without a warning
    for _ in range(ROUNDS):
        high0, low0 = _multiply(c0, MULTIPLIERS[0])
        high2, low2 = _multiply(c2, MULTIPLIERS[1])
        c0, c1, c2, c3 = high2 ^ c1 ^ k0, low2, high0 ^ c3 ^ k1, low0
        k0, k1 = k0 + KEY_INCREMENTS[0], k1 + KEY_INCREMENTS[1]
    return c0, c1


def philox_randn(seed: int, shape: tuple[int, ...], offset: int = 0) -> Tensor:
    """Standard normal numbers, float32 on the CPU.

    Args:
        seed: taken modulo 2^64.
        shape: of the tensor.
        offset: how many tensors this seed's generator has made before.
    """
    count = int(np.prod(shape))
    index = np.arange(count, dtype=np.uint32)
    zeros = np.zeros(count, dtype=np.uint32)
    calls = np.full(count, offset & LOW_32_BITS, dtype=np.uint32)
    g0, g1 = _philox((calls, zeros, index, zeros), (seed & LOW_32_BITS, (seed >> 32) & LOW_32_BITS))
    u = g0.astype(np.float64) * TO_UNIT + TO_UNIT / 2  # double precision here decides the last float32 digit
    v = g1.astype(np.float64) * TO_CIRCLE + TO_CIRCLE / 2
    normal = np.sqrt(-2 * np.log(u)) * np.sin(v)
    return torch.from_numpy(normal.astype(np.float32).reshape(shape))
