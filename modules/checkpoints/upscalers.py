"""Which upscalers there are: three without a network, and the files in ``models/ESRGAN`` and beside it."""

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from PIL import Image

from modules.checkpoints.files import ModelStore
from modules.checkpoints.upscaler_network import Tiling, UpscalerNetwork, load_upscaler, run_upscaler
from modules.exceptions import NotFoundError
from modules.imaging.upscale import PLAIN_UPSCALERS, Upscaler
from modules.runtime.device import Runtime
from modules.settings.options import Settings

__all__ = ["REALESRGAN_FILES", "UPSCALER_FOLDERS", "UpscalerCatalog", "UpscalerFile"]

SUFFIXES = (".safetensors", ".pth", ".pt")
UPSCALER_FOLDERS = ("ESRGAN", "RealESRGAN", "DAT", "SwinIR", "ScuNET", "HAT")

REALESRGAN_FILES: Mapping[str, str] = MappingProxyType({  # file stem -> A1111's name
    "RealESRGAN_x4plus": "R-ESRGAN 4x+",
    "RealESRGAN_x4plus_anime_6B": "R-ESRGAN 4x+ Anime6B",
    "RealESRGAN_x2plus": "R-ESRGAN 2x+",
    "realesr-general-x4v3": "R-ESRGAN General 4xV3",
    "realesr-general-wdn-x4v3": "R-ESRGAN General WDN 4xV3",
    "realesr-animevideov3": "R-ESRGAN AnimeVideo",
})  # fmt: skip
_KNOWN_NAMES: Mapping[str, Mapping[str, str]] = MappingProxyType({
    "RealESRGAN": REALESRGAN_FILES,
    "DAT": {f"DAT_x{scale}": f"DAT x{scale}" for scale in (2, 3, 4)},
    "SwinIR": {"SwinIR_4x": "SwinIR 4x"},
})  # fmt: skip
_SCALE = re.compile(r"(?<![0-9])([1-8])x|x([1-8])(?![0-9])", re.IGNORECASE)
_USUAL_SCALE = 4
_KINDS: Mapping[str, str] = MappingProxyType({"ESRGAN": "ESRGAN_4x", "SwinIR": "SwinIR 4x"})


@dataclass(frozen=True)
class UpscalerFile:
    """One upscaler.

    Attributes:
        name: what settings, requests and pages call it.
        folder: of the model folders, "" where it needs no file.
        path: its file, None where it needs none.
    """

    name: str
    folder: str = ""
    path: Path | None = None

    @property
    def kind(self) -> str | None:
        """What A1111 calls the kind of network, None where there is none."""
        return None if self.path is None else _KINDS.get(self.folder, self.folder)

    @property
    def scale(self) -> int:
        """The factor as its name says it; A1111's 4 where the name is silent."""
        found = None if self.path is None else _SCALE.search(self.path.stem)
        return _USUAL_SCALE if found is None else int(found[1] or found[2])


class UpscalerCatalog(Mapping[str, Upscaler]):
    """Finds upscalers and runs them; safe between threads. The network that was used last stays loaded.

    As a mapping it goes by the settings of the moment; :meth:`find` goes by those of a job.

    Args:
        models: the models folder.
        store: reads pickled files.
        runtime: where networks run.
        current: the settings of the moment.
    """

    def __init__(
        self,
        models: Path,
        store: ModelStore,
        runtime: Runtime,
        current: Callable[[], Settings] = Settings,
    ) -> None:
        self._models = models
        self._current = current
        self._store = store
        self._runtime = runtime
        self._lock = threading.Lock()
        self._files: Mapping[str, UpscalerFile] = {}
        self._loaded: tuple[tuple[Path, int], UpscalerNetwork] | None = None
        self.refresh()

    def __getitem__(self, name: str) -> Upscaler:
        if name not in self._files:
            raise KeyError(name)
        return self.find(name, self._current())

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def refresh(self) -> None:
        """Look at the folders again."""
        found: dict[str, UpscalerFile] = {}
        for folder in UPSCALER_FOLDERS:
            for path in sorted((self._models / folder).rglob("*")):
                if path.suffix.lower() in SUFFIXES and path.is_file():
                    name = _KNOWN_NAMES.get(folder, {}).get(path.stem, path.stem)
                    found.setdefault(name, UpscalerFile(name, folder, path))
        plain = {name: UpscalerFile(name) for name in PLAIN_UPSCALERS}
        by_name = sorted(found.values(), key=lambda file: file.name.lower())
        self._files = {**plain, **{file.name: file for file in by_name if file.name not in plain}}

    def listed(self, settings: Settings) -> tuple[UpscalerFile, ...]:
        """What the lists show, in A1111's order; the settings hide some of the well-known files."""
        shown = {"RealESRGAN": settings.realesrgan_enabled_models, "DAT": settings.dat_enabled_models}
        return tuple(
            file
            for file in self._files.values()
            if file.name not in _KNOWN_NAMES.get(file.folder, {}).values()
            or file.name in shown.get(file.folder, (file.name,))
        )

    def names(self, settings: Settings) -> tuple[str, ...]:
        """Names of :meth:`listed`."""
        return tuple(file.name for file in self.listed(settings))

    def find(
        self,
        name: str,
        settings: Settings,
        *,
        field: str = "upscaler",
        stop: Callable[[], bool] = lambda: False,
    ) -> Upscaler:
        """The upscaler of that name, case aside. Its file is read when it is first called.

        Args:
            name: as in the lists; the name of a file that has come since is found too.
            settings: sizes of tiles.
            field: of the request, for messages.
            stop: asked between tiles; ends the work by :class:`JobInterrupted`.

        Raises:
            NotFoundError: there is none.
        """
        file = self._find(name)
        if file is None:
            self.refresh()
            file = self._find(name)
        if file is None:
            raise NotFoundError(field, f"there is no upscaler {name!r}; {self._advice(name)}")
        if file.path is None:
            return PLAIN_UPSCALERS[file.name]
        path, tiling = file.path, _tiling(file, settings)

        def run(image: Image.Image, _width: int, _height: int) -> Image.Image:
            return run_upscaler(self._network(path), image, tiling, self._runtime, stop=stop)

        return run

    def unload(self) -> None:
        """Drop the network in memory."""
        with self._lock:
            self._loaded = None

    def _find(self, name: str) -> UpscalerFile | None:
        files = self._files
        return files.get(name) or next(
            (file for file in files.values() if file.name.lower() == name.lower()), None
        )

    def _advice(self, name: str) -> str:
        for folder, names in _KNOWN_NAMES.items():
            stem = next((stem for stem, known in names.items() if known.lower() == name.lower()), None)
            if stem is not None:
                return f"put {stem}.pth into the folder models/{folder}"
        return f"there are: {', '.join(self._files)}"

    def _network(self, path: Path) -> UpscalerNetwork:
        with self._lock:
            key = (path, path.stat().st_mtime_ns if path.exists() else 0)
            if self._loaded is None or self._loaded[0] != key:
                self._loaded = None  # before the next one takes its memory
                self._loaded = (key, load_upscaler(path, self._store, self._runtime))
            return self._loaded[1]


def _tiling(file: UpscalerFile, settings: Settings) -> Tiling:
    if file.folder == "DAT":
        return Tiling(settings.DAT_tile, settings.DAT_tile_overlap)
    return Tiling(settings.ESRGAN_tile, settings.ESRGAN_tile_overlap)
