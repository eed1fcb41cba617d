"""Text encoder and denoiser, trained together from nothing."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modules.conditioning.tokenizer import clip_tokenizer
from modules.diffusion.schedule import NoiseSchedule
from modules.exceptions import TrainingError
from modules.networks.clip_text import ClipTextConfig, ClipTextEncoder
from modules.networks.unet import UNet, UNetConfig
from modules.runtime.attention import use_attention
from modules.training.captions import caption, phrases
from modules.training.concepts import Concept
from modules.training.config import DenoiserRecipe
from modules.training.initialisation import initialise_text_encoder, initialise_unet
from modules.training.latent_set import LatentSet
from modules.training.loop import (
    LoopSettings,
    Measurement,
    Trainer,
    numpy_generator,
    step_generator,
    write_tensors,
)
from modules.training.objective import add_noise, min_snr_weights, stratified_timesteps, v_target
from modules.training.optimisers import LearningRateSchedule, build_optimisers
from modules.training.vocabulary import CompactVocabulary

__all__ = [
    "CaptionedLatents",
    "LatentDiffusion",
    "build_latent_diffusion",
    "load_latent_diffusion",
    "train_latent_diffusion",
]

_LOG = logging.getLogger(__name__)
Preview = Callable[["LatentDiffusion", int, bool], None]
_FULL_POSITIONS = 77  # what every user of the network pads prompts to
_NOISY_HALF = 600  # timesteps above it are reported apart: there the text alone decides
_WARM_UP_BATCH = 64
_WARM_UP_GRID = 16  # the text predicts mean latents at this resolution


class LatentDiffusion(nn.Module):
    """A text encoder (with a compact vocabulary) and a U-Net that predicts v."""

    def __init__(self, text: ClipTextEncoder, unet: UNet) -> None:
        super().__init__()
        self.text = text
        self.unet = unet

    def encode(self, rows: Tensor) -> Tensor:
        """Vocabulary rows (B, T) to the conditioning (B, T, D)."""
        states = self.text(self.text.embed_tokens(rows), rows)
        return self.text.normalise(states.hidden[-1])

    def forward(self, x: Tensor, timesteps: Tensor, rows: Tensor) -> Tensor:
        """Noisy latents (B, C, h, w), timesteps (B,) and vocabulary rows (B, T) to v (B, C, h, w)."""
        v: Tensor = self.unet(x, timesteps.float(), self.encode(rows))
        return v


def build_latent_diffusion(recipe: DenoiserRecipe, vocabulary_size: int) -> LatentDiffusion:
    """Untrained networks of the recipe's shape."""
    text = ClipTextEncoder(
        ClipTextConfig(
            width=recipe.text_width,
            layers=recipe.text_layers,
            heads=recipe.text_heads,
            mlp_width=4 * recipe.text_width,
            vocabulary=vocabulary_size,
        )
    )
    unet = UNet(
        UNetConfig(
            model_channels=recipe.model_channels,
            channel_mult=recipe.channel_mult,
            num_res_blocks=recipe.num_res_blocks,
            transformer_depth=recipe.transformer_depth,
            context_dim=recipe.text_width,
            num_heads=recipe.num_heads,
            groups=recipe.groups,
        )
    )
    initialise_text_encoder(text)
    initialise_unet(unet)
    return LatentDiffusion(text, unet)


@dataclass(frozen=True)
class CaptionedLatents:
    """Draws latents with fresh captions.

    Attributes:
        latents: The pictures.
        concepts: By name.
        vocabulary: Rows of the tokens.
        recipe: Shares of styles, empty captions and unknown words.
    """

    latents: LatentSet
    concepts: Mapping[str, Concept]
    vocabulary: CompactVocabulary
    recipe: DenoiserRecipe

    @classmethod
    def of(
        cls, latents: LatentSet, concepts: tuple[Concept, ...], recipe: DenoiserRecipe
    ) -> "CaptionedLatents":
        """Build the vocabulary of everything that captions can say."""
        by_name = {concept.name: concept for concept in concepts}
        vocabulary = CompactVocabulary.of(phrases(by_name, two=latents.shows_two), clip_tokenizer())
        return cls(latents, by_name, vocabulary, recipe)

    def sample(self, rng: np.random.Generator, count: int, positions: int) -> tuple[Tensor, Tensor]:
        """Latents (count, Z, h, w) float32 and vocabulary rows (count, positions) int64."""
        weights = self.latents.weights(self.recipe.style_shares, self.recipe.two_object_share)
        chosen = rng.choice(len(weights), count, p=weights)
        rows = torch.stack([self._rows(int(index), rng, positions) for index in chosen])
        return self.latents.latents[torch.from_numpy(chosen)].float(), rows

    def _rows(self, index: int, rng: np.random.Generator, positions: int) -> Tensor:
        composition = self.latents.compositions[index]
        text = caption(composition, self.concepts, rng)
        if rng.random() < self.recipe.caption_dropout:
            text = ""
        unknown_at = rng.random() if rng.random() < self.recipe.unknown_words else -1.0
        return self.vocabulary.encode(text, clip_tokenizer(), positions, unknown_at=unknown_at)


class _TextWarmUp(nn.Module):
    """Text encoder with a linear layer to the coarse latent; only the former is kept."""

    def __init__(self, text: ClipTextEncoder, outputs: int) -> None:
        super().__init__()
        self.text = text
        self.mean_head = nn.Linear(text.width, outputs)
        nn.init.zeros_(self.mean_head.weight)

    def forward(self, rows: Tensor) -> Tensor:
        states = self.text(self.text.embed_tokens(rows), rows)
        hidden = self.text.normalise(states.hidden[-1]).float()
        out: Tensor = self.mean_head(0.5 * (hidden[:, -1] + hidden.mean(1)))
        return out


