from pathlib import Path

import torch
from PIL import Image

from modules.training.compositions import Composition
from modules.training.concepts import Concept
from modules.training.fidelity.evaluation import judge_accuracy
from modules.training.fidelity.judge import ASPECTS, SIDE, UNKNOWN, Judge, Labels, to_pixels
from modules.training.fidelity.learning import taught_judge
from modules.training.fidelity.pictures import RealPictures, drawings_for
from modules.training.loop import numpy_generator
from tests.training.drawings import library

CONCEPTS = (Concept("apple", "red apple"), Concept("ghost", "ghost"))
LABELS = Labels.of(CONCEPTS)


def test_labels_name_what_a_composition_shows() -> None:
    shown = Composition("ghost", "flat", 3, background="blue", colour="green")
    row = LABELS.row(shown, has_one_hue=False)
    assert [LABELS.names[aspect][number] for aspect, number in zip(ASPECTS, row, strict=True)] == [
        "ghost", "flat", "blue", "green",
    ]  # fmt: skip


def test_a_hue_without_a_name_is_no_label() -> None:
    colour = ASPECTS.index("colour")
    assert LABELS.row(Composition("ghost", "flat", 0), has_one_hue=True)[colour] == UNKNOWN
    many = LABELS.row(Composition("ghost", "flat", 0), has_one_hue=False)[colour]
    assert LABELS.names["colour"][many] == "many"
    black = LABELS.row(Composition("ghost", "line art", 0), has_one_hue=False)[colour]
    assert LABELS.names["colour"][black] == "black"


def test_a_picture_is_seen_small_and_in_symmetric_numbers() -> None:
    pixels = to_pixels(Image.new("RGB", (256, 256), (0, 255, 0)))
    assert pixels.shape == (3, SIDE, SIDE)
    assert pixels[:, 5, 5].tolist() == [-1.0, 1.0, -1.0]


def test_unknown_labels_do_not_count_in_the_loss() -> None:
    torch.manual_seed(0)
    judge = Judge(LABELS)
    pixels = torch.randn(3, 3, SIDE, SIDE)
    one = torch.tensor([[0, 1, 2, 3]] * 3)
    unknown = one.clone()
    unknown[1:, 3] = UNKNOWN
    unknown_pixels = pixels.clone()
    assert torch.isfinite(judge.loss(unknown_pixels, unknown))
    none = torch.full_like(one, UNKNOWN)
    assert judge.loss(pixels, none).item() == 0


def test_the_judge_learns_the_drawings_and_is_only_read_the_next_time(tmp_path: Path) -> None:
    real = RealPictures(drawings_for(CONCEPTS, library()), LABELS)
    judge = taught_judge(real, LABELS, tmp_path, steps=12)
    shares = {(share.group, share.measure): share for share in judge_accuracy(judge, real, 40)}
    assert {share.measure for share in shares.values()} == {*ASPECTS, "concept, best five"}
    concept = shares["real pictures, trained pairs", "concept"]
    assert concept.right / concept.total > 0.6  # there are two, so that guessing is right in half
    again = taught_judge(real, LABELS, tmp_path, steps=12)
    for one, other in zip(judge.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_same_numbers_give_the_same_pictures() -> None:
    real = RealPictures(drawings_for(CONCEPTS, library()), LABELS)
    one, other = (real.sample(numpy_generator(1, 2), 8) for _ in range(2))
    assert torch.equal(one[0], other[0])
    assert torch.equal(one[1], other[1])
