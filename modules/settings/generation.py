"""What shapes the picture: checkpoint, conditioning, VAE, image-to-image, guidance, compatibility."""

from typing import Literal

from modules.settings.option import SettingsModel, option
from modules.settings.sections import (
    COMPATIBILITY,
    IMG2IMG,
    OPTIMIZATIONS,
    STABLE_DIFFUSION,
    STABLE_DIFFUSION_XL,
    VAE,
)

__all__ = ["GenerationSettings"]


class GenerationSettings(SettingsModel):
    """What shapes the picture: checkpoint, conditioning, VAE, image-to-image, guidance, compatibility."""

    sd_model_checkpoint: str | None = option(
        None, "Stable Diffusion checkpoint", STABLE_DIFFUSION, infotext="Model hash"
    )
    sd_checkpoints_limit: int = option(
        1,
        "Maximum number of checkpoints loaded at the same time",
        STABLE_DIFFUSION,
        minimum=1,
        maximum=10,
        step=1,
    )
    sd_checkpoint_cache: int = option(
        0, "Checkpoints to cache in RAM", STABLE_DIFFUSION, minimum=0, maximum=10, step=1, inert=True
    )
    sd_unet: str = option("Automatic", "SD Unet", STABLE_DIFFUSION)
    enable_quantization: bool = option(
        False,
        "Enable quantization in K samplers for sharper and cleaner results. This may change existing seeds",
        STABLE_DIFFUSION,
        restart=True,
    )
    emphasis: Literal["None", "Ignore", "Original", "No norm"] = option(
        "Original", "Emphasis mode", STABLE_DIFFUSION, infotext="Emphasis"
    )
    enable_batch_seeds: bool = option(
        True,
        "Make K-diffusion samplers produce same images in a batch as when making a single image",
        STABLE_DIFFUSION,
        inert=True,
    )
    comma_padding_backtrack: int = option(
        20, "Prompt word wrap length limit", STABLE_DIFFUSION, minimum=0, maximum=74, step=1
    )
    sdxl_clip_l_skip: bool = option(False, "Clip skip SDXL", STABLE_DIFFUSION)
    CLIP_stop_at_last_layers: int = option(
        1, "Clip skip", STABLE_DIFFUSION, minimum=1, maximum=12, step=1, infotext="Clip skip"
    )
    upcast_attn: bool = option(False, "Upcast cross attention layer to float32", STABLE_DIFFUSION, inert=True)
    randn_source: Literal["GPU", "CPU", "NV"] = option(
        "GPU", "Random number generator source.", STABLE_DIFFUSION, infotext="RNG"
    )
    tiling: bool = option(False, "Tiling", STABLE_DIFFUSION, infotext="Tiling")
    hires_fix_refiner_pass: Literal["first pass", "second pass", "both passes"] = option(
        "second pass",
        "Hires fix: which pass to enable refiner for",
        STABLE_DIFFUSION,
        infotext="Hires refiner",
    )
    enable_prompt_comments: bool = option(True, "Enable comments", STABLE_DIFFUSION)
    sdxl_crop_top: int = option(0, "crop top coordinate", STABLE_DIFFUSION_XL)
    sdxl_crop_left: int = option(0, "crop left coordinate", STABLE_DIFFUSION_XL)
    sdxl_refiner_low_aesthetic_score: float = option(2.5, "SDXL low aesthetic score", STABLE_DIFFUSION_XL)
    sdxl_refiner_high_aesthetic_score: float = option(6.0, "SDXL high aesthetic score", STABLE_DIFFUSION_XL)
    sd_vae_checkpoint_cache: int = option(
        0, "VAE Checkpoints to cache in RAM", VAE, minimum=0, maximum=10, step=1, inert=True
    )
    sd_vae: str = option("Automatic", "SD VAE", VAE, infotext="VAE")
    sd_vae_overrides_per_model_preferences: bool = option(
        True, "Selected VAE overrides per-model preferences", VAE
    )
    auto_vae_precision_bfloat16: bool = option(
        False, "Automatically convert VAE to bfloat16", VAE, inert=True
    )
    auto_vae_precision: bool = option(True, "Automatically revert VAE to 32-bit floats", VAE)
    sd_vae_encode_method: Literal["Full", "TAESD"] = option(
        "Full", "VAE type for encode", VAE, infotext="VAE Encoder"
    )
    sd_vae_decode_method: Literal["Full", "TAESD"] = option(
        "Full", "VAE type for decode", VAE, infotext="VAE Decoder"
    )
    inpainting_mask_weight: float = option(
        1.0,
        "Inpainting conditioning mask strength",
        IMG2IMG,
        minimum=0.0,
        maximum=1.0,
        step=0.01,
        infotext="Conditional mask weight",
    )
    initial_noise_multiplier: float = option(
        1.0,
        "Noise multiplier for img2img",
        IMG2IMG,
        minimum=0.0,
        maximum=1.5,
        step=0.001,
        soft=True,
        infotext="Noise multiplier",
    )
    img2img_extra_noise: float = option(
        0.0,
        "Extra noise multiplier for img2img and hires fix",
        IMG2IMG,
        minimum=0.0,
        maximum=1.0,
        step=0.01,
        soft=True,
        infotext="Extra noise",
    )
    img2img_color_correction: bool = option(
        False, "Apply color correction to img2img results to match original colors.", IMG2IMG
    )
    img2img_fix_steps: bool = option(
        False, "With img2img, do exactly the amount of steps the slider specifies.", IMG2IMG
    )
    img2img_background_color: str = option(
        "#ffffff",
        "With img2img, fill transparent parts of the input image with this color.",
        IMG2IMG,
        component="color",
    )
    return_mask: bool = option(
        False, "For inpainting, include the greyscale mask in results for web", IMG2IMG
    )
    return_mask_composite: bool = option(
        False, "For inpainting, include masked composite in results for web", IMG2IMG
    )
    img2img_batch_show_results_limit: int = option(
        32, "Show the first N batch img2img results in UI", IMG2IMG, minimum=-1, maximum=1000, step=1
    )
    overlay_inpaint: bool = option(True, "Overlay original for inpaint", IMG2IMG)
    cross_attention_optimization: str = option(
        "Automatic", "Cross attention optimization", OPTIMIZATIONS, inert=True
    )
    s_min_uncond: float = option(
        0.0,
        "Negative Guidance minimum sigma",
        OPTIMIZATIONS,
        minimum=0.0,
        maximum=15.0,
        step=0.01,
        soft=True,
        infotext="NGMS",
    )
    s_min_uncond_all: bool = option(
        False, "Negative Guidance minimum sigma all steps", OPTIMIZATIONS, infotext="NGMS all steps"
    )
    token_merging_ratio: float = option(
        0.0,
        "Token merging ratio",
        OPTIMIZATIONS,
        minimum=0.0,
        maximum=0.9,
        step=0.1,
        infotext="Token merging ratio",
    )
    token_merging_ratio_img2img: float = option(
        0.0, "Token merging ratio for img2img", OPTIMIZATIONS, minimum=0.0, maximum=0.9, step=0.1
    )
    token_merging_ratio_hr: float = option(
        0.0,
        "Token merging ratio for high-res pass",
        OPTIMIZATIONS,
        minimum=0.0,
        maximum=0.9,
        step=0.1,
        infotext="Token merging ratio hr",
    )
    deep_cache_interval: int = option(
        1,
        "Steps that share the deep features of the U-Net (DeepCache)",
        OPTIMIZATIONS,
        minimum=1,
        maximum=8,
        step=1,
        infotext="DeepCache",
    )
    pad_cond_uncond: bool = option(False, "Pad prompt/negative prompt", OPTIMIZATIONS, infotext="Pad conds")
    pad_cond_uncond_v0: bool = option(
        False, "Pad prompt/negative prompt (v0)", OPTIMIZATIONS, infotext="Pad conds v0"
    )
    batch_cond_uncond: bool = option(True, "Batch cond/uncond", OPTIMIZATIONS, inert=True)
    fp8_storage: Literal["Disable", "Enable for SDXL", "Enable"] = option(
        "Disable", "FP8 weight", OPTIMIZATIONS, infotext="FP8 weight"
    )
    cache_fp16_weight: bool = option(
        False, "Cache FP16 weight for LoRA", OPTIMIZATIONS, infotext="Cache FP16 weight for LoRA"
    )
    auto_backcompat: bool = option(True, "Automatic backward compatibility", COMPATIBILITY, inert=True)
    use_old_emphasis_implementation: bool = option(
        False, "Use old emphasis implementation. Can be useful to reproduce old seeds.", COMPATIBILITY
    )
    use_old_karras_scheduler_sigmas: bool = option(
        False, "Use old karras scheduler sigmas (0.1 to 10).", COMPATIBILITY
    )
    no_dpmpp_sde_batch_determinism: bool = option(
        False, "Do not make DPM++ SDE deterministic across different batch sizes.", COMPATIBILITY
    )
    use_old_hires_fix_width_height: bool = option(
        False,
        "For hires fix, use width/height sliders to set final resolution rather than first pass "
        "(disables Upscale by, Resize width/height to).",
        COMPATIBILITY,
    )
    hires_fix_use_firstpass_conds: bool = option(
        False,
        "For hires fix, calculate conds of second pass using extra networks of first pass.",
        COMPATIBILITY,
    )
    use_old_scheduling: bool = option(
        False, "Use old prompt editing timelines.", COMPATIBILITY, infotext="Old prompt editing timelines"
    )
    use_downcasted_alpha_bar: bool = option(
        False,
        "Downcast model alphas_cumprod to fp16 before sampling. For reproducing old seeds.",
        COMPATIBILITY,
        infotext="Downcast alphas_cumprod",
    )
    refiner_switch_by_sample_steps: bool = option(
        False,
        "Switch to refiner by sampling steps instead of model timesteps. Old behavior for refiner.",
        COMPATIBILITY,
        infotext="Refiner switch by sampling steps",
    )
    lora_functional: bool = option(
        False,
        "Lora/Networks: use old method that takes longer when you have multiple Loras active "
        "and produces same results as kohya-ss/sd-webui-additional-networks extension",
        COMPATIBILITY,
    )
