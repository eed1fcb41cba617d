import base64
import io
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modules.exceptions import NotFoundError, RequestError
from modules.webui.form.mask_canvas import PNG_PREFIX, PictureReader, as_png
from modules.webui.form.start_pictures import (
    START_MODES,
    Start,
    StartReader,
    copied_picture,
    load_start,
    mode_of,
)
from tests.webui.fake_services import MemoryBlobs

GREY = Image.new("RGB", (16, 8), (90, 90, 90))
MODES = {mode.name: mode for mode in START_MODES}


def uri(image: Image.Image) -> str:
    return PNG_PREFIX + base64.b64encode(as_png(image)).decode()


@pytest.fixture
def blobs() -> MemoryBlobs:
    return MemoryBlobs()


@pytest.fixture
def reader(tmp_path: Path) -> PictureReader:
    return PictureReader(tmp_path, lambda image_id, owner: as_png(GREY))


@pytest.fixture
def starts(reader: PictureReader, blobs: MemoryBlobs) -> StartReader:
    return StartReader(reader, blobs.put)


def field(**drawing: object) -> dict[str, object]:
    return {"image": {"id": "a"}, **drawing}


def red_paint() -> dict[str, object]:
    return {"png": uri(Image.new("RGBA", (4, 4), (255, 0, 0, 255))), "x": 2, "y": 2}


def pictures(start: Start, blobs: MemoryBlobs) -> tuple[np.ndarray, np.ndarray | None]:
    def pixels(name: str) -> np.ndarray:
        with Image.open(io.BytesIO(blobs.get(name))) as image:
            return np.asarray(image)

    mask = start.pictures.mask
    return pixels(start.pictures.image), None if mask is None else pixels(mask)


def test_a_mode_is_found_by_its_name_and_else_is_the_first() -> None:
    assert mode_of(START_MODES, {"mode": "Sketch"}) is MODES["Sketch"]
    assert mode_of(START_MODES, {"mode": "nonsense"}) is START_MODES[0]
    assert [mode.name for mode in START_MODES if mode.has_mask] == [
        "Inpaint",
        "Inpaint sketch",
        "Inpaint upload",
    ]


def test_a_plain_picture_is_stored_byte_for_byte(starts: StartReader, blobs: MemoryBlobs) -> None:
    start = starts.read(MODES["img2img"], {"image": field()}, "ann")
    assert blobs.get(start.pictures.image) == as_png(GREY)
    assert (start.pictures.mask, start.size) == (None, (16, 8))


def test_a_sketch_starts_from_the_painted_picture(starts: StartReader, blobs: MemoryBlobs) -> None:
    picture, mask = pictures(starts.read(MODES["Sketch"], {"sketch": field(paint=red_paint())}, "ann"), blobs)
    assert mask is None
    assert (picture[2:6, 2:6] == (255, 0, 0)).all()
    assert (picture[0] == 90).all()


def test_what_was_painted_on_is_remembered(starts: StartReader) -> None:
    """A plain picture needs no note: what is stored is the file itself."""
    painted = starts.read(MODES["Sketch"], {"sketch": field(paint=red_paint())}, "ann")
    plain = starts.read(MODES["img2img"], {"image": field()}, "ann")
    assert (painted.origin, plain.origin) == (sha256(as_png(GREY)).hexdigest(), "")


def test_an_inpaint_sketch_has_the_mask_of_its_paint(starts: StartReader, blobs: MemoryBlobs) -> None:
    values: dict[str, object] = {"masked_sketch": field(paint=red_paint()), "mask_blur": 0, "mask_alpha": 50}
    picture, mask = pictures(starts.read(MODES["Inpaint sketch"], values, "ann"), blobs)
    assert mask is not None
    assert (mask[2:6, 2:6] == 127).all()
    assert mask.sum() == 16 * 127
    assert picture[3, 3, 0] == pytest.approx(172, abs=2)


@pytest.mark.parametrize(
    ("mode", "values", "said"),
    [
        ("img2img", {}, "Choose a picture"),
        ("Inpaint", {"masked": field()}, "Paint over"),
        ("Inpaint sketch", {"masked_sketch": field()}, "Paint on the picture"),
        ("Inpaint upload", {"base": field()}, "Choose a mask"),
    ],
)
def test_what_is_missing_is_asked_for(
    starts: StartReader, mode: str, values: dict[str, object], said: str
) -> None:
    with pytest.raises(NotFoundError, match=said) as caught:
        starts.read(MODES[mode], values, "ann")
    assert caught.value.field in {MODES[mode].field, MODES[mode].mask_field}


def test_paint_in_the_colour_of_the_picture_is_no_mask(starts: StartReader) -> None:
    same = {"png": uri(Image.new("RGBA", (4, 4), (90, 90, 90, 255))), "x": 0, "y": 0}
    with pytest.raises(NotFoundError, match="very colours"):
        starts.read(MODES["Inpaint sketch"], {"masked_sketch": field(paint=same)}, "ann")


def test_copying_lays_paint_over_the_picture(reader: PictureReader, tmp_path: Path) -> None:
    plain = reader.read(field(), "ann", field="image")
    painted = reader.read(field(paint=red_paint()), "ann", field="image")
    assert plain is not None
    assert painted is not None
    assert copied_picture(field(mask="x"), plain, tmp_path) == {"image": {"id": "a"}}
    copied = copied_picture(field(), painted, tmp_path)
    again = reader.read(copied, "ann", field="image")
    assert again is not None
    assert again.image.getpixel((3, 3)) == (255, 0, 0)


def test_files_become_a_start_and_masks_of_another_size_are_fitted(blobs: MemoryBlobs) -> None:
    start = load_start(as_png(GREY), as_png(Image.new("L", (4, 2), 255)), blobs.put, field="batch_files")
    _, mask = pictures(start, blobs)
    assert mask is not None
    assert mask.shape == (8, 16)
    with pytest.raises(RequestError) as caught:
        load_start(b"no picture", None, blobs.put, field="batch_files")
    assert caught.value.field == "batch_files"
