"""Stored steps come back as they were, and damage is survived."""

from pathlib import Path

import torch

from modules.diffusion.sampling import SamplerState
from modules.generation.effects import PassDone, StepEnd
from modules.generation.step_store import StepStore


def a_step() -> StepEnd:
    state = SamplerState(
        x=torch.randn(1, 4, 8, 8),
        step=7,
        history=(torch.randn(1, 4, 8, 8), torch.randn(1, 4, 8, 8)),
        scalars=(0.1, 1 / 3),
        draws=9,
    )
    return StepEnd("first", state, state.x, calls=13, step=7, steps=20)


def test_a_step_comes_back_bit_for_bit(tmp_path: Path) -> None:
    store, step = StepStore(tmp_path), a_step()
    store.save_step("job", 3, step)
    stored = store.recall("job", 3).steps["first"]
    assert stored.calls == 13
    assert (stored.state.step, stored.state.draws, stored.state.scalars) == (7, 9, (0.1, 1 / 3))
    assert torch.equal(stored.state.x, step.state.x)
    assert all(torch.equal(a, b) for a, b in zip(stored.state.history, step.state.history, strict=True))


def test_a_finished_pass_is_remembered_beside_the_steps_of_the_next(tmp_path: Path) -> None:
    store, latent = StepStore(tmp_path), torch.randn(1, 4, 8, 8)
    store.save_pass("job", 0, PassDone("first", latent))
    memory = store.recall("job", 0)
    assert torch.equal(memory.finished["first"], latent)
    assert memory.steps == {}


def test_an_unknown_image_has_an_empty_memory(tmp_path: Path) -> None:
    memory = StepStore(tmp_path).recall("job", 0)
    assert memory.steps == {}
    assert memory.finished == {}


def test_a_damaged_file_counts_as_absent(tmp_path: Path) -> None:
    store = StepStore(tmp_path)
    store.save_step("job", 0, a_step())
    file = next((tmp_path / "job").iterdir())
    file.write_bytes(file.read_bytes()[:20])
    assert store.recall("job", 0).steps == {}


def test_a_forgotten_job_leaves_nothing_behind(tmp_path: Path) -> None:
    store = StepStore(tmp_path)
    store.save_step("job", 0, a_step())
    store.forget("job")
    store.forget("job")
    assert list(tmp_path.iterdir()) == []
