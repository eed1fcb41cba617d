"""One sampling pass of one picture: noise, schedule, guidance, mask, refiner, put together."""

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace

from torch import Tensor

from modules.checkpoints.model import LoadedModel
from modules.diffusion.noise import NoiseSource, NoiseSpec, SharedTree, initial_noise
from modules.diffusion.prediction import Prediction, prediction_for
from modules.diffusion.samplers import SamplerOptions, SamplerSpec, UniPcOptions, find_sampler
from modules.diffusion.sampling import SamplerState
from modules.diffusion.schedule import NoiseSchedule
from modules.diffusion.schedulers import ALIGN_YOUR_STEPS, SchedulerOptions, find_scheduler
from modules.diffusion.start import (
    SamplingStart,
    image_to_image_entry,
    sampling_sigmas,
    start_from_latent,
    start_from_noise,
)
from modules.domain.request import NoiseReversal
from modules.generation.denoiser import GuidanceOptions, GuidedDenoiser, ModelView, PadMode
from modules.generation.effects import Answer, Effect, ModelKey, PassDone, Stage, use_model
from modules.generation.mask_blend import HardBlend, SoftBlend
from modules.generation.plan import GenerationPlan, ImagePlan, PassPlan, RefinerPlan
from modules.generation.prompts import EncodedPrompts
from modules.generation.reversed_noise import reversed_noise
from modules.generation.sampling_pass import PassProgress, sampling_pass
from modules.generation.step_reuse import pass_identity
from modules.generation.step_store import StoredStep
from modules.generation.story import Story
from modules.settings.options import Settings

__all__ = ["ImagePass", "PassResult", "PassStart", "run_pass", "schedule_in_force"]


@dataclass(frozen=True)
class PassStart:
    """Where a pass starts and what it must respect.

    Attributes:
        latent: the picture to start from, (1, C, h, w); None starts from noise alone.
        noise_multiplier: scales the noise laid over ``latent``.
        extra_noise: noise on top (``img2img_extra_noise``).
        concat: extra input channels of special checkpoints, (1, K, h, w).
        blend: the mask.
        reversal: begin with the noise that leads to ``latent``; None draws it.
    """

    latent: Tensor | None = None
    noise_multiplier: float = 1.0
    extra_noise: float = 0.0
    concat: Tensor | None = None
    blend: HardBlend | SoftBlend | None = None
    reversal: NoiseReversal | None = None


@dataclass(frozen=True)
class ImagePass:
    """A pass of a picture: which, with which model, from where."""

    story: Story
    stage: Stage
    sampling: PassPlan
    key: ModelKey
    model: LoadedModel
    prompts: EncodedPrompts
    start: PassStart

    @property
    def plan(self) -> GenerationPlan:
        """The job."""
        return self.story.plan

    @property
    def image(self) -> ImagePlan:
        """The picture."""
        return self.story.image

    @property
    def settings(self) -> Settings:
        """Options in force for the job."""
        return self.plan.settings

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """(C, h, w) of this pass."""
        factor = self.model.latent_factor
        return self.model.latent_channels, self.sampling.height // factor, self.sampling.width // factor


@dataclass(frozen=True)
class PassResult:
    """The final latent of a pass, (1, C, h, w), and the model that made its last step."""

    latent: Tensor
    key: ModelKey


def schedule_in_force(model: LoadedModel, settings: Settings) -> NoiseSchedule:
    """The model's noise schedule after the settings that change it."""
    schedule = model.schedule
    if settings.use_downcasted_alpha_bar:
        schedule = schedule.downcast()
    if settings.sd_noise_schedule == "Zero Terminal SNR":
        schedule = schedule.zero_terminal_snr()
    return schedule


