"""Pictures drawn while training, to be looked at."""

import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from modules.conditioning.tokenizer import clip_tokenizer
from modules.diffusion.schedule import NoiseSchedule
from modules.networks.vae import AutoencoderKL
from modules.runtime.attention import use_attention
from modules.training.latent_diffusion import LatentDiffusion
from modules.training.sampling import ddim, start_noise
from modules.training.vocabulary import CompactVocabulary
from modules.training.whitening import Whitening

__all__ = ["ContactSheet", "draw_contact_sheet", "sample_latents", "to_pictures"]

_LINE_HEIGHT = 12
_LETTERS_A_LINE = 24
_DECODE_BATCH = 4
_STEPS = 12  # enough to judge progress; time spent here is not spent on training


@torch.no_grad()
def sample_latents(
    model: LatentDiffusion, rows: Tensor, empty: Tensor, *, side: int, steps: int, cfg_scale: float, seed: int
) -> Tensor:
    """Deterministic sampling with guidance.

    Args:
        model: The networks.
        rows: Vocabulary rows of the prompts, (B, T).
        empty: Vocabulary rows of the empty prompt, (T,).
        side: Cells of a latent's side.
        steps: Evaluations.
        cfg_scale: Strength of the guidance.
        seed: Picture ``i`` has the noise of ``seed + i``.

    Returns:
        Whitened latents, (B, Z, side, side).
    """
    count, channels = len(rows), model.unet.config.in_channels
    context = torch.cat([model.encode(empty[None]).expand(count, -1, -1), model.encode(rows)])

    def predict(x: Tensor, timestep: int) -> Tensor:
        with use_attention("sliced"), torch.autocast("cpu", torch.bfloat16):
            both = model.unet(torch.cat([x, x]), torch.full((2 * count,), float(timestep)), context)
        uncond, cond = both.float().chunk(2)
        guided: Tensor = uncond + cfg_scale * (cond - uncond)
        return guided

    noise = torch.stack([start_noise(channels, side, side, seed + index) for index in range(count)])
    return ddim(noise, NoiseSchedule.scaled_linear().alphas_cumprod, predict, prediction="v", steps=steps)


@torch.no_grad()
def to_pictures(latents: Tensor, autoencoder: AutoencoderKL, whitening: Whitening) -> NDArray[np.uint8]:
    """Decode whitened latents (B, Z, h, w) to pictures (B, H, W, 3)."""
    decoded = torch.cat([autoencoder.decode(part) for part in whitening.invert(latents).split(_DECODE_BATCH)])
    pixels = ((decoded.clamp(-1, 1) + 1) * 127.5).round().byte()
    return pixels.permute(0, 2, 3, 1).contiguous().numpy()


def draw_contact_sheet(
    pictures: NDArray[np.uint8], prompts: tuple[str, ...], path: Path, columns: int = 8
) -> None:
    """Write pictures (B, H, W, 3) in rows with their prompts below."""
    side = pictures.shape[1]
    cell = side + 2 * _LINE_HEIGHT + 4
    rows = -(-len(pictures) // columns)
    canvas = Image.new("RGB", (columns * (side + 4), rows * cell), "white")
    pen = ImageDraw.Draw(canvas)
    for index, (picture, prompt) in enumerate(zip(pictures, prompts, strict=True)):
        left, top = index % columns * (side + 4), index // columns * cell
        canvas.paste(Image.fromarray(picture), (left, top))
        letters = _LETTERS_A_LINE * side // 128
        for line in range(2):
            text = prompt[line * letters : (line + 1) * letters]
            pen.text((left + 2, top + side + 1 + line * _LINE_HEIGHT), text, fill="black")
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.save(path)


class ContactSheet:
    """Draws the same prompts from time to time."""

    def __init__(
        self,
        prompts: tuple[str, ...],
        vocabulary: CompactVocabulary,
        autoencoder: AutoencoderKL,
        whitening: Whitening,
        folder: Path,
        *,
        side: int,
        seconds: float,
    ) -> None:
        self._prompts = prompts
        tokenizer = clip_tokenizer()
        self._rows = torch.stack([vocabulary.encode(prompt, tokenizer, 77) for prompt in prompts])
        self._empty = vocabulary.encode("", tokenizer, 77)
        self._autoencoder = autoencoder
        self._whitening = whitening
        self._folder = folder
        self._side = side
        self._seconds = seconds
        self._drawn_at = time.monotonic()

    def draw(self, model: LatentDiffusion, step: int, *, force: bool = False) -> None:
        """Write ``sheet-<step>.png`` if enough time has passed since the last one."""
        if force or time.monotonic() - self._drawn_at >= self._seconds:
            self.draw_at(model, self._folder / f"sheet-{step:06d}.png", steps=_STEPS)

    def draw_at(self, model: LatentDiffusion, path: Path, *, steps: int) -> None:
        """Write a contact sheet, a picture of ``steps`` evaluations for each prompt."""
        latents = sample_latents(
            model, self._rows, self._empty, side=self._side, steps=steps, cfg_scale=4.0, seed=0
        )
        draw_contact_sheet(to_pictures(latents, self._autoencoder, self._whitening), self._prompts, path)
        self._drawn_at = time.monotonic()
