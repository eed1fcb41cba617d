"""Teaches the embedded model an invented creature on a processor, and measures what came of it.

    python -m tests.training.finetuning.character FOLDER [--kind lora] [--steps 400]

Draws twenty pictures of it, trains, and leaves in FOLDER: ``before.png`` and ``after.png`` (the same
prompts and seeds), the loss curve, the trained file and ``report.json``. The judge is a small network that
was trained on drawings of the creature and of creatures that differ from it in colour, eyes, antennae or
shape.
"""

import argparse
import json
import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from modules.adapters.textual_inversion import EmbeddingCatalog
from modules.checkpoints.catalog import ModelCatalog
from modules.cli import ROOT
from modules.runtime.device import choose_runtime, configure_process
from modules.settings.launch import Folders
from modules.training.finetuning.drawing import draw_picture, draw_row
from modules.training.finetuning.opening import TrainingRoom
from modules.training.finetuning.presets import PRESETS, merged
from modules.training.finetuning.recipe import FineTuneRecipe, checked_recipe
from modules.training.finetuning.session import FineTuning
from tests.training.finetuning.creatures import BACKGROUNDS, NAME, draw_stranger, draw_zorblax, write_set

__all__ = ["Judge", "main"]

log = logging.getLogger(__name__)

_SIDE = 64  # pixels that the judge looks at
_SHOWN = ("a smiling {}, white background", "a sad {}, yellow background", "a surprised {}, pink background",
          "a smiling {}, green background", "a {}", "a {}, red background")  # fmt: skip


class Judge:
    """Tells a zorblax from everything else."""

    def __init__(self, count: int = 500, epochs: int = 12) -> None:
        torch.manual_seed(0)
        self._network = nn.Sequential(
            nn.Conv2d(3, 16, 5, stride=2, padding=2), nn.SiLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.SiLU(),
            nn.Conv2d(32, 32, 3, stride=2, padding=1), nn.SiLU(),
            nn.Flatten(), nn.Linear(32 * 64, 1),
        )  # fmt: skip
        pictures, labels = _drawn(count, seed=100)
        optimiser = torch.optim.AdamW(self._network.parameters(), lr=2e-3)
        for _ in range(epochs):
            for part in torch.randperm(len(labels)).split(64):
                loss = F.binary_cross_entropy_with_logits(self._network(pictures[part])[:, 0], labels[part])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
        unseen, wanted = _drawn(200, seed=200)
        self.accuracy = float(((self._scores(unseen) > 0) == (wanted > 0.5)).float().mean())

    def recognised(self, pictures: Sequence[Image.Image]) -> int:
        """How many of the pictures show a zorblax."""
        return int((self._scores(torch.stack([_pixels(picture) for picture in pictures])) > 0).sum())

    @torch.no_grad()
    def _scores(self, pictures: Tensor) -> Tensor:
        scores: Tensor = self._network(pictures)[:, 0]
        return scores


def _pixels(picture: Image.Image) -> Tensor:
    small = picture.convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.BOX)
    return torch.from_numpy(np.array(small)).permute(2, 0, 1).float() / 127.5 - 1


def _drawn(count: int, seed: int) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(seed)
    own = [_pixels(draw_zorblax(rng, 128)[0]) for _ in range(count)]
    others = [_pixels(draw_stranger(rng, 128)) for _ in range(count)]
    return torch.stack([*own, *others]), torch.tensor([1.0] * count + [0.0] * count)


def _recipe(arguments: argparse.Namespace, pictures: Path) -> FineTuneRecipe:
    flags = {
        "kind": arguments.kind,
        "name": NAME,
        "replace": True,
        "data": {"folder": str(pictures), "trigger": NAME},
        "optimisation": {
            "steps": arguments.steps,
            "learning_rate": arguments.learning_rate,
            "bfloat16": True,
        },
        "embedding": {"vectors": 8, "initial_text": "alien monster"},
        "samples": {"every": arguments.sample_every, "prompts": [_SHOWN[0].replace("{}", "[name]")]},
        "prior": {"prompt": "an alien monster", "pictures": 20} if arguments.kind == "dreambooth" else None,
    }
    return checked_recipe(merged(PRESETS["Embedded model, processor"], flags))


def _room(folder: Path, threads: int) -> TrainingRoom:
    configure_process(threads)
    folders = replace(Folders.below(folder), extra_checkpoints=(ROOT / "models" / "Stable-diffusion",))
    catalog = ModelCatalog(folders, hashing=False)
    embeddings = EmbeddingCatalog((folders.embeddings,), catalog.store)
    return TrainingRoom(folders, catalog, embeddings, choose_runtime("cpu"))


def _draw(run: FineTuning, prompts: Sequence[str], first_seed: int) -> list[Image.Image]:
    return [
        draw_picture(run.model, run.texts, prompt, side=256, seed=first_seed + index, steps=20, cfg_scale=4.0)
        for index, prompt in enumerate(prompts)
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Train and measure; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kind", choices=("lora", "textual-inversion", "dreambooth"), default="lora")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--judged", type=int, default=40, help="pictures that are drawn and judged")
    parser.add_argument("--sample-every", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    folder: Path = arguments.folder
    pictures = write_set(folder / "pictures")
    run = _room(folder, arguments.threads).open(_recipe(arguments, pictures), folder / "run")
    shown = [prompt.format(NAME) for prompt in _SHOWN]
    colours = list(BACKGROUNDS)
    asked = [f"a {NAME}, {colours[index % len(colours)]} background" for index in range(arguments.judged)]
    before = _draw(run, shown, 42)
    draw_row(before, folder / "before.png")
    begun = time.monotonic()
    for progress in run.updates():
        if progress.step % 50 == 0 and not progress.text:
            log.info("step %d after %.0f s", progress.step, time.monotonic() - begun)
    seconds = time.monotonic() - begun
    after = _draw(run, shown, 42)
    draw_row(after, folder / "after.png")
    judge = Judge()
    report = {
        "steps": run.trainer.step,
        "seconds": round(seconds),
        "threads": arguments.threads,
        "judge_accuracy_on_unseen_drawings": judge.accuracy,
        "recognised_before": f"{judge.recognised(before)} of {len(before)}",
        "recognised_after": f"{judge.recognised(_draw(run, asked, 1000))} of {len(asked)}",
    }
    (folder / "report.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    log.info("%s", report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
