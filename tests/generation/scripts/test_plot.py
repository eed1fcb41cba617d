"""X/Y/Z plot: the cells, their order, and the sheets that show them."""

import numpy as np
import pytest
from PIL import Image
from pydantic import JsonValue

from modules.domain.plot_axes import axes_of
from modules.domain.request import GenerationRequest, Hires
from modules.exceptions import NotFoundError, RequestError
from modules.generation.scripts import plot
from modules.settings.options import Settings
from tests.generation.scripts.stage import Stage, flat

REQUEST = GenerationRequest(prompt="a cat", seed=5, width=64, height=64, steps=3)
BOXES = (
    "draw_legend",
    "include_lone_images",
    "include_sub_grids",
    "no_fixed_seeds",
    "vary_seeds_x",
    "vary_seeds_y",
    "vary_seeds_z",
)
LABELS = tuple(axis.label for axis in axes_of("txt2img"))


@pytest.fixture(autouse=True)
def offered_axes(stage: Stage) -> None:
    stage.choices["axes"] = LABELS
    stage.settings = Settings(img_max_size_mp=10)


def arguments(*axes: tuple[str, str], **options: bool | int) -> list[JsonValue]:
    """``script_args`` for up to three axes by label with their values as text."""
    known: dict[str, bool | int] = dict.fromkeys(BOXES, False)
    known |= {"margin_size": 0, "csv_mode": True}
    known |= options
    sides: list[JsonValue] = []
    for label, values in (*axes, ("Nothing", ""), ("Nothing", ""))[:3]:
        sides += [LABELS.index(label), values, []]
    return [*sides, *known.values()]


def test_every_combination_is_a_cell_and_the_sheet_shows_them_in_place(stage: Stage) -> None:
    result = stage.perform(plot.SCRIPT, REQUEST, arguments(("Steps", "3,7"), ("Seed", "11,12")))
    assert [(one.steps, one.seed) for one in stage.requests] == [(3, 11), (7, 11), (3, 12), (7, 12)]
    (sheet,) = result.sheets
    assert sheet.image.size == (128, 128)
    assert sheet.image.getpixel((0, 0)) == flat(stage.requests[0], 0).getpixel((0, 0))
    assert sheet.image.getpixel((127, 127)) == flat(stage.requests[3], 0).getpixel((0, 0))
    assert sheet.series == "xyz_grid"
    assert [item.place for item in stage.items] == [None] * 4


def test_the_infotext_of_a_sheet_names_axes_values_and_fixed_seeds(stage: Stage) -> None:
    axes = arguments(("Steps", "3,7"), ("Seed", "11, -1"), ("CFG Scale", "1-2"))
    result = stage.perform(plot.SCRIPT, REQUEST, axes)
    text = result.sheets[0].infotext
    assert 'Script: X/Y/Z plot, X Type: Steps, X Values: "3,7", Y Type: Seed, Y Values: "11, -1"' in text
    assert f'Fixed Y Values: "11, {stage.requests[2].seed}"' in text
    assert text.endswith("Z Type: CFG Scale, Z Values: 1-2, Version: 1")
    assert len(result.infotexts or ()) == 1 + 8


@pytest.mark.parametrize(
    ("axes", "outermost"),
    [
        ((("Checkpoint name", "a,b"), ("Steps", "1,2"), ("CFG Scale", "3,4")), "checkpoint"),
        ((("Steps", "1,2"), ("Checkpoint name", "a,b"), ("VAE", "None,Automatic")), "checkpoint"),
        ((("VAE", "None,Automatic"), ("Steps", "1,2"), ("Checkpoint name", "a,b")), "checkpoint"),
        ((("Steps", "1,2"), ("CFG Scale", "3,4"), ("Seed", "5,6")), "seed"),
    ],
)
def test_the_dearest_axis_changes_least_often(
    stage: Stage, axes: tuple[tuple[str, str], ...], outermost: str
) -> None:
    stage.perform(plot.SCRIPT, REQUEST, arguments(*axes))
    values = [getattr(one, outermost) for one in stage.requests]
    assert values == sorted(values)
    assert len(values) == 8


def test_the_order_of_work_does_not_move_the_cells(stage: Stage) -> None:
    shown = arguments(("Checkpoint name", "a,b"), ("Seed", "1,2"), include_lone_images=True)
    result = stage.perform(plot.SCRIPT, REQUEST, shown)
    places = {(one.request.checkpoint, one.request.seed): one.place for one in stage.items}
    assert places == {("a", 1): 0, ("b", 1): 1, ("a", 2): 2, ("b", 2): 3}
    pixel = result.sheets[0].image.getpixel((1, 65))
    assert pixel == flat(REQUEST.model_copy(update={"seed": 2}), 0).getpixel((0, 0))


def test_the_third_axis_makes_sheets_side_by_side(stage: Stage) -> None:
    axes = arguments(("Steps", "1,2"), ("Nothing", ""), ("Seed", "7,8,9"), include_sub_grids=True)
    result = stage.perform(plot.SCRIPT, REQUEST, axes)
    assert [sheet.image.size for sheet in result.sheets] == [(384, 64)] + [(128, 64)] * 3


def test_seeds_vary_with_the_axes_that_should(stage: Stage) -> None:
    axes = arguments(("Steps", "1,2"), ("CFG Scale", "3,4"), vary_seeds_x=True, vary_seeds_y=True)
    stage.perform(plot.SCRIPT, REQUEST, axes)
    assert [one.seed for one in stage.requests] == [5, 6, 7, 8]


