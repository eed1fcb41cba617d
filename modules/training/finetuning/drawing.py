"""Pictures by the model that is being trained: samples on the way, and the class for prior preservation."""

from collections.abc import Generator
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from modules.checkpoints.model import LoadedModel
from modules.imaging.files import make_folder, write_replacing
from modules.imaging.png_file import png_file
from modules.training.finetuning.pictures import picture_paths
from modules.training.finetuning.texts import CaptionEncoder, vector_of
from modules.training.sampling import ddim, start_noise

__all__ = ["draw_class", "draw_picture", "draw_row", "sample_path"]

_CLASS_STEPS = 25


@torch.no_grad()
def draw_picture(
    model: LoadedModel,
    texts: CaptionEncoder,
    prompt: str,
    *,
    side: int,
    seed: int,
    steps: int,
    cfg_scale: float,
) -> Image.Image:
    """One square picture of ``side`` pixels, with an empty negative prompt."""
    context, pooled = texts.encode(["", prompt])
    vector = vector_of(pooled, [(side, side, 0, 0, side, side)] * 2)

    def predict(x: Tensor, timestep: int) -> Tensor:
        both = model.predict(torch.cat([x, x]), torch.full((2,), float(timestep)), context, vector)
        uncond, cond = both.chunk(2)
        guided: Tensor = uncond + cfg_scale * (cond - uncond)
        return guided

    cells = side // model.latent_factor
    noise = start_noise(model.latent_channels, cells, cells, seed)[None]
    signal = model.schedule.alphas_cumprod.float()
    latent = ddim(noise, signal, predict, prediction=model.prediction, steps=steps)
    pixels = model.decode(latent / model.latent_scale)[0]
    shown = ((pixels.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0)
    return Image.fromarray(shown.contiguous().numpy())


def sample_path(folder: Path, step: int) -> Path:
    """Where the run in ``folder`` keeps the samples of a step."""
    return folder / "samples" / f"{step:06d}.png"


def draw_row(pictures: list[Image.Image], path: Path) -> Path:
    """Write pictures side by side."""
    row = Image.new("RGB", (sum(picture.width for picture in pictures), pictures[0].height))
    left = 0
    for picture in pictures:
        row.paste(picture, (left, 0))
        left += picture.width
    make_folder(path.parent)
    write_replacing(path, png_file(row))
    return path


def draw_class(
    model: LoadedModel,
    texts: CaptionEncoder,
    folder: Path,
    *,
    prompt: str,
    count: int,
    side: int,
    cfg_scale: float,
) -> Generator[int, None, None]:
    """Draw pictures of a class until there are ``count`` in ``folder``; yields the number of those there."""
    make_folder(folder)
    there = len(list(picture_paths(folder)))
    for number in range(there, count):
        picture = draw_picture(
            model, texts, prompt, side=side, seed=number, steps=_CLASS_STEPS, cfg_scale=cfg_scale
        )
        (folder / f"{number:05d}.txt").write_text(prompt, encoding="utf-8")
        write_replacing(folder / f"{number:05d}.png", png_file(picture))
        yield number + 1