def run_pass(of: ImagePass) -> Generator[Effect, Answer, PassResult]:
    """Sample one latent, going on where an earlier run had stopped.

    Raises:
        HaltedError: the owner ended the picture early.
    """
    memory = of.story.memory
    finished = memory.finished.get(of.stage)
    if finished is not None:
        refiner = _refiner_of(of)
        return PassResult(finished, of.key if refiner is None else refiner.model)
    spec = find_sampler(of.sampling.sampler)
    schedule = schedule_in_force(of.model, of.settings)
    noise_spec, tree = _noise_spec(of), _shared_tree(of, spec)
    noise, source = initial_noise(noise_spec, of.latent_shape, shared_tree=tree)
    stored = _resumable(of, memory.steps.get(of.stage))  # of this very picture, by a server that was killed
    if of.start.reversal is not None and stored is None:
        noise = yield from _found_noise(of, of.start.reversal, schedule, noise)
    begin = _begin(of, spec, schedule, noise)
    if len(begin.sigmas) == 0:
        return PassResult(begin.x, of.key)
    view, guidance = _view(of, spec, schedule), _guidance(of, spec)
    identity = None
    if _refiner_of(of) is None:  # which weights are in force must be told by the number of calls alone
        steering = replace(guidance, shown="Combined")  # what previews show changes no step
        stream = replace(
            noise_spec, subseed=0, subseed_strength=0.0, resize_from=None
        )  # those are in the start
        whole = (spec.name, begin, stream, tree, steering, of.settings.enable_quantization)
        identity = pass_identity(view, of.model, of.start.blend, whole)
        stored = stored or of.story.room.reuse.find(identity)
    state = SamplerState(begin.x, draws=source.draws) if stored is None else stored.state
    if stored is not None:
        source = _source_at(noise_spec, of, stored.state.draws, tree)
    denoiser = GuidedDenoiser(
        view,
        guidance,
        timestep_of=lambda sigma: schedule.sigma_to_t(sigma, of.settings.enable_quantization),
        switch=_refiner_switch(of),
        blend=of.start.blend,
        calls=0 if stored is None else stored.calls,
    )
    sampler = spec.function(state, begin.sigmas, source, begin.options)

    def keep(state: SamplerState, calls: int) -> None:
        if identity is not None and _resumable(of, StoredStep(state, calls)):
            of.story.room.reuse.keep(identity, state, calls)

    steps = max(1, len(begin.sigmas) - 1)
    latent = yield from sampling_pass(
        sampler,
        denoiser,
        PassProgress(of.stage, steps),
        keep=keep,
    )
    if of.start.blend is not None:
        latent = of.start.blend.finish(latent)
    yield PassDone(of.stage, latent)
    return PassResult(latent, denoiser.key)


def _resumable(of: ImagePass, stored: StoredStep | None) -> StoredStep | None:
    """The step, if the next call goes by no features that an earlier call has kept."""
    if stored is None or stored.calls % of.settings.deep_cache_interval:
        return None
    return stored


def _view(of: ImagePass, spec: SamplerSpec, schedule: NoiseSchedule) -> ModelView:
    return ModelView(
        of.key,
        _prediction(of, of.model, spec, schedule),
        of.prompts.conditioning,
        of.start.concat,
        edits_images=of.model.family.extra_channels == "edit",
        token_merging=of.sampling.token_merging,
        deep_interval=of.settings.deep_cache_interval,
    )


def _found_noise(
    of: ImagePass, reversal: NoiseReversal, schedule: NoiseSchedule, random: Tensor
) -> Generator[Effect, Answer, Tensor]:
    """The noise that leads to the start picture, by the prompts that describe it."""
    if of.start.latent is None:
        return random
    described = replace(of.image, prompt=reversal.prompt, negative_prompt=reversal.negative_prompt)
    prompts = of.story.room.prompts.encode(of.model, of.key, of.plan, described, of.stage)
    prediction = prediction_for(of.model.prediction, schedule)
    denoiser = GuidedDenoiser(
        ModelView(of.key, prediction, prompts.conditioning, of.start.concat),
        GuidanceOptions(reversal.cfg_scale, total_calls=reversal.steps),
        timestep_of=schedule.sigma_to_t,
    )
    return (yield from reversed_noise(of.start.latent, random, reversal, denoiser, schedule))


