"""What the infotext of a picture says: A1111's keys in A1111's order."""

from modules.diffusion.samplers import SamplerSpec, find_sampler
from modules.domain.infotext import format_infotext
from modules.domain.principal import LOCAL
from modules.domain.request import SoftInpainting
from modules.generation.effects import ImageFacts
from modules.generation.plan import GenerationPlan, ImagePlan
from modules.settings.options import Settings

__all__ = ["VERSION", "extra_parameters", "infotext_for"]

VERSION = "v1.10.1+studio.0.1.0"  # A1111's version whose pictures these are, then ours (PEP 440 local part)


def infotext_for(
    plan: GenerationPlan, image: ImagePlan, facts: ImageFacts, *, owner: str = LOCAL.name
) -> str:
    """The text that is written into the picture's file; it names an owner who had to sign in, if wanted."""
    fixed = _fixed_parameters(plan, image, facts)
    parameters = {**fixed, **extra_parameters(plan, facts)}
    if plan.settings.add_version_to_infotext:
        parameters["Version"] = VERSION
    if plan.settings.add_user_name_to_info and owner != LOCAL.name:
        parameters["User"] = owner
    return format_infotext(image.prompt, image.negative_prompt, parameters)


def _fixed_parameters(plan: GenerationPlan, image: ImagePlan, facts: ImageFacts) -> dict[str, object]:
    request, settings, first = plan.request, plan.settings, plan.first
    vae = plan.vae
    varied = request.subseed_strength != 0
    resized = request.seed_resize_from_w > 0 and request.seed_resize_from_h > 0
    source = request.image_to_image
    denoising = source.denoising_strength if source else _hires_strength(plan)
    return {
        "Steps": first.steps,
        "Sampler": first.sampler,
        "Schedule type": first.scheduler,
        "CFG scale": first.cfg_scale,
        "Image CFG scale": source.image_cfg_scale if source and facts.edits_images else None,
        "Seed": image.seed,
        "Face restoration": facts.face_restorer or None,
        "Size": f"{first.width}x{first.height}",
        "Model hash": (plan.checkpoint.shorthash or None) if settings.add_model_hash_to_info else None,
        "Model": plan.checkpoint.stem if settings.add_model_name_to_info else None,
        **_eight_bits(plan),
        "VAE hash": (vae.shorthash or None) if vae and settings.add_vae_hash_to_info else None,
        "VAE": vae.name if vae and settings.add_vae_name_to_info else None,
        "Variation seed": image.subseed if varied else None,
        "Variation seed strength": request.subseed_strength if varied else None,
        "Seed resize from": f"{request.seed_resize_from_w}x{request.seed_resize_from_h}" if resized else None,
        "Denoising strength": denoising,
        "Conditional mask weight": settings.inpainting_mask_weight if facts.uses_mask_conditioning else None,
        "Clip skip": settings.CLIP_stop_at_last_layers if settings.CLIP_stop_at_last_layers > 1 else None,
        "ENSD": _ensd(plan),
        "Token merging ratio": first.token_merging or None,
        "Token merging ratio hr": (plan.hires.sampling.token_merging or None) if plan.hires else None,
        "RNG": settings.randn_source if settings.randn_source != "GPU" else None,
        "Tiling": True if plan.tiling else None,
    }


def _eight_bits(plan: GenerationPlan) -> dict[str, object]:
    if plan.model.weights == "as computed":
        return {}
    settings = plan.settings
    return {"FP8 weight": settings.fp8_storage, "Cache FP16 weight for LoRA": settings.cache_fp16_weight}


def extra_parameters(plan: GenerationPlan, facts: ImageFacts) -> dict[str, object]:
    """The keys behind the fixed ones (A1111's ``extra_generation_params``)."""
    spec = find_sampler(plan.first.sampler)
    parts = (
        plan.script_parameters,
        _hires(plan),
        _refiner(plan),
        dict(facts.adapters),
        _prompts(plan.settings, facts),
        _sampler(plan, spec),
        _inpaint(plan),
        dict(facts.vae_methods),
    )
    merged: dict[str, object] = {}
    for part in parts:
        merged |= {key: value for key, value in part.items() if value is not None}
    return merged


def _hires_strength(plan: GenerationPlan) -> float | None:
    return plan.request.hires.denoising_strength if plan.hires and plan.request.hires else None


def _ensd(plan: GenerationPlan) -> int | None:
    delta = plan.settings.eta_noise_seed_delta
    spec = find_sampler(plan.first.sampler)
    eta = plan.request.eta if plan.request.eta is not None else plan.settings.eta_ancestral
    return delta if delta != 0 and spec.uses_ensd and eta != 0 else None


def _hires(plan: GenerationPlan) -> dict[str, object]:
    asked, hires = plan.request.hires, plan.hires
    if asked is None or hires is None:
        return {}
    sized = asked.resize_x != 0 or asked.resize_y != 0
    other_sampler = asked.sampler_name is not None and hires.sampling.sampler != plan.first.sampler
    other_schedule = hires.sampling.scheduler != plan.first.scheduler
    return {
        "Hires checkpoint": f"{hires.checkpoint.stem} [{hires.checkpoint.shorthash}]"
        if asked.checkpoint
        else None,
        "Hires sampler": hires.sampling.sampler if other_sampler else None,
        "Hires schedule type": hires.sampling.scheduler if other_schedule else None,
        "Hires prompt": asked.prompt or None,
        "Hires negative prompt": asked.negative_prompt or None,
        "Hires upscale": None if sized else asked.scale,
        "Hires resize": f"{asked.resize_x}x{asked.resize_y}" if sized else None,
        "Hires steps": asked.steps or None,
        "Hires upscaler": hires.upscaler,
    }


