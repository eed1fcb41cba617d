"""Which device computes, in which number formats, and how much memory it has left."""

import ctypes
import importlib.util
import os
import platform
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from modules.exceptions import RequestError
from modules.runtime.attention import AttentionKind

__all__ = [
    "Precision",
    "Residency",
    "Runtime",
    "WeightStorage",
    "bfloat16_is_faster",
    "choose_runtime",
    "configure_process",
    "free_memory",
]

Precision = Literal["auto", "full", "half"]
Residency = Literal["all", "turns for SDXL", "turns", "layers"]
WeightStorage = Literal["as computed", "fp8", "fp8 and exact"]

_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8  # of glibc's malloc.h
_KEEP_FREED_BYTES = 2**31 - 1
_BFLOAT16_UNITS = ("amx_bf16", "avx512_bf16", "bf16")  # the last one is Arm's
_PROBE_SIDE, _PROBES = 768, 5
_CLEARLY = 1.3  # real units make it 2 to 8 times as fast, so that the answer is always the same
_EXACT_PRODUCT_ERROR = 1e-5  # relative; fp32 sums of 512 products differ by 1e-6, bfloat16's by 3e-3


@dataclass(frozen=True)
class Runtime:
    """Where and how networks run.

    Attributes:
        device: where the weights lie.
        dtype: number format of U-Net and text encoders.
        vae_dtype: number format of the VAE.
        batch_invariant: compute each picture apart, so that its bits do not depend on its company.
        attention: how attention is computed; see :func:`modules.runtime.attention.use_attention`.
        check_values: look for NaN behind each network, and for pictures that are all black.
        channels_last: feature maps lie in memory pixel by pixel, as convolutions on CPUs want them.
        prepacked: networks may keep their weights once more, in the order in which the CPU multiplies them.
        weights: the format that the weights of U-Net and text encoders are kept in: the one they are computed
            in, eight bits, or eight bits with the rounded values beside them for adapters to start from.
        residency: what lies on the device: all networks of a model; the one that computes, while the others
            wait in main memory; of the U-Net only the layer that computes and the next one.
        compiled: let ``torch.compile`` make the U-Net faster; see :class:`modules.runtime.compiled.Compiler`.
        graphs: record the U-Net's calls and replay them; see :class:`modules.runtime.graphs.Graphs`.
    """

    device: torch.device
    dtype: torch.dtype = torch.float32
    vae_dtype: torch.dtype = torch.float32
    batch_invariant: bool = False
    attention: AttentionKind = "sdpa"
    check_values: bool = True
    channels_last: bool = False
    prepacked: bool = False
    weights: WeightStorage = "as computed"
    residency: Residency = "all"
    graphs: bool = False
    compiled: bool = False

    @property
    def home(self) -> torch.device:
        """Where weights are loaded to."""
        return self.device if self.residency == "all" else torch.device("cpu")


def choose_runtime(
    device: str | None = None,
    precision: Precision = "auto",
    *,
    attention: AttentionKind | Literal["auto"] = "auto",
    batch_invariant: bool = False,
    check_values: bool = True,
    residency: Residency = "all",
    graphs: bool = True,
    compiled: bool = False,
) -> Runtime:
    """Pick device and number formats.

    Args:
        device: "cpu", "cuda", "cuda:1", "mps" ...; None or "auto" takes the best there is.
        precision: "full" is float32 everywhere, "half" is 16 bits everywhere, "auto" is 16 bits for all but
            the VAE on a GPU; on the CPU bfloat16 everywhere where it has units for it that are found to be
            faster, else float32.
        attention: "auto" is torch's fused kernel, what is faster in bfloat16 on this CPU, or on CUDA what is
            found to be fastest for each shape.
        batch_invariant: see :class:`Runtime`.
        check_values: see :class:`Runtime`.
        residency: see :class:`Runtime`; without effect where the device has no memory of its own.
        compiled: see :class:`Runtime`; "auto" attention and packed weights are then left to the compiler.
        graphs: whether to record calls where the device can, which is on NVIDIA's and AMD's.

    Raises:
        RequestError: the device does not exist here, xformers is asked for and not installed, or another
            attention than the compiler's is asked for beside it.
    """
    chosen = _device(device)
    if attention == "xformers" and importlib.util.find_spec("xformers") is None:
        raise RequestError("attention", "xformers is not installed; leave the choice to 'auto'")
    if compiled and attention not in {"auto", "sdpa"}:
        raise RequestError("attention", "compiled networks compute attention by 'sdpa'; leave it to 'auto'")
    if chosen.type == "cpu":
        half = precision == "half" or (precision == "auto" and bfloat16_is_faster())
        dtype = vae_dtype = torch.bfloat16 if half else torch.float32  # CPUs have no float16 units
    else:
        half = precision != "full"
        dtype = torch.float16 if half else torch.float32
        # float16 overflows in SDXL's VAE, and bfloat16 takes some digits from smooth gradients
        vae_dtype = torch.bfloat16 if precision == "half" else torch.float32
    best: AttentionKind = "sdpa" if compiled else _best_attention(chosen, half=half)
    return Runtime(
        device=chosen,
        dtype=dtype,
        vae_dtype=vae_dtype,
        batch_invariant=batch_invariant,
        attention=best if attention == "auto" else attention,
        check_values=check_values,
        channels_last=chosen.type == "cpu" and half,
        prepacked=chosen.type == "cpu" and half and not compiled,
        residency="all" if chosen.type in {"cpu", "mps"} else residency,
        graphs=graphs and chosen.type == "cuda",
        compiled=compiled,
    )


