"""What a user asks for: a frozen, JSON-serialisable request.

A request may leave almost everything open (``None``, ``-1``, "Automatic"); ``generation.resolve``
ends all defaults and turns it into a :class:`~modules.domain.plan.GenerationPlan`. Field names are
those of A1111's HTTP API where it has them, so that a client's payload maps one to one.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

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
MAX_IMAGES = 10_000  # batch_size * n_iter of one job

Side = Annotated[int, Field(ge=8, le=MAX_SIDE, multiple_of=8, description="pixels, a multiple of 8")]
Strength = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=-1, le=2**63 - 1)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Hires(_Frozen):
    """Second pass at a larger size ("hires fix")."""

    upscaler: str = "Latent"
    scale: Annotated[float, Field(ge=1, le=8, allow_inf_nan=False)] = 2.0
    resize_x: Annotated[int, Field(ge=0, le=MAX_SIDE)] = 0
    resize_y: Annotated[int, Field(ge=0, le=MAX_SIDE)] = 0
    steps: Annotated[int, Field(ge=0, le=1000, description="0 means as many as the first pass")] = 0
    denoising_strength: Strength = 0.7
    checkpoint: str | None = None
    sampler_name: str | None = None
    scheduler: str | None = None
    prompt: str = Field("", description="empty means the first pass's prompt")
    negative_prompt: str = ""


class Refiner(_Frozen):
    """Switch to another checkpoint near the end of sampling."""

    checkpoint: str
    switch_at: Strength = 0.8


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

    schedule_bias: Annotated[int | float, Field(ge=0, le=8)] = 1
    preservation_strength: Annotated[int | float, Field(ge=0, le=8)] = 0.5
    transition_contrast_boost: Annotated[int | float, Field(ge=1, le=32)] = 4
    mask_influence: Annotated[int | float, Field(ge=0, le=1)] = 0
    difference_threshold: Annotated[int | float, Field(ge=0, le=8)] = 0.5
    difference_contrast: Annotated[int | float, Field(ge=0, le=8)] = 2


class NoiseReversal(_Frozen):
    """Start from the noise that the sampler would have needed to make the start picture.

    Attributes:
        prompt, negative_prompt: what the start picture shows.
        steps: of the way back.
        randomness: share of fresh noise.
        sigma_adjustment: take each step at its lower noise level.
    """

    prompt: str = ""
    negative_prompt: str = ""
    cfg_scale: Finite = 1.0
    steps: Annotated[int, Field(ge=1, le=1000)] = 50
    randomness: Strength = 0.0
    sigma_adjustment: bool = False


class ImageToImage(_Frozen):
    """Where to start from, and what may change. Pictures are ids in the blob store (sha256)."""

    images: tuple[str, ...] = Field(min_length=1)
    denoising_strength: Strength = 0.75
    resize_mode: Literal[0, 1, 2, 3] = 0
    image_cfg_scale: Finite | None = None
    initial_noise_multiplier: Finite | None = None
    mask: str | None = None
    latent_mask: str | None = None
    mask_blur_x: Annotated[int, Field(ge=0, le=1024)] = 4
    mask_blur_y: Annotated[int, Field(ge=0, le=1024)] = 4
    mask_round: bool = True
    inpainting_fill: Literal[0, 1, 2, 3] = Field(
        0, description="0 fill, 1 original, 2 latent noise, 3 latent nothing"
    )
    inpaint_full_res: bool = Field(True, description='True is "Only masked", False "Whole picture"')
    inpaint_full_res_padding: Annotated[int, Field(ge=0, le=MAX_SIDE)] = 0
    inpainting_mask_invert: bool = False
    soft_inpainting: SoftInpainting | None = None
    noise_reversal: NoiseReversal | None = None


class GenerationRequest(_Frozen):
    """One job: ``batch_size * n_iter`` pictures from one prompt.

    Holds everything that was asked; nothing reads global state while the job runs.
    """

    prompt: str = ""
    negative_prompt: str = ""
    styles: tuple[str, ...] = ()
    seed: Seed = -1
    seed_was_random: bool = Field(False, description="set when a seed of -1 was drawn at submit time")
    subseed: Seed = -1
    subseed_strength: Strength = 0.0
    seed_resize_from_w: int = -1
    seed_resize_from_h: int = -1
    sampler_name: str | None = Field(None, description='display name or alias, e.g. "Euler a"')
    scheduler: str | None = Field(None, description='label or name; None is "Automatic"')
    steps: Annotated[int, Field(ge=1, le=1000)] = 20
    cfg_scale: Annotated[float, Field(ge=-100, le=1000, allow_inf_nan=False)] = 7.0
    width: Side = 512
    height: Side = 512
    batch_size: Annotated[int, Field(ge=1, le=1000)] = 1
    n_iter: Annotated[int, Field(ge=1, le=10_000)] = 1
    eta: Finite | None = None
    s_churn: Finite | None = None
    s_tmin: Finite | None = None
    s_tmax: float | None = None
    s_noise: Finite | None = None
    s_min_uncond: Finite | None = None
    tiling: bool | None = None
    restore_faces: bool | None = None
    disable_extra_networks: bool = False
    checkpoint: str | None = Field(None, description="title, name, stem or hash; None is the setting's")
    override_settings: dict[str, JsonValue] = Field(default_factory=dict)
    hires: Hires | None = None
    refiner: Refiner | None = None
    image_to_image: ImageToImage | None = Field(None, description="None makes this a txt2img request")
    save_images: bool = True
    script_name: str | None = None
    script_args: tuple[JsonValue, ...] = ()
    alwayson_scripts: dict[str, JsonValue] = Field(default_factory=dict)

    @property
    def kind(self) -> Literal["txt2img", "img2img"]:
        """A1111's word for the tab the request comes from."""
        return "txt2img" if self.image_to_image is None else "img2img"

    @property
    def image_count(self) -> int:
        """Number of pictures the job makes, grids not counted."""
        return self.batch_size * self.n_iter

    @model_validator(mode="after")
    def _within_limits(self) -> Self:
        if self.width * self.height > MAX_PIXELS:
            raise ValueError(f"{self.width}x{self.height} is more than {MAX_PIXELS} pixels")
        if self.image_count > MAX_IMAGES:
            raise ValueError(
                f"batch_size * n_iter is {self.image_count}; at most {MAX_IMAGES} pictures a job"
            )
        return self
