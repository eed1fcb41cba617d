"""Teaches the judge, once: a few minutes on two processor cores."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch

from modules.training.fidelity.judge import Judge, Labels
from modules.training.fidelity.pictures import RealPictures
from modules.training.loop import LoopSettings, Measurement, Trainer, numpy_generator
from modules.training.optimisers import LearningRateSchedule, build_optimisers

__all__ = ["taught_judge"]

_STEPS = 700
_BATCH = 64
_SEED = 11


def taught_judge(pictures: RealPictures, labels: Labels, folder: Path, *, steps: int = _STEPS) -> Judge:
    """The judge of these pictures.

    Its state is kept in ``folder`` under a name that depends on what it learns. A judge that is taught
    already is only read, one that was interrupted goes on.
    """
    torch.manual_seed(_SEED)
    judge = Judge(labels)
    settings = LoopSettings(
        steps=steps, schedule=LearningRateSchedule(steps, steps // 14, 0.4), ema_decay=0, save_seconds=60
    )
    optimisers = build_optimisers(judge, adam_rate=2e-3, muon_rate=4e-3, weight_decay=0.01)
    trainer = Trainer(judge, optimisers, settings, folder / f"judge-{_name(pictures, labels, steps)}.pt")
    trainer.resume()

    def measure(step: int) -> Measurement:
        pixels, wanted = pictures.sample(numpy_generator(_SEED, step), _BATCH)
        with torch.autocast("cpu", torch.bfloat16):
            return judge.loss(pixels, wanted), {}

    trainer.run(measure)
    judge.eval()
    return judge


def _name(pictures: RealPictures, labels: Labels, steps: int) -> str:
    shown: Sequence[object] = [drawing.plain for drawing in pictures.drawings]
    said = repr((sorted(labels.names.items()), shown, steps, _BATCH, _SEED))
    return hashlib.sha256(said.encode()).hexdigest()[:12]