def _best_attention(device: torch.device, *, half: bool) -> AttentionKind:
    if device.type == "cuda":
        return "fastest"
    if device.type != "cpu" or not half:
        return "sdpa"
    if not torch.cpu.get_capabilities().get("amx_bf16"):
        return "blocked"
    has_llvm = importlib.util.find_spec("llvmlite") is not None
    # the operating system lends the tiles to a process that asks, and may refuse
    return "tiled" if has_llvm and torch.cpu._init_amx() else "sdpa"  # noqa: SLF001 - it has no public name


def bfloat16_is_faster() -> bool:
    """Whether this CPU has units for bfloat16, and a product in it takes clearly less time."""
    has = torch.cpu.get_capabilities()
    if not any(has.get(unit) for unit in _BFLOAT16_UNITS):
        return False
    x = torch.randn(_PROBE_SIDE, _PROBE_SIDE, generator=torch.Generator().manual_seed(0))
    return _least_seconds(x.bfloat16()) * _CLEARLY < _least_seconds(x)


def _least_seconds(x: torch.Tensor) -> float:
    seconds = []
    for _ in range(_PROBES):
        begun = time.perf_counter()
        x @ x
        seconds.append(time.perf_counter() - begun)
    return min(seconds)


def configure_process(threads: int = 0) -> None:
    """Set what is best set once, before the first large tensor: memory allocator and threads.

    None of it changes a result, except that on AMD processors matrix products may differ in their last bits
    from those of a process that did not call this.

    Args:
        threads: for matrix products and convolutions; 0 leaves torch's choice, one for each core.
    """
    if threads > 0:
        torch.set_num_threads(threads)
    _keep_freed_memory()
    if _is_amd():
        _prefer_onednn_products()


def free_memory(device: torch.device) -> int:
    """Bytes that can still be allocated on the device; for the CPU, what the system calls available."""
    if device.type == "cuda":
        free, _total = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if sys.platform == "linux":
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _device(name: str | None) -> torch.device:
    if name in {None, "", "auto"}:
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name or "cpu")
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise RequestError("device", f"device {name!r} cannot be used here; try 'cpu'") from error
    return device


def _keep_freed_memory() -> None:
    """Let glibc keep freed tensors for the next ones: the U-Net runs 1.2, the VAE 1.6 times as fast.

    One arena for all threads, because large tensors do not fit into those of other threads than the main
    one, and the engine runs in such a thread.
    """
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(_M_MMAP_MAX, 0)
    libc.mallopt(_M_TRIM_THRESHOLD, _KEEP_FREED_BYTES)
    libc.mallopt(_M_ARENA_MAX, 1)


def _is_amd() -> bool:
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.exists() and "AuthenticAMD" in cpuinfo.read_text(encoding="utf-8", errors="replace")[:4096]


def _prefer_onednn_products() -> bool:
    """Send float32 matrix products to oneDNN, twice as fast as MKL on AMD, if they stay float32 there.

    The switch only permits bfloat16; processors with matrix units for it really use them, so a product is
    compared with its float64 value, and the switch turned back if it is not as exact as float32.
    """
    matmul = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before = matmul.fp32_precision
    matmul.fp32_precision = "bf16"
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(512, 512, generator=generator) for _ in range(2))
    exact = a.double() @ b.double()
    is_exact = bool((a @ b - exact).norm() / exact.norm() < _EXACT_PRODUCT_ERROR)
    if not is_exact:
        matmul.fp32_precision = before
    return is_exact
