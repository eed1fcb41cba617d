"""Draws the prompts with a checkpoint, lets the judge look, and writes what it says."""

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from modules.checkpoints.files import CheckpointFile, ModelStore
from modules.checkpoints.loader import load_model
from modules.checkpoints.model import LoadedModel
from modules.exceptions import TrainingError
from modules.runtime.device import choose_runtime
from modules.training.fidelity.judge import ASPECTS, UNKNOWN, Judge, to_pixels
from modules.training.fidelity.measures import Share
from modules.training.fidelity.pictures import Part, RealPictures
from modules.training.fidelity.prompts import (
    HELD_OUT_BACKGROUND,
    HELD_OUT_COLOUR,
    HELD_OUT_STYLE,
    FidelityPrompt,
)
from modules.training.fidelity.rules import background_is, hue_is
from modules.training.finetuning.drawing import draw_picture
from modules.training.finetuning.texts import CaptionEncoder
from modules.training.loop import numpy_generator
from modules.training.recolouring import TARGET_COLOURS

__all__ = ["CFG_SCALE", "STEPS", "FidelityArtist", "judge_accuracy", "judge_pictures", "judge_real"]

_LOG = logging.getLogger(__name__)
STEPS = 20
CFG_SCALE = 4.0
_JUDGED_REAL = 600  # real pictures that the judge has never seen
_JUDGED_SEED = 99
_BEST = 5
_PARTS: tuple[Part, ...] = ("trained", "held out")


class FidelityArtist:
    """Draws pictures with a checkpoint and keeps them, so that an evaluation that was stopped goes on.

    Args:
        path: The checkpoint.
        folder: Where pictures are kept, in a folder for each checkpoint by its hash.
        side: Pixels of a picture's side.

    Raises:
        TrainingError: There is no checkpoint.
    """

    def __init__(self, path: Path, folder: Path, *, side: int) -> None:
        if not path.is_file():
            raise TrainingError(f"There is no checkpoint {path}: run the stage 'export' first.")
        self._path, self._side = path.resolve(), side
        with path.open("rb") as file:
            self.model_hash = hashlib.file_digest(file, "sha256").hexdigest()[:10]
        self._folder = folder / "judged" / self.model_hash
        self._store = ModelStore.below(folder / "judged", hashing=False)
        self._model: LoadedModel | None = None

    def draw(self, prompts: Sequence[FidelityPrompt]) -> list[Image.Image]:
        """The pictures of the prompts; those that were drawn before are read."""
        self._folder.mkdir(parents=True, exist_ok=True)
        pictures = []
        for number, prompt in enumerate(prompts, start=1):
            said = f"{prompt.text}|{prompt.seed}|{STEPS}|{CFG_SCALE}|{self._side}"
            path = self._folder / f"{hashlib.sha256(said.encode()).hexdigest()[:16]}.png"
            if not path.is_file():
                partial = path.with_suffix(".partial")
                self._drawn(prompt).save(partial, format="PNG")
                partial.replace(path)
                if number % 20 == 0:
                    _LOG.info("%d of %d pictures drawn", number, len(prompts))
            pictures.append(Image.open(path).convert("RGB"))
        return pictures

    def _drawn(self, prompt: FidelityPrompt) -> Image.Image:
        if self._model is None:
            file = CheckpointFile(self._path, self._path.name, self._store)
            self._model = load_model(file, None, choose_runtime("cpu"))
        texts = CaptionEncoder(self._model)
        return draw_picture(
            self._model,
            texts,
            prompt.text,
            side=self._side,
            seed=prompt.seed,
            steps=STEPS,
            cfg_scale=CFG_SCALE,
        )


def judge_accuracy(judge: Judge, real: RealPictures, count: int = _JUDGED_REAL) -> list[Share]:
    """How often the judge is right about real pictures that it has not seen, and about held-out pairs."""
    shares: list[Share] = []
    for part in _PARTS:
        shares += judge_real(judge, real, f"real pictures, {part} pairs", part, count)
    return shares


