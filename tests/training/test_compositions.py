import numpy as np
import pytest

from modules.training.compositions import Composition, compose, plan_compositions
from modules.training.concepts import Concept, drawings_of
from modules.training.held_out import is_held_out
from modules.training.palette import COLOURS
from tests.training.drawings import disc, library

_CONCEPTS = (Concept("apple", "red apple"), Concept("ghost", "ghost"))


def _plans(views: int = 40) -> list[tuple[Composition, float | None]]:
    drawings = drawings_of(_CONCEPTS, library())
    return list(plan_compositions(_CONCEPTS, drawings, library().pixels, views=views, seed=1))


def test_the_first_picture_of_every_drawing_is_plain() -> None:
    first = [plan for plan, _ in _plans(5)][::5]
    assert len(first) == 6
    for plan in first:
        assert (plan.background, plan.colour, plan.size) == ("white", None, "normal")


def test_background_and_drawing_have_the_colours_that_the_plan_says() -> None:
    rng = np.random.default_rng(0)
    for plan, hue in _plans():
        picture = compose(np.asarray(library().pixels[plan.drawing]), hue, plan, rng, 64).astype(int)
        assert np.abs(picture[0, 0] - COLOURS[plan.background]).max() <= 8
        if plan.colour is not None:
            assert np.abs(picture[32, 32] - COLOURS[plan.colour]).max() <= 30, plan


def test_small_drawings_leave_more_background() -> None:
    rng = np.random.default_rng(0)
    covered = [
        (compose(disc((0, 0, 0)), None, Composition("x", "line art", 0, size=size), rng, 128) < 128).mean()
        for size in ("small", "normal")
    ]
    assert covered[0] < 0.5 * covered[1]


def test_a_drawing_never_has_the_colour_of_its_background() -> None:
    for plan, _ in _plans():
        assert plan.background not in {plan.colour, plan.own_colour if plan.colour is None else None}


def test_line_art_on_black_is_never_black() -> None:
    for plan, _ in _plans(200):
        if plan.style == "line art" and plan.background == "black":
            assert plan.colour is not None


def test_pairs_that_are_held_out_for_measurement_are_not_composed() -> None:
    for plan, _ in _plans(200):
        if plan.background != "white":
            assert not is_held_out(plan.concept, f"{plan.background} background")
        if plan.colour is not None:
            assert not is_held_out(plan.concept, plan.colour)


def test_grey_drawings_are_not_recoloured() -> None:
    assert all(
        plan.colour is None for plan, _ in _plans() if plan.concept == "ghost" and plan.style == "cartoon"
    )


def test_plans_are_the_same_every_time() -> None:
    assert _plans() == _plans()


def test_recolouring_a_drawing_without_one_hue_is_refused() -> None:
    plan = Composition("ghost", "cartoon", 4, colour="red")
    with pytest.raises(ValueError, match="no dominant hue"):
        compose(disc((200, 200, 200)), None, plan, np.random.default_rng(0), 64)
