"""What a user asks for: a frozen, JSON-serialisable request.

A request may leave almost everything open (``None``, ``-1``, "Automatic"); ``generation.resolve``
ends all defaults and turns it into a :class:`~modules.domain.plan.GenerationPlan`. Field names are
those of A1111's HTTP API where it has them, so that a client's payload maps one to one.
"""

import math
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator

from modules.domain.json_access import is_deeper

__all__ = [
    "MAX_PIXELS",
    "MAX_SIDE",
    "GenerationRequest",
    "Hires",
    "ImageToImage",
    "NoiseReversal",
    "Refiner",
    "SoftInpainting",
]

MAX_SIDE = 8192  # pixels; latents of 1024 cells a side are beyond every card, and arithmetic stays exact
MAX_PIXELS = 8192 * 4096  # width * height of one picture
MAX_DEPTH = 64  # of lists and objects in each other; JSON readers give up at some 200
MAX_IMAGES = 10_000  # batch_size * n_iter of one job

Side = Annotated[int, Field(ge=8, le=MAX_SIDE, multiple_of=8, description="pixels, a multiple of 8")]
Strength = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
FormerSide = Annotated[int, Field(ge=-1, le=MAX_SIDE)]
Seed = Annotated[int, Field(ge=-1, le=2**63 - 1)]
Arguments = tuple[JsonValue, ...] | dict[str, JsonValue]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Hires(_Frozen):
    """Second pass at a larger size ("hires fix")."""

    upscaler: str = Field("Latent", description="a name from /sdapi/v1/upscalers or latent-upscale-modes")
    scale: Annotated[float, Field(ge=1, le=8, allow_inf_nan=False)] = Field(2.0, description="factor, 1 to 8")
    resize_x: Annotated[int, Field(ge=0, le=MAX_SIDE)] = Field(
        0, description="width in pixels; 0 follows scale"
    )
    resize_y: Annotated[int, Field(ge=0, le=MAX_SIDE)] = Field(
        0, description="height in pixels; 0 follows scale"
    )
    steps: Annotated[int, Field(ge=0, le=1000, description="0 means as many as the first pass")] = 0
    denoising_strength: Strength = Field(0.7, description="how much the second pass may change, 0 to 1")
    checkpoint: str | None = Field(None, description="null is the first pass's")
    sampler_name: str | None = Field(None, description="null is the first pass's")
    scheduler: str | None = Field(None, description="null is the first pass's")
    prompt: str = Field("", description="empty means the first pass's prompt")
    negative_prompt: str = Field("", description="empty means the first pass's")


class Refiner(_Frozen):
    """Switch to another checkpoint near the end of sampling."""

    checkpoint: str = Field(description="takes over near the end: title, name, stem or hash")
    switch_at: Strength = Field(0.8, description="when it takes over, 0 to 1 of the steps")


class SoftInpainting(_Frozen):
    """Masks whose edge moves with the noise level; the arguments of A1111's built-in script, in its order.

    Attributes:
        schedule_bias: higher keeps the original until later steps.
        preservation_strength: higher keeps more of it.
        transition_contrast_boost: how much contrast blended latents keep.
        mask_influence: how much the mask decides where the result shows, beside the difference.
        difference_threshold: difference at which original and result show in equal parts.
        difference_contrast: how suddenly one gives way to the other.

    Whole numbers stay whole: the infotext repeats them as they were given.
    """

    schedule_bias: Annotated[int | float, Field(ge=0, le=8)] = Field(
        1, description="higher keeps the original until later steps"
    )
    preservation_strength: Annotated[int | float, Field(ge=0, le=8)] = Field(
        0.5, description="higher keeps more of it"
    )
    transition_contrast_boost: Annotated[int | float, Field(ge=1, le=32)] = Field(
        4, description="how much contrast blended latents keep"
    )
    mask_influence: Annotated[int | float, Field(ge=0, le=1)] = Field(
        0, description="how much the mask decides where the result shows, beside the difference"
    )
    difference_threshold: Annotated[int | float, Field(ge=0, le=8)] = Field(
        0.5, description="difference at which original and result show in equal parts"
    )
    difference_contrast: Annotated[int | float, Field(ge=0, le=8)] = Field(
        2, description="how suddenly one gives way to the other"
    )


