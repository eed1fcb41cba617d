"""What was measured, and the machine it was measured on."""

import os
import platform
import statistics
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch

__all__ = ["Machine", "Result", "as_json", "this_machine"]


@dataclass(frozen=True)
class Result:
    """One measurement of one contestant.

    Attributes:
        part: what was done.
        contestant: by name; "machine" for what depends on no contestant.
        seconds: of each round.
        distance: relative L2 of the output against the reference's.
        amount: bytes, operations or operations a second, for what is no time.
    """

    part: str
    contestant: str
    seconds: tuple[float, ...]
    distance: float | None = None
    amount: float | None = None

    @property
    def median(self) -> float:
        """Seconds, the median of the rounds; 0 where there were none."""
        return statistics.median(self.seconds) if self.seconds else 0.0


@dataclass(frozen=True)
class Machine:
    """Facts that the figures depend on."""

    processor: str
    cores: int
    memory_gib: float
    system: str
    python: str
    torch: str
    matrix_units: str
    load_before: float
    date: str
    gpu: str = ""


def this_machine(device: str = "cpu") -> Machine:
    """Look at the machine this runs on, and at its GPU where that computes."""
    pages = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Machine(
        processor=_processor(),
        cores=os.cpu_count() or 1,
        memory_gib=round(pages / 2**30, 1),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        torch=str(torch.__version__),
        matrix_units=_matrix_units(),
        load_before=round(os.getloadavg()[0], 2),
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        gpu=torch.cuda.get_device_name(device) if device.startswith("cuda") else "",
    )


def as_json(machine: Machine, kind: str, results: list[Result]) -> dict[str, object]:
    """Everything as plain values."""
    return {
        "machine": asdict(machine),
        "kind": kind,
        "results": [{**asdict(result), "median": result.median} for result in results],
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _matrix_units() -> str:
    has = torch.cpu.get_capabilities()
    known = {"amx_bf16": "AMX bfloat16", "avx512_bf16": "AVX-512 bfloat16"}
    return ", ".join(name for key, name in known.items() if has.get(key)) or "none for bfloat16"
