"""What an image coroutine asks of the engine, and what it tells.

A coroutine yields one of these and is sent the answer. Everything else (encoding prompts, decoding
latents) it does itself while it runs, since the engine runs one coroutine at a time.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from enum import Enum
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from modules.adapters.patches import Patch
from modules.checkpoints.model import LoadedModel
from modules.diffusion.sampling import SamplerState
from modules.networks.deep_features import DeepFeatures
from modules.runtime.device import WeightStorage

__all__ = [
    "HALT",
    "Answer",
    "Effect",
    "Elsewhere",
    "FinishedImage",
    "Halt",
    "ImageCoroutine",
    "ImageFacts",
    "ModelKey",
    "PassDone",
    "Stage",
    "Predict",
    "StepEnd",
    "UseModel",
    "use_model",
]

Stage = Literal["first", "hires"]


@dataclass(frozen=True)
class ModelKey:
    """Which weights an image needs: checkpoint and VAE by path ("" is the VAE baked in), and patches.

    ``tiny_encoder`` and ``tiny_decoder`` put TAESD in the VAE's place; ``weights`` says in which format they
    are kept.
    """

    checkpoint: str
    vae: str = ""
    patches: tuple[Patch, ...] = ()
    tiling: bool = False
    tiny_encoder: bool = False
    tiny_decoder: bool = False
    weights: WeightStorage = "as computed"

    @property
    def files(self) -> tuple[str, str, WeightStorage]:
        """What has to be read from disk for it, and how; models that differ here are loaded apart."""
        return self.checkpoint, self.vae, self.weights


@dataclass(frozen=True)
class UseModel:
    """Make these weights current; answered with the :class:`LoadedModel`, valid until the next yield."""

    key: ModelKey


@dataclass(frozen=True)
class Predict:
    """One network call on one or more rows; answered with the output, (N, C, h, w) float32.

    Attributes:
        x: (N, C_in, h, w), already scaled to the network's input, concatenated channels included.
        timesteps: (N,) float32.
        context: (N, T, D).
        vector: (N, A) or None.
        token_merging: part of the tokens that self-attention does without, 0..1.
        deep: features of an earlier call to go by, or, empty, where this call's are kept; None for neither.
    """

    key: ModelKey
    x: Tensor
    timesteps: Tensor
    context: Tensor
    vector: Tensor | None = None
    token_merging: float = 0.0
    deep: DeepFeatures | None = None


@dataclass(frozen=True)
class StepEnd:
    """A sampling step has ended; the engine may store ``state``, draw a preview, stop the image.

    Attributes:
        denoised: latest x0, (1, C, h, w).
        shown: what previews show instead of it (setting ``live_preview_content``), of the same shape.
        key: the model it was made with.
        calls: denoiser calls so far in this pass; prompt editing counts them.
        step, steps: place in this pass.
    """

    stage: Stage
    state: SamplerState
    denoised: Tensor
    calls: int
    step: int
    steps: int
    shown: Tensor | None = None
    key: ModelKey | None = None


@dataclass(frozen=True)
class PassDone:
    """A sampling pass has ended with this latent; a later resume starts behind it."""

    stage: Stage
    latent: Tensor


@dataclass(frozen=True)
class ImageFacts:
    """What the infotext must say and only turns out while a picture is made.

    Attributes:
        adapters: ``Lora hashes``, ``TI hashes`` ... in the order in which they apply.
        emphasised: the prompts use emphasis.
        old_timelines: prompts change at other steps because prompt editing is as it once was.
        uses_mask_conditioning: an inpainting checkpoint saw the mask.
        edits_images: the checkpoint takes an image CFG scale.
        face_restorer: what restored the faces, "" for nothing.
        vae_methods: ``VAE Encoder`` and ``VAE Decoder`` where it was not the VAE itself.
        comments: what could not be honoured, one sentence each.
    """

    adapters: tuple[tuple[str, str], ...] = ()
    emphasised: bool = False
    old_timelines: bool = False
    uses_mask_conditioning: bool = False
    edits_images: bool = False
    face_restorer: str = ""
    vae_methods: tuple[tuple[str, str], ...] = ()
    comments: tuple[str, ...] = ()


@dataclass(frozen=True)
class FinishedImage:
    """A picture as it left the VAE.

    Attributes:
        pixels: (H, W, 3) uint8.
        latent: what it was decoded from, (1, C, h, w).
        complete: False when it was ended early.
        unrestored: the picture before its faces were restored, None where they were not.
        distance: (h, w), how far each latent cell moved from the source; for soft inpainting.
    """

    pixels: np.ndarray
    latent: Tensor
    facts: ImageFacts = ImageFacts()
    complete: bool = True
    unrestored: np.ndarray | None = None
    distance: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Elsewhere:
    """Another thread works for the picture; it waits until ``is_done`` or its owner ends it (``HALT``)."""

    is_done: Callable[[], bool]


class Halt(Enum):
    """Answer to a :class:`StepEnd` or an :class:`Elsewhere`: end the picture here with what there is."""

    NOW = "now"


HALT = Halt.NOW

Effect = UseModel | Predict | StepEnd | PassDone | Elsewhere
Answer = LoadedModel | Tensor | Halt | None
ImageCoroutine = Generator[Effect, Answer, FinishedImage]


def use_model(key: ModelKey) -> Generator[Effect, Answer, LoadedModel]:
    """Make weights current; the model is valid until the next yield."""
    model = yield UseModel(key)
    if not isinstance(model, LoadedModel):
        raise TypeError(f"a story asked for a model and was sent {type(model).__name__}")
    return model
