"""What single samplers promise beside their order."""

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from modules.diffusion.samplers import SamplerOptions, UniPcOptions, find_sampler
from modules.diffusion.samplers.restart import restart_steps
from modules.diffusion.sampling import Evaluate, EvaluateEps, GuidedEps, SamplerState
from modules.diffusion.schedulers import find_scheduler
from modules.diffusion.start import sampling_sigmas
from modules.exceptions import NumericalError, RequestError
from tests.diffusion.driver import SCHEDULE, crooked, drive, gaussian, prepare, sample


@pytest.mark.parametrize("name", ["Euler", "Heun", "DPM2", "DDIM", "DDIM CFG++", "DPM fast"])
def test_noise_is_drawn_at_every_step_even_if_none_is_added(name: str) -> None:
    spec = find_sampler(name)
    start, source = prepare(spec, 10, eta=0.0)
    run = sample(spec, start, source, crooked)

    assert source.draws == 1 + len(run.states)


@pytest.mark.parametrize(
    "name", ["LMS", "DPM++ 2M", "DPM++ 2M SDE", "DPM++ SDE", "DPM++ 3M SDE", "PLMS", "UniPC"]
)
def test_methods_without_own_noise_leave_the_stream_alone(name: str) -> None:
    spec = find_sampler(name)
    start, source = prepare(spec, 10)
    sample(spec, start, source, crooked)

    assert source.draws == 1


@pytest.mark.parametrize("name", ["Euler a", "DPM2 a", "DPM++ 2S a", "LCM", "DDPM"])
def test_the_last_step_adds_no_noise(name: str) -> None:
    spec = find_sampler(name)
    start, source = prepare(spec, 10)
    run = sample(spec, start, source, crooked)

    assert source.draws == len(run.states)


def test_churn_raises_the_noise_level_between_its_bounds_only() -> None:
    euler = find_sampler("Euler")
    start, source = prepare(euler, 10, s_churn=5.0, s_tmin=1.0, s_tmax=5.0)
    asked = sample(euler, start, source, crooked).sigmas
    plain = start.sigmas[:-1]
    between = (plain >= 1) & (plain <= 5)

    torch.testing.assert_close(asked, torch.where(between, plain * (1 + 2**0.5 - 1), plain))


def test_churn_has_no_ceiling_unless_one_is_set() -> None:
    euler = find_sampler("Euler")
    start, source = prepare(euler, 10, s_churn=1.0)

    assert sample(euler, start, source, crooked).sigmas[0] > start.sigmas[0]


def test_eta_zero_makes_ancestral_sampling_deterministic() -> None:
    spec = find_sampler("Euler a")
    start, source = prepare(spec, 10, eta=0.0)
    euler_start, euler_source = prepare(find_sampler("Euler"), 10)

    torch.testing.assert_close(
        sample(spec, start, source, crooked).final,
        sample(find_sampler("Euler"), euler_start, euler_source, crooked).final,
    )


def test_cfgpp_goes_back_with_the_unconditional_noise() -> None:
    def questions(name: str) -> list[Tensor]:
        spec = find_sampler(name)
        start, source = prepare(spec, 3)
        sampler = spec.function(SamplerState(start.x, draws=1), start.sigmas, source, start.options)
        next(sampler)
        sampler.send(GuidedEps(torch.ones_like(start.x), torch.zeros_like(start.x)))
        question = next(sampler)
        assert isinstance(question, EvaluateEps)
        return [start.x, question.x, SCHEDULE.alphas_cumprod[start.sigmas[[-1, -2]]]]

    x, after, (alpha, alpha_prev) = questions("DDIM CFG++")
    x0 = (x - (1 - alpha).sqrt()) / alpha.sqrt()
    torch.testing.assert_close(after, alpha_prev.sqrt() * x0)

    _, after, _ = questions("DDIM")
    torch.testing.assert_close(after, alpha_prev.sqrt() * x0 + (1 - alpha_prev).sqrt())


@pytest.mark.parametrize(
    ("steps", "made"), [(19, 19), (20, 11 + 9), (35, 26 + 9), (36, 18 + 2 * 9), (50, 26 + 2 * 12)]
)
def test_restart_spends_its_steps_on_restarts(steps: int, made: int) -> None:
    sigmas = sampling_sigmas(find_sampler("Restart"), find_scheduler("karras"), steps, SCHEDULE)
    pairs = restart_steps(sigmas)
    jumps = [now[0] > before[1] for before, now in pairwise(pairs)]

    assert len(pairs) == made
    assert sum(jumps) == (0 if steps < 20 else 1 if steps < 36 else 2)
    assert pairs[-1][1] == 0


