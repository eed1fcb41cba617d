"""What a job will cost before it starts: memory, and time as this machine took it before."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from modules.checkpoints.model import LoadedModel
from modules.generation.effects import ModelKey
from modules.generation.models import ModelPool
from modules.generation.plan import GenerationPlan, PassPlan
from modules.generation.speed import SpeedLog
from modules.networks.unet import UNetConfig
from modules.networks.vae import VaeConfig
from modules.runtime.device import Runtime, free_memory

__all__ = ["Estimate", "Estimator", "Fit", "decoder_bytes", "row_bytes"]

Fit = Literal["fits", "splits", "tiles", "offloads"]

# Peak of activations, measured in floats a position: skips of all levels and the widest feed-forward of the
# U-Net as multiples of its first width; the last level's input, output and padding of the decoder.
_UNET_FLOATS = 16
_DECODER_FLOATS = 5
_ROWS = 2  # of one picture: positive and negative prompt


@dataclass(frozen=True)
class Estimate:
    """What a job will need.

    Attributes:
        fit: "fits"; "splits": prompts one after the other; "tiles": the picture is decoded in tiles;
            "offloads": networks take turns on the device.
        bytes_needed: peak memory of one picture beside the weights.
        bytes_free: what the device has for it.
        seconds: device time of the whole job; None before the checkpoint was ever used.
        pixels: width and height of the results.
    """

    fit: Fit
    bytes_needed: int
    bytes_free: int
    seconds: float | None
    pixels: tuple[int, int]


@dataclass(frozen=True)
class Estimator:
    """Foresees jobs from the models in memory, the device's free memory and the speeds learned so far."""

    models: ModelPool
    speeds: SpeedLog

    def estimate(self, plan: GenerationPlan) -> Estimate:
        """What a resolved job will need."""
        runtime = self.models.runtime
        passes = (plan.first,) if plan.hires is None else (plan.first, plan.hires.sampling)
        largest = max(passes, key=lambda each: each.width * each.height)
        model = self.models.in_memory(plan.model)
        row, decoder = row_bytes(model, runtime, largest), decoder_bytes(model, runtime, largest)
        free = free_memory(runtime.device)
        if model is None:
            free -= _weights(plan.model)
        return Estimate(
            fit=_fit(row, decoder, free),
            bytes_needed=max(_ROWS * row, decoder),
            bytes_free=max(0, free),
            seconds=self.seconds(plan),
            pixels=(largest.width, largest.height),
        )

    def seconds(self, plan: GenerationPlan) -> float | None:
        """Device time of a resolved job; None before the checkpoint was ever used."""
        first = self._pass_seconds(plan.model, plan.first)
        if first is None:
            return None
        picture = first
        if plan.hires is not None:
            second = self._pass_seconds(plan.hires.model, plan.hires.sampling)
            picture += first * _calls(plan.hires.sampling) / _calls(plan.first) if second is None else second
        return picture * len(plan.images)

    def _pass_seconds(self, key: ModelKey, sampling: PassPlan) -> float | None:
        cells = _cells(sampling)
        row = self.speeds.row_seconds(key.checkpoint, cells)
        if row is None:
            return None
        rows = 1 if sampling.cfg_scale == 1 else _ROWS
        return row * rows * _calls(sampling) + self.speeds.picture_seconds(key.checkpoint, cells)


def row_bytes(model: LoadedModel | None, runtime: Runtime, sampling: PassPlan) -> int:
    """Memory of the U-Net's activations for one row."""
    config = UNetConfig() if model is None else model.unet.config
    return _cells(sampling) * config.model_channels * _UNET_FLOATS * runtime.dtype.itemsize


def decoder_bytes(model: LoadedModel | None, runtime: Runtime, sampling: PassPlan) -> int:
    """Memory of the VAE's activations for decoding a picture in one piece."""
    config = VaeConfig() if model is None else model.vae.config
    widest = max(config.level_channels[:2])
    return sampling.width * sampling.height * widest * _DECODER_FLOATS * runtime.vae_dtype.itemsize


def _fit(row: int, decoder: int, free: int) -> Fit:
    if row > free:
        return "offloads"
    if decoder > free:
        return "tiles"
    return "fits" if _ROWS * row <= free else "splits"


def _calls(sampling: PassPlan) -> int:
    """U-Net calls of a pass; image to image skips those above its strength."""
    if sampling.denoising_strength is None or sampling.exact_steps:
        return sampling.calls
    return max(1, round(sampling.calls * sampling.denoising_strength))


def _cells(sampling: PassPlan) -> int:
    return (sampling.width // 8) * (sampling.height // 8)


def _weights(key: ModelKey) -> int:
    """Bytes of the files that are still to be loaded."""
    sizes = (Path(path).stat().st_size for path in (key.checkpoint, key.vae) if path and Path(path).exists())
    return sum(sizes)
