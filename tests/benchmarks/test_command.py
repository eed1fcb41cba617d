"""The command measures small networks from end to end."""

import json
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch

from benchmarks.command import main
from benchmarks.contestant import GPU_CONTESTANTS, Entry
from benchmarks.kinds import KINDS, write_checkpoint
from benchmarks.parts import CROWD, GPU_PARTS, Bench
from benchmarks.workers import start_worker
from tests.benchmarks.mimic import Mimic


def test_contestants_answer_the_same_and_are_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        "--kind",
        "tiny",
        "--only",
        "unet,memory",
        "--rounds",
        "1",
        "--contestants",
        "diffusers,ours-full",
    ]
    page = tmp_path / "page.md"
    page.write_text("<!-- measured: begin -->\n<!-- measured: end -->\n", encoding="utf-8")
    out = tmp_path / "out.json"
    files = ["--cache", str(tmp_path), "--json", str(out), "--page", str(page), "--write"]
    assert main([*arguments, *files]) == 0
    results = json.loads(out.read_text(encoding="utf-8"))["results"]
    measured = {(result["part"], result["contestant"]): result for result in results}
    assert measured["unet 64", "ours-full"]["distance"] < 1e-5
    assert measured["unet 64", "diffusers"]["distance"] == 0
    assert all(
        len(result["seconds"]) == 1 for result in results if result["part"].startswith(("unet", "load"))
    )
    assert 2**26 < measured["memory", "diffusers"]["amount"] < 2**34
    assert capsys.readouterr().out.strip() in page.read_text(encoding="utf-8")


def test_four_users_get_their_pictures(tmp_path: Path) -> None:
    checkpoint = tmp_path / "tiny.safetensors"
    write_checkpoint(KINDS["tiny"], checkpoint)
    with start_worker(CROWD, "tiny", checkpoint) as crowd:
        crowd.call("load")
        assert crowd.call("together", 64, 1).seconds > 0
        assert crowd.call("in_turn", 64, 1).seconds > 0
        with pytest.raises(RuntimeError, match="steps"):
            crowd.call("together", 64, 0)


def test_an_unknown_part_is_refused(tmp_path: Path) -> None:
    assert main(["--only", "unet,dreams", "--cache", str(tmp_path)]) == 2
    assert list(tmp_path.iterdir()) == []


def test_without_a_gpu_nothing_is_measured_on_one(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    assert main(["--device", "cuda", "--kind", "tiny", "--cache", str(tmp_path)]) == 2
    assert list(tmp_path.iterdir()) == []


def test_the_contestants_of_a_gpu_run_where_they_are_told(tmp_path: Path) -> None:
    checkpoint = tmp_path / "tiny.safetensors"
    write_checkpoint(KINDS["tiny"], checkpoint)
    bench = Bench({}, "tiny", 1, checkpoint, checkpoint, ExitStack(), device="cpu")
    bench.entries = {name: bench.on_device(GPU_CONTESTANTS[name]) for name in ("diffusers", "ours")}
    with bench.stack:
        GPU_PARTS["picture"](bench)
    measured = [(result.part, result.contestant) for result in bench.results if result.part != "load"]
    assert measured == [("picture 128, 3 steps", "diffusers"), ("picture 128, 3 steps", "ours")]


def test_another_implementation_needs_only_a_class(tmp_path: Path) -> None:
    checkpoint = tmp_path / "tiny.safetensors"
    write_checkpoint(KINDS["tiny"], checkpoint)
    entry = Entry("mimic", f"{Mimic.__module__}:Mimic", {"answer": "0.5"}, {"MIMIC": "here"})
    with start_worker(entry, "tiny", checkpoint) as worker:
        worker.call("load")
        answer = worker.call("unet", 64)
        assert answer.value.shape == (2, 4, 8, 8)
        assert (answer.value == 0.5).all()
        assert worker.call("memory").value == 4
        with pytest.raises(RuntimeError, match="decode failed: NotImplementedError: no VAE"):
            worker.call("decode", 64)
        assert worker.call("unet", 64).seconds > 0
        worker.stop()
        with pytest.raises(RuntimeError, match="the process is gone"):
            worker.call("unet", 64)
