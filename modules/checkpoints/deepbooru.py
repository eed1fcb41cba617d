"""A1111's file of DeepDanbooru: weights and names of tags in one pickle."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from modules.checkpoints.files import ModelStore
from modules.checkpoints.filling import fill_network
from modules.checkpoints.pickles import read_tree
from modules.checkpoints.reader import MappedWeights
from modules.exceptions import CheckpointError
from modules.networks.deepbooru import DeepBooru, DeepBooruConfig, convolution_names

__all__ = ["BooruTagger", "find_deepbooru", "load_deepbooru"]

_FOLDERS = ("torch_deepdanbooru", "deepdanbooru")  # A1111's, and ours
_SUFFIXES = (".pt", ".pth")


@dataclass(frozen=True)
class BooruTagger:
    """The network, and what its answers mean."""

    network: DeepBooru
    tags: tuple[str, ...]


def find_deepbooru(models: Path) -> Path | None:
    """The file in the models folder, None where there is none."""
    found = (
        path
        for folder in _FOLDERS
        if (models / folder).is_dir()
        for path in sorted((models / folder).iterdir())
        if path.suffix.lower() in _SUFFIXES and path.is_file()
    )
    return next(found, None)


def load_deepbooru(
    path: Path, store: ModelStore, device: torch.device, config: DeepBooruConfig | None = None
) -> BooruTagger:
    """Load it in 32-bit floats.

    Args:
        path: the file.
        store: reads pickled files without running what they hold.
        device: where it is to run.
        config: sizes; those of the published file if not given. The number of tags is the file's.

    Raises:
        CheckpointError: the file is another one, or damaged.
    """
    copy = store.gate.tree_file(path)
    tree = read_tree(copy)
    tags = tree.get("tags") if isinstance(tree, dict) else None
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise CheckpointError(path, "holds no list of tags")
    sized = replace(config or DeepBooruConfig(), tags=len(tags))
    weights = MappedWeights(copy)
    names = {
        ours: theirs for ours, theirs in convolution_names(sized).items() if theirs in weights.header.tensors
    }
    with torch.device("meta"):
        network = DeepBooru(sized)
    return BooruTagger(
        fill_network(network, weights, names, device, torch.float32), tuple(str(tag) for tag in tags)
    )
