"""Tables say what was measured, and nothing else."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.ceilings import decoder_work, unet_work
from benchmarks.contestant import CONTESTANTS, GPU_CONTESTANTS
from benchmarks.kinds import KINDS, write_checkpoint
from benchmarks.report import Report, put_into_page
from benchmarks.results import Result, as_json, this_machine


def report(*results: Result) -> str:
    return Report(this_machine(), KINDS["sd15"], CONTESTANTS, results).markdown()


def test_an_aim_is_reached_by_the_ratio_of_medians() -> None:
    theirs = Result("unet 512", "diffusers", (6.0, 60.0, 5.0))
    assert "| 3.00 | yes |" in report(theirs, Result("unet 512", "ours", (2.0, 1.0, 9.0)))
    assert "| 2.40 | no |" in report(theirs, Result("unet 512", "ours", (2.5,)))


def test_exactness_is_an_aim_of_float32() -> None:
    theirs = Result("unet 512", "diffusers", (6.0,))
    assert "| 9.0e-06 | yes |" in report(theirs, Result("unet 512", "ours-full", (3.0,), distance=9e-6))
    assert "| 2.0e-05 | no |" in report(theirs, Result("unet 512", "ours-full", (3.0,), distance=2e-5))


def test_users_together_are_compared_with_users_in_turn() -> None:
    in_turn = Result("users 512, in turn", "ours", (8.0, 9.0, 10.0))
    aim = "| four users' 512² pictures: together as fast as one after another |"
    assert f"{aim} 1.125 | yes |" in report(in_turn, Result("users 512, together", "ours", (8.0,)))
    assert f"{aim} 0.900 | no |" in report(in_turn, Result("users 512, together", "ours", (10.0,)))


def test_what_was_not_measured_is_not_mentioned() -> None:
    text = report(Result("page start", "ours", (4.0,)))
    assert "page ready: below 5 s | 4.00 s | yes" in text
    assert "diffusers" not in text
    assert "VAE" not in text


def test_shares_are_of_the_rate_of_the_number_format() -> None:
    rates = (
        Result("ceiling float32", "machine", (), amount=1e9),
        Result("ceiling bfloat16", "machine", (), amount=4e9),
    )
    work = Result("work unet 512", "machine", (), amount=8e9)
    exact = Result("unet 512", "ours-full", (10.0,), distance=1e-6)
    rough = Result("unet 512", "ours", (4.0,), distance=1e-2)
    text = report(*rates, work, exact, rough)
    assert "80% of the highest rate, L2 1.0e-06" in text
    assert "50% of the highest rate, L2 1.0e-02" in text


def test_the_page_keeps_its_words_around_the_tables(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "before\n<!-- measured: begin -->\nold\n<!-- measured: end -->\nafter\n", encoding="utf-8"
    )
    put_into_page(page, "new")
    put_into_page(page, "new")
    assert page.read_text(encoding="utf-8") == (
        "before\n<!-- measured: begin -->\nnew\n<!-- measured: end -->\nafter\n"
    )
    page.write_text("no marks", encoding="utf-8")
    with pytest.raises(ValueError, match="lacks the marks"):
        put_into_page(page, "new")


def test_the_work_of_networks_is_counted() -> None:
    assert unet_work(KINDS["sd15"], 512) == pytest.approx(1606.5e9, rel=0.01)
    assert decoder_work(KINDS["sd15"], 512) == pytest.approx(2514.5e9, rel=0.01)


def test_figures_are_plain_values() -> None:
    result = Result("unet 512", "ours", (1.0, 3.0, 2.0), distance=0.5)
    document = as_json(this_machine(), "sd15", [result])
    assert document["results"] == [
        {
            "part": "unet 512",
            "contestant": "ours",
            "seconds": (1.0, 3.0, 2.0),
            "distance": 0.5,
            "amount": None,
            "median": 2.0,
        }
    ]


def test_a_checkpoint_is_the_same_whenever_it_is_written(tmp_path: Path) -> None:
    write_checkpoint(KINDS["tiny"], tmp_path / "a.safetensors")
    write_checkpoint(KINDS["tiny"], tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def gpu_report(kind: str, *results: Result) -> str:
    machine = replace(this_machine(), gpu="NVIDIA H200")
    return Report(machine, KINDS[kind], GPU_CONTESTANTS, results).markdown()


def test_a_gpu_has_aims_of_its_own() -> None:
    text = gpu_report(
        "sd15",
        Result("unet 512", "diffusers-best", (0.014,)),
        Result("unet 512", "ours", (0.01,)),
        Result("picture 512, 50 steps", "ours", (0.41, 0.39, 0.38)),
        Result("overhead: step", "ours", (0.0004,)),
        Result("users 512, in turn", "ours", (3.0,)),
        Result("users 512, together", "ours", (2.0,)),
    )
    assert ": NVIDIA H200, " in text
    assert "| unet 512: 1.3 times compiled diffusers | 1.40 | yes |" in text
    assert "below 0.40 s | 390.0 ms | yes |" in text
    assert "| engine: below 0.3 ms a step | 400 µs | no |" in text
    assert "together 1.5 times as fast as one after another | 1.500 | yes |" in text
    assert "3.0 times" not in text


def test_aims_of_a_gpu_are_not_mentioned_where_none_was_measured() -> None:
    results = (Result("picture 1024, 30 steps", "ours", (1.4,)), Result("overhead: step", "ours", (0.0001,)))
    assert "below 1.50 s | 1.40 s | yes |" in gpu_report("sdxl", *results)
    assert "| aim |" not in Report(this_machine(), KINDS["sdxl"], CONTESTANTS, results).markdown()
