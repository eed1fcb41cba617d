"""What clients send to txt2img and img2img, and what they get: A1111's names, defaults and leniency.

Every field may be absent or null, unknown fields are ignored. Limits are those of
:class:`~modules.domain.request.GenerationRequest`, which :mod:`modules.server.sdapi.translate` builds.
"""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue

from modules.server.sdapi.lenient import TEXTS_FROM_NUMBERS, WHOLE

__all__ = ["GenerationResponse", "ImageToImagePayload", "Payload", "TextToImagePayload"]

Integer = Annotated[int, WHOLE] | None
Number = Annotated[float, Field(allow_inf_nan=False)] | None
Text = str | None
Switch = bool | None


def _without_nulls(settings: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Null means that a setting was not given."""
    return {key: value for key, value in settings.items() if value is not None}


class Payload(BaseModel):
    """Fields that txt2img and img2img share."""

    model_config = ConfigDict(extra="ignore", protected_namespaces=(), **TEXTS_FROM_NUMBERS)

    prompt: Text = Field("", description="what to see; emphasis, editing, AND and <lora:name:1> work")
    negative_prompt: Text = Field("", description="what not to see")
    styles: list[str] | None = Field(None, description="names of saved prompt styles")
    seed: Integer = Field(-1, description="seed of the first picture; -1 draws one")
    subseed: Integer = Field(-1, description="variation seed; -1 draws one")
    subseed_strength: Number = Field(0, description="share of the variation seed, 0 to 1")
    seed_resize_from_h: Integer = Field(-1, description="height that the seed was first used with")
    seed_resize_from_w: Integer = Field(-1, description="width that the seed was first used with")
    sampler_name: Text = Field(
        None, description="name or alias from /sdapi/v1/samplers", examples=["Euler a"]
    )
    scheduler: Text = Field(None, description="name or label from /sdapi/v1/schedulers; null is Automatic")
    batch_size: Integer = Field(1, description="pictures at a time, 1 to 1000")
    n_iter: Integer = Field(1, description="how many times a batch is made, 1 to 10000")
    steps: Integer = Field(50, description="sampling steps, 1 to 1000")
    cfg_scale: Number = Field(7.0, description="strength of the prompt")
    width: Integer = Field(512, description="pixels, 8 to 8192; rounded down to a multiple of 8")
    height: Integer = Field(512, description="pixels, 8 to 8192; rounded down to a multiple of 8")
    restore_faces: Switch = Field(None, description="null is the setting")
    tiling: Switch = Field(None, description="make a picture that tiles; null is the setting")
    do_not_save_samples: Switch = Field(False, description="accepted; save_images decides")
    do_not_save_grid: Switch = Field(False, description="accepted; save_images decides")
    eta: Number = Field(None, description="noise of ancestral samplers and DDIM; null is the setting")
    denoising_strength: Number = Field(
        0.75, description="how much may change, 0 to 1; txt2img uses it for hires"
    )
    s_min_uncond: Number = Field(None, description="noise level below which the negative prompt is skipped")
    s_churn: Number = Field(None, description="sigma churn; null is the setting")
    s_tmax: Number = Field(None, description="highest noise level with churn; null is the setting")
    s_tmin: Number = Field(None, description="lowest noise level with churn; null is the setting")
    s_noise: Number = Field(None, description="deviation of added noise; null is the setting")
    override_settings: Annotated[dict[str, JsonValue], AfterValidator(_without_nulls)] | None = Field(
        None, description="settings for this request only; they never change the server's"
    )
    override_settings_restore_afterwards: Switch = Field(
        True, description="accepted; settings always stay as they are"
    )
    refiner_checkpoint: Text = Field(None, description="checkpoint that takes over near the end")
    refiner_switch_at: Number = Field(None, description="when it takes over, 0 to 1")
    disable_extra_networks: Switch = Field(False, description="leave <lora:...> without effect")
    firstpass_image: Text = Field(None, description="accepted for compatibility")
    comments: dict[str, JsonValue] | None = Field(None, description="accepted for compatibility")
    force_task_id: Text = Field(None, description="name under which /internal/progress finds this job")
    sampler_index: Text = Field("Euler", description="old name of sampler_name, used when that is null")
    script_name: Text = Field(None, description="title of a script from /sdapi/v1/scripts")
    script_args: list[JsonValue] | None = Field(None, description="the script's arguments, in order")
    send_images: Switch = Field(True, description="whether the answer holds the pictures")
    save_images: Switch = Field(False, description="whether the server keeps the pictures in its outputs")
    alwayson_scripts: dict[str, JsonValue] | None = Field(
        None, description='{"title": {"args": [...]}} for scripts that run with every picture'
    )
    infotext: Text = Field(
        None, description="generation parameters as text; they fill the fields that are not given"
    )


class TextToImagePayload(Payload):
    """Body of txt2img."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"prompt": "a red apple", "steps": 20, "width": 512, "height": 512}]}
    )

    enable_hr: Switch = Field(False, description="make a second pass at a larger size")
    firstphase_width: Integer = Field(0, description="width of the first pass, 0 is width")
    firstphase_height: Integer = Field(0, description="height of the first pass, 0 is height")
    hr_scale: Number = Field(2.0, description="factor of the second pass, 1 to 8")
    hr_upscaler: Text = Field(
        None, description="from /sdapi/v1/upscalers or latent-upscale-modes; null is Latent"
    )
    hr_second_pass_steps: Integer = Field(0, description="0 means as many as the first pass")
    hr_resize_x: Integer = Field(0, description="width of the second pass in pixels, 0 follows hr_scale")
    hr_resize_y: Integer = Field(0, description="height of the second pass in pixels, 0 follows hr_scale")
    hr_checkpoint_name: Text = Field(None, description="checkpoint of the second pass")
    hr_sampler_name: Text = Field(None, description="sampler of the second pass")
    hr_scheduler: Text = Field(None, description="schedule of the second pass")
    hr_prompt: Text = Field("", description="prompt of the second pass")
    hr_negative_prompt: Text = Field("", description="negative prompt of the second pass")


