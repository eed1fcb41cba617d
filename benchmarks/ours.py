"""This program as a contestant: the very functions that the server's engine calls."""

from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from benchmarks.kinds import Kind, Work
from benchmarks.memory import peak_on
from modules.adapters.textual_inversion import Embedding
from modules.checkpoints.files import CheckpointFile, ModelStore
from modules.checkpoints.loader import load_model
from modules.checkpoints.model import LoadedModel
from modules.conditioning.encoder import ConditioningCache, PromptEncoder
from modules.diffusion.guidance import classifier_free_guidance
from modules.diffusion.noise import NoiseSpec, initial_noise
from modules.diffusion.prediction import prediction_for
from modules.diffusion.samplers import SamplerOptions, find_sampler
from modules.diffusion.sampling import Evaluate, SamplerState
from modules.diffusion.schedulers import find_scheduler
from modules.diffusion.start import sampling_sigmas, start_from_noise
from modules.runtime.device import Precision, choose_runtime, configure_process

__all__ = ["Ours"]


class _NoEmbeddings:
    """No textual inversions."""

    version = 0

    def names(self) -> tuple[str, ...]:
        return ()

    def get(self, name: str) -> Embedding:
        raise KeyError(name)


class Ours:
    """The networks as the program runs them on this machine.

    Args:
        precision: as the program's flag.
        device: where they run.
        graphs: whether calls on a GPU are recorded.
        compiled: whether the U-Net is.
    """

    def __init__(
        self,
        precision: Precision = "auto",
        device: str = "cpu",
        graphs: Literal["yes", "no"] = "yes",
        compiled: Literal["yes", "no"] = "no",
    ) -> None:
        configure_process()
        self._runtime = choose_runtime(device, precision, graphs=graphs == "yes", compiled=compiled == "yes")
        self._model: LoadedModel | None = None
        self._cache = ConditioningCache()
        self._texts = 0

    def load(self, checkpoint: Path, kind: Kind) -> None:
        """See :class:`~benchmarks.contestant.Contestant`."""
        store = ModelStore.below(checkpoint.parent / "cache", hashing=False)
        self._model = load_model(CheckpointFile(checkpoint, checkpoint.name, store), None, self._runtime)

    def unet(self, work: Work) -> Tensor:
        """See :class:`~benchmarks.contestant.Contestant`."""
        with torch.inference_mode():
            return self._loaded.predict(work.x, work.timesteps, work.context, work.vector)

    def decode(self, work: Work) -> Tensor:
        """See :class:`~benchmarks.contestant.Contestant`."""
        with torch.inference_mode():
            return self._loaded.decode(work.z)

    def text(self, work: Work, *, again: bool) -> None:
        """See :class:`~benchmarks.contestant.Contestant`."""
        self._texts += 0 if again else 1
        self._encode(f"a lighthouse on a cliff, number {self._texts}", f"blurry, number {self._texts}")

    def picture(self, kind: Kind, side: int, steps: int) -> None:
        """See :class:`~benchmarks.contestant.Contestant`."""
        model, cells = self._loaded, side // kind.vae.factor
        self._texts += 1
        with torch.inference_mode():
            context, vector = self._encode(f"a harbour, number {self._texts}", "blurry")
            spec, options = find_sampler("Euler"), SamplerOptions(schedule=model.schedule, steps=steps)
            sigmas = sampling_sigmas(spec, find_scheduler("Automatic"), steps, model.schedule)
            noise, source = initial_noise(NoiseSpec(seed=1), (model.latent_channels, cells, cells))
            begin = start_from_noise(spec, noise, sigmas, options)
            prediction = prediction_for(model.prediction, model.schedule)
            sampler = spec.function(SamplerState(begin.x), begin.sigmas, source, begin.options)
            reply = None
            while True:
                try:
                    event = sampler.send(reply)
                except StopIteration as end:
                    model.decode(end.value / model.latent_scale)
                    return
                reply = None
                if isinstance(event, Evaluate):
                    pair = prediction.model_input(event.x, event.sigma).expand(2, -1, -1, -1)
                    timesteps = model.schedule.sigma_to_t(event.sigma).float().reshape(1).expand(2)
                    outputs = model.predict(pair, timesteps, context, vector).chunk(2)
                    cond, uncond = (prediction.denoised(event.x, event.sigma, output) for output in outputs)
                    reply = classifier_free_guidance([cond], [1.0], uncond, 7.0)

    def memory(self) -> int:
        """See :class:`~benchmarks.contestant.Contestant`."""
        return peak_on(self._runtime.device)

    @property
    def _loaded(self) -> LoadedModel:
        if self._model is None:
            raise ValueError("load the checkpoint first")
        return self._model

    def _encode(self, positive: str, negative: str) -> tuple[Tensor, Tensor | None]:
        encoder = PromptEncoder(self._loaded, _NoEmbeddings(), cache=self._cache)
        cond = encoder.positive(positive, 20, width=512, height=512).parts[0][0].at(0)
        uncond = encoder.negative(negative, 20, width=512, height=512).at(0)
        if cond.vector is None or uncond.vector is None:
            return torch.stack([cond.context, uncond.context]), None
        return torch.stack([cond.context, uncond.context]), torch.stack([cond.vector, uncond.vector])
