"""Folders of small pictures for tests of fine-tuning."""

from pathlib import Path

import numpy as np
from PIL import Image

__all__ = ["draw", "subject"]


def draw(path: Path, size: tuple[int, int] = (48, 48), seed: int = 0) -> Path:
    """A blurred random picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 255, (4, 4, 3), dtype=np.uint8))
    small.resize(size, Image.Resampling.BICUBIC).save(path)
    return path


def subject(folder: Path, count: int = 3) -> Path:
    """Captioned pictures of different shapes."""
    for index in range(count):
        path = draw(folder / f"{index}.png", ((48, 48), (80, 40), (40, 80))[index % 3], index)
        path.with_suffix(".txt").write_text(f"a thing, number {index}", encoding="utf-8")
    return folder
