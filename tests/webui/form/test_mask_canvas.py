import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modules.exceptions import NotFoundError, RequestError
from modules.webui.form.mask_canvas import PNG_PREFIX, PictureInput, PictureReader, mask_of_file


def png(size: tuple[int, int], colour: object = (200, 0, 0), mode: str = "RGB") -> bytes:
    out = io.BytesIO()
    Image.new(mode, size, colour).save(out, "PNG")  # type: ignore[arg-type]  # any colour of the mode
    return out.getvalue()


def drawing(size: tuple[int, int], alpha: np.ndarray) -> str:
    pixels = np.zeros((size[1], size[0], 4), np.uint8)
    pixels[..., 3] = alpha
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return PNG_PREFIX + base64.b64encode(out.getvalue()).decode()


def encoded(image: Image.Image) -> str:
    out = io.BytesIO()
    image.save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    folder = tmp_path / "uploads"
    folder.mkdir()
    (folder / "in.png").write_bytes(png((8, 4)))
    (tmp_path / "secret.png").write_bytes(png((8, 4)))
    return folder


@pytest.fixture
def reader(uploads: Path) -> PictureReader:
    def by_id(image_id: str, owner: str) -> bytes:
        if (image_id, owner) != ("mine", "ann"):
            raise NotFoundError("image", "There is no such picture.")
        return png((8, 4))

    return PictureReader(uploads, by_id)


def value(uploads: Path, **more: object) -> dict[str, object]:
    return {"image": {"path": str(uploads / "in.png")}, **more}


def test_an_empty_field_holds_nothing(reader: PictureReader) -> None:
    for payload in (None, {}, "text", {"image": None}, {"mask": "x"}):
        assert reader.read(payload, "ann", field="image") is None


def test_an_upload_arrives_byte_for_byte(reader: PictureReader, uploads: Path) -> None:
    found = reader.read(value(uploads), "ann", field="image")
    assert found is not None
    assert found.data == (uploads / "in.png").read_bytes()
    assert found.mask is None


def test_a_mask_is_exact_to_the_pixel(reader: PictureReader, uploads: Path) -> None:
    alpha = np.zeros((4, 8), np.uint8)
    alpha[1:3, 2:5] = 255
    alpha[0, 0], alpha[0, 1] = 127, 128  # the brush's edge: half a pixel decides
    found = reader.read(value(uploads, mask=drawing((8, 4), alpha)), "ann", field="image")
    assert found is not None
    assert found.mask is not None
    assert found.mask.mode == "L"
    assert np.array_equal(np.asarray(found.mask), np.where(alpha >= 128, 255, 0))


@pytest.mark.parametrize("mode", ["1", "L"])
def test_a_grey_mask_arrives_as_it_was_drawn(reader: PictureReader, uploads: Path, mode: str) -> None:
    drawn = Image.fromarray(np.arange(0, 256, 8, dtype=np.uint8).reshape(4, 8)).convert(mode)
    found = reader.read(value(uploads, mask=PNG_PREFIX + encoded(drawn)), "ann", field="image")
    assert found is not None
    assert found.mask is not None
    assert np.array_equal(np.asarray(found.mask), np.asarray(drawn.convert("L")))


def test_paint_is_laid_over_the_picture_where_it_was_put(reader: PictureReader, uploads: Path) -> None:
    paint = {"png": PNG_PREFIX + encoded(Image.new("RGBA", (2, 2), (0, 0, 255, 255))), "x": 6, "y": 1}
    found = reader.read(value(uploads, paint=paint), "ann", field="image")
    assert found is not None
    assert found.painted is not None
    expected = np.full((4, 8, 3), (200, 0, 0), np.uint8)
    expected[1:3, 6:8] = (0, 0, 255)
    assert np.array_equal(np.asarray(found.painted), expected)


@pytest.mark.parametrize("place", [{"x": 8, "y": 0}, {"x": 0, "y": -1}, {"x": "0", "y": 0}, {}])
def test_paint_outside_the_picture_is_refused(
    reader: PictureReader, uploads: Path, place: dict[str, object]
) -> None:
    paint = {"png": PNG_PREFIX + encoded(Image.new("RGBA", (2, 2))), **place}
    with pytest.raises(RequestError, match="whole"):
        reader.read(value(uploads, paint=paint), "ann", field="sketch")


def test_a_picture_lies_as_its_camera_held_it(reader: PictureReader, uploads: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    Image.new("RGB", (8, 4)).save(uploads / "in.png", "PNG", exif=exif)
    found = reader.read(value(uploads), "ann", field="image")
    assert found is not None
    assert found.image.size == (4, 8)


def test_an_untouched_canvas_is_no_mask(reader: PictureReader, uploads: Path) -> None:
    empty = drawing((8, 4), np.zeros((4, 8), np.uint8))
    found = reader.read(value(uploads, mask=empty), "ann", field="image")
    assert found is not None
    assert found.mask is None


def test_a_mask_of_another_size_is_refused_with_both_sizes(reader: PictureReader, uploads: Path) -> None:
    wrong = drawing((4, 4), np.full((4, 4), 255, np.uint8))
    with pytest.raises(RequestError, match=r"4x4.*8x4") as caught:
        reader.read(value(uploads, mask=wrong), "ann", field="image")
    assert caught.value.field == "image"


@pytest.mark.parametrize(
    "mask",
    [
        "hello",
        PNG_PREFIX + "!!!",
        PNG_PREFIX + base64.b64encode(b"no png").decode(),
        ["list"],
        5,
        "data:image/gif;base64,AA==",
    ],
)
def test_a_broken_mask_is_one_sentence(reader: PictureReader, uploads: Path, mask: object) -> None:
    with pytest.raises(RequestError, match="draw it again"):
        reader.read(value(uploads, mask=mask), "ann", field="image")


def test_no_file_outside_the_upload_folder_is_read(reader: PictureReader, uploads: Path) -> None:
    (uploads / "link.png").symlink_to(uploads.parent / "secret.png")
    for path in (
        "/etc/passwd",
        str(uploads.parent / "secret.png"),
        f"{uploads}/../secret.png",
        f"{uploads}/link.png",
    ):
        with pytest.raises(RequestError, match="gone"):
            reader.read({"image": {"path": path}}, "ann", field="image")


def test_a_picture_of_somebody_else_is_not_found(reader: PictureReader) -> None:
    assert reader.read({"image": {"id": "mine"}}, "ann", field="image") is not None
    with pytest.raises(NotFoundError):
        reader.read({"image": {"id": "mine"}}, "bob", field="image")


def test_a_file_that_is_no_picture_is_one_sentence(reader: PictureReader, uploads: Path) -> None:
    (uploads / "in.png").write_bytes(b"<html>")
    with pytest.raises(RequestError, match="not a picture"):
        reader.read(value(uploads), "ann", field="image")


def test_a_mask_file_is_white_where_it_may_change(reader: PictureReader, uploads: Path) -> None:
    def file(size: tuple[int, int], grey: int) -> PictureInput:
        (uploads / "in.png").write_bytes(png(size, grey, "L"))
        found = reader.read(value(uploads), "ann", field="base_mask")
        assert found is not None
        return found

    picture = file((8, 4), 7)
    assert mask_of_file(file((8, 4), 0), picture, "base_mask") is None
    grey = mask_of_file(file((8, 4), 90), picture, "base_mask")
    assert grey is not None
    assert grey.getextrema() == (90, 90)
    with pytest.raises(RequestError, match="same size"):
        mask_of_file(file((9, 4), 255), picture, "base_mask")
