"""Which way to compute attention is the fastest on a GPU: found by trying, once for each shape in a process.

Torch chooses among its kernels by rules made for all GPUs. Another way is taken only where it is clearly
faster, so that the answer, and with it the last bits of pictures, is the same at every start.
"""

import importlib
import importlib.util
import logging
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

__all__ = ["Form", "Way", "choose_way", "fastest_attention", "xformers_attention"]

log = logging.getLogger(__name__)

Way = Callable[[Tensor, Tensor, Tensor, bool], Tensor]

USUAL = "torch's own choice"
_CLEARLY = 1.15  # times as fast; less is noise
_WARM_UPS, _CALLS = 3, 10
_AGREE = 1e-2  # relative L2; 16 bits differ by a tenth of it


@dataclass(frozen=True)
class Form:
    """What the speed depends on: shapes (B, H, T, D) of queries and of keys, format, device, causality."""

    queries: tuple[int, ...]
    keys: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device
    causal: bool


def fastest_attention(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
    """Attention in the way that is fastest for its shape; see :func:`modules.runtime.attention.attention`.

    Torch's own choice where something learns. While a graph is recorded nothing can be tried, nor need it be:
    plain calls of the same shapes have come before.
    """
    if torch.is_grad_enabled() and q.requires_grad:
        return _usual(q, k, v, causal)
    way = _way_for(Form(tuple(q.shape), tuple(k.shape), q.dtype, q.device, causal))
    return way(q, k, v, causal)


def choose_way(form: Form, ways: Mapping[str, Way], seconds: Callable[[Callable[[], Tensor]], float]) -> str:
    """Name the fastest way that gives the right result; ``USUAL`` unless another is clearly faster.

    Args:
        form: what is computed.
        ways: by name, ``USUAL`` among them; one that cannot do it may raise RuntimeError.
        seconds: how long a call takes.
    """
    times: dict[str, float] = {}
    expected: Tensor | None = None
    inputs = _inputs(form)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # torch explains at length why a kernel cannot be used
        for name, way in sorted(ways.items(), key=lambda item: item[0] != USUAL):
            try:
                result = way(*inputs, form.causal).float()
                expected = result if expected is None else expected
                if (result - expected).norm() <= _AGREE * expected.norm():
                    times[name] = seconds(partial(way, *inputs, form.causal))
            except (RuntimeError, NotImplementedError, ValueError) as reason:
                log.debug("attention %s cannot be computed by %s: %s", form, name, reason)
    best = min(times, key=lambda name: times[name], default=USUAL)
    if best != USUAL and times[best] * _CLEARLY > times.get(USUAL, 0.0) > 0:
        best = USUAL
    spent = ", ".join(f"{name} {1e6 * each:.0f} µs" for name, each in times.items())
    log.info("attention of %s over %s is computed by %s (%s)", form.queries, form.keys, best, spent)
    return best


def xformers_attention(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
    """Attention by xformers, which must be installed."""
    ops = importlib.import_module("xformers.ops")
    bias = ops.LowerTriangularMask() if causal else None
    out: Tensor = ops.memory_efficient_attention(
        q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), attn_bias=bias
    )
    return out.transpose(1, 2)


@cache
def _way_for(form: Form) -> Way:
    ways = _ways()
    return ways[choose_way(form, ways, _seconds_on(form.device))]


def _ways() -> dict[str, Way]:
    ways: dict[str, Way] = {USUAL: _usual}
    for name, backend in (
        ("flash", SDPBackend.FLASH_ATTENTION),
        ("memory-efficient", SDPBackend.EFFICIENT_ATTENTION),
        ("cuDNN", SDPBackend.CUDNN_ATTENTION),
    ):
        ways[name] = partial(_by_backend, backend)
    if importlib.util.find_spec("xformers") is not None:
        ways["xformers"] = xformers_attention
    return ways


def _usual(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v, is_causal=causal)


def _by_backend(backend: SDPBackend, q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
    with sdpa_kernel(backend):
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal)


def _inputs(form: Form) -> tuple[Tensor, Tensor, Tensor]:
    """Random ones that lie in memory as the networks' do; the device's own random numbers stay untouched."""
    generator = torch.Generator(form.device).manual_seed(0)

    def make(shape: tuple[int, ...]) -> Tensor:
        batch, heads, length, width = shape
        values = torch.randn(batch, length, heads, width, generator=generator, device=form.device)
        return values.to(form.dtype).transpose(1, 2)

    return make(form.queries), make(form.keys), make(form.keys)


def _seconds_on(device: torch.device) -> Callable[[Callable[[], Tensor]], float]:
    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    def seconds(call: Callable[[], Tensor]) -> float:
        for _ in range(_WARM_UPS):
            call()
        wait()
        begun = time.perf_counter()
        for _ in range(_CALLS):
            call()
        wait()
        return (time.perf_counter() - begun) / _CALLS

    return seconds