class NoiseReversal(_Frozen):
    """Start from the noise that the sampler would have needed to make the start picture.

    Attributes:
        prompt, negative_prompt: what the start picture shows.
        steps: of the way back.
        randomness: share of fresh noise.
        sigma_adjustment: take each step at its lower noise level.
    """

    prompt: str = Field("", description="what the start picture shows")
    negative_prompt: str = Field("", description="what it does not show")
    cfg_scale: Finite = Field(1.0, description="guidance on the way back")
    steps: Annotated[int, Field(ge=1, le=1000)] = Field(50, description="of the way back")
    randomness: Strength = Field(0.0, description="share of fresh noise, 0 to 1")
    sigma_adjustment: bool = Field(False, description="take each step at its lower noise level")


class ImageToImage(_Frozen):
    """Where to start from, and what may change. Pictures are ids in the blob store (sha256)."""

    images: tuple[str, ...] = Field(min_length=1, description="ids of stored pictures to start from")
    denoising_strength: Strength = Field(0.75, description="how much may change, 0 to 1")
    resize_mode: Literal[0, 1, 2, 3] = Field(0, description="0 stretch, 1 crop, 2 fill, 3 latent upscale")
    image_cfg_scale: Finite | None = Field(None, description="strength of the picture in edit models")
    initial_noise_multiplier: Finite | None = Field(None, description="null is the setting")
    mask: str | None = Field(None, description="id of a stored picture; white may change, black stays")
    latent_mask: str | None = Field(None, description="id of a mask for the latent only")
    mask_blur_x: Annotated[int, Field(ge=0, le=1024)] = Field(4, description="pixels")
    mask_blur_y: Annotated[int, Field(ge=0, le=1024)] = Field(4, description="pixels")
    mask_round: bool = Field(True, description="treat the latent mask as black and white")
    inpainting_fill: Literal[0, 1, 2, 3] = Field(
        0, description="0 fill, 1 original, 2 latent noise, 3 latent nothing"
    )
    inpaint_full_res: bool = Field(True, description='True is "Only masked", False "Whole picture"')
    inpaint_full_res_padding: Annotated[int, Field(ge=0, le=MAX_SIDE)] = Field(
        0, description="pixels around the masked area"
    )
    inpainting_mask_invert: bool = Field(False, description="black may change instead")
    soft_inpainting: SoftInpainting | None = Field(
        None, description="a mask whose edge moves; null is a hard one"
    )
    noise_reversal: NoiseReversal | None = Field(
        None, description="start from the picture's own noise; null from fresh noise"
    )


