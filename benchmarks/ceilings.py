"""What the machine can do: the highest rate of products and convolutions, and the work of a network."""

import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.kinds import Kind, make_work
from modules.networks.unet import UNet
from modules.networks.vae import AutoencoderKL

__all__ = ["decoder_work", "highest_rate", "unet_work"]

_ROUNDS = 5


def highest_rate(dtype: str) -> float:
    """Floating point operations a second: the best of a few matrix products and convolutions.

    Args:
        dtype: "float32" or "bfloat16".
    """
    with torch.inference_mode():
        return max(work / _median_seconds(run) for work, run in _candidates(getattr(torch, dtype)))


def unet_work(kind: Kind, side: int) -> int:
    """Floating point operations of one U-Net call on two rows."""
    work = make_work(kind, side)
    with torch.device("meta"):
        unet = UNet(kind.unet)
        vector = None if work.vector is None else work.vector.to("meta")
        return _counted(
            lambda: unet(work.x.to("meta"), work.timesteps.to("meta"), work.context.to("meta"), vector)
        )


def decoder_work(kind: Kind, side: int) -> int:
    """Floating point operations of decoding one picture."""
    with torch.device("meta"):
        vae = AutoencoderKL(kind.vae)
        return _counted(lambda: vae.decode(make_work(kind, side).z.to("meta")))


def _counted(run: Callable[[], Tensor]) -> int:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        run()
    return int(counter.get_total_flops())


def _candidates(dtype: torch.dtype) -> Iterator[tuple[int, Callable[[], Tensor]]]:
    for rows, columns, inner in ((2048, 2048, 2048), (2048, 5120, 640)):
        x, weight = torch.randn(rows, inner).to(dtype), torch.randn(columns, inner).to(dtype)
        yield 2 * rows * columns * inner, partial(F.linear, x, weight)
        onednn = torch.ops.mkldnn._linear_pointwise  # noqa: SLF001 - the name torch's own compiler uses
        yield 2 * rows * columns * inner, partial(onednn, x, weight, None, "none", [], "")
    for channels, cells in ((320, 64), (640, 32)):
        picture = torch.randn(2, channels, cells, cells).to(dtype)
        kernel = torch.randn(channels, channels, 3, 3).to(dtype)
        last = torch.channels_last
        run = partial(
            F.conv2d, picture.contiguous(memory_format=last), kernel.contiguous(memory_format=last), padding=1
        )
        yield 2 * 2 * cells**2 * channels**2 * 9, run


def _median_seconds(run: Callable[[], Tensor]) -> float:
    run()
    seconds = []
    for _ in range(_ROUNDS):
        begun = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds)
