"""Choosing device and number formats; process-wide settings keep results as they are."""

import importlib.util
import platform
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from modules.exceptions import RequestError
from modules.runtime import device as module
from modules.runtime.device import Runtime, bfloat16_is_faster, choose_runtime, free_memory


def test_the_cpu_computes_in_32_bits_if_told_so() -> None:
    runtime = choose_runtime("cpu", "full")
    assert (runtime.dtype, runtime.vae_dtype, runtime.attention) == (torch.float32, torch.float32, "sdpa")
    assert not runtime.prepacked
    half = choose_runtime("cpu", "half")
    assert (half.dtype, half.vae_dtype) == (torch.bfloat16, torch.bfloat16)


@pytest.mark.parametrize("is_faster", [False, True])
def test_left_alone_the_cpu_computes_in_16_bits_where_that_is_faster(
    monkeypatch: pytest.MonkeyPatch, is_faster: bool
) -> None:
    monkeypatch.setattr(module, "bfloat16_is_faster", lambda: is_faster)
    runtime = choose_runtime("cpu")
    wanted = torch.bfloat16 if is_faster else torch.float32
    assert (runtime.dtype, runtime.vae_dtype) == (wanted, wanted)
    assert runtime.prepacked == runtime.channels_last == is_faster


@pytest.mark.parametrize(
    ("units", "installed", "wanted"),
    [
        (set[str](), True, "blocked"),
        ({"avx512_bf16"}, True, "blocked"),
        ({"avx512_bf16", "amx_bf16", "lent"}, True, "tiled"),
        ({"avx512_bf16", "amx_bf16", "lent"}, False, "sdpa"),
        ({"avx512_bf16", "amx_bf16"}, True, "sdpa"),
    ],
)
def test_attention_is_computed_as_the_cpus_units_want_it(
    monkeypatch: pytest.MonkeyPatch, units: set[str], installed: bool, wanted: str
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: dict.fromkeys(units, True))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: object() if installed else None)
    monkeypatch.setattr(torch.cpu, "_init_amx", lambda: "lent" in units)
    assert choose_runtime("cpu", "half").attention == wanted
    assert choose_runtime("cpu", "full").attention == "sdpa"


def test_a_cpu_without_units_for_16_bits_is_not_even_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(x: torch.Tensor) -> float:
        return 1.0 if x.dtype is torch.float32 else 0.5

    monkeypatch.setattr(module, "_least_seconds", measured)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_f": True})
    assert not bfloat16_is_faster()
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    assert bfloat16_is_faster()
    monkeypatch.setattr(module, "_CLEARLY", 3.0)
    assert not bfloat16_is_faster()


def test_options_are_passed_on() -> None:
    runtime = choose_runtime("cpu", attention="sliced", batch_invariant=True)
    assert (runtime.attention, runtime.batch_invariant) == ("sliced", True)


def test_main_memory_is_no_small_card() -> None:
    assert choose_runtime("cpu", residency="layers").residency == "all"
    card = Runtime(torch.device("cuda"), residency="turns")
    assert card.home == torch.device("cpu")
    assert replace(card, residency="all").home == torch.device("cuda")


@pytest.mark.parametrize("name", ["toaster", "cuda:99", "cpu:x"])
def test_a_device_that_is_not_there_is_an_error(name: str) -> None:
    with pytest.raises(RequestError, match=name):
        choose_runtime(name)


def test_xformers_must_be_installed_to_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RequestError, match="xformers is not installed"):
        choose_runtime("cpu", attention="xformers")


def test_automatic_takes_something_that_works() -> None:
    for name in (None, "auto", ""):
        assert torch.ones(1, device=choose_runtime(name).device).sum() == 1


def test_free_memory_is_between_nothing_and_a_terabyte() -> None:
    assert 2**20 < free_memory(torch.device("cpu")) < 2**40


PROGRAM = """
import hashlib, sys, torch
from modules.runtime.device import configure_process
if sys.argv[1] == "yes":
    configure_process(1)
torch.set_num_threads(1)
torch.manual_seed(0)
layer = torch.nn.Conv2d(8, 8, 3)
x = layer(torch.randn(2, 8, 40, 40)).flatten(2)
y = torch.nn.functional.gelu(x @ x.transpose(1, 2)).softmax(-1)
print(hashlib.sha256(y.detach().numpy().tobytes()).hexdigest())
"""


REUSE = """
import resource, threading, torch
from modules.runtime.device import configure_process
configure_process(1)

def work():
    big = torch.ones(8_000_000)
    for _ in range(15):  # the allocator needs some rounds until its free pieces are large enough
        torch.cat([big, big])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        torch.cat([big, big])
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)

thread = threading.Thread(target=work)
thread.start()
thread.join()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's allocator is tuned")
def test_memory_of_large_tensors_is_used_again_in_every_thread() -> None:
    run = subprocess.run([sys.executable, "-c", REUSE], capture_output=True, text=True, check=True)
    pages_of_one = 64_000_000 // 4096
    assert int(run.stdout) < pages_of_one


@pytest.mark.skipif(module._is_amd(), reason="on AMD the last bits of matrix products may differ")
def test_process_settings_do_not_change_a_bit() -> None:
    results = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM, configured], capture_output=True, text=True, check=True
        ).stdout
        for configured in ("yes", "no")
    }
    assert len(results) == 1


def test_faster_products_are_kept_only_if_they_are_exact() -> None:
    matmul = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before = matmul.fp32_precision
    try:
        kept = module._prefer_onednn_products()
        assert matmul.fp32_precision == ("bf16" if kept else before)
        a, b = torch.randn(256, 256), torch.randn(256, 256)
        exact = a.double() @ b.double()
        assert float((a @ b - exact).norm() / exact.norm()) < 1e-5
    finally:
        matmul.fp32_precision = before


def test_the_number_of_threads_can_be_set() -> None:
    before = torch.get_num_threads()
    try:
        module.configure_process(1)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_the_compiler_has_its_own_attention() -> None:
    runtime = choose_runtime("cpu", "half", compiled=True)
    assert (runtime.attention, runtime.prepacked, runtime.compiled) == ("sdpa", False, True)
    with pytest.raises(RequestError, match="compiled"):
        choose_runtime("cpu", attention="sliced", compiled=True)
