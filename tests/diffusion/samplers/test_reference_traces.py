"""The reference implementation's recorded runs, replayed: each question and each latent must come again.

The recorded answers (first four values, after guidance) are given to our samplers; as they compute value by
value, the first four values of every later latent must follow, noise included.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from modules.diffusion.noise import NoiseSource, NoiseSpec, SharedTree, initial_noise
from modules.diffusion.samplers import SamplerOptions, SamplerSpec, UniPcOptions, split_sampler_name
from modules.diffusion.sampling import Evaluate, EvaluateEps, GuidedEps, SamplerState, StepDone
from modules.diffusion.schedule import NoiseSchedule
from modules.diffusion.schedulers import SchedulerOptions
from modules.diffusion.start import (
    SamplingStart,
    image_to_image_entry,
    sampling_sigmas,
    start_from_latent,
    start_from_noise,
)

CASES = Path(__file__).parents[2] / "golden" / "cases"
FEATURES = (
    *(
        "sampler_",
        "img2img_sampler_",
        "scheduler_",
        "steps-",
        "unipc_options",
        "eta",
        "ensd",
        "s_churn",
        "s_noise",
    ),
    *(
        "sgm_noise",
        "discard",
        "ddim_img2img",
        "downcast",
        "ztsnr",
        "quantization",
        "rng_",
        "seed",
        "variation",
    ),
    "batch",
)
WHOLE_LATENT = {"DPM adaptive", "DDIM CFG++"}  # need more of the answer than four values after guidance


@dataclass(frozen=True)
class Replay:
    """A recorded run set up again."""

    spec: SamplerSpec
    start: SamplingStart
    source: NoiseSource
    calls: list[dict[str, Any]]
    first_values: Tensor
    batch_size: int


def usable(folder: Path) -> bool:
    request = json.loads((folder / "request.json").read_text())
    return folder.name.startswith(FEATURES) and not request.get("enable_hr")


def schedule_of(settings: dict[str, Any]) -> NoiseSchedule:
    schedule = NoiseSchedule.scaled_linear()
    if settings.get("use_downcasted_alpha_bar"):
        schedule = schedule.downcast()
    return schedule.zero_terminal_snr() if settings.get("sd_noise_schedule") else schedule


def options_of(request: dict[str, Any], settings: dict[str, Any], spec: SamplerSpec) -> SamplerOptions:
    def chosen(key: str, default: float) -> float:
        return settings.get(key, request.get(key, default))

    eta_setting = "eta_ddim" if spec.kind == "timestep" else "eta_ancestral"
    return SamplerOptions(
        schedule_of(settings),
        eta=request.get("eta", settings.get(eta_setting, spec.default_eta or 0.0)),
        s_churn=chosen("s_churn", 0.0),
        s_tmin=chosen("s_tmin", 0.0),
        s_tmax=chosen("s_tmax", 0.0),
        s_noise=chosen("s_noise", 1.0),
        steps=request["steps"],
        unipc=UniPcOptions(
            settings.get("uni_pc_variant", "bh1"),
            settings.get("uni_pc_skip_type", "time_uniform"),
            settings.get("uni_pc_order", 3),
            settings.get("uni_pc_lower_order_final", True),
        ),
    )


def noise_of(request: dict[str, Any], settings: dict[str, Any]) -> tuple[Tensor, NoiseSource]:
    batch_size = request.get("batch_size", 1)
    resize = (request.get("seed_resize_from_h", 0) // 8, request.get("seed_resize_from_w", 0) // 8)
    spec = NoiseSpec(
        request["seed"],
        request.get("subseed", 0),
        request.get("subseed_strength", 0.0),
        resize if min(resize) > 0 else None,
        settings.get("eta_noise_seed_delta", 0),
        settings["randn_source"],
    )
    shared = SharedTree(request["seed"] + batch_size - 1, batch_size, 0)
    tree = shared if settings.get("no_dpmpp_sde_batch_determinism") else None
    return initial_noise(spec, (4, request["height"] // 8, request["width"] // 8), shared_tree=tree)


def prepare(folder: Path) -> Replay:
    request = json.loads((folder / "request.json").read_text())
    settings = request["override_settings"]
    spec, scheduler = split_sampler_name(request["sampler_name"], request["scheduler"])
    options = options_of(request, settings, spec)
    noise, source = noise_of(request, settings)
    arrays = np.load(folder / "latents.npz")
    exact = settings.get("img2img_fix_steps", False)
    entry = image_to_image_entry(request["steps"], request.get("denoising_strength", 0.75), exact=exact)
    from_picture = "init_images" in request
    sigmas = sampling_sigmas(
        spec,
        scheduler,
        entry.total if from_picture else request["steps"],
        options.schedule,
        options=SchedulerOptions(
            settings.get("sigma_min", 0.0),
            settings.get("sigma_max", 0.0),
            settings.get("rho", 0.0),
            settings.get("beta_dist_alpha", 0.6),
            settings.get("beta_dist_beta", 0.6),
            old_karras_sigmas=settings.get("use_old_karras_scheduler_sigmas", False),
            quantize=settings.get("enable_quantization", False),
        ),
        discard_next_to_last_sigma=settings.get("always_discard_next_to_last_sigma", False),
    )
    if from_picture:
        latent = torch.from_numpy(arrays["init_latent"])[:1]
        start = start_from_latent(spec, latent, noise, sigmas, options, entry=entry)
    else:
        multiplied = settings.get("sgm_noise_multiplier", False)
        start = start_from_noise(spec, noise, sigmas, options, sgm_noise_multiplier=multiplied)
    calls = json.loads((folder / "trace.json").read_text())
    calls = calls[: len(calls) // request.get("n_iter", 1)]
    first_values = torch.from_numpy(arrays["decode_0"][0]).flatten()[:4]
    return Replay(spec, start, source, calls, first_values, request.get("batch_size", 1))


def recorded_answer(question: Evaluate | EvaluateEps, call: dict[str, Any]) -> Tensor | GuidedEps:
    flat = torch.zeros(question.x.numel())
    flat[:4] = torch.tensor(call["denoised"])
    values = flat.view_as(question.x)
    return values if isinstance(question, Evaluate) else GuidedEps(values, values)


def check_question(question: Evaluate | EvaluateEps, call: dict[str, Any], replay: Replay) -> None:
    asked = question.sigma if isinstance(question, Evaluate) else question.timestep
    assert asked.item() == pytest.approx(call["sigma"], rel=1e-6)
    if (
        replay.batch_size == 1 and replay.spec.name not in WHOLE_LATENT
    ):  # of a batch the last image is recorded
        torch.testing.assert_close(question.x.flatten()[:4], torch.tensor(call["x"]), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "folder", [folder for folder in sorted(CASES.iterdir()) if usable(folder)], ids=lambda folder: folder.name
)
def test_questions_and_latents_equal_the_reference(folder: Path) -> None:
    replay = prepare(folder)
    sampler = replay.spec.function(
        SamplerState(replay.start.x, draws=replay.source.draws),
        replay.start.sigmas,
        replay.source,
        replay.start.options,
    )
    if replay.spec.name == "DPM adaptive":  # how it goes on depends on the whole latent
        question = next(sampler)
        assert isinstance(question, Evaluate)
        assert question.sigma.item() == pytest.approx(replay.calls[0]["sigma"], rel=1e-6)
        torch.testing.assert_close(question.x.flatten()[:4], torch.tensor(replay.calls[0]["x"]))
        return

    reply, asked = None, 0
    while True:
        try:
            event = sampler.send(reply)
        except StopIteration as stop:
            final = stop.value
            break
        if isinstance(event, StepDone):
            reply = None
            continue
        assert asked < len(replay.calls), "the reference asked less often"
        check_question(event, replay.calls[asked], replay)
        reply, asked = recorded_answer(event, replay.calls[asked]), asked + 1

    assert asked == len(replay.calls)
    if replay.spec.name not in WHOLE_LATENT:
        torch.testing.assert_close(final.flatten()[:4], replay.first_values, rtol=1e-4, atol=1e-4)
