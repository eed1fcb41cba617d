"""From an upscaler's file to a network, and from a network to larger pictures."""

import importlib
import importlib.util
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from modules.checkpoints.files import ModelStore
from modules.checkpoints.filling import fill_network
from modules.checkpoints.reader import MappedWeights
from modules.exceptions import CheckpointError, DeviceMemoryError, JobInterrupted
from modules.imaging.tiles import combine_tiles, split_tiles
from modules.networks.upscalers.compact import CompactNet, compact_config
from modules.networks.upscalers.rrdb import RrdbNet, rrdb_config, rrdb_names
from modules.runtime.device import Runtime

__all__ = ["Tiling", "UpscalerNetwork", "load_upscaler", "run_upscaler"]

log = logging.getLogger(__name__)

MAX_OUTPUT_PIXELS = 300_000_000  # 900 MB as RGB; a wrong choice must not take all memory


class UpscalerNetwork(Protocol):
    """What enlarges: a picture (1, 3, H, W) in 0..1 to (1, 3, s * H, s * W)."""

    @property
    def scale(self) -> int:
        """Pixels out for a pixel in, along one side."""
        ...

    def __call__(self, x: Tensor, /) -> Tensor:
        """Run it."""
        ...


@dataclass(frozen=True)
class Tiling:
    """Settings such as ``ESRGAN_tile`` and ``ESRGAN_tile_overlap``: pixels of the source; 0 is no tiles."""

    size: int = 192
    overlap: int = 8


def load_upscaler(path: Path, store: ModelStore, runtime: Runtime) -> UpscalerNetwork:
    """Load a network: the ESRGAN family by our own code, all others by spandrel where it is installed.

    Raises:
        CheckpointError: the file cannot be read, or its network is not known here.
    """
    weights = MappedWeights(store.readable(path))
    names = rrdb_names(weights.header.tensors) or {name: name for name in weights.header.tensors}
    shapes = {ours: weights.header.tensors[theirs].shape for ours, theirs in names.items()}
    network = _own_network(shapes)
    if network is None:
        return _by_spandrel(path, weights, runtime)
    return fill_network(network, weights, names, runtime.device, torch.float32)


def run_upscaler(
    network: UpscalerNetwork,
    image: Image.Image,
    tiling: Tiling,
    runtime: Runtime,
    *,
    stop: Callable[[], bool] = lambda: False,
) -> Image.Image:
    """Enlarge a picture by the network's factor, tile by tile; transparency is kept.

    Args:
        network: as :func:`load_upscaler` gives it.
        image: any mode.
        tiling: how to cut it; tiles are never larger than the picture.
        runtime: where to compute.
        stop: asked before each tile.

    Raises:
        JobInterrupted: ``stop`` said so.
        DeviceMemoryError: a tile is too large for the device, or the result for the memory.
    """
    if image.width * image.height * network.scale**2 > MAX_OUTPUT_PIXELS:
        raise DeviceMemoryError(
            f"{image.width}x{image.height} pixels, {network.scale} times as large along each side, are too "
            "many; start from a smaller picture"
        )
    if image.mode in {"RGBA", "LA"}:
        larger = run_upscaler(network, image.convert("RGB"), tiling, runtime, stop=stop)
        larger.putalpha(image.getchannel("A").resize(larger.size, Image.Resampling.LANCZOS))
        return larger
    image = image.convert("RGB")
    size = tiling.size or max(image.size)
    grid = split_tiles(image, min(size, image.width), min(size, image.height), min(tiling.overlap, size - 1))
    tiles = []
    for tile in grid.tiles:
        if stop():
            raise JobInterrupted("stopped")
        tiles.append(_enlarged(network, tile.image, runtime))
    return combine_tiles(grid.enlarged(tiles, network.scale))


def _own_network(shapes: dict[str, tuple[int, ...]]) -> RrdbNet | CompactNet | None:
    with torch.device("meta"):
        for build in (_rrdb, _compact):
            try:
                return build(shapes)
            except ValueError:
                continue
    return None


def _rrdb(shapes: dict[str, tuple[int, ...]]) -> RrdbNet:
    return RrdbNet(rrdb_config(shapes))


def _compact(shapes: dict[str, tuple[int, ...]]) -> CompactNet:
    return CompactNet(*compact_config(shapes))


def _by_spandrel(path: Path, weights: MappedWeights, runtime: Runtime) -> UpscalerNetwork:
    """Any of the architectures that the optional package knows (SwinIR, DAT, HAT ...)."""
    if importlib.util.find_spec("spandrel") is None:
        raise CheckpointError(
            path,
            "is neither an ESRGAN nor a compact Real-ESRGAN; for other upscalers install the package "
            "spandrel into the studio's environment (venv/bin/pip install spandrel)",
        )
    spandrel = importlib.import_module("spandrel")
    state = {name: weights.tensor(name).clone() for name in weights.header.tensors}
    try:
        described = spandrel.ModelLoader(device=runtime.device).load_from_state_dict(state)
    except (spandrel.UnsupportedModelError, RuntimeError, ValueError, KeyError) as error:
        raise CheckpointError(path, "is no upscaler that the package spandrel knows") from error
    if not isinstance(described, spandrel.ImageModelDescriptor) or described.input_channels != 3:
        raise CheckpointError(path, f"is no upscaler of colour pictures but {described.architecture.name}")
    described.model.requires_grad_(False).eval()
    network: UpscalerNetwork = described
    return network


def _enlarged(network: UpscalerNetwork, image: Image.Image, runtime: Runtime) -> Image.Image:
    """One tile. Channels go in as blue, green, red and results are rounded, as in A1111."""
    pixels = torch.from_numpy(np.asarray(image)[:, :, ::-1].copy()).permute(2, 0, 1)[None]
    try:
        with torch.no_grad():
            out = network((pixels.float() / 255).to(runtime.device))[0].float().clamp(0, 1).cpu()
    except torch.OutOfMemoryError as error:
        raise DeviceMemoryError(
            f"{runtime.device} has too little memory for tiles of {image.width} pixels; choose smaller "
            "ones in the settings (Upscaling)"
        ) from error
    return Image.fromarray((out * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()[:, :, ::-1].copy())
