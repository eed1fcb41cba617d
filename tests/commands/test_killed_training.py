"""A training that is killed without warning, as a power cut would end it, and then goes on."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from modules.cli import ROOT, main
from tests.training.finetuning.folders import subject

_PATIENCE = 200  # seconds


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def _words(folder: Path) -> list[str]:
    models = folder / "models" / "Stable-diffusion"
    models.mkdir(parents=True, exist_ok=True)
    model = models / "embedded.safetensors"
    if not model.exists():
        model.symlink_to(ROOT / "models" / "Stable-diffusion" / model.name)
    words = ["train", "lora", "--data-dir", str(folder), "--data", str(subject(folder / "pictures"))]
    words += ["--name", "fox", "--steps", "20", "--save-every", "3", "--resolution", "64", "--rank", "2"]
    return [*words, "--no-hashing", "--device", "cpu", "--threads", "1"]


def _kill_in_the_middle(folder: Path, words: list[str]) -> None:
    """Start the training and end it with a signal that nobody can catch, once a state is on disk."""
    state = folder / "data" / "training" / "fox" / "state-000003.pt"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "webui.py"), *words],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + _PATIENCE
    while not state.exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.005)
    process.kill()
    assert process.wait(_PATIENCE) == -signal.SIGKILL, "it was not in the middle of its work"


def test_a_training_killed_in_the_middle_goes_on_and_ends_with_the_same_bits(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    words = _words(killed)
    _kill_in_the_middle(killed, words)
    result = Path("models") / "Lora" / "fox.safetensors"
    assert not (killed / result).exists()
    assert main(words) == 0
    assert main(_words(whole)) == 0
    parts, expected = load_file(killed / result), load_file(whole / result)
    assert parts.keys() == expected.keys()
    different = [name for name in expected if not torch.equal(parts[name], expected[name])]
    assert not different
