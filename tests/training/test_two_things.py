import numpy as np

from modules.training.compositions import Composition, Thing
from modules.training.held_out import is_held_out, is_pair_held_out
from modules.training.palette import COLOURS
from modules.training.two_things import compose_two, plan_two
from tests.training.drawings import disc

NAMES = ("apple", "bear", "cat", "dog", "egg", "fox", "ghost", "house", "key", "lion")
STYLES = ("cartoon", "line art")
DRAWINGS = {(name, style): 2 * place + (style == "line art") for place, name in enumerate(NAMES)
            for style in STYLES}  # fmt: skip
PIXELS = np.stack([disc((220, 30, 30)) if index % 2 == 0 else disc((0, 0, 0)) for index in range(20)])


def _plans(count: int = 500, seed: int = 1) -> list[Composition]:
    return list(plan_two(DRAWINGS, PIXELS, count=count, seed=seed))


def test_two_different_things_of_one_style_stand_side_by_side() -> None:
    for plan in _plans():
        assert plan.second is not None
        assert plan.second.concept != plan.concept
        assert plan.second.drawing == DRAWINGS[plan.second.concept, plan.style]
        assert plan.drawing == DRAWINGS[plan.concept, plan.style]


def test_pairs_that_are_held_out_never_stand_together() -> None:
    shown = {(plan.concept, plan.second.concept) for plan in _plans() if plan.second}
    every = {(one, other) for one in NAMES for other in NAMES if one != other}
    assert shown == {pair for pair in every if not is_pair_held_out(*pair)}
    assert shown != every


def test_no_thing_vanishes_in_a_background_or_stands_on_one_that_is_held_out() -> None:
    plans = _plans()
    assert {plan.background == "white" for plan in plans} == {True, False}
    for plan in plans:
        assert plan.background != {"cartoon": "red", "line art": "black"}[plan.style]
        if plan.background != "white" and plan.second:
            for concept in (plan.concept, plan.second.concept):
                assert not is_held_out(concept, f"{plan.background} background")


def test_plans_are_the_same_every_time_and_as_many_as_asked_for() -> None:
    assert _plans(20) == _plans(20)
    assert _plans(20) != _plans(20, seed=2)
    assert len(_plans(20)) == 20
    assert not _plans(0)


def test_the_first_thing_is_on_the_left_and_the_second_on_the_right() -> None:
    plan = Composition("apple", "flat", 0, background="blue", second=Thing("ghost", 1))
    rng = np.random.default_rng(0)
    picture = compose_two(disc((220, 30, 30)), disc((200, 200, 200)), plan, rng, 128).astype(int)
    assert picture.shape == (128, 128, 3)
    assert np.abs(picture[64, 32] - (220, 30, 30)).max() <= 2
    assert np.abs(picture[64, 96] - (200, 200, 200)).max() <= 2
    for row, column in ((0, 0), (64, 64), (10, 32), (120, 96)):
        assert np.abs(picture[row, column] - COLOURS["blue"]).max() <= 8
