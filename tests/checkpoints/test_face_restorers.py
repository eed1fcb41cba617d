"""GFPGAN and CodeFormer: what is missing is said; networks are loaded and run when all is there."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from modules.checkpoints.face_restorers import FaceRestorers
from modules.checkpoints.files import ModelStore
from modules.exceptions import NotFoundError
from modules.runtime.device import Runtime

POINTS = [192.98, 239.95, 318.90, 240.19, 256.63, 314.02, 201.26, 371.41, 313.09, 371.15]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    for folder in ("GFPGAN", "Codeformer"):
        (tmp_path / folder).mkdir()
    return tmp_path


@pytest.fixture
def faces(models: Path) -> FaceRestorers:
    return FaceRestorers(models, ModelStore.below(models / "cache"), Runtime(torch.device("cpu")))


@pytest.fixture
def files(models: Path) -> None:
    for name in ("GFPGAN/GFPGANv1.4", "GFPGAN/detection_Resnet50_Final", "Codeformer/codeformer-v0.1.0"):
        save_file({"weight": torch.ones(1)}, models / f"{name}.safetensors")


class Darker(nn.Module):
    """Stands for a restorer: halves the brightness."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[dict[str, object]] = []

    def forward(self, x: Tensor, **options: object) -> tuple[Tensor, ...]:
        self.asked.append(options)
        return ((x + 1) / 2 - 1,)


class Detector(nn.Module):
    """Stands for a detector: one face in the middle of a 512-pixel picture."""

    def __init__(self, **_options: object) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def detect_faces(self, _pixels: np.ndarray, confidence: float) -> np.ndarray:
        assert 0 < confidence < 1
        return np.array([[100, 100, 400, 400, 0.99, *POINTS]])


@pytest.fixture
def packages(monkeypatch: pytest.MonkeyPatch) -> Darker:
    """The optional packages, as far as they are used."""
    network = Darker()
    loader = SimpleNamespace(load_from_state_dict=lambda _state: SimpleNamespace(model=network))
    contents: dict[str, dict[str, object]] = {
        "spandrel": {"ModelLoader": lambda: loader, "UnsupportedModelError": LookupError},
        "spandrel_extra_arches": {"install": lambda **_options: None},
        "facexlib": {},
        "facexlib.detection": {},
        "facexlib.detection.retinaface": {"RetinaFace": Detector},
    }
    for name, content in contents.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name in contents or found(name))
    return network


def test_nothing_is_listed_without_files(faces: FaceRestorers) -> None:
    assert faces.available() == ()
    assert "put GFPGANv1.4.pth into the folder models/GFPGAN" in (faces.missing("GFPGAN") or "")
    assert "put codeformer-v0.1.0.pth into the folder models/Codeformer" in (
        faces.missing("CodeFormer") or ""
    )


@pytest.mark.usefixtures("files")
def test_files_without_packages_ask_for_the_packages(faces: FaceRestorers) -> None:
    said = faces.missing("CodeFormer") or ""
    assert "pip install spandrel spandrel-extra-arches facexlib" in said
    with pytest.raises(NotFoundError, match="pip install"):
        faces.restore(Image.new("RGB", (8, 8)), "CodeFormer")


def test_an_unknown_restorer_is_refused(faces: FaceRestorers) -> None:
    with pytest.raises(NotFoundError, match="CodeFormer, GFPGAN"):
        faces.missing("Botox")


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("name", "options"), [("GFPGAN", {"return_rgb": False}), ("codeformer", {"weight": 0.25, "adain": True})]
)
def test_the_network_is_run_on_the_faces_alone(
    faces: FaceRestorers, packages: Darker, name: str, options: dict[str, object]
) -> None:
    picture = Image.new("RGB", (640, 512), (200, 100, 60))
    assert [each.name for each in faces.available()] == ["CodeFormer", "GFPGAN"]
    restored = np.asarray(faces.restore(picture, name, weight=0.25)).astype(int)
    assert np.abs(restored[256, 256] - [100, 50, 30]).max() <= 1
    assert (restored[:, 520:] == [200, 100, 60]).all()
    assert packages.asked == [options]


@pytest.mark.usefixtures("files", "packages")
def test_faces_are_found_for_crops_too(faces: FaceRestorers) -> None:
    (x, y), *others = faces.centres(Image.new("RGB", (512, 512)))
    assert (round(x), round(y), others) == (257, 307, [])
