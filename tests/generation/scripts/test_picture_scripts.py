"""The scripts of img2img: seeds, strengths, tiles and borders, and what is put together at the end."""

import numpy as np
import pytest
from PIL import Image
from pydantic import JsonValue

from modules.domain.request import GenerationRequest, ImageToImage
from modules.exceptions import NotFoundError, RequestError
from modules.generation.scripts import (
    loopback,
    noise_reversal,
    outpainting,
    poor_mans_outpainting,
    sd_upscale,
)
from modules.generation.scripts.script import Script
from modules.generation.scripts.start import grow
from modules.settings.options import Settings
from tests.generation.scripts.stage import Stage


def gradient(width: int = 64, height: int = 64) -> Image.Image:
    y, x = np.mgrid[0:height, 0:width]
    return Image.fromarray(np.stack([x * 255 // width, y * 255 // height, x * 0 + 90], 2).astype(np.uint8))


def start(stage: Stage, image: Image.Image | None = None, **changes: object) -> GenerationRequest:
    source = ImageToImage(images=(stage.put(image or gradient()),), denoising_strength=0.6)
    return GenerationRequest.model_validate(
        {
            "prompt": "cat",
            "seed": 10,
            "width": 64,
            "height": 64,
            "steps": 3,
            "image_to_image": source,
            **changes,
        }
    )


def source_of(request: GenerationRequest) -> ImageToImage:
    assert request.image_to_image is not None
    return request.image_to_image


def test_loopback_feeds_each_picture_into_the_next_loop(stage: Stage) -> None:
    result = stage.perform(loopback.SCRIPT, start(stage), [3, 0.2, "Linear", "None"])
    assert [one.seed for one in stage.requests] == [10, 11, 12]
    assert [round(source_of(one).denoising_strength, 6) for one in stage.requests] == [0.6, 0.4, 0.2]
    first, second, third = (source_of(one) for one in stage.requests)
    fed = stage.blobs.image(second.images[0]).convert("RGB")
    assert fed.getpixel((0, 0)) == (10, 70, 54)  # the stub's colour of seed 10
    assert (first.inpainting_fill, second.inpainting_fill, third.inpainting_fill) == (0, 1, 1)
    assert [item.place for item in stage.items] == [0, 1, 2]
    assert [render.later for render in stage.renders] == [2, 1, 0]
    (grid,) = result.sheets
    assert grid.image.size == (192, 64)
    assert result.infotexts is not None
    assert len(set(result.infotexts)) == 1
    assert "Final denoising strength: 0.2" in result.infotexts[0]


@pytest.mark.parametrize(
    ("curve", "middle"), [("Aggressive", 0.6 - 0.4 * 0.7071068), ("Lazy", 0.6 - 0.4 * 0.2928932)]
)
def test_the_curve_bends_the_strength(stage: Stage, curve: str, middle: float) -> None:
    stage.perform(loopback.SCRIPT, start(stage), [3, 0.2, curve, "None"])
    strengths = [source_of(one).denoising_strength for one in stage.requests]
    assert strengths == pytest.approx([0.6, middle, 0.2])


def test_several_runs_of_loopback_show_only_their_last_pictures(stage: Stage) -> None:
    stage.perform(loopback.SCRIPT, start(stage, n_iter=2), [2, 0.5, "Linear", "None"])
    assert [item.place for item in stage.items] == [None, 0, None, 1]
    assert [one.seed for one in stage.requests] == [10, 11, 12, 13]
    assert source_of(stage.requests[2]).images == source_of(stage.requests[0]).images


def test_loopback_without_an_interrogator_says_so(stage: Stage) -> None:
    with pytest.raises(RequestError, match="CLIP"):
        stage.perform(loopback.SCRIPT, start(stage), [2, 0.5, "Linear", "CLIP"])


def test_loopback_adds_what_the_interrogator_sees(stage: Stage) -> None:
    stage.describe = lambda image, method: f"{image.size[0]} by {method}"
    stage.perform(loopback.SCRIPT, start(stage, prompt="a hut"), [2, 0.5, "Linear", "CLIP"])
    assert [one.prompt for one in stage.requests] == ["a hut, 64 by CLIP"] * 2


def test_what_the_interrogator_lacks_is_said(stage: Stage) -> None:
    def nothing(_image: object, _method: str) -> str:
        raise NotFoundError("model", "put files into models/BLIP")

    stage.describe = nothing
    with pytest.raises(RequestError, match="Loopback: put files into models/BLIP") as caught:
        stage.perform(loopback.SCRIPT, start(stage), [2, 0.5, "Linear", "CLIP"])
    assert caught.value.field == "script_args"


def test_sd_upscale_draws_tiles_and_puts_them_together(stage: Stage) -> None:
    result = stage.perform(sd_upscale.SCRIPT, start(stage, batch_size=4), ["", 16, "lanczos", 2.0])
    assert [one.batch_size for one in stage.requests] == [4, 4, 1]  # nine tiles of 64 in 128 pixels
    assert [one.seed for one in stage.requests] == [10, 11, 12]
    assert not any(item.keep for item in stage.items)
    (sheet,) = result.sheets
    assert sheet.image.size == (128, 128)
    assert not sheet.is_grid
    assert sheet.image.getpixel((2, 2)) == (10, 70, 54)
    assert "SD upscale upscaler: Lanczos" in sheet.infotext


def test_each_run_of_sd_upscale_has_a_seed_and_a_picture_of_its_own(stage: Stage) -> None:
    result = stage.perform(sd_upscale.SCRIPT, start(stage, n_iter=2), ["", 0, 0, 1.0])
    assert [sheet.seed for sheet in result.sheets] == [10, 11]


def test_an_interrupted_upscale_keeps_the_tiles_that_are_missing(stage: Stage) -> None:
    stage.interrupt_after = 1
    (sheet,) = stage.perform(sd_upscale.SCRIPT, start(stage), ["", 16, "Nearest", 2.0]).sheets
    assert sheet.image.getpixel((2, 2)) == (10, 70, 54)
    red = sheet.image.getpixel((127, 127))
    assert isinstance(red, tuple)
    assert red[0] > 240  # the gradient's far corner


def test_tiles_no_larger_than_their_overlap_are_refused(stage: Stage) -> None:
    with pytest.raises(RequestError, match="overlap"):
        stage.perform(sd_upscale.SCRIPT, start(stage), ["", 64, "None", 2.0])


@pytest.mark.parametrize(
    ("directions", "grown"),
    [
        ((), (0, 0, 0, 0, 64, 64)),
        (("left",), (64, 0, 0, 0, 128, 64)),
        (("left", "right"), (32, 32, 0, 0, 128, 64)),
        (("up", "down", "right"), (0, 64, 32, 32, 128, 128)),
    ],
)
def test_borders_grow_to_multiples_of_64(directions: tuple[str, ...], grown: tuple[int, ...]) -> None:
    found = grow((64, 64), 32, directions)
    assert (found.left, found.right, found.up, found.down, found.width, found.height) == grown


def test_poor_mans_outpainting_paints_borders_and_keeps_what_lies_within(stage: Stage) -> None:
    request = start(stage, gradient(128, 128))
    result = stage.perform(poor_mans_outpainting.SCRIPT, request, [32, 4, "latent noise", ["left", "down"]])
    (sheet,) = result.sheets
    assert sheet.image.size == (192, 192)
    source = source_of(stage.requests[0])
    assert (source.mask_blur_x, source.inpainting_fill, source.inpaint_full_res) == (8, 2, False)
    assert [one.seed for one in stage.requests] == list(range(10, 10 + len(stage.requests)))
    mask = np.asarray(stage.blobs.image(source.mask or "").convert("L"))
    assert mask[0, 0] == 255
    assert len(stage.requests) < 25  # tiles that lie within the old picture are not drawn again
    assert sheet.image.getpixel((191, 0)) == request_pixel(gradient(128, 128), (127, 0))


def request_pixel(image: Image.Image, place: tuple[int, int]) -> object:
    return image.getpixel(place)


def test_pixels_as_large_as_a_tile_do_not_stop_poor_mans_outpainting(stage: Stage) -> None:
    result = stage.perform(poor_mans_outpainting.SCRIPT, start(stage), [64, 4, 0, ["right"]])
    assert result.sheets[0].image.size == (128, 64)


def test_outpainting_mk2_grows_side_by_side_and_keeps_the_middle(stage: Stage) -> None:
    request = start(stage, width=96, height=96)
    result = stage.perform(outpainting.SCRIPT, request, ["", 64, 4, ["left", "down"], 1.0, 0.05])
    (sheet,) = result.sheets
    assert sheet.image.size == (128, 128)
    left, down = stage.requests
    assert (left.width, left.height) == (96, 64)
    assert (down.width, down.height) == (128, 96)
    assert source_of(left).mask_blur_x == 16
    assert {one.seed for one in stage.requests} == {10}
    assert sheet.image.getpixel((127, 20)) == gradient().getpixel((63, 20))


def test_a_batch_of_outpaintings_has_a_grid_where_the_settings_want_one(stage: Stage) -> None:
    request = start(stage, batch_size=2)
    result = stage.perform(outpainting.SCRIPT, request, ["", 64, 4, ["left"], 1.0, 0.05])
    assert [sheet.is_grid for sheet in result.sheets] == [False, False, True]
    stage.settings = Settings(return_grid=False, grid_save=False)
    result = stage.perform(outpainting.SCRIPT, request, ["", 64, 4, ["left"], 1.0, 0.05])
    assert [sheet.is_grid for sheet in result.sheets] == [False, False]


def test_outpainting_in_no_direction_makes_nothing(stage: Stage) -> None:
    assert stage.perform(outpainting.SCRIPT, start(stage), ["", 64, 4, [], 1.0, 0.05]).sheets == ()


def test_noise_reversal_overrides_what_it_is_told_to(stage: Stage) -> None:
    arguments: list[JsonValue] = ["", True, True, "a dog", "", True, 8, True, 1.0, 0.0, False]
    stage.perform(noise_reversal.SCRIPT, start(stage), arguments)
    (request,) = stage.requests
    assert (request.sampler_name, request.prompt, request.steps) == ("Euler", "a dog", 8)
    assert source_of(request).denoising_strength == 1.0
    reversal = source_of(request).noise_reversal
    assert reversal is not None
    assert reversal.steps == 8
    arguments = ["", False, False, "a dog", "", False, 8, False, 2.0, 0.5, True]
    stage.perform(noise_reversal.SCRIPT, start(stage), arguments)
    request = stage.requests[1]
    assert (request.sampler_name, request.prompt, request.steps) == (None, "cat", 3)
    assert source_of(request).denoising_strength == 0.6


@pytest.mark.parametrize("script", [loopback.SCRIPT, sd_upscale.SCRIPT, outpainting.SCRIPT])
def test_without_a_start_picture_a_sentence_is_said(stage: Stage, script: Script) -> None:
    with pytest.raises(RequestError, match="picture to start from"):
        stage.perform(script, GenerationRequest())
