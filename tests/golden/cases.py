"""The reference cases as they lie on disk."""

import base64
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

__all__ = ["Case", "Pixels", "load_cases", "read_picture"]

Pixels = npt.NDArray[np.uint8]

INPUT = "@inputs/"  # how a request names a picture of the folder inputs/
FIRST_CHECKPOINT = "tiny-sd1.safetensors"


@dataclass(frozen=True)
class Case:
    """One request and what the reference answered.

    Attributes:
        noise: values that another attention or another CPU changes: the reference's own largest number, or
            ours from ``noise.json`` where the reference states none.
        infotexts: as returned, grids first; empty for requests that only process pictures.
    """

    id: str
    feature: str
    endpoint: str
    folder: Path
    inputs: Path
    noise: int
    infotexts: tuple[str, ...]

    @property
    def request(self) -> dict[str, Any]:
        """Body of the call, with the input pictures put in."""
        expanded: dict[str, Any] = self._expand(json.loads((self.folder / "request.json").read_text()))
        return expanded

    @property
    def checkpoint(self) -> str:
        """File name of the checkpoint that the case starts with."""
        settings = json.loads((self.folder / "request.json").read_text()).get("override_settings", {})
        return str(settings.get("sd_model_checkpoint", FIRST_CHECKPOINT))

    def pictures(self) -> list[Pixels]:
        """The reference's pictures in the order of the answer."""
        paths = sorted(self.folder.glob("image_*.png"), key=lambda path: int(path.stem.split("_")[1]))
        return [read_picture(path.read_bytes()) for path in paths]

    def _expand(self, value: Any) -> Any:  # noqa: ANN401
        if isinstance(value, dict):
            return {key: self._expand(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._expand(inner) for inner in value]
        if isinstance(value, str) and value.startswith(INPUT):
            content = (self.inputs / value.removeprefix(INPUT)).read_bytes()
            return base64.b64encode(content).decode()
        return value


def read_picture(content: bytes) -> Pixels:
    """Pixels (H, W, C) uint8 of an encoded picture."""
    with Image.open(io.BytesIO(content)) as picture:
        pixels = np.asarray(picture)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def load_cases(folder: Path) -> list[Case]:
    """All cases of a folder (``manifest.json``, ``cases/``, ``inputs/``), those of a checkpoint together."""
    manifest = json.loads((folder / "manifest.json").read_text())
    extra = folder / "noise.json"
    measured = json.loads(extra.read_text()) if extra.exists() else {}
    cases = [_load(folder, name, entry, measured.get(name, 0)) for name, entry in manifest["cases"].items()]
    return sorted(cases, key=lambda case: (case.checkpoint, case.feature, case.id))


def _load(folder: Path, name: str, entry: dict[str, Any], measured: int) -> Case:
    place = folder / "cases" / name
    answer = place / "info.json"
    info = json.loads(answer.read_text()) if answer.exists() else {}
    return Case(
        id=name,
        feature=entry["feature"],
        endpoint=entry["endpoint"],
        folder=place,
        inputs=folder / "inputs",
        noise=max(measured, *(entry.get(kind, {}).get("pixels", 0) for kind in ("rerun", "sdp", "avx2"))),
        infotexts=tuple(info.get("infotexts", ())),
    )
