"""Teaches the embedded model a word for a look, as a textual inversion, and measures what came of it.

    python -m tests.training.finetuning.look FOLDER

The look is a colour scheme: blue things on a pink background. The model itself draws twenty of them from
their full descriptions; then one word of four vectors learns from these pictures what the description said.
Asked for are things that no picture showed. Whether one is blue on pink is said by rule, without a network
(``modules/training/fidelity/rules.py``). Leaves in FOLDER what ``character.py`` leaves. A run that was
stopped goes on where it was.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from modules.checkpoints.loader import load_model
from modules.training.fidelity.rules import background_is, hue_is
from modules.training.finetuning.opening import TrainingRoom
from modules.training.finetuning.presets import merged, preset_values
from modules.training.finetuning.recipe import FineTuneRecipe, checked_recipe
from modules.training.finetuning.texts import CaptionEncoder
from tests.training.finetuning.example import (
    kept_pictures,
    share,
    trained,
    training_room,
    write_report,
    write_sheet,
)

__all__ = ["main"]

WORD = "bluepink"
_TAUGHT = (
    "apple", "mushroom", "dog", "rabbit", "frog", "fish", "owl", "cactus", "castle", "rocket",
    "car", "train", "balloon", "star", "umbrella", "heart", "key", "robot", "ghost", "gift",
)  # fmt: skip
_ASKED = (
    "cat", "fox", "house", "sailboat", "penguin", "teddy bear", "pizza", "bear", "elephant", "turtle",
    "butterfly", "tree", "bus", "crown", "snowman", "cake", "guitar", "lion", "banana", "book",
)  # fmt: skip
_SHOWN = 6
_BEFORE = 12  # pictures are enough to see that the word means nothing yet


def _draw_taught(room: TrainingRoom, folder: Path) -> Path:
    """The pictures that are learnt from, with captions that say nothing of the look but its word."""
    file = room.catalog.checkpoints()[0]
    model = load_model(file, room.catalog.resolve_vae(file), room.runtime)
    prompts = [f"a blue {name}, pink background" for name in _TAUGHT]
    kept_pictures(model, CaptionEncoder(model), prompts, 0, folder)
    for index, name in enumerate(_TAUGHT):
        (folder / f"{index:03d}.txt").write_text(f"a {name}, {WORD}", encoding="utf-8")
    return folder


def _recipe(arguments: argparse.Namespace, pictures: Path) -> FineTuneRecipe:
    own = {
        "kind": "textual-inversion",
        "name": WORD,
        "replace": True,
        "data": {"folder": str(pictures)},
        "optimisation": {"steps": arguments.steps, "learning_rate": arguments.learning_rate},
        "embedding": {"vectors": 4},
    }
    return checked_recipe(merged(preset_values("Embedded model, processor", "textual-inversion"), own))


def _shares(pictures: Sequence[Image.Image]) -> dict[str, str]:
    """How many have a pink background, and before it something blue, or blue or purple."""
    pixels = [np.asarray(picture.convert("RGB")) for picture in pictures]
    pink = [background_is(picture, "pink") for picture in pixels]
    blue = [hue_is(picture, "blue") for picture in pixels]
    near = [is_blue or hue_is(picture, "purple") for is_blue, picture in zip(blue, pixels, strict=True)]
    counted = {"on pink": pink, "blue": blue, "blue or purple": near}
    return {what: share(sum(found), len(pictures)) for what, found in counted.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Train and measure; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, help="the preset's if not given")
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--judged", type=int, default=40, help="pictures that are drawn and judged")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    folder: Path = arguments.folder
    room = training_room(folder, arguments.threads)
    pictures = _draw_taught(room, folder / "pictures")
    run = room.open(_recipe(arguments, pictures), folder / "run")
    asked = [f"a {_ASKED[index % len(_ASKED)]}, {WORD}" for index in range(arguments.judged)]
    before = kept_pictures(run.model, run.texts, asked[:_BEFORE], 1000, folder / "before")
    cost = trained(run, arguments.threads)
    after = kept_pictures(run.model, run.texts, asked, 1000, folder / "after")
    taught = [Image.open(path) for path in sorted(pictures.glob("*.png"))]
    write_sheet([row[:_SHOWN] for row in (taught, before, after)], folder / "sheet.jpg")
    figures = {
        name: _shares(judged) for name, judged in (("taught", taught), ("before", before), ("after", after))
    }
    write_report({**cost, **figures}, folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