def judge_real(
    judge: Judge, real: RealPictures, group: str, part: Part = "trained", count: int = _JUDGED_REAL
) -> list[Share]:
    """How often the judge is right about ``count`` real pictures."""
    pixels, wanted = real.sample(numpy_generator(_JUDGED_SEED, _PARTS.index(part)), count, part)
    ranks = judge.ranks(pixels)
    shares = []
    for column, aspect in enumerate(ASPECTS):
        known = wanted[:, column] != UNKNOWN
        right = ranks[aspect][:, 0] == wanted[:, column]
        shares.append(Share.of(group, aspect, right[known].tolist()))
        if aspect == "concept":
            shares.append(Share.of(group, "concept, best five", _among(ranks[aspect], wanted[:, column])))
    return shares


def judge_pictures(
    judge: Judge, prompts: Sequence[FidelityPrompt], pictures: Sequence[Image.Image]
) -> list[Share]:
    """How many pictures of each group of prompts are right, and of all, and by style.

    Held-out styles count among neither all nor their style, but by style on their own.
    """
    ranks = judge.ranks(torch.stack([to_pixels(picture) for picture in pictures]))
    shares: list[Share] = []
    for group, rows in _groups(prompts).items():
        shares += _group_shares(
            judge,
            group,
            [prompts[row] for row in rows],
            {aspect: ranks[aspect][rows] for aspect in ASPECTS},
            [np.asarray(pictures[row]) for row in rows],
        )
    return shares


def _groups(prompts: Sequence[FidelityPrompt]) -> dict[str, list[int]]:
    """Places of the prompts of every group, of all, and of every style."""
    own: dict[str, list[int]] = {}
    every: dict[str, list[int]] = {}
    styles: dict[str, list[int]] = {}
    for row, prompt in enumerate(prompts):
        own.setdefault(prompt.group, []).append(row)
        style = f"{prompt.wanted.style} style"
        if prompt.group == HELD_OUT_STYLE:
            style = f"held-out {style}"
        else:
            every.setdefault("all", []).append(row)
        styles.setdefault(style, []).append(row)
    return own | every | styles


def _group_shares(
    judge: Judge,
    group: str,
    prompts: Sequence[FidelityPrompt],
    ranks: dict[str, Tensor],
    pictures: Sequence[np.ndarray],
) -> list[Share]:
    def numbers(aspect: str) -> Tensor:
        return torch.tensor(
            [judge.labels.names[aspect].index(getattr(prompt.wanted, aspect)) for prompt in prompts]
        )

    shares = []
    right = {}
    for aspect in ("concept", "style", "background"):
        right[aspect] = (ranks[aspect][:, 0] == numbers(aspect)).tolist()
        shares.append(Share.of(group, aspect, right[aspect]))
    shares.append(Share.of(group, "concept, best five", _among(ranks["concept"], numbers("concept"))))
    by_rule = [
        background_is(picture, prompt.wanted.background)
        for picture, prompt in zip(pictures, prompts, strict=True)
    ]
    shares.append(Share.of(group, "background, by rule", by_rule))
    if group == HELD_OUT_COLOUR:
        right["colour"] = (ranks["colour"][:, 0] == numbers("colour")).tolist()
        shares.append(Share.of(group, "colour", right["colour"]))
        both = [a and b for a, b in zip(right["concept"], right["colour"], strict=True)]
        shares.append(Share.of(group, "concept and colour", both))
        shares.append(Share.of(group, "hue, by rule", _hues(prompts, pictures)))
    for named, aspect in ((HELD_OUT_BACKGROUND, "background"), (HELD_OUT_STYLE, "style")):
        if group == named:
            both = [a and b for a, b in zip(right["concept"], right[aspect], strict=True)]
            shares.append(Share.of(group, f"concept and {aspect}", both))
    return shares


def _hues(prompts: Sequence[FidelityPrompt], pictures: Sequence[np.ndarray]) -> list[bool]:
    return [
        hue_is(picture, prompt.wanted.colour)
        for picture, prompt in zip(pictures, prompts, strict=True)
        if prompt.wanted.colour in TARGET_COLOURS
    ]


def _among(ranks: Tensor, wanted: Tensor) -> list[bool]:
    right: list[bool] = (ranks[:, :_BEST] == wanted[:, None]).any(1).tolist()
    return right