def _refiner(plan: GenerationPlan) -> dict[str, object]:
    refiner = plan.refiner
    if refiner is None:
        return {}
    by_steps = plan.settings.refiner_switch_by_sample_steps
    passes = plan.settings.hires_fix_refiner_pass
    return {
        "Hires refiner": passes if plan.hires is not None and passes != "second pass" else None,
        "Refiner": f"{refiner.checkpoint.stem} [{refiner.checkpoint.shorthash}]",
        "Refiner switch at": refiner.switch_at,
        "Refiner switch by sampling steps": True if by_steps else None,
    }


def _prompts(settings: Settings, facts: ImageFacts) -> dict[str, object]:
    return {
        "Old prompt editing timelines": True if facts.old_timelines else None,
        "Emphasis": settings.emphasis if facts.emphasised and settings.emphasis != "Original" else None,
    }


def _noise_multiplier(plan: GenerationPlan) -> float | None:
    """Of image to image, where it is not 1; noise that was found in the picture is taken as it is."""
    source = plan.request.image_to_image
    if source is None or source.noise_reversal is not None:
        return None
    asked = source.initial_noise_multiplier
    multiplier = plan.settings.initial_noise_multiplier if asked is None else asked
    return multiplier if multiplier != 1.0 else None


def _sampler(plan: GenerationPlan, spec: SamplerSpec) -> dict[str, object]:
    settings, request = plan.settings, plan.request
    return {
        "Noise multiplier": _noise_multiplier(plan),
        **_eta(plan, spec),
        **_churn(settings, spec),
        **_schedule(plan, spec),
        "Discard penultimate sigma": True if settings.always_discard_next_to_last_sigma else None,
        "SGM noise multiplier": True if settings.sgm_noise_multiplier else None,
        "Extra noise": (settings.img2img_extra_noise or None) if request.image_to_image else None,
        "NGMS": (request.s_min_uncond or settings.s_min_uncond) or None,
        "NGMS all steps": True if settings.s_min_uncond_all and settings.s_min_uncond else None,
        "Skip Early CFG": settings.skip_early_cond or None,
        "DeepCache": settings.deep_cache_interval if settings.deep_cache_interval > 1 else None,
        "Pad conds": True if settings.pad_cond_uncond else None,
        "Pad conds v0": True if settings.pad_cond_uncond_v0 else None,
        "Noise Schedule": settings.sd_noise_schedule if settings.sd_noise_schedule != "Default" else None,
        "Prediction type": settings.sd_prediction_type
        if settings.sd_prediction_type != "Automatic"
        else None,
        "Downcast alphas_cumprod": True if settings.use_downcasted_alpha_bar else None,
    }


def _eta(plan: GenerationPlan, spec: SamplerSpec) -> dict[str, object]:
    if spec.default_eta is None:
        return {}
    timestep = spec.kind == "timestep"
    key = "Eta DDIM" if timestep else "Eta"
    setting = plan.settings.eta_ddim if timestep else plan.settings.eta_ancestral
    eta = setting if plan.request.eta is None else plan.request.eta
    return {key: eta if eta != spec.default_eta else None}


def _churn(settings: Settings, spec: SamplerSpec) -> dict[str, object]:
    """Only values that the settings impose are written; A1111 is silent on a request's own."""
    values: dict[str, object] = {}
    if spec.uses_churn:
        values["Sigma churn"] = settings.s_churn or None
        values["Sigma tmin"] = settings.s_tmin or None
        values["Sigma tmax"] = settings.s_tmax if settings.s_tmax not in (0.0, float("inf")) else None
    if spec.uses_s_noise:
        values["Sigma noise"] = settings.s_noise if settings.s_noise != 1.0 else None
    return values


def _schedule(plan: GenerationPlan, spec: SamplerSpec) -> dict[str, object]:
    settings = plan.settings
    if spec.kind == "timestep":
        return {}
    beta = plan.first.scheduler == "Beta"
    return {
        "Schedule min sigma": settings.sigma_min or None,
        "Schedule max sigma": settings.sigma_max or None,
        "Schedule rho": settings.rho or None,
        "Beta schedule alpha": settings.beta_dist_alpha if beta else None,
        "Beta schedule beta": settings.beta_dist_beta if beta else None,
    }


def _soft_inpainting(soft: SoftInpainting | None) -> dict[str, object]:
    if soft is None:
        return {}
    values = {f"Soft inpainting {name.replace('_', ' ')}": value for name, value in soft}
    return {"Soft inpainting enabled": True, **values}


def _inpaint(plan: GenerationPlan) -> dict[str, object]:
    source = plan.request.image_to_image
    if source is None or source.mask is None:
        return {}
    same_blur = source.mask_blur_x == source.mask_blur_y
    contents = ("fill", None, "latent noise", "latent nothing")  # "original" is the parser's default
    only_masked = source.inpaint_full_res
    return {
        **_soft_inpainting(source.soft_inpainting),
        "Mask mode": "Inpaint not masked" if source.inpainting_mask_invert else None,
        "Mask blur": source.mask_blur_x if same_blur else None,
        "Inpaint area": "Only masked" if only_masked else None,
        "Masked area padding": source.inpaint_full_res_padding if only_masked else None,
        "Masked content": contents[source.inpainting_fill],
    }
