"""The depth estimator of a depth checkpoint: out of the checkpoint itself, or from ``models/midas``."""

import logging
from pathlib import Path

import torch

from modules.checkpoints.files import ModelStore
from modules.checkpoints.filling import fill_network
from modules.checkpoints.reader import MappedWeights
from modules.checkpoints.weights import RenamedWeights, Weights, renamed_depth
from modules.exceptions import CheckpointError
from modules.families.depth import DEPTH_PREFIX, depth_config
from modules.networks.depth import DepthEstimator
from modules.runtime.device import Runtime

__all__ = ["load_depth"]

log = logging.getLogger(__name__)

_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")


def load_depth(
    checkpoint: Weights, folder: Path | None, store: ModelStore, runtime: Runtime
) -> DepthEstimator | None:
    """Load the estimator.

    Args:
        checkpoint: a depth checkpoint; most hold the estimator.
        folder: where a file of its own may lie, in original or transformers' names, also in a folder below.
        store: reads pickled files.
        runtime: device and number format.

    Returns:
        None when there is none in either place.

    Raises:
        CheckpointError: it is there but cannot be used.
    """
    if checkpoint.header.below(DEPTH_PREFIX):
        return _built(checkpoint, runtime)
    for path in _files(folder):
        weights = _opened(path, store)
        if weights.header.below(DEPTH_PREFIX):
            log.info("depth is estimated by %s", path.name)
            return _built(weights, runtime)
    return None


def _files(folder: Path | None) -> list[Path]:
    if folder is None or not folder.is_dir():
        return []
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES and path.is_file())


def _opened(path: Path, store: ModelStore) -> RenamedWeights:
    return renamed_depth(path, MappedWeights(store.readable(path)))


def _built(weights: Weights, runtime: Runtime) -> DepthEstimator:
    shapes = weights.header.below(DEPTH_PREFIX)
    try:
        config = depth_config(shapes)
    except ValueError as reason:
        raise CheckpointError(weights.header.path, f"is no depth estimator: {reason}") from reason
    with torch.device("meta"):
        network = DepthEstimator(config)
    names = {name: DEPTH_PREFIX + name for name in shapes}
    return fill_network(network, weights, names, runtime.home, runtime.dtype)
