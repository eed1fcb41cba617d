"""What happens to a picture after its last step."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from modules.checkpoints.face_restorers import FaceRestorers
from modules.domain.request import GenerationRequest
from modules.exceptions import CheckpointError
from modules.imaging.metadata import read_infotext
from modules.services import Services
from tests.generation.test_pictures import BASE, finished, make


def values(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


@pytest.fixture
def restorer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A face restorer that is installed and takes the whole picture for a face."""

    def restore(_self: FaceRestorers, image: Image.Image, _name: str, *, weight: float) -> Image.Image:
        assert weight == 0.25
        return ImageOps.invert(image)

    monkeypatch.setattr(FaceRestorers, "missing", lambda _self, _name: None)
    monkeypatch.setattr(FaceRestorers, "restore", restore)


def test_a_missing_face_restorer_is_a_comment_beside_the_picture(services: Services) -> None:
    request = GenerationRequest.model_validate({**BASE, "restore_faces": True})
    view = finished(services, services.jobs.submit(request, "artist"))
    assert any("put codeformer-v0.1.0.pth into the folder" in comment for comment in view.comments)
    assert "Face restoration" not in view.images[0].infotext


@pytest.mark.usefixtures("restorer")
def test_restored_faces_are_in_picture_and_parameters(services: Services) -> None:
    settings = {"face_restoration_model": "GFPGAN", "code_former_weight": 0.25}
    (plain,) = make(services, override_settings=settings)
    (restored,) = make(services, override_settings=settings, restore_faces=True)
    assert np.array_equal(values(restored), 255 - values(plain))
    assert "Seed: 7, Face restoration: GFPGAN, Size: 64x64" in (read_infotext(restored)[0] or "")
    (by_setting,) = make(services, override_settings={**settings, "face_restoration": True})
    assert np.array_equal(values(by_setting), values(restored))
    (against_it,) = make(
        services, override_settings={**settings, "face_restoration": True}, restore_faces=False
    )
    assert np.array_equal(values(against_it), values(plain))


@pytest.mark.usefixtures("restorer")
def test_the_picture_before_its_faces_were_restored_can_be_kept(services: Services) -> None:
    settings = {"code_former_weight": 0.25, "save_images_before_face_restoration": True}
    request = GenerationRequest.model_validate(
        {**BASE, "seed": 4242, "restore_faces": True, "override_settings": settings}
    )
    (image,) = finished(services, services.jobs.submit(request, "artist")).images
    (before,) = Path(image.path).parent.glob("*4242*-before-face-restoration.png")
    assert np.array_equal(values(before.read_bytes()), 255 - values(Path(image.path).read_bytes()))


@pytest.mark.usefixtures("restorer")
def test_a_restorer_that_fails_costs_no_picture(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: object, **_options: object) -> Image.Image:
        raise CheckpointError("GFPGANv1.4.pth", "is not the network its name says")

    monkeypatch.setattr(FaceRestorers, "restore", broken)
    request = GenerationRequest.model_validate({**BASE, "restore_faces": True})
    view = finished(services, services.jobs.submit(request, "artist"))
    assert len(view.images) == 1
    assert any("GFPGANv1.4.pth" in comment for comment in view.comments)
    assert "Face restoration" not in view.images[0].infotext