class ImageToImagePayload(Payload):
    """Body of img2img and inpainting. Pictures are base64, with or without a data URI prefix."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"init_images": ["iVBORw0KGgo..."], "prompt": "a red apple", "denoising_strength": 0.6}
            ]
        }
    )

    init_images: list[str] | None = Field(None, description="pictures to start from")
    resize_mode: Integer = Field(0, description="0 stretch, 1 crop, 2 fill, 3 latent upscale")
    image_cfg_scale: Number = Field(None, description="strength of the picture in edit models")
    mask: Text = Field(None, description="picture; white may change, black stays")
    mask_blur_x: Integer = Field(4, description="pixels")
    mask_blur_y: Integer = Field(4, description="pixels")
    mask_blur: Integer = Field(None, description="sets both of the above")
    mask_round: Switch = Field(True, description="treat the latent mask as black and white")
    inpainting_fill: Integer = Field(
        0, description="masked content: 0 fill, 1 original, 2 latent noise, 3 latent nothing"
    )
    inpaint_full_res: Switch = Field(True, description="true works on the masked area only")
    inpaint_full_res_padding: Integer = Field(0, description="pixels around the masked area")
    inpainting_mask_invert: Integer = Field(0, description="1 means black may change")
    initial_noise_multiplier: Number = Field(None, description="null is the setting")
    latent_mask: Text = Field(None, description="mask for the latent only")
    include_init_images: Switch = Field(
        False, description="whether the answer's parameters repeat the pictures"
    )


class GenerationResponse(BaseModel):
    """Answer of txt2img and img2img."""

    images: list[str] = Field(description="base64 pictures in the format of the setting samples_format")
    parameters: dict[str, JsonValue] = Field(description="the request as it was understood")
    info: str = Field(description="JSON text: seeds, prompts, infotexts and more of every picture")