def test_restart_goes_from_a_tenth_up_to_two() -> None:
    sigmas = sampling_sigmas(find_sampler("Restart"), find_scheduler("karras"), 40, SCHEDULE)
    pairs = restart_steps(sigmas)
    at = next(i for i in range(1, len(pairs)) if pairs[i][0] > pairs[i - 1][1])

    assert pairs[at - 1][1].item() == pytest.approx(0.1, abs=0.03)
    assert pairs[at][0].item() == pytest.approx(2, abs=0.5)


def test_third_order_sampler_makes_a_picture_in_one_step() -> None:
    spec = find_sampler("DPM++ 3M SDE")
    start, source = prepare(spec, 1)
    run = sample(spec, start, source, crooked)

    assert torch.equal(run.final, run.denoised[0])


@pytest.mark.parametrize("order", [1, 2, 3, 6])
def test_unipc_lowers_an_order_above_the_number_of_steps(order: int) -> None:
    unipc = find_sampler("UniPC")
    start, source = prepare(unipc, 2, unipc=UniPcOptions(order=order))

    assert sample(unipc, start, source, crooked).final.isfinite().all()


@pytest.mark.parametrize("steps", [1, 2, 4, 5, 6, 7, 20])
def test_dpm_fast_asks_as_often_as_it_was_told(steps: int) -> None:
    spec = find_sampler("DPM fast")
    start, source = prepare(spec, steps)

    assert len(sample(spec, start, source, crooked).questions) == steps


def test_dpm_adaptive_stops_at_a_network_that_returns_no_numbers() -> None:
    spec = find_sampler("DPM adaptive")
    start, source = prepare(spec, 10)

    with pytest.raises(NumericalError, match="not numbers"):
        sample(spec, start, source, lambda x, sigma: x * float("nan"))


def test_dpm_adaptive_repeats_a_step_whose_error_is_too_large() -> None:
    spec = find_sampler("DPM adaptive")
    start, source = prepare(spec, 10)

    def sudden(x: Tensor, sigma: Tensor) -> Tensor:
        return 5.0 * (sigma > 3) + torch.zeros_like(x)

    run = sample(spec, start, source, sudden)

    assert len(run.questions) > 3 * len(run.states)


def test_a_sampler_that_is_sent_the_wrong_answer_says_so() -> None:
    euler, ddim = find_sampler("Euler"), find_sampler("DDIM")
    start, source = prepare(euler, 3)
    sampler = euler.function(SamplerState(start.x), start.sigmas, source, start.options)
    next(sampler)
    with pytest.raises(TypeError, match="denoised latent"):
        sampler.send(None)

    start, source = prepare(ddim, 3)
    sampler = ddim.function(SamplerState(start.x), start.sigmas, source, start.options)
    next(sampler)
    with pytest.raises(TypeError, match="guided noise"):
        sampler.send(start.x)


@pytest.mark.parametrize(
    ("field", "make"),
    [
        ("eta", lambda: SamplerOptions(SCHEDULE, eta=-0.1)),
        ("eta", lambda: SamplerOptions(SCHEDULE, eta=float("nan"))),
        ("s_churn", lambda: SamplerOptions(SCHEDULE, s_churn=-1)),
        ("uni_pc_order", lambda: UniPcOptions(order=0)),
    ],
)
def test_options_no_method_can_work_with_are_refused(field: str, make: Callable[[], object]) -> None:
    with pytest.raises(RequestError) as error:
        make()

    assert error.value.field == field


def test_sigma_samplers_ask_at_the_noise_levels_of_their_list() -> None:
    for name in ("Euler", "Euler a", "LMS", "DPM++ 2M", "DPM++ 2M SDE", "DPM++ 3M SDE", "DDPM"):
        spec = find_sampler(name)
        start, source = prepare(spec, 9)
        run = sample(spec, start, source, gaussian(1.0))

        assert all(isinstance(question, Evaluate) for question in run.questions)
        assert torch.equal(run.sigmas, start.sigmas[:-1])


def test_an_empty_list_of_noise_levels_returns_the_latent() -> None:
    start, source = prepare(find_sampler("Euler"), 3)
    sampler = find_sampler("Euler").function(SamplerState(start.x), torch.zeros(0), source, start.options)

    assert torch.equal(drive(sampler, crooked).final, start.x)
