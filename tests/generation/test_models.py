"""Models come and go without leaving anything in memory."""

import gc
import weakref
from pathlib import Path

import pytest
import torch

from benchmarks.memory import current_memory
from modules.checkpoints.catalog import ModelCatalog
from modules.checkpoints.small_vaes import SmallVaes
from modules.generation.effects import ModelKey
from modules.generation.models import ModelPool
from modules.runtime.device import Runtime
from modules.settings.launch import Folders
from tests.checkpoints.tiny import state_dict, write

SWITCHES = 40
PACKED = Runtime(torch.device("cpu"), torch.bfloat16, torch.bfloat16, channels_last=True, prepacked=True)


@pytest.fixture
def keys(tmp_path: Path) -> tuple[ModelKey, ModelKey]:
    folder = tmp_path / "models" / "Stable-diffusion"
    folder.mkdir(parents=True)
    for name in ("sd1", "sd2"):
        write(folder / f"{name}.safetensors", state_dict(name))
    first, second = (ModelKey(str(folder / f"{name}.safetensors")) for name in ("sd1", "sd2"))
    return first, second


def _pool(root: Path, runtime: Runtime) -> ModelPool:
    catalog = ModelCatalog(Folders.below(root))
    return ModelPool(catalog, runtime, SmallVaes((), catalog.store, runtime))


def _run(pool: ModelPool, key: ModelKey) -> "weakref.ref[torch.nn.Module]":
    model = pool.use(key)
    with torch.inference_mode():
        context = torch.zeros(2, 77, model.unet.config.context_dim)
        model.predict(torch.zeros(2, 4, 8, 8), torch.zeros(2), context)
        model.decode(torch.zeros(1, 4, 8, 8))
    return weakref.ref(model.unet)


@pytest.mark.parametrize("runtime", [Runtime(torch.device("cpu")), PACKED], ids=["full", "packed"])
def test_a_model_that_was_dropped_is_gone_at_once(
    tmp_path: Path, keys: tuple[ModelKey, ModelKey], runtime: Runtime
) -> None:
    pool = _pool(tmp_path, runtime)
    gc.collect()
    gc.disable()
    try:
        first = _run(pool, keys[0])
        assert first() is not None
        _run(pool, keys[1])
        assert first() is None
    finally:
        gc.enable()


def test_many_switches_take_no_more_memory_than_a_few(
    tmp_path: Path, keys: tuple[ModelKey, ModelKey]
) -> None:
    pool = _pool(tmp_path, PACKED)
    held = []
    for switch in range(SWITCHES):
        _run(pool, keys[switch % 2])
        held.append(current_memory())
    size = sum(parameter.nbytes for parameter in pool.use(keys[0]).unet.parameters())
    assert (
        max(held[SWITCHES // 2 :]) - max(held[: SWITCHES // 4]) < 5 * size
    )  # 30 models would be 6 times that
