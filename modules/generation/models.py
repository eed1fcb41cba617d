"""Checkpoints in memory: which are loaded, which adapters are applied, what to drop."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from modules.adapters.patches import Patch, apply_patches
from modules.checkpoints.catalog import ModelCatalog
from modules.checkpoints.files import CheckpointFile, VaeFile
from modules.checkpoints.loader import detect_checkpoint, load_model
from modules.checkpoints.model import LoadedModel
from modules.checkpoints.small_vaes import SmallVaes
from modules.generation.effects import ModelKey
from modules.runtime.device import Runtime, WeightStorage

__all__ = ["ModelPool"]

_Files = tuple[str, str, WeightStorage]

log = logging.getLogger(__name__)


class ModelPool:
    """The loaded models, most recently used last; used by the engine's thread only.

    Args:
        capacity: how many checkpoints stay in memory (setting ``sd_checkpoints_limit``).
        depth_folder: where a depth estimator may lie.
        on_drop: told when a model leaves, so that nobody else keeps it in memory.
    """

    def __init__(
        self,
        catalog: ModelCatalog,
        runtime: Runtime,
        small_vaes: SmallVaes,
        *,
        capacity: int = 1,
        depth_folder: Path | None = None,
        on_drop: Callable[[], None] = lambda: None,
    ) -> None:
        self._catalog = catalog
        self._runtime = runtime
        self._small_vaes = small_vaes
        self._capacity = capacity
        self._depth_folder = depth_folder
        self._on_drop = on_drop
        self._loaded: OrderedDict[_Files, LoadedModel] = OrderedDict()
        self._in_force: dict[_Files, tuple[tuple[Patch, ...], bool]] = {}
        self._lock = threading.Lock()

    @property
    def runtime(self) -> Runtime:
        """Device and precision of every model."""
        return self._runtime

    def loaded(self) -> tuple[LoadedModel, ...]:
        """Models in memory, the current one last."""
        with self._lock:
            return tuple(self._loaded.values())

    def in_memory(self, key: ModelKey) -> LoadedModel | None:
        """The model if it is loaded, with whatever adapters are applied now: good enough to look at."""
        with self._lock:
            return self._loaded.get(key.files)

    def use(self, key: ModelKey) -> LoadedModel:
        """Return the model with exactly the wanted adapters applied, loading it if need be.

        Raises:
            CheckpointError, AdapterError: a file cannot be used.
        """
        model = self._get(key)
        identity, wanted = key.files, (key.patches, key.tiling)
        if self._in_force.get(identity) != wanted:
            self._in_force.pop(identity, None)  # unknown while it changes
            apply_patches(model, key.patches)
            model.set_tiling(key.tiling)
            self._in_force[identity] = wanted
        if key.tiny_encoder or key.tiny_decoder:
            return self._small_vaes.attach(model, encode=key.tiny_encoder, decode=key.tiny_decoder)
        return model

    def unload(self) -> None:
        """Drop every model; the next job loads what it needs."""
        with self._lock:
            self._loaded.clear()
            self._in_force.clear()
        self._on_drop()

    def _get(self, key: ModelKey) -> LoadedModel:
        identity = key.files
        with self._lock:
            if identity in self._loaded:
                self._loaded.move_to_end(identity)
                return self._loaded[identity]
        path = Path(key.checkpoint)
        listed = next((file for file in self._catalog.checkpoints() if file.path == path), None)
        file = listed or CheckpointFile(path, path.name, self._catalog.store)  # gone: detection says so
        detect_checkpoint(file)  # a file that is none must not cost the model that is in use
        with self._lock:
            while len(self._loaded) >= self._capacity:
                dropped, _ = self._loaded.popitem(last=False)
                self._in_force.pop(dropped, None)
                log.info("dropping %s from memory", Path(dropped[0]).name)
                self._on_drop()
        vae = VaeFile(Path(key.vae), self._catalog.store) if key.vae else None
        runtime = replace(self._runtime, weights=key.weights)
        model = load_model(file, vae, runtime, depth_folder=self._depth_folder)
        with self._lock:
            self._loaded[identity] = model
        return model
