"""The loss over the steps, as a picture and as numbers."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from modules.imaging.files import make_folder, write_replacing
from modules.imaging.png_file import png_file

__all__ = ["draw_curve", "read_losses", "smoothed", "write_losses"]

_SIZE = (640, 280)
_MARGIN = (52, 12, 12, 28)  # left, top, right, bottom
_INK, _FAINT, _LINE, _PAPER = (60, 60, 60), (170, 190, 225), (30, 90, 200), (255, 255, 255)


def smoothed(losses: Sequence[float]) -> NDArray[np.float64]:
    """Mean of the neighbourhood of each step; a single step's loss says little, it depends on its noise."""
    values = np.asarray(losses, dtype=np.float64)
    reach = max(1, min(50, len(values) // 10))
    sums = np.concatenate([[0.0], values.cumsum()])
    last = np.minimum(np.arange(len(values)) + reach, len(values))
    first = np.maximum(np.arange(len(values)) - reach, 0)
    means: NDArray[np.float64] = (sums[last] - sums[first]) / (last - first)
    return means


def draw_curve(losses: Sequence[float], path: Path) -> Path:
    """Write a PNG: every loss faintly, and their moving mean."""
    canvas = Image.new("RGB", _SIZE, _PAPER)
    pen = ImageDraw.Draw(canvas)
    left, top = _MARGIN[0], _MARGIN[1]
    right, bottom = _SIZE[0] - _MARGIN[2], _SIZE[1] - _MARGIN[3]
    pen.rectangle((left, top, right, bottom), outline=_INK)
    if losses:
        mean = smoothed(losses)
        highest = max(float(np.quantile(losses, 0.98)), float(mean.max())) * 1.05 or 1.0

        def place(step: int, value: float) -> tuple[float, float]:
            across = left + (right - left) * step / max(1, len(losses) - 1)
            return across, bottom - (bottom - top) * min(value / highest, 1.0)

        every = max(1, len(losses) // (right - left))
        shown = [*range(0, len(losses), every), len(losses) - 1]
        pen.line([place(step, losses[step]) for step in shown], fill=_FAINT)
        pen.line([place(step, float(mean[step])) for step in shown], fill=_LINE, width=2)
        pen.text((4, top), f"{highest:.3f}", fill=_INK)
        pen.text((4, bottom - 10), "0", fill=_INK)
        pen.text((left, bottom + 8), "1", fill=_INK)
        pen.text((right - 40, bottom + 8), str(len(losses)), fill=_INK)
    make_folder(path.parent)
    write_replacing(path, png_file(canvas))
    return path


def write_losses(losses: Sequence[float], path: Path) -> None:
    """Write step and loss as CSV."""
    lines = ["step,loss", *(f"{step},{loss:.6f}" for step, loss in enumerate(losses, start=1))]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_losses(path: Path) -> list[float]:
    """Losses that :func:`write_losses` wrote."""
    lines = path.read_text(encoding="utf-8").splitlines()[1:]
    return [float(line.partition(",")[2]) for line in lines]