def _settings(recipe: DenoiserRecipe) -> LoopSettings:
    return LoopSettings(
        steps=recipe.steps,
        schedule=LearningRateSchedule(recipe.steps, recipe.warmup, recipe.hold),
        ema_decay=recipe.ema_decay,
    )


def _trainer(model: LatentDiffusion, recipe: DenoiserRecipe, state_path: Path) -> Trainer:
    optimisers = build_optimisers(
        model, adam_rate=recipe.adam_rate, muon_rate=recipe.muon_rate, weight_decay=recipe.weight_decay
    )
    return Trainer(model, optimisers, _settings(recipe), state_path)


def _warm_up_text(model: LatentDiffusion, data: CaptionedLatents, folder: Path) -> None:
    """Teach the text encoder what pictures look like on average, before any noise is in play."""
    recipe = data.recipe
    side = min(_WARM_UP_GRID, data.latents.latents.shape[-1])
    network = _TextWarmUp(model.text, data.latents.latents.shape[1] * side * side)
    settings = LoopSettings(
        steps=recipe.text_steps,
        schedule=LearningRateSchedule(recipe.text_steps, 50, 0.5),
    )
    optimisers = build_optimisers(network, adam_rate=2e-3, muon_rate=4e-3, weight_decay=recipe.weight_decay)
    trainer = Trainer(network, optimisers, settings, folder / "text-state.pt")
    trainer.resume()

    def measure(step: int) -> Measurement:
        rng = numpy_generator(recipe.seed + 1, step)
        x0, rows = data.sample(rng, _WARM_UP_BATCH, recipe.positions)
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bfloat16):
            predicted = network(rows)
        loss = F.mse_loss(predicted.float(), F.adaptive_avg_pool2d(x0, side).flatten(1))
        return loss, {}

    trainer.run(measure)


def train_latent_diffusion(
    recipe: DenoiserRecipe,
    data: CaptionedLatents,
    folder: Path,
    *,
    preview: Preview | None = None,
    until: int | None = None,
) -> LatentDiffusion:
    """Train, leaving ``denoiser.pt`` (averaged weights) in ``folder``; goes on from a saved state.

    Args:
        recipe: What to train and how.
        data: Latents with captions.
        folder: Where states and results are.
        preview: Draws pictures from the averaged weights now and then.
        until: Stop before this step; a later call goes on.
    """
    torch.manual_seed(recipe.seed)
    model = build_latent_diffusion(recipe, data.vocabulary.size)
    state_path = folder / "denoiser-state.pt"
    if not state_path.exists():
        _warm_up_text(model, data, folder)
    trainer = _trainer(model, recipe, state_path)
    if not trainer.resume() and recipe.start_from is not None:
        model.load_state_dict(torch.load(recipe.start_from, weights_only=True))
        trainer = _trainer(model, recipe, state_path)

    objective = _Objective(model, data)

    def report(step: int) -> None:
        write_tensors(model.state_dict(), folder / "denoiser.pt")
        if preview is not None:
            preview(model, step, step == recipe.steps)

    trainer.run(objective.measure, until=until, on_save=report)
    model.load_state_dict(torch.load(folder / "denoiser.pt", weights_only=True))
    return model


def load_latent_diffusion(recipe: DenoiserRecipe, vocabulary_size: int, folder: Path) -> LatentDiffusion:
    """The averaged weights that :func:`train_latent_diffusion` left in ``folder``.

    Raises:
        TrainingError: There are none yet.
    """
    model = build_latent_diffusion(recipe, vocabulary_size)
    try:
        model.load_state_dict(torch.load(folder / "denoiser.pt", weights_only=True))
    except FileNotFoundError as error:
        raise TrainingError(f"There is no trained denoiser in {folder}: run the stage 'denoiser'.") from error
    model.eval()
    return model


class _Objective:
    """The loss of a step."""

    def __init__(self, model: LatentDiffusion, data: CaptionedLatents) -> None:
        self.model = model
        self.data = data
        self.alphas_cumprod = NoiseSchedule.scaled_linear().alphas_cumprod

    def measure(self, step: int) -> Measurement:
        """Weighted squared error of v, and the plain one for the log."""
        recipe = self.data.recipe
        generator = step_generator(recipe.seed, step)
        late = step >= recipe.full_positions_from * recipe.steps
        positions = _FULL_POSITIONS if late else recipe.positions
        x0, rows = self.data.sample(numpy_generator(recipe.seed, step), recipe.batch, positions)
        timesteps = stratified_timesteps(
            recipe.batch, len(self.alphas_cumprod), generator, shift=recipe.timestep_shift
        )
        signal = self.alphas_cumprod[timesteps]
        eps = torch.randn(x0.shape, generator=generator)
        # torch's fused attention is slow in bfloat16 with heads as narrow as these: 1.3 x per step, measured
        with use_attention("sliced"), torch.autocast("cpu", torch.bfloat16, enabled=recipe.bfloat16):
            v = self.model(add_noise(x0, eps, signal), timesteps, rows)
        errors = (v.float() - v_target(x0, eps, signal)).square().mean((1, 2, 3))  # B
        loss = (min_snr_weights(signal, recipe.snr_gamma, floor=recipe.snr_floor) * errors).mean()
        figures = {"v": errors.mean().item(), "v-noisy": errors[timesteps > _NOISY_HALF].mean().item()}
        return loss, figures
