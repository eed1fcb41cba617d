"""Solvers against the exact solution for Gaussian data, in double precision."""

from dataclasses import replace
from math import log2, sqrt
from typing import Any

import pytest
import torch
from torch import Tensor

from modules.diffusion.noise import NoiseSource
from modules.diffusion.samplers import (
    SAMPLERS,
    SamplerOptions,
    SamplerSpec,
    UniPcOptions,
    UniPcSkipType,
    UniPcVariant,
    find_sampler,
)
from modules.diffusion.sampling import SamplerState
from tests.diffusion.driver import SCHEDULE, SHAPE, drive, gaussian, prepare, sample

STD = 1.7
HIGH, LOW = 10.0, 0.4

ORDERS = {  # of the global error; a multistep method is held back by its first step
    "Euler": 1,
    "Euler a": 1,
    "Heun": 2,
    "DPM2": 2,
    "DPM2 a": 2,
    "LMS": 2,
    "DPM++ 2S a": 2,
    "DPM++ SDE": 2,
    "DPM++ 2M": 2,
    "DPM++ 2M SDE": 2,
    "DPM++ 2M SDE Heun": 2,
    "DPM++ 3M SDE": 2,
    "DPM fast": 2,  # its last step is of first order
}


def ode_error(spec: SamplerSpec, steps: int) -> float:
    """Relative error of the probability flow ODE's solution between two positive noise levels."""
    sigmas = torch.logspace(log2(HIGH), log2(LOW), steps + 1, base=2, dtype=torch.float64)
    x = HIGH * torch.randn(1, *SHAPE, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    options = SamplerOptions(
        SCHEDULE, eta=0.0, steps=steps, sigma_range=(LOW, HIGH), brownian_range=(LOW, HIGH)
    )
    run = drive(spec.function(SamplerState(x), sigmas, NoiseSource(1, SHAPE), options), gaussian(STD))
    exact = x * sqrt((STD**2 + LOW**2) / (STD**2 + HIGH**2))
    return ((run.final - exact).norm() / exact.norm()).item()


@pytest.mark.parametrize("name", ORDERS)
def test_halving_the_step_shrinks_the_error_by_the_order(name: str) -> None:
    spec = find_sampler(name)
    order = log2(ode_error(spec, 64) / ode_error(spec, 128))

    assert order > ORDERS[name] - 0.25
    if ORDERS[name] == 1:
        assert order < 1.25


@pytest.mark.parametrize(
    ("better", "worse"),
    [("Heun", "Euler"), ("DPM++ 2M", "Euler"), ("LMS", "Euler"), ("DPM++ 3M SDE", "DPM++ 2M SDE")],
)
def test_higher_order_is_nearer_at_the_same_number_of_steps(better: str, worse: str) -> None:
    assert ode_error(find_sampler(better), 32) < 0.7 * ode_error(find_sampler(worse), 32)


def test_dpm_adaptive_keeps_its_tolerance() -> None:
    assert ode_error(find_sampler("DPM adaptive"), 1) < 0.05


def timestep_error(name: str, steps: int, **options: Any) -> float:  # noqa: ANN401
    """Relative error over timesteps: x / sqrt(alphas_cumprod) scales as sqrt(std^2 + sigma^2)."""
    spec = find_sampler(name)
    start, source = prepare(spec, steps, **options)
    run = sample(spec, start, source, gaussian(STD))

    def deviation(timestep: float) -> Tensor:
        sigma = SCHEDULE.t_to_sigma(torch.tensor(float(timestep)))
        return ((STD**2 + sigma**2) / (1 + sigma**2)).sqrt()

    whole_range = name == "UniPC"
    first, last = (999, 0) if whole_range else (start.sigmas[-1].item(), start.sigmas[0].item())
    exact = start.x * deviation(last) / deviation(first)
    return ((run.final - exact).norm() / exact.norm()).item()


@pytest.mark.parametrize(("name", "order"), [("DDIM", 1), ("PLMS", 2)])
def test_timestep_solvers_converge_with_their_order(name: str, order: int) -> None:
    observed = log2(timestep_error(name, 125) / timestep_error(name, 250))

    assert observed == pytest.approx(order, abs=0.3)


def test_plms_is_nearer_than_ddim_with_few_steps() -> None:
    assert timestep_error("PLMS", 20) < 0.05 * timestep_error("DDIM", 20)


@pytest.mark.parametrize("variant", ["bh1", "bh2", "vary_coeff"])
@pytest.mark.parametrize("skip_type", ["time_uniform", "time_quadratic", "logSNR"])
def test_unipc_needs_few_steps(variant: UniPcVariant, skip_type: UniPcSkipType) -> None:
    error = timestep_error("UniPC", 20, unipc=UniPcOptions(variant, skip_type))

    assert error < 0.04
    assert error < 0.8 * timestep_error("DDIM", 20)


@pytest.mark.parametrize(
    "spec", [s for s in SAMPLERS if s.default_eta == 1 and s.name != "DPM fast"], ids=lambda s: s.name
)
def test_fresh_noise_keeps_the_distribution_of_the_data(spec: SamplerSpec) -> None:
    start, source = prepare(spec, 100, shape=(4, 64, 64), scheduler="karras")
    start = replace(start, x=start.x * sqrt(1 + (STD / 14.6146) ** 2))  # the data's own share at the start
    final = sample(spec, start, source, gaussian(STD)).final

    # fewer steps make the solvers' own error visible; this is to find noise that is missing or too much
    assert final.std().item() == pytest.approx(STD, rel=0.08)
    assert final.mean().item() == pytest.approx(0, abs=0.1)


def test_ddpm_is_euler_ancestral_in_other_words() -> None:
    finals = []
    for name in ("DDPM", "Euler a"):
        start, source = prepare(find_sampler(name), 20)
        finals.append(sample(find_sampler(name), start, source, gaussian(STD)).final)

    torch.testing.assert_close(*finals, atol=1e-4, rtol=1e-4)


def test_ddim_with_full_eta_has_the_spread_of_the_data() -> None:
    ddim = find_sampler("DDIM")
    start, source = prepare(ddim, 100, shape=(4, 64, 64), eta=1.0)

    assert sample(ddim, start, source, gaussian(STD)).final.std().item() == pytest.approx(STD, rel=0.05)


def test_lcm_ends_with_the_jump_to_the_data() -> None:
    lcm = find_sampler("LCM")
    start, source = prepare(lcm, 4)
    run = sample(lcm, start, source, gaussian(STD))

    assert torch.equal(run.final, run.denoised[-1])
    assert all(question.timestep in range(19, 1000, 20) for question in run.questions)
