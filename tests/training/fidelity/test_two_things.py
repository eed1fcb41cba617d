from dataclasses import dataclass

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from modules.training.compositions import Composition, Thing
from modules.training.concepts import Concept
from modules.training.fidelity.judge import SIDE, Labels
from modules.training.fidelity.prompts import FidelityPrompt
from modules.training.fidelity.two_things import (
    HELD_OUT_PAIR,
    SEEN_PAIR,
    judge_pairs,
    pair_prompts,
    real_pairs,
)
from modules.training.held_out import is_pair_held_out
from modules.training.palette import COLOURS
from tests.training.drawings import library

NAMES = ("apple", "bear", "cat", "dog", "egg", "fox", "ghost", "house", "key", "grapes")
CONCEPTS = tuple(Concept(name, name) for name in NAMES)
LABELS = Labels.of(CONCEPTS)
ALONE = [
    Composition(name, style, place)
    for place, (name, style) in enumerate((name, style) for name in NAMES for style in ("cartoon", "flat"))
]
TOGETHER = [
    Composition(one.concept, one.style, one.drawing, "blue", second=Thing(other.concept, other.drawing))
    for one in ALONE
    for other in ALONE
    if one.style == other.style
    and one.concept != other.concept
    and not is_pair_held_out(one.concept, other.concept)
]
COLOUR_OF = {"apple": "red", "fox": "orange"}


@dataclass
class _Eye:
    """Knows things by the colour in the middle: a red apple, an orange fox; all else is a key."""

    labels: Labels = LABELS

    def ranks(self, pixels: Tensor) -> dict[str, Tensor]:
        middle = (pixels[:, :, SIDE // 2, SIDE // 2] + 1) * 127.5
        names = []
        for rgb in middle:
            near = [
                name
                for name, colour in COLOUR_OF.items()
                if (rgb - torch.tensor(COLOURS[colour])).abs().max() < 9
            ]
            names.append(near[0] if near else "key")
        first = torch.tensor([[LABELS.names["concept"].index(name)] for name in names])
        return {"concept": first, "style": torch.zeros(len(names), 1, dtype=torch.int64)}


def _picture(left: str, right: str) -> Image.Image:
    canvas = Image.new("RGB", (256, 256), COLOURS["white"])
    for corner, colour in ((10, left), (138, right)):
        canvas.paste(COLOURS[colour], (corner, 74, corner + 108, 182))
    return canvas


def _prompt(left: str, right: str, group: str = SEEN_PAIR, *, says_where: bool = False) -> FidelityPrompt:
    wanted = Composition(left, LABELS.names["style"][0], 0, second=Thing(right, 1))
    return FidelityPrompt(group, f"a {left} and a {right}", wanted, 1, says_where=says_where)


def test_a_model_that_never_saw_two_things_is_not_asked_for_them() -> None:
    assert not pair_prompts(CONCEPTS, ALONE)


def test_seen_and_held_out_pairs_are_asked_for_on_white() -> None:
    prompts = pair_prompts(CONCEPTS, ALONE + TOGETHER, 20)
    groups = [prompt.group for prompt in prompts]
    assert groups == sorted(groups, reverse=True)
    assert groups.count(SEEN_PAIR) == 20
    assert HELD_OUT_PAIR in groups
    for prompt in prompts:
        shown = prompt.wanted
        assert shown.second is not None
        assert shown.background == "white"
        assert is_pair_held_out(shown.concept, shown.second.concept) == (prompt.group == HELD_OUT_PAIR)
    assert len({prompt.seed for prompt in prompts}) == len(prompts)


def test_a_prompt_names_the_left_thing_first_and_says_where_now_and_then() -> None:
    prompts = pair_prompts(CONCEPTS, ALONE + TOGETHER, 60)
    assert {prompt.says_where for prompt in prompts} == {True, False}
    for prompt in prompts:
        assert prompt.wanted.second is not None
        words = prompt.text.split()
        assert words.index(prompt.wanted.concept) < [word.strip(",") for word in words].index(
            prompt.wanted.second.concept
        )
        assert (" on the left, " in prompt.text) == prompt.says_where
        assert ("style" in prompt.text) == (prompt.wanted.style == "flat")
        assert "a grapes" not in prompt.text


def test_each_half_is_judged_on_its_own() -> None:
    cases = [
        (_prompt("apple", "fox"), _picture("red", "orange"), (True, True)),
        (_prompt("apple", "fox"), _picture("orange", "red"), (True, True)),
        (_prompt("apple", "fox"), _picture("red", "red"), (False, True)),
        (_prompt("apple", "fox"), _picture("blue", "blue"), (False, False)),
        (_prompt("apple", "apple"), _picture("red", "blue"), (False, True)),
    ]
    for prompt, picture, (both, one) in cases:
        found = judge_pairs(_Eye(), [prompt], [picture])  # type: ignore[arg-type]
        right = {share.measure: bool(share.right) for share in found}
        assert (right["both concepts"], right["at least one concept"]) == (both, one)
        assert right["both concepts, in the style"] == both
        assert right["background, by rule"]


def test_places_count_only_where_the_prompt_names_them() -> None:
    prompts = [
        _prompt("apple", "fox", says_where=True),
        _prompt("apple", "fox", says_where=True),
        _prompt("apple", "fox"),
    ]
    pictures = [_picture("red", "orange"), _picture("orange", "red"), _picture("orange", "red")]
    shares = judge_pairs(_Eye(), prompts, pictures, note=" (test)")  # type: ignore[arg-type]
    counted = {share.measure: (share.right, share.total) for share in shares}
    assert counted["both concepts"] == (3, 3)
    assert counted["both concepts, left and right as said"] == (1, 2)
    assert {share.group for share in shares} == {f"{SEEN_PAIR} (test)"}


def test_the_judge_is_tried_on_the_real_drawings_of_the_prompts() -> None:
    wanted = Composition("apple", "cartoon", 0, second=Thing("ghost", 4))
    picture = np.asarray(real_pairs([FidelityPrompt(SEEN_PAIR, "", wanted, 1)], library(), 128)[0]).astype(
        int
    )
    assert np.abs(picture[64, 32] - (220, 30, 30)).max() <= 2
    assert np.abs(picture[64, 96] - (200, 200, 200)).max() <= 2
    with pytest.raises(ValueError, match="one thing"):
        real_pairs(
            [FidelityPrompt(SEEN_PAIR, "an apple", Composition("apple", "flat", 0), 1)], library(), 128
        )
