import io
from pathlib import Path

import pytest
from PIL import Image

from modules.domain.job import ResultImage
from modules.domain.principal import Principal
from modules.domain.request import GenerationRequest
from modules.imaging.decode import picture_type
from tests.server.studio import Studio, open_studio
from tests.stub_runner import read_stub_picture


def session(studio: Studio, name: str) -> dict[str, str]:
    cookie = studio.access.accounts.open_session(Principal(name, "artist"))
    return {"cookie": f"{studio.access.cookie}={cookie}"}


def finished_picture(studio: Studio, owner: str) -> ResultImage:
    job_id = studio.services.jobs.submit(GenerationRequest(prompt="a cat", seed=9, steps=1), owner)
    return studio.services.jobs.wait(job_id, 30).images[0]


def test_the_owner_gets_the_files_own_bytes(studio: Studio) -> None:
    image = finished_picture(studio, "ann")
    answer = studio.get(f"/files/{image.id}", headers=session(studio, "ann"))
    assert answer.content == Path(image.path).read_bytes()
    assert read_stub_picture(answer.content)[1] == 9
    assert answer.headers["content-type"] == "image/png"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "immutable" in answer.headers["cache-control"]


def test_for_everybody_else_there_is_no_such_picture(studio: Studio) -> None:
    image = finished_picture(studio, "ann")
    bob = session(studio, "bob")
    strangers = studio.get(f"/files/{image.id}", headers=bob)
    unknown = studio.get("/files/AAAAAAAAAAAAAAAAAAAAAA", headers=bob)
    assert strangers.status_code == unknown.status_code == 404
    assert strangers.content == unknown.content
    assert studio.get(f"/files/{image.id}").status_code == 401


@pytest.mark.parametrize("name", ["..%2f..%2fetc%2fpasswd", "%2e%2e", "..%5cx", "a%00b", "%252e%252e%252f"])
def test_an_id_is_never_a_path(standing: Studio, name: str) -> None:
    assert standing.get(f"/files/{name}", headers=session(standing, "ann")).status_code == 404


def test_a_deleted_picture_is_not_found(studio: Studio) -> None:
    image = finished_picture(studio, "ann")
    Path(image.path).unlink()
    assert studio.get(f"/files/{image.id}", headers=session(studio, "ann")).status_code == 404


def test_a_thumbnail_is_small(studio: Studio) -> None:
    image = finished_picture(studio, "ann")
    answer = studio.get(f"/files/{image.id}?thumb=64", headers=session(studio, "ann"))
    assert answer.headers["content-type"] == "image/webp"
    with Image.open(io.BytesIO(answer.content)) as small:
        assert max(small.size) == 64
    for side in ("1", "100000", "x"):
        assert (
            studio.get(f"/files/{image.id}?thumb={side}", headers=session(studio, "ann")).status_code == 422
        )


@pytest.mark.parametrize("content", [b"<html><script>alert(1)</script>", b"<svg onload='alert(1)'/>", b""])
def test_what_is_no_picture_is_only_offered_for_download(tmp_path: Path, content: bytes) -> None:
    with open_studio(tmp_path, start=False) as studio:
        jobs = studio.services.jobs
        job_id = jobs.submit(GenerationRequest(), "ann")
        path = tmp_path / "page.html"
        path.write_bytes(content)
        jobs.add_images(job_id, ResultImage("planted", str(path), 0, 1, 1, 1, ""))
        answer = studio.get("/files/planted", headers=session(studio, "ann"))
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "AVIF", "GIF", "TIFF"])
def test_picture_types_are_told_by_their_first_bytes(format: str) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, format)
    allowed = f"image/{format.lower()}" if format in ("PNG", "JPEG", "WEBP", "AVIF") else None
    assert picture_type(buffer.getvalue()[:12]) == allowed
