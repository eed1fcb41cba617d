"""The Extras: what comes out, what is said about it, and how callers share it."""

import queue
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from modules.checkpoints.face_restorers import FaceRestorers
from modules.checkpoints.files import ModelStore
from modules.checkpoints.upscalers import UpscalerCatalog
from modules.domain.extras import AutoSizedCrop, ExtrasRequest, FocalCrop, SplitOversized, Upscaling
from modules.exceptions import NotFoundError, QueueFullError, RequestError
from modules.generation import turns
from modules.generation.postprocess import Postprocessor
from modules.imaging.upscale import Upscaler
from modules.runtime.device import Runtime
from modules.settings.options import Settings

SETTINGS = Settings()
PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8))


@pytest.fixture
def parts(tmp_path: Path) -> tuple[UpscalerCatalog, FaceRestorers]:
    store, runtime = ModelStore.below(tmp_path / "cache"), Runtime(torch.device("cpu"))
    return UpscalerCatalog(tmp_path, store, runtime), FaceRestorers(tmp_path, store, runtime)


@pytest.fixture
def extras(parts: tuple[UpscalerCatalog, FaceRestorers]) -> Postprocessor:
    return Postprocessor(*parts)


def upscaling(**changes: object) -> ExtrasRequest:
    return ExtrasRequest(upscaling=Upscaling.model_validate({"upscaler_1": "Lanczos", **changes}))


@pytest.mark.parametrize(
    ("changes", "size", "text"),
    [
        ({"by": 2}, (64, 48), "Postprocess upscale by: 2.0, Postprocess upscaler: Lanczos"),
        (
            {"by": 4, "max_side": 64},
            (64, 48),
            "Postprocess upscale by: 4.0, Max side length: 64, Postprocess upscaler: Lanczos",
        ),
        ({"by": 2, "max_side": 640}, (64, 48), "Postprocess upscale by: 2.0, Postprocess upscaler: Lanczos"),
        (
            {"to_size": True, "width": 48, "height": 48},
            (48, 48),
            "Postprocess upscale to: 48x48, Postprocess crop to: 48x48, Postprocess upscaler: Lanczos",
        ),
        (
            {"to_size": True, "width": 48, "height": 48, "crop": False},
            (64, 48),
            "Postprocess upscale to: 48x48, Postprocess upscaler: Lanczos",
        ),
        (
            {"by": 2, "upscaler_2": "Nearest", "upscaler_2_visibility": 0.5},
            (64, 48),
            "Postprocess upscale by: 2.0, Postprocess upscaler: Lanczos, Postprocess upscaler 2: Nearest",
        ),
        ({"by": 2, "upscaler_1": "None"}, (32, 24), ""),
    ],
)
def test_pictures_are_enlarged_and_the_parameters_say_how(
    extras: Postprocessor, changes: dict[str, object], size: tuple[int, int], text: str
) -> None:
    done = extras.run(PICTURE, upscaling(**changes), SETTINGS)
    assert [image.size for image in done.images] == [size]
    assert done.infotext == text


def test_the_second_upscaler_shows_as_much_as_it_is_visible(extras: Postprocessor) -> None:
    def values(**changes: object) -> np.ndarray:
        return np.asarray(extras.run(PICTURE, upscaling(by=2, **changes), SETTINGS).images[0]).astype(float)

    mixed = values(upscaler_2="Nearest", upscaler_2_visibility=0.25)
    expected = 0.75 * values() + 0.25 * values(upscaler_1="Nearest")
    assert np.abs(mixed - expected).max() <= 1


def test_pieces_crops_and_copies_go_by_the_wanted_size(extras: Postprocessor) -> None:
    tall = Image.new("RGB", (64, 256))
    asked = upscaling(to_size=True, width=128, height=128, upscaler_1="None").model_copy(
        update={"split": SplitOversized(), "flips": ("Horizontal",)}
    )
    assert {image.size for image in extras.run(tall, asked, SETTINGS).images} == {(128, 128)}
    focal = upscaling(to_size=True, width=40, height=20, upscaler_1="None").model_copy(
        update={"focal_crop": FocalCrop()}
    )
    assert extras.run(PICTURE, focal, SETTINGS).images[0].size == (40, 20)