def test_a_random_seed_is_one_for_all_cells_unless_it_is_to_be_kept_open(stage: Stage) -> None:
    request = REQUEST.model_copy(update={"seed_was_random": True})
    stage.perform(plot.SCRIPT, request, arguments(("Steps", "1,2,3")))
    assert {one.seed for one in stage.requests} == {5}
    stage.renders.clear()
    stage.perform(plot.SCRIPT, request, arguments(("Steps", "1,2,3"), no_fixed_seeds=True))
    kept = [one.seed for one in stage.requests]
    assert len(set(kept)) == 3
    stage.renders.clear()
    stage.perform(plot.SCRIPT, request, arguments(("Steps", "1,2,3"), no_fixed_seeds=True))
    assert [one.seed for one in stage.requests] == kept  # after a crash the same again


def test_names_are_chosen_from_lists_when_text_is_not_wanted(stage: Stage) -> None:
    sent: list[JsonValue] = [LABELS.index("Sampler"), "ignored", ["Euler", "DDIM"]]
    stage.perform(plot.SCRIPT, REQUEST, sent)
    assert [one.sampler_name for one in stage.requests] == ["Euler", "DDIM"]


def test_a_cell_that_fails_stays_blank_and_the_rest_is_shown(stage: Stage) -> None:
    stage.painter = lambda request, index: None if request.steps == 2 else flat(request, index)
    result = stage.perform(plot.SCRIPT, REQUEST, arguments(("Steps", "1,2,3")))
    assert stage.renders[0].tolerant
    pixels = np.asarray(result.sheets[0].image)
    assert not pixels[:, 64:128].any()
    assert pixels[:, 128:].any()


def test_an_interrupted_plot_shows_what_there_is(stage: Stage) -> None:
    stage.interrupt_after = 1
    result = stage.perform(plot.SCRIPT, REQUEST, arguments(("Steps", "1,2,3")))
    assert result.sheets[0].image.size == (192, 64)
    stage.interrupt_after = 0
    assert stage.perform(plot.SCRIPT, REQUEST, arguments(("Steps", "1,2,3"))).sheets == ()


def test_cells_of_several_pictures_are_grids(stage: Stage) -> None:
    request = REQUEST.model_copy(update={"batch_size": 2, "n_iter": 2})
    result = stage.perform(plot.SCRIPT, request, arguments(("Steps", "1,2"), include_lone_images=True))
    assert [sheet.image.size for sheet in result.sheets] == [(256, 128), (128, 128), (128, 128)]


def test_a_legend_and_a_margin_make_the_sheet_larger(stage: Stage) -> None:
    axes = arguments(("Steps", "1,2"), ("Seed", "3,4"), draw_legend=True, margin_size=10)
    sheet = stage.perform(plot.SCRIPT, REQUEST, axes).sheets[0].image
    assert sheet.width == 128 + 10 + 48
    assert sheet.height > 138


def test_prompts_are_searched_replaced_and_reordered(stage: Stage) -> None:
    stage.perform(plot.SCRIPT, REQUEST, arguments(("Prompt S/R", "cat, dog, blue cat")))
    assert [one.prompt for one in stage.requests] == ["a cat", "a dog", "a blue cat"]
    stage.renders.clear()
    request = REQUEST.model_copy(update={"prompt": "red, green and blue"})
    stage.perform(plot.SCRIPT, request, arguments(("Prompt order", "red, blue")))
    assert [one.prompt for one in stage.requests] == ["red, green and blue", "blue, green and red"]


def test_axes_of_the_second_pass_change_it(stage: Stage) -> None:
    request = REQUEST.model_copy(update={"hires": Hires(denoising_strength=0.5)})
    stage.perform(plot.SCRIPT, request, arguments(("Hires steps", "4"), ("Denoising", "0.25")))
    hires = stage.requests[0].hires
    assert hires is not None
    assert (hires.steps, hires.denoising_strength) == (4, 0.25)


@pytest.mark.parametrize(
    ("axis", "values", "words"),
    [
        ("Steps", "one", "no whole number"),
        ("Steps", "0", "greater than or equal to 1"),
        ("Steps", "1-99999", "more than 10000"),
        ("CFG Scale", "", "no values"),
        ("Prompt S/R", "dog, cat", "did not find dog"),
        ("Prompt order", "cat, dog", "did not find dog"),
        ("Size", "large", "is no size"),
        ("Steps", ",".join("1" * 4000), "megapixels"),
        ("Clip skip", "1 (+0)", "no whole number"),
    ],
)
def test_what_cannot_be_plotted_is_said_before_anything_is_made(
    stage: Stage, axis: str, values: str, words: str
) -> None:
    with pytest.raises(RequestError, match=words):
        stage.perform(plot.SCRIPT, REQUEST, arguments((axis, values)))
    assert stage.made == 0


def test_a_name_that_is_not_there_is_said_before_anything_is_made(stage: Stage) -> None:
    stage.unknown = ("nowhere",)
    with pytest.raises(NotFoundError, match="nowhere"):
        stage.perform(plot.SCRIPT, REQUEST, arguments(("Checkpoint name", "a, nowhere")))


def test_without_grids_a_cell_is_its_first_picture(stage: Stage) -> None:
    stage.settings = Settings(return_grid=False)
    request = REQUEST.model_copy(update={"batch_size": 4})
    result = stage.perform(plot.SCRIPT, request, arguments(("Steps", "1,2")))
    assert result.sheets[0].image.size == (128, 64)
    assert isinstance(result.sheets[0].image, Image.Image)
