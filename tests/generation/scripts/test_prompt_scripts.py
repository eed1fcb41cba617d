"""Prompt matrix and Prompts from file: which requests come of a prompt or a list of lines."""

import pytest

from modules.domain.request import GenerationRequest
from modules.exceptions import RequestError
from modules.generation.scripts import prompt_matrix, prompts_from_file
from modules.generation.scripts.prompts_from_file import line_options
from tests.generation.scripts.stage import Stage

REQUEST = GenerationRequest(prompt="a cat|red hat|in snow", seed=5, subseed=9, width=64, height=64, steps=3)
FORM = GenerationRequest(prompt="form", seed=100, width=64, height=64, steps=3)


def test_a_matrix_has_every_combination_with_one_seed(stage: Stage) -> None:
    result = stage.perform(prompt_matrix.SCRIPT, REQUEST)
    prompts = [request.prompt for request in stage.requests]
    assert prompts == ["a cat", "a cat, red hat", "a cat, in snow", "a cat, red hat, in snow"]
    assert {request.seed for request in stage.requests} == {5}
    assert [request.subseed for request in stage.requests] == [9, 10, 11, 12]
    assert [item.place for item in stage.items] == [0, 1, 2, 3]
    (sheet,) = result.sheets
    assert sheet.is_grid
    assert sheet.series == "prompt_matrix"
    assert sheet.image.width > 128


def test_options_of_a_matrix_change_order_seeds_delimiter_and_side(stage: Stage) -> None:
    request = REQUEST.model_copy(update={"prompt": "cat", "negative_prompt": "blur|grey"})
    stage.perform(prompt_matrix.SCRIPT, request, [True, True, "negative", "space", 4])
    assert [one.negative_prompt for one in stage.requests] == ["blur", "grey blur"]
    assert [one.seed for one in stage.requests] == [5, 6]
    assert {one.prompt for one in stage.requests} == {"cat"}


def test_a_matrix_works_on_a_batch_side_by_side(stage: Stage) -> None:
    stage.perform(prompt_matrix.SCRIPT, REQUEST.model_copy(update={"batch_size": 3, "n_iter": 2}))
    assert stage.renders[0].parallel == 3
    assert {request.image_count for request in stage.requests} == {1}


def test_a_matrix_of_too_many_parts_is_refused(stage: Stage) -> None:
    with pytest.raises(RequestError, match="too many"):
        stage.perform(prompt_matrix.SCRIPT, REQUEST.model_copy(update={"prompt": "|".join("x" * 20)}))


def test_an_interrupted_matrix_makes_no_grid(stage: Stage) -> None:
    stage.interrupt_after = 2
    assert stage.perform(prompt_matrix.SCRIPT, REQUEST).sheets == ()


@pytest.mark.parametrize(
    ("line", "options"),
    [
        ("a cat", {"prompt": "a cat"}),
        ("--prompt a red cat --steps 7", {"prompt": "a red cat", "steps": 7}),
        ('--prompt "two words" --cfg_scale 3.5 --tiling true',
         {"prompt": "two words", "cfg_scale": 3.5, "tiling": True}),
        ("--negative_prompt not this --seed 4 --restore_faces yes",
         {"negative_prompt": "not this", "seed": 4, "restore_faces": False}),
        ("--steps seven", {"prompt": "--steps seven"}),
        ("cat --steps 7", {"prompt": "cat --steps 7"}),
        ('--prompt "open', {"prompt": '--prompt "open'}),
    ],
)  # fmt: skip
def test_a_line_is_read_as_a1111_reads_it(line: str, options: dict[str, object]) -> None:
    assert line_options(line) == options


def test_each_line_is_a_request_with_the_form_s_prompt_behind_it(stage: Stage) -> None:
    stage.perform(
        prompts_from_file.SCRIPT, FORM, [False, False, "start", "one\n\n  two --x\n--prompt three --n_iter 2"]
    )
    assert [request.prompt for request in stage.requests] == ["one form", "two --x form", "three form"]
    assert [item.place for item in stage.items] == [0, 1, 2]
    assert stage.requests[2].n_iter == 2
    assert {request.seed for request in stage.requests} == {100}


def test_seeds_count_up_line_by_line_when_asked(stage: Stage) -> None:
    form = FORM.model_copy(update={"batch_size": 2})
    stage.perform(prompts_from_file.SCRIPT, form, [True, False, "end", "one\ntwo\nthree --seed 7"])
    assert [request.seed for request in stage.requests] == [100, 102, 104]
    assert stage.requests[0].prompt == "form one"


def test_random_seeds_differ_between_lines_but_not_between_runs(stage: Stage) -> None:
    form = FORM.model_copy(update={"seed_was_random": True})
    for _ in range(2):
        stage.perform(prompts_from_file.SCRIPT, form, [False, False, "start", "one\ntwo\nthree"])
    seeds = [request.seed for request in stage.requests]
    assert seeds[:3] == seeds[3:]
    assert len(set(seeds[:3])) == 3
    stage.renders.clear()
    stage.perform(prompts_from_file.SCRIPT, form, [False, True, "start", "one\ntwo"])
    assert {request.seed for request in stage.requests} == {100}


def test_a_value_that_cannot_be_used_names_the_line(stage: Stage) -> None:
    with pytest.raises(RequestError, match=r"line 2: steps"):
        stage.perform(prompts_from_file.SCRIPT, FORM, [False, False, "start", "one\n--prompt two --steps 0"])


def test_no_line_is_said(stage: Stage) -> None:
    with pytest.raises(RequestError, match="no line"):
        stage.perform(prompts_from_file.SCRIPT, FORM, [False, False, "start", " \n"])