def test_the_settings_choose_the_order_and_leave_operations_out(extras: Postprocessor) -> None:
    asked = upscaling(by=2).model_copy(update={"auto_crop": AutoSizedCrop(min_side=64, max_side=64)})
    assert extras.run(PICTURE, asked, SETTINGS).images[0].size == (64, 48)  # no such size fits 4:3
    square = PICTURE.crop((0, 0, 24, 24))
    assert extras.run(square, asked, SETTINGS).images[0].size == (64, 64)
    crop_first = Settings().overridden({"postprocessing_operation_order": ["Auto-sized crop"]})
    assert extras.run(square, asked, crop_first).images[0].size == (128, 128)
    no_crop = Settings().overridden({"postprocessing_disable_in_extras": ["Auto-sized crop"]})
    assert extras.run(square, asked, no_crop).images[0].size == (48, 48)


def test_a_crop_that_fits_nothing_is_a_comment(extras: Postprocessor) -> None:
    done = extras.run(Image.new("RGB", (500, 8)), ExtrasRequest(auto_crop=AutoSizedCrop()), SETTINGS)
    assert done.images[0].size == (500, 8)
    assert "Auto-sized crop" in done.comments[0]


@pytest.mark.parametrize("name", ["gfpgan", "codeformer"])
def test_a_face_restorer_without_its_file_says_which_file_to_put_where(
    extras: Postprocessor, name: str
) -> None:
    with pytest.raises(RequestError, match=r"put .*\.pth into the folder models/") as error:
        extras.run(PICTURE, ExtrasRequest.model_validate({f"{name}_visibility": 1}), SETTINGS)
    assert error.value.field == f"{name}_visibility"


@pytest.mark.parametrize(
    "changes",
    [{"by": 16.0}, {"by": 0.01}, {"to_size": True, "width": 16384, "height": 16384}],
)
def test_sizes_that_make_no_sense_are_refused(extras: Postprocessor, changes: dict[str, object]) -> None:
    with pytest.raises(RequestError, match="the picture would"):
        extras.run(Image.new("RGB", (700, 700)), upscaling(**changes), SETTINGS)


def test_an_unknown_upscaler_is_refused_before_anything_is_done(extras: Postprocessor) -> None:
    with pytest.raises(NotFoundError) as error:
        extras.check(upscaling(upscaler_2="Dreams"), SETTINGS)
    assert error.value.field == "upscaler_2"


def test_one_works_a_few_wait_and_more_are_sent_away(
    parts: tuple[UpscalerCatalog, FaceRestorers], monkeypatch: pytest.MonkeyPatch
) -> None:
    upscalers, faces = parts
    begun, go_on, at_work = threading.Semaphore(0), threading.Event(), threading.Lock()
    endings: queue.Queue[Exception | None] = queue.Queue()

    def slow(image: Image.Image, _width: int, _height: int) -> Image.Image:
        assert at_work.acquire(blocking=False)
        begun.release()
        assert go_on.wait(60)
        at_work.release()
        return image.resize((64, 48))

    def find(*_args: object, **_options: object) -> Upscaler:
        return slow

    def call() -> None:
        try:
            shared.run(PICTURE, upscaling(by=2), SETTINGS)
            endings.put(None)
        except QueueFullError as error:
            endings.put(error)

    monkeypatch.setattr(upscalers, "find", find)
    monkeypatch.setattr(turns, "MAX_WAITING", 2)
    shared = Postprocessor(upscalers, faces)
    callers = [threading.Thread(target=call) for _ in range(3)]
    callers[0].start()
    assert begun.acquire(timeout=60)
    for caller in callers[1:]:
        caller.start()
    assert isinstance(endings.get(timeout=60), QueueFullError)
    go_on.set()
    assert [endings.get(timeout=60) for _ in range(2)] == [None, None]
    for caller in callers:
        caller.join(60)
