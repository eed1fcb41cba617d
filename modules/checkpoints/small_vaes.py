"""The small networks that stand in for a VAE: TAESD, and the even smaller one of "Approx NN" previews."""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from modules.checkpoints.files import ModelStore
from modules.checkpoints.filling import fill_network
from modules.checkpoints.model import LoadedModel
from modules.checkpoints.reader import MappedWeights
from modules.exceptions import NotFoundError, WebuiError
from modules.networks.approx_decoder import ApproxDecoder
from modules.networks.taesd import TinyDecoder, TinyEncoder
from modules.runtime.device import Runtime

__all__ = ["SmallVaes"]

log = logging.getLogger(__name__)

Network = TypeVar("Network", bound=nn.Module)

SUFFIXES = (".safetensors", ".pth", ".pt")


class SmallVaes:
    """Loads them when first asked for and keeps them; a file that has changed is loaded again.

    Args:
        folders: where they lie (``models/VAE-approx`` and A1111's ``models/VAE-taesd``); the first one is
            named in messages.
        store: reads pickled files.
        runtime: device and number format.
    """

    def __init__(self, folders: Sequence[Path], store: ModelStore, runtime: Runtime) -> None:
        self._folders = tuple(folders)
        self._store = store
        self._runtime = runtime
        self._lock = threading.Lock()
        self._loaded: dict[Path, tuple[int, nn.Module]] = {}

    def decoder(self, model: LoadedModel) -> TinyDecoder:
        """TAESD's decoder for a model's latents.

        Raises:
            NotFoundError: its file is not there, or the model's VAE is of another kind.
            CheckpointError: the file cannot be used.
        """
        return self._network(TinyDecoder, "TAESD", model, f"{model.family.tiny_vae}_decoder.pth")

    def encoder(self, model: LoadedModel) -> TinyEncoder:
        """TAESD's encoder; raises as :meth:`decoder` does."""
        return self._network(TinyEncoder, "TAESD", model, f"{model.family.tiny_vae}_encoder.pth")

    def attach(self, model: LoadedModel, *, encode: bool, decode: bool) -> LoadedModel:
        """The model with TAESD in its VAE's place; what cannot be had is said in its notes."""
        tiny_encoder, tiny_decoder, notes = None, None, []
        try:
            tiny_encoder = self.encoder(model) if encode else None
        except WebuiError as reason:
            notes.append(f"The source was encoded by the VAE itself. {reason}")
        try:
            tiny_decoder = self.decoder(model) if decode else None
        except WebuiError as reason:
            notes.append(f"The picture was decoded by the VAE itself. {reason}")
        return replace(model, tiny_encoder=tiny_encoder, tiny_decoder=tiny_decoder, notes=tuple(notes))

    def approx(self, model: LoadedModel) -> ApproxDecoder:
        """The network of "Approx NN" previews; raises as :meth:`decoder` does."""
        return self._network(ApproxDecoder, "Approx NN", model, model.family.approx_decoder)

    def _network(self, build: Callable[[], Network], method: str, model: LoadedModel, name: str) -> Network:
        if not model.has_usual_vae:
            raise NotFoundError(
                "show_progress_type", f"{method} was not used: this checkpoint's VAE is of another kind."
            )
        path = self._file(name)
        if path is None:
            raise NotFoundError(
                "show_progress_type",
                f"{method} was not used: put {name} into the folder models/{self._folders[0].name}.",
            )
        changed = path.stat().st_mtime_ns
        with self._lock:
            known = self._loaded.get(path)
            if known is None or known[0] != changed:
                known = (changed, self._loaded_from(path, build))
                self._loaded[path] = known
        network: Network = known[1]  # type: ignore[assignment]  # one file is of one kind
        return network

    def _file(self, name: str) -> Path | None:
        stem = Path(name).stem
        paths = (folder / f"{stem}{suffix}" for folder in self._folders for suffix in SUFFIXES)
        return next((path for path in paths if path.is_file()), None)

    def _loaded_from(self, path: Path, build: Callable[[], Network]) -> Network:
        weights = MappedWeights(self._store.readable(path))
        with torch.device("meta"):
            network = build()
        names = {name: name for name in weights.header.tensors}
        log.info("loading %s", path.name)
        return fill_network(network, weights, names, self._runtime.device, self._runtime.dtype)