def _noise_spec(of: ImagePass) -> NoiseSpec:
    request, factor = of.plan.request, of.model.latent_factor
    resized = request.seed_resize_from_w > 0 and request.seed_resize_from_h > 0
    return NoiseSpec(
        seed=of.image.seed,
        subseed=of.image.subseed,
        subseed_strength=request.subseed_strength,
        resize_from=(request.seed_resize_from_h // factor, request.seed_resize_from_w // factor)
        if resized
        else None,
        ensd=of.settings.eta_noise_seed_delta,
        kind=of.settings.randn_source,
    )


def _shared_tree(of: ImagePass, spec: SamplerSpec) -> SharedTree | None:
    """The batch's common Brownian path, where the user wants the pictures of before A1111 1.0."""
    if not (spec.brownian and of.settings.no_dpmpp_sde_batch_determinism):
        return None
    size = of.plan.request.batch_size
    first = of.image.index - of.image.index % size
    last = min(first + size, len(of.plan.images)) - 1
    return SharedTree(of.plan.images[last].seed, last - first + 1, of.image.index - first)


def _source_at(spec: NoiseSpec, of: ImagePass, draws: int, tree: SharedTree | None) -> NoiseSource:
    return spec.source(of.latent_shape, draws, shared_tree=tree)


def _begin(of: ImagePass, spec: SamplerSpec, schedule: NoiseSchedule, noise: Tensor) -> SamplingStart:
    settings, sampling, start = of.settings, of.sampling, of.start
    options = _sampler_options(of, spec, schedule)
    entry = None
    steps = sampling.steps
    if start.latent is not None:
        strength = 1.0 if sampling.denoising_strength is None else sampling.denoising_strength
        entry = image_to_image_entry(steps, strength, exact=sampling.exact_steps)
        steps = entry.total
    sigmas = sampling_sigmas(
        spec,
        find_scheduler(sampling.scheduler),
        steps,
        schedule,
        options=_scheduler_options(settings),
        ays_table=ALIGN_YOUR_STEPS[of.model.family.ays_table],
        discard_next_to_last_sigma=settings.always_discard_next_to_last_sigma,
    )
    if start.latent is None or entry is None:
        return start_from_noise(
            spec, noise, sigmas, options, sgm_noise_multiplier=settings.sgm_noise_multiplier
        )
    return start_from_latent(
        spec,
        start.latent,
        noise * start.noise_multiplier,
        sigmas,
        options,
        entry=entry,
        extra_noise=start.extra_noise,
    )


def _scheduler_options(settings: Settings) -> SchedulerOptions:
    return SchedulerOptions(
        sigma_min=settings.sigma_min,
        sigma_max=settings.sigma_max,
        rho=settings.rho,
        beta_alpha=settings.beta_dist_alpha,
        beta_beta=settings.beta_dist_beta,
        old_karras_sigmas=settings.use_old_karras_scheduler_sigmas,
        quantize=settings.enable_quantization,
    )


def _sampler_options(of: ImagePass, spec: SamplerSpec, schedule: NoiseSchedule) -> SamplerOptions:
    """What the user set. A setting that differs from its default wins over the request, as in A1111."""
    request, settings = of.plan.request, of.settings

    def chosen(asked: float | None, setting: float, default: float) -> float:
        return setting if asked is None or setting != default else asked

    eta_setting = settings.eta_ddim if spec.kind == "timestep" else settings.eta_ancestral
    eta = eta_setting if request.eta is None else request.eta
    return SamplerOptions(
        schedule=schedule,
        eta=eta,
        s_churn=chosen(request.s_churn, settings.s_churn, 0.0),
        s_tmin=chosen(request.s_tmin, settings.s_tmin, 0.0),
        s_tmax=chosen(request.s_tmax, settings.s_tmax, 0.0),
        s_noise=chosen(request.s_noise, settings.s_noise, 1.0),
        steps=of.sampling.steps,
        unipc=UniPcOptions(
            variant=settings.uni_pc_variant,
            skip_type=settings.uni_pc_skip_type,
            order=settings.uni_pc_order,
            lower_order_final=settings.uni_pc_lower_order_final,
        ),
    )


def _guidance(of: ImagePass, spec: SamplerSpec) -> GuidanceOptions:
    request, settings = of.plan.request, of.settings
    source = request.image_to_image
    asked = request.s_min_uncond
    pad: PadMode = "v0" if settings.pad_cond_uncond_v0 else "empty" if settings.pad_cond_uncond else "none"
    return GuidanceOptions(
        cfg_scale=of.sampling.cfg_scale * spec.cfg_scale_multiplier,
        total_calls=of.sampling.calls,
        image_cfg_scale=source.image_cfg_scale if source else None,
        s_min_uncond=settings.s_min_uncond if asked is None or settings.s_min_uncond else asked,
        s_min_uncond_all=settings.s_min_uncond_all,
        skip_early=settings.skip_early_cond,
        pad=pad,
        shown=settings.live_preview_content,
    )


def _prediction(of: ImagePass, model: LoadedModel, spec: SamplerSpec, schedule: NoiseSchedule) -> Prediction:
    """What the network's output means; A1111's LCM takes every network for one that predicts noise."""
    said = of.settings.sd_prediction_type
    kind = model.prediction if said == "Automatic" else said
    return prediction_for("epsilon" if spec.consistency else kind, schedule)


def _refiner_of(of: ImagePass) -> RefinerPlan | None:
    """The refiner that takes over in this pass, if any."""
    refiner = of.plan.refiner
    if refiner is None:
        return None
    return refiner if (refiner.in_first if of.stage == "first" else refiner.in_hires) else None


def _refiner_switch(
    of: ImagePass,
) -> Callable[[float, int], Generator[Effect, Answer, ModelView] | None] | None:
    """When and how the refiner takes over in this pass; None when it does not."""
    refiner = _refiner_of(of)
    if refiner is None:
        return None
    by_steps = of.settings.refiner_switch_by_sample_steps
    schedule = schedule_in_force(of.model, of.settings)

    def switch(timestep: float, calls: int) -> Generator[Effect, Answer, ModelView] | None:
        done = calls / of.sampling.calls if by_steps else (999 - schedule.nearest_timestep(timestep)) / 1000
        return _refined_view(of, refiner) if done >= refiner.switch_at else None

    return switch


def _refined_view(of: ImagePass, refiner: RefinerPlan) -> Generator[Effect, Answer, ModelView]:
    """Load the refiner and encode the prompts with it."""
    model = yield from use_model(refiner.model)
    prompts = of.story.room.prompts.encode(model, refiner.model, of.plan, of.image, of.stage)
    spec = find_sampler(of.sampling.sampler)
    prediction = _prediction(of, model, spec, schedule_in_force(model, of.settings))
    return ModelView(
        refiner.model,
        prediction,
        prompts.conditioning,
        of.start.concat,
        token_merging=of.sampling.token_merging,
        deep_interval=of.settings.deep_cache_interval,
    )
