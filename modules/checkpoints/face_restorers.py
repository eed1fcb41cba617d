"""GFPGAN and CodeFormer, where their files and the optional packages are there.

The networks come from the packages spandrel (GFPGAN) and spandrel-extra-arches (CodeFormer), the one that
finds faces from facexlib; all weights come through our own reader. What is missing is said in a sentence.
"""

import importlib
import importlib.util
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from modules.checkpoints.files import ModelStore
from modules.checkpoints.reader import MappedWeights
from modules.exceptions import CheckpointError, NotFoundError
from modules.imaging.faces import Landmarks, restore_faces
from modules.runtime.device import Runtime

__all__ = ["FACE_RESTORERS", "FaceRestorer", "FaceRestorers"]

log = logging.getLogger(__name__)

DETECTOR = "detection_Resnet50_Final"
CONFIDENCE = 0.97  # of the detector; below, backgrounds become faces
SUFFIXES = (".safetensors", ".pth", ".pt")


@dataclass(frozen=True)
class FaceRestorer:
    """One of them.

    Attributes:
        name: A1111's.
        folder: of the models folder.
        stems: names its file may have, the newest first.
        package: which knows the architecture.
    """

    name: str
    folder: str
    stems: tuple[str, ...]
    package: str


FACE_RESTORERS = (
    FaceRestorer("CodeFormer", "Codeformer", ("codeformer-v0.1.0", "codeformer"), "spandrel_extra_arches"),
    FaceRestorer("GFPGAN", "GFPGAN", ("GFPGANv1.4", "GFPGANv1.3"), "spandrel"),
)


