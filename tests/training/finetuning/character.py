"""Teaches the embedded model an invented creature on a processor, and measures what came of it.

    python -m tests.training.finetuning.character FOLDER [--kind lora] [--steps 900]

Draws twenty pictures of it, trains, and leaves in FOLDER: ``sheet.jpg`` (some of the pictures, and the same
prompts and seeds before and after), the loss curve, the trained file and ``report.json``. A run that was
stopped goes on where it was. The judge is a small network that was trained on drawings of the creature and of
creatures that differ from it in colour, eyes, antennae or shape.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from modules.training.finetuning.presets import merged, preset_values
from modules.training.finetuning.recipe import FineTuneRecipe, checked_recipe
from tests.training.finetuning.creatures import BACKGROUNDS, NAME, draw_stranger, draw_zorblax, write_set
from tests.training.finetuning.example import (
    kept_pictures,
    share,
    trained,
    training_room,
    write_report,
    write_sheet,
)

__all__ = ["Judge", "main"]

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
        "result": arguments.result,
        "name": NAME,
        "replace": True,
        "data": {"folder": str(pictures), "trigger": NAME},
        "optimisation": {
            "steps": arguments.steps,
            "learning_rate": arguments.learning_rate,
            "timestep_shift": arguments.timestep_shift,
        },
        "embedding": {"vectors": 8, "initial_text": "blue alien"},
        "samples": {"every": arguments.sample_every, "prompts": [_SHOWN[0].replace("{}", "[name]")]},
        "prior": {"prompt": "an alien", "pictures": 20} if arguments.kind == "dreambooth" else None,
    }
    preset = preset_values("Embedded model, processor", arguments.kind, arguments.result)
    return checked_recipe(merged(preset, flags))


def main(argv: Sequence[str] | None = None) -> int:
    """Train and measure; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kind", choices=("lora", "textual-inversion", "dreambooth"), default="lora")
    parser.add_argument("--result", choices=("lora", "checkpoint"), help="what DreamBooth leaves")
    parser.add_argument("--steps", type=int, help="the preset's if not given")
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--timestep-shift", type=float)
    parser.add_argument("--judged", type=int, default=60, help="pictures that are drawn and judged")
    parser.add_argument("--sample-every", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    folder: Path = arguments.folder
    pictures = write_set(folder / "pictures")
    run = training_room(folder, arguments.threads).open(_recipe(arguments, pictures), folder / "run")
    shown = [prompt.format(NAME) for prompt in _SHOWN]
    colours = list(BACKGROUNDS)
    asked = [f"a {NAME}, {colours[index % len(colours)]} background" for index in range(arguments.judged)]
    before = kept_pictures(run.model, run.texts, shown, 42, folder / "before")
    cost = trained(run, arguments.threads)
    after = kept_pictures(run.model, run.texts, shown, 42, folder / "after")
    taught = [Image.open(path) for path in sorted(pictures.glob("*.png"))[: len(shown)]]
    write_sheet((taught, before, after), folder / "sheet.jpg")
    judge = Judge()
    judged = kept_pictures(run.model, run.texts, asked, 1000, folder / "judged")
    figures = {
        "judge_accuracy_on_unseen_drawings": judge.accuracy,
        "recognised_before": share(judge.recognised(before), len(before)),
        "recognised_after": share(judge.recognised(judged), len(judged)),
    }
    write_report({**cost, **figures}, folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
