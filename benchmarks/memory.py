"""How much memory a process has held at most."""

import resource
import sys
from pathlib import Path

import torch

__all__ = ["current_memory", "peak_memory", "peak_on"]


def peak_memory() -> int:
    """Most bytes of main memory this process has held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def peak_on(device: torch.device) -> int:
    """Most bytes this process has held where it computes: allocated on the GPU, or main memory."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else peak_memory()


def current_memory() -> int:
    """Bytes of main memory this process holds now (Linux)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()
