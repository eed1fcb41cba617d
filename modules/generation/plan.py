"""What will be done: a request with every default ended. The engine and the infotext read only this."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from modules.diffusion.samplers import find_sampler
from modules.domain.extra_networks import ExtraNetwork
from modules.domain.request import GenerationRequest
from modules.generation.effects import ModelKey
from modules.settings.options import Settings

__all__ = ["GenerationPlan", "HiresPlan", "ImagePlan", "PassPlan", "RefinerPlan", "WeightsFile"]


@dataclass(frozen=True)
class WeightsFile:
    """A model file as the infotext names it. ``shorthash`` is "" when hashing is off."""

    path: str
    name: str
    stem: str
    title: str
    shorthash: str


@dataclass(frozen=True)
class PassPlan:
    """One run of a sampler.

    Attributes:
        width, height: pixels.
        sampler: display name; scheduler: label, never "Automatic" where the sampler has a default.
        denoising_strength: how much noise is laid over the start; None starts from pure noise.
        exact_steps: run exactly ``steps`` whatever the strength (hires, ``img2img_fix_steps``).
        token_merging: part of the tokens that self-attention does without, 0..0.9.
    """

    width: int
    height: int
    sampler: str
    scheduler: str
    steps: int
    cfg_scale: float
    denoising_strength: float | None = None
    exact_steps: bool = False
    token_merging: float = 0.0

    @property
    def calls(self) -> int:
        """Denoiser calls of the whole pass as prompt editing and NGMS count them."""
        return self.steps * 2 if find_sampler(self.sampler).second_order else self.steps


@dataclass(frozen=True)
class HiresPlan:
    """The second pass: upscale, cut, sample again.

    Attributes:
        upscale_width, upscale_height: pixels to upscale to.
        crop_x, crop_y: latent cells cut off in all; 0 unless both target sides were given.
    """

    sampling: PassPlan
    upscaler: str
    upscale_width: int
    upscale_height: int
    model: ModelKey
    checkpoint: WeightsFile
    crop_x: int = 0
    crop_y: int = 0


@dataclass(frozen=True)
class RefinerPlan:
    """Another checkpoint takes over when ``switch_at`` of the way is done."""

    model: ModelKey
    checkpoint: WeightsFile
    switch_at: float
    in_first: bool = True
    in_hires: bool = False


@dataclass(frozen=True)
class ImagePlan:
    """One picture of the job. Prompts are what the infotext shows: styled, with ``<lora:...>`` tags."""

    index: int
    seed: int
    subseed: int
    prompt: str
    negative_prompt: str
    hires_prompt: str
    hires_negative_prompt: str


@dataclass(frozen=True)
class GenerationPlan:
    """One job, resolved.

    Attributes:
        settings: the options in force for this job: the user's at submit time, and the overrides.
        networks: tags of the first prompt; those that exist are patches of ``model``.
        face_restorer: what is to restore the faces of finished pictures, "" for nothing.
        comments: what could not be honoured, one sentence each.
        script_parameters: what the script that asked for this adds to the infotext.
    """

    request: GenerationRequest
    settings: Settings
    checkpoint: WeightsFile
    vae: WeightsFile | None
    model: ModelKey
    first: PassPlan
    hires: HiresPlan | None
    refiner: RefinerPlan | None
    images: tuple[ImagePlan, ...]
    networks: tuple[ExtraNetwork, ...]
    tiling: bool
    face_restorer: str = ""
    comments: tuple[str, ...] = ()
    script_parameters: Mapping[str, object] = field(default_factory=dict)

    @property
    def steps_total(self) -> int:
        """Sampling steps of one picture over all passes, for progress."""
        return self.first.steps + (self.hires.sampling.steps if self.hires else 0)
