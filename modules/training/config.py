"""Recipes: everything that a training run depends on, read from a YAML file."""

from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from modules.exceptions import TrainingError

__all__ = ["AutoencoderRecipe", "DataRecipe", "DenoiserRecipe", "EmbeddedRecipe", "load_recipe"]


class _Recipe(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AutoencoderRecipe(_Recipe):
    """Shape and training of the autoencoder."""

    channels: int = Field(32, description="Channels at the finest level.")
    channel_mult: tuple[int, ...] = Field((1, 1, 2, 4), description="Channels of each level, as multiples.")
    num_res_blocks: int = Field(1, description="Residual blocks a level.")
    groups: int = Field(
        8, description="Groups of every group norm; with one channel a group colours are lost."
    )
    steps: int = Field(2400, gt=0, description="Updates.")
    batch: int = Field(16, gt=0, description="Crops of 64 px a step; larger windows in proportion.")
    whole_from: float = Field(0.7, ge=0, le=1, description="Fraction of the steps after which windows grow.")
    hold: float = Field(0.3, ge=0, lt=1, description="Fraction of the steps at the full learning rate.")
    adam_rate: float = Field(1e-3, gt=0, description="Learning rate of AdamW.")
    muon_rate: float = Field(1e-2, gt=0, description="Learning rate of Muon.")
    kl_weight: float = Field(3e-4, ge=0, description="Weight of the mean divergence of a latent number.")
    seed: int = 0


class DataRecipe(_Recipe):
    """Which pictures are composed."""

    concepts: str = Field("embedded-concepts.txt", description="List of concepts, beside the recipe.")
    prompts: str = Field(
        "embedded-prompts.txt", description="Prompts of the contact sheet, beside the recipe."
    )
    side: int = Field(256, gt=0, multiple_of=64, description="Pixels of a picture's side.")
    views: int = Field(12, gt=0, description="Pictures of every drawing.")
    held_out_styles: float = Field(
        0, ge=0, lt=1, description="Share of drawings kept from training; never a cartoon."
    )
    two_objects: int = Field(0, ge=0, description="Pictures of two things side by side.")
    seed: int = 7


class DenoiserRecipe(_Recipe):
    """Shape and training of text encoder and U-Net."""

    model_channels: int = Field(32, description="Channels at the finest level.")
    channel_mult: tuple[int, ...] = Field((1, 2, 4, 8), description="Channels of each level, as multiples.")
    num_res_blocks: int = Field(1, description="Residual blocks a level.")
    transformer_depth: tuple[int, ...] = Field((0, 1, 1, 0), description="Transformer blocks of each level.")
    num_heads: int = Field(4, description="Attention heads of the U-Net.")
    groups: int = Field(8, description="Groups of every group norm.")
    text_width: int = 192
    text_layers: int = 4
    text_heads: int = 3
    text_steps: int = Field(400, ge=0, description="Updates of the text encoder alone, before all else.")
    steps: int = Field(2400, gt=0, description="Updates of both networks.")
    batch: int = Field(32, gt=0, description="Pictures a step.")
    positions: int = Field(32, gt=2, le=77, description="Tokens of a caption at first; 77 later.")
    full_positions_from: float = Field(
        0.9, ge=0, le=1, description="Fraction of the steps from which it is 77."
    )
    adam_rate: float = Field(8e-4, gt=0, description="Learning rate of AdamW.")
    muon_rate: float = Field(4e-3, gt=0, description="Learning rate of Muon.")
    weight_decay: float = Field(0.01, ge=0, description="Decoupled weight decay.")
    warmup: int = Field(100, ge=0, description="Updates until the full learning rate.")
    hold: float = Field(0.5, ge=0, lt=1, description="Fraction of the steps at the full learning rate.")
    ema_decay: float = Field(0.998, ge=0, lt=1, description="Largest decay of the average.")
    snr_gamma: float = Field(5.0, gt=0, description="Cap of the signal-to-noise ratio in the weights.")
    snr_floor: float = Field(0.3, ge=0, le=1, description="Least weight where noise outweighs signal.")
    timestep_shift: float = Field(1.0, gt=0, description="Above 1: more of the noisy timesteps.")
    caption_dropout: float = Field(0.1, ge=0, lt=1, description="Share of empty captions, for guidance.")
    unknown_words: float = Field(0.05, ge=0, lt=1, description="Share of captions with an unknown word.")
    style_shares: dict[str, float] = Field(
        {"cartoon": 0.4, "flat": 0.2, "3d": 0.22, "line art": 0.18}, description="Share of each style."
    )
    two_object_share: float = Field(
        0.12, ge=0, lt=1, description="Share of pictures of two things, if there are such pictures."
    )
    bfloat16: bool = Field(True, description="Compute in bfloat16; weights stay in float32.")
    preview_seconds: float = Field(600, gt=0, description="Time between two contact sheets.")
    start_from: str | None = Field(None, description="Averaged weights of an earlier run to begin with.")
    seed: int = 3


class EmbeddedRecipe(_Recipe):
    """The whole embedded model."""

    threads: int = Field(2, gt=0, description="Processor threads.")
    data: DataRecipe = DataRecipe()
    autoencoder: AutoencoderRecipe = AutoencoderRecipe()
    denoiser: DenoiserRecipe = DenoiserRecipe()


def load_recipe(path: Path) -> EmbeddedRecipe:
    """Read a recipe.

    Raises:
        TrainingError: The file cannot be read or says something impossible.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return EmbeddedRecipe.model_validate(content or {})
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise TrainingError(f"The recipe {path} cannot be used: {error}") from error
