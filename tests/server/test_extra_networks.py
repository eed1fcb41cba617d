import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from tests.server.studio import Studio, open_studio

THUMB, META = "/sd_extra_networks/thumb", "/sd_extra_networks/metadata"


def png(color: str = "red") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), color).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Studio]:
    """A studio with a LoRA that has a preview, a cover and metadata."""
    folder = tmp_path / "models" / "Lora"
    folder.mkdir(parents=True)
    said = {
        "ss_output_name": "ink",
        "ssmd_cover_images": json.dumps([base64.b64encode(png("blue")).decode()]),
    }
    save_file({"weight": torch.zeros(1)}, folder / "ink & <b>.safetensors", said)
    (folder / "ink & <b>.preview.png").write_bytes(png())
    (tmp_path / "secret.png").write_bytes(png())
    with open_studio(tmp_path, start=False) as studio:
        yield studio


def test_a_preview_is_found_by_name_and_by_path(gallery: Studio) -> None:
    folder = gallery.services.options.folders.models / "Lora"
    by_name = gallery.get(THUMB, params={"page": "lora", "item": "ink & <b>"})
    by_path = gallery.get(THUMB, params={"filename": str(folder / "ink & <b>.preview.png")})
    assert by_name.content == by_path.content == png()
    assert by_name.headers["content-type"] == "image/png"


@pytest.mark.parametrize("filename", ["", "/etc/passwd", "../secret.png", "secret.png", "\0"])
def test_nothing_else_is_shown(gallery: Studio, filename: str) -> None:
    secret = gallery.services.options.folders.data.parent / "secret.png"
    for wanted in (
        filename,
        str(secret),
        str(secret.parent / "models" / "Lora" / ".." / ".." / "secret.png"),
    ):
        assert gallery.get(THUMB, params={"filename": wanted}).status_code == 404


def test_what_is_no_picture_is_not_sent(gallery: Studio) -> None:
    folder = gallery.services.options.folders.models / "Lora"
    (folder / "ink & <b>.preview.png").write_bytes(b"<html><script>alert(1)</script>")
    assert gallery.get(THUMB, params={"page": "lora", "item": "ink & <b>"}).status_code == 404


def test_metadata_and_covers_come_from_the_file(gallery: Studio) -> None:
    asked = {"page": "lora", "item": "ink & <b>"}
    assert json.loads(gallery.get(META, params=asked).json()["metadata"]) == {"ss_output_name": "ink"}
    assert gallery.get(META, params={"page": "checkpoints", "item": "tiny"}).json() == {}
    assert gallery.get(META, params={"page": "nothing", "item": "x"}).json() == {}
    cover = "/sd_extra_networks/cover-images"
    assert gallery.get(cover, params=asked).content == png("blue")
    for wrong in ({**asked, "index": 5}, {"page": "checkpoints", "item": "tiny"}):
        assert gallery.get(cover, params=wrong).status_code == 404


def test_a_card_is_clean_html(gallery: Studio) -> None:
    asked = {"page": "lora", "tabname": "txt2img", "name": "ink & <b>"}
    html = gallery.get("/sd_extra_networks/get-single-card", params=asked).json()["html"]
    assert "ink &amp; &lt;b&gt;" in html
    assert "<b>" not in html
    (address,) = [part.split('"')[0] for part in html.split('src="')[1:]]
    assert gallery.get(address.replace("&amp;", "&")).status_code == 200
    assert gallery.get("/sd_extra_networks/get-single-card", params={**asked, "name": "x"}).status_code == 404
