from typing import Any

import pytest
import torch
from torch import Tensor

from modules.diffusion.noise import NoiseKind, NoiseSpec
from modules.diffusion.samplers import SAMPLERS, SamplerSpec, UniPcOptions, UniPcVariant, find_sampler
from modules.diffusion.sampling import GuidedEps, Sampler, SamplerState, StepDone
from modules.diffusion.schedulers import SCHEDULERS
from modules.diffusion.start import image_to_image_entry, sampling_sigmas, start_from_latent
from tests.diffusion.driver import SCHEDULE, SHAPE, answer, crooked, prepare, sample

EVERY = pytest.mark.parametrize("spec", SAMPLERS, ids=lambda s: s.name)


def check_every_step(
    spec: SamplerSpec,
    steps: int,
    kind: NoiseKind = "CPU",
    **options: Any,  # noqa: ANN401
) -> None:
    start, source = prepare(spec, steps, kind=kind, **options)
    whole = sample(spec, start, source, crooked)
    assert whole.states, "a sampler must tell where it can be started again"

    for state in whole.states:
        rebuilt = NoiseSpec(5, kind=kind).source(SHAPE, state.draws)
        rest = sample(spec, start, rebuilt, crooked, state)
        assert torch.equal(rest.final, whole.final)
        assert len(rest.states) == len(whole.states) - state.step


@EVERY
@pytest.mark.parametrize("kind", ["CPU", "NV"])
def test_sampling_goes_on_from_any_step_bit_for_bit(spec: SamplerSpec, kind: NoiseKind) -> None:
    check_every_step(spec, 7, kind, s_churn=2.0, s_noise=1.01, eta=0.7)


@pytest.mark.parametrize("steps", [24, 40])
def test_restart_goes_on_inside_its_restarts(steps: int) -> None:
    check_every_step(find_sampler("Restart"), steps)


@pytest.mark.parametrize("variant", ["bh1", "bh2", "vary_coeff"])
def test_unipc_goes_on_in_every_variant(variant: UniPcVariant) -> None:
    check_every_step(find_sampler("UniPC"), 8, unipc=UniPcOptions(variant, "logSNR", 4))


@EVERY
def test_images_sampled_in_turns_equal_images_sampled_alone(spec: SamplerSpec) -> None:
    alone = []
    for seed in (1, 2):
        start, source = prepare(spec, 6, seed=seed)
        alone.append(sample(spec, start, source, crooked).final)

    finals: dict[int, Tensor] = {}
    waiting: list[tuple[int, Sampler, Tensor | GuidedEps | None]] = []
    for seed in (1, 2):
        start, source = prepare(spec, 6, seed=seed)
        state = SamplerState(start.x, draws=source.draws)
        waiting.append((seed, spec.function(state, start.sigmas, source, start.options), None))
    while waiting:  # one event each, then the other's turn
        seed, sampler, reply = waiting.pop(0)
        try:
            event = sampler.send(reply)
        except StopIteration as stop:
            finals[seed] = stop.value
            continue
        told = None if isinstance(event, StepDone) else answer(event, crooked, SCHEDULE)
        waiting.append((seed, sampler, told))

    assert torch.equal(finals[1], alone[0])
    assert torch.equal(finals[2], alone[1])
    assert not torch.equal(finals[1], finals[2])


@EVERY
def test_initial_latent_is_left_alone(spec: SamplerSpec) -> None:
    start, source = prepare(spec, 5)
    before = start.x.clone()
    sample(spec, start, source, crooked)

    assert torch.equal(start.x, before)


@EVERY
def test_states_count_steps_and_carry_a_preview(spec: SamplerSpec) -> None:
    start, source = prepare(spec, 5)
    run = sample(spec, start, source, crooked)

    assert [state.step for state in run.states] == list(range(1, len(run.states) + 1))
    assert all(denoised.shape == (1, *SHAPE) for denoised in run.denoised)
    assert torch.equal(run.states[-1].x, run.final)


@EVERY
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_few_steps_make_a_picture(spec: SamplerSpec, steps: int) -> None:
    start, source = prepare(spec, steps)

    assert sample(spec, start, source, crooked).final.isfinite().all()


@EVERY
@pytest.mark.parametrize("strength", [0.0, 0.001, 0.06, 0.2, 1.0])
@pytest.mark.parametrize("exact", [False, True])
def test_every_strength_makes_a_picture(spec: SamplerSpec, strength: float, exact: bool) -> None:
    prepared, source = prepare(spec, 10)
    latent = torch.randn(1, *SHAPE, generator=torch.Generator().manual_seed(1))
    entry = image_to_image_entry(10, strength, exact=exact)
    sigmas = sampling_sigmas(spec, SCHEDULERS[0], entry.total, SCHEDULE)
    start = start_from_latent(spec, latent, source.next(), sigmas, prepared.options, entry=entry)
    final = sample(spec, start, source, crooked).final

    assert final.isfinite().all()
    assert torch.equal(final, latent) == (exact and strength == 0)


@EVERY
def test_a_model_with_zero_terminal_snr_makes_a_picture(spec: SamplerSpec) -> None:
    schedule = SCHEDULE.downcast().zero_terminal_snr()
    start, source = prepare(spec, 10, schedule=schedule)

    assert sample(spec, start, source, crooked).final.isfinite().all()
