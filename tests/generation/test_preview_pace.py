"""When previews are drawn."""

from itertools import pairwise

from modules.generation.preview_pace import PreviewPace


def drawn_steps(pace: PreviewPace, *, steps: int, step_seconds: float, cost: float) -> list[int]:
    drawn = []
    for step in range(1, steps + 1):
        now = 100 + step * step_seconds
        if pace.is_due(now, step):
            drawn.append(step)
            pace.drawn(now, step, cost=cost, whole=steps * step_seconds)
    return drawn


def test_a_picture_of_two_seconds_forms_in_several_previews() -> None:
    steps = drawn_steps(PreviewPace(1, 0.25), steps=20, step_seconds=0.1, cost=0.004)
    assert len(steps) >= 5
    assert steps[0] == 1


def test_previews_take_less_than_three_hundredths_of_the_time() -> None:
    steps = drawn_steps(PreviewPace(1, 0.25), steps=100, step_seconds=0.1, cost=0.015)
    assert len(steps) >= 5
    assert len(steps) * 0.015 < 0.03 * 10


def test_dear_previews_never_take_more_than_a_tenth_of_the_time() -> None:
    steps = drawn_steps(PreviewPace(1, 0.25), steps=50, step_seconds=1.0, cost=2.0)
    assert all(later - earlier >= 20 for earlier, later in pairwise(steps[1:]))


def test_a_preview_at_every_fifth_step_when_the_settings_say_so() -> None:
    assert drawn_steps(PreviewPace(5, 0.0), steps=12, step_seconds=1.0, cost=0.0) == [1, 6, 11]


def test_minus_one_means_no_previews() -> None:
    assert drawn_steps(PreviewPace(-1, 0.0), steps=12, step_seconds=1.0, cost=0.0) == []


def test_the_next_picture_of_a_job_starts_anew() -> None:
    pace = PreviewPace(10, 0.0)
    pace.drawn(0.0, 20, cost=0.0, whole=20.0)
    assert pace.is_due(10.0, 1)