class FaceRestorers:
    """Restores faces; safe between threads. What was loaded last stays in memory.

    Args:
        models: the models folder.
        store: reads pickled files.
        runtime: where networks run.
    """

    def __init__(self, models: Path, store: ModelStore, runtime: Runtime) -> None:
        self._models = models
        self._store = store
        self._device = runtime.device
        self._lock = threading.Lock()
        self._loaded: dict[Path, nn.Module] = {}

    def available(self) -> tuple[FaceRestorer, ...]:
        """Those that can be used now."""
        return tuple(each for each in FACE_RESTORERS if self.missing(each.name) is None)

    def folder(self, restorer: FaceRestorer) -> Path:
        """Where its file belongs."""
        return self._models / restorer.folder

    def missing(self, name: str) -> str | None:
        """What there is to be done before it can be used, as a sentence; None when it can.

        Raises:
            NotFoundError: there is no such restorer.
        """
        restorer = _known(name)
        if self._file(restorer.folder, *restorer.stems) is None:
            file = f"{restorer.stems[0]}.pth"
            return f"{name} is not installed: put {file} into the folder models/{restorer.folder}."
        if self._file("GFPGAN", DETECTOR) is None:
            return f"{name} cannot find faces yet: put {DETECTOR}.pth into the folder models/GFPGAN."
        packages = ("spandrel", restorer.package, "facexlib")
        absent = [package for package in dict.fromkeys(packages) if importlib.util.find_spec(package) is None]
        if absent:
            return (
                f"{name} needs more packages in the studio's environment: "
                f"venv/bin/pip install {' '.join(absent).replace('_', '-')}"
            )
        return None

    def restore(self, image: Image.Image, name: str, *, weight: float = 0.5) -> Image.Image:
        """The picture with all faces restored.

        Args:
            image: any mode; the result is RGB.
            name: of the restorer.
            weight: of CodeFormer: 0 changes most, 1 least.

        Raises:
            NotFoundError: it is not known or not installed.
            CheckpointError: a file cannot be used.
        """
        missing = self.missing(name)
        if missing is not None:
            raise NotFoundError("face_restoration_model", missing)
        restorer = _known(name)
        with self._lock:
            detector = self._network("GFPGAN", (DETECTOR,), _build_detector)
            network = self._network(restorer.folder, restorer.stems, _by_spandrel)
            picture = image.convert("RGB")
            faces = _landmarks(detector, picture)
            options: dict[str, object] = {"return_rgb": False}
            if restorer.name == "CodeFormer":
                options = {"weight": weight, "adain": True}
            log.info("restoring %d faces with %s", len(faces), name)
            return restore_faces(picture, faces, lambda face: self._restored(network, face, options))

    def centres(self, image: Image.Image) -> tuple[tuple[float, float], ...]:
        """Where faces are, in pixels; nothing where no detector is installed."""
        if self._file("GFPGAN", DETECTOR) is None or importlib.util.find_spec("facexlib") is None:
            return ()
        with self._lock:
            faces = _landmarks(self._network("GFPGAN", (DETECTOR,), _build_detector), image.convert("RGB"))
        return tuple((float(face[:, 0].mean()), float(face[:, 1].mean())) for face in faces)

    def _restored(self, network: nn.Module, face: Image.Image, options: dict[str, object]) -> Image.Image:
        pixels = torch.from_numpy(np.asarray(face).copy()).permute(2, 0, 1)[None].float()
        with torch.no_grad():
            out: Tensor = network((pixels / 127.5 - 1).to(self._device), **options)[0]
        colours = (out[0].float().clamp(-1, 1).cpu() + 1) * 127.5
        return Image.fromarray(colours.round().to(torch.uint8).permute(1, 2, 0).numpy())

    def _network(
        self, folder: str, stems: tuple[str, ...], build: Callable[[dict[str, Tensor]], nn.Module]
    ) -> nn.Module:
        path = self._file(folder, *stems)
        if path is None:
            raise NotFoundError("face_restoration_model", f"there is no {stems[0]}.pth in models/{folder}")
        if path not in self._loaded:
            weights = MappedWeights(self._store.readable(path))
            state = {name: weights.tensor(name).clone() for name in weights.header.tensors}
            try:
                network = build(state)
            except (RuntimeError, ValueError, KeyError, LookupError) as error:
                raise CheckpointError(path, "is not the network its name says") from error
            self._loaded[path] = network.to(self._device).requires_grad_(False).eval()
        return self._loaded[path]

    def _file(self, folder: str, *stems: str) -> Path | None:
        paths = (self._models / folder / f"{stem}{suffix}" for stem in stems for suffix in SUFFIXES)
        return next((path for path in paths if path.is_file()), None)


def _known(name: str) -> FaceRestorer:
    for restorer in FACE_RESTORERS:
        if restorer.name.lower() == name.lower():
            return restorer
    names = ", ".join(restorer.name for restorer in FACE_RESTORERS)
    raise NotFoundError("face_restoration_model", f"there is no face restorer {name!r}; there are: {names}")


def _by_spandrel(state: dict[str, Tensor]) -> nn.Module:
    spandrel = importlib.import_module("spandrel")
    if importlib.util.find_spec("spandrel_extra_arches") is not None:
        importlib.import_module("spandrel_extra_arches").install(ignore_duplicates=True)
    try:
        network: nn.Module = spandrel.ModelLoader().load_from_state_dict(state).model
    except spandrel.UnsupportedModelError as error:
        raise ValueError(str(error)) from error
    return network


def _build_detector(state: dict[str, Tensor]) -> nn.Module:
    retinaface = importlib.import_module("facexlib.detection.retinaface")
    network: nn.Module = retinaface.RetinaFace(network_name="resnet50", half=False)
    network.load_state_dict({name.removeprefix("module."): tensor for name, tensor in state.items()})
    return network


def _landmarks(detector: nn.Module, image: Image.Image) -> list[Landmarks]:
    """Five points of each face; the detector wants blue, green, red."""
    pixels = np.asarray(image)[:, :, ::-1].copy()
    with torch.no_grad():
        found = detector.detect_faces(pixels, CONFIDENCE)  # type: ignore[operator]
    return [np.asarray(row[5:15], dtype=np.float64).reshape(5, 2) for row in found]