class GenerationRequest(_Frozen):
    """One job: ``batch_size * n_iter`` pictures from one prompt.

    Holds everything that was asked; nothing reads global state while the job runs.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"prompt": "a red apple", "steps": 20, "width": 512, "height": 512}]}
    )

    prompt: str = Field("", description="what to see; emphasis, editing, AND and <lora:name:1> work")
    negative_prompt: str = Field("", description="what not to see")
    styles: tuple[str, ...] = Field((), description="names of saved prompt styles")
    seed: Seed = Field(-1, description="of the first picture; -1 draws one")
    seed_was_random: bool = Field(False, description="set when a seed of -1 was drawn at submit time")
    subseed: Seed = Field(-1, description="variation seed; -1 draws one")
    subseed_strength: Strength = Field(0.0, description="share of the variation seed, 0 to 1")
    seed_resize_from_w: FormerSide = Field(
        -1, description="width that the seed was first used with; -1 is this one"
    )
    seed_resize_from_h: FormerSide = Field(
        -1, description="height that the seed was first used with; -1 is this one"
    )
    sampler_name: str | None = Field(None, description='display name or alias, e.g. "Euler a"')
    scheduler: str | None = Field(None, description='label or name; None is "Automatic"')
    steps: Annotated[int, Field(ge=1, le=1000)] = Field(20, description="sampling steps")
    cfg_scale: Annotated[float, Field(ge=-100, le=1000, allow_inf_nan=False)] = Field(
        7.0, description="strength of the prompt"
    )
    width: Side = Field(512, description="pixels, a multiple of 8")
    height: Side = Field(512, description="pixels, a multiple of 8")
    batch_size: Annotated[int, Field(ge=1, le=1000)] = Field(1, description="pictures at a time")
    n_iter: Annotated[int, Field(ge=1, le=10_000)] = Field(1, description="how many times a batch is made")
    eta: Finite | None = Field(None, description="noise of ancestral samplers and DDIM; null is the setting")
    s_churn: Finite | None = Field(None, description="sigma churn; null is the setting")
    s_tmin: Finite | None = Field(None, description="lowest noise level with churn; null is the setting")
    s_tmax: float | None = Field(None, description="highest noise level with churn; null is the setting")
    s_noise: Finite | None = Field(None, description="deviation of added noise; null is the setting")
    s_min_uncond: Finite | None = Field(
        None, description="noise level below which the negative prompt is skipped; null is the setting"
    )
    tiling: bool | None = Field(None, description="make a picture that tiles; null is the setting")
    restore_faces: bool | None = Field(None, description="null is the setting")
    disable_extra_networks: bool = Field(False, description="leave <lora:...> without effect")
    checkpoint: str | None = Field(None, description="title, name, stem or hash; None is the setting's")
    override_settings: dict[str, JsonValue] = Field(
        default_factory=dict, description="settings for this request only"
    )
    hires: Hires | None = Field(None, description="a second pass at a larger size; null is none")
    refiner: Refiner | None = Field(None, description="another checkpoint near the end; null is none")
    image_to_image: ImageToImage | None = Field(None, description="None makes this a txt2img request")
    origins: tuple[str, ...] = Field(
        (), max_length=64, description="sha256 of files that it was made from beside its start pictures"
    )
    save_images: bool = Field(True, description="keep the pictures in the outputs")
    script_name: str | None = Field(None, description="title of a script from /sdapi/v1/scripts")
    script_args: tuple[JsonValue, ...] = Field((), description="the script's arguments, in order")
    alwayson_scripts: dict[str, JsonValue] = Field(
        default_factory=dict, description="arguments of scripts that run with every picture, by title"
    )

    @property
    def kind(self) -> Literal["txt2img", "img2img"]:
        """A1111's word for the tab the request comes from."""
        return "txt2img" if self.image_to_image is None else "img2img"

    @property
    def image_count(self) -> int:
        """Number of pictures the job makes, grids not counted."""
        return self.batch_size * self.n_iter

    @field_validator("s_tmax")
    @classmethod
    def _number_or_infinity(cls, value: float | None) -> float | None:
        if value is not None and math.isnan(value):
            raise ValueError("not a number")
        return value

    @field_validator("script_args", "alwayson_scripts", "override_settings")
    @classmethod
    def _readable_again(cls, value: Arguments) -> Arguments:
        if is_deeper(list(value.values() if isinstance(value, dict) else value), MAX_DEPTH):
            raise ValueError(f"nested more than {MAX_DEPTH} deep")
        return value

    @model_validator(mode="after")
    def _within_limits(self) -> Self:
        if self.width * self.height > MAX_PIXELS:
            raise ValueError(f"{self.width}x{self.height} is more than {MAX_PIXELS} pixels")
        if self.image_count > MAX_IMAGES:
            raise ValueError(
                f"batch_size * n_iter is {self.image_count}; at most {MAX_IMAGES} pictures a job"
            )
        return self
