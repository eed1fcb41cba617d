"""A checkpoint in memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from modules.checkpoints.execution import Execution, Place, UNetInput
from modules.diffusion.schedule import NoiseSchedule
from modules.exceptions import DeviceMemoryError, RequestError
from modules.families.family import Family, Prediction, PreviewMatrix
from modules.networks.deep_features import DeepFeatures
from modules.networks.depth import DepthEstimator, depth_input
from modules.networks.taesd import TinyDecoder, TinyEncoder
from modules.networks.text_encoder import TextEncoder
from modules.networks.tiling import set_tiling
from modules.networks.unet import UNet
from modules.networks.vae import AutoencoderKL, VaeConfig
from modules.runtime.attention import use_attention
from modules.runtime.device import Runtime
from modules.runtime.memory import is_out_of_memory
from modules.runtime.residence import Residence

if TYPE_CHECKING:
    from modules.checkpoints.files import CheckpointFile, VaeFile

__all__ = ["LoadedModel"]


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """The networks of one checkpoint, ready to be run, and what they must be fed with.

    Adapters change the networks' weights in place and restore them; everything else is fixed.

    Attributes:
        file: where it came from.
        family: what kind of model it is; values that the file overrides are put in.
        unet: the denoiser.
        vae: the autoencoder, baked in or from ``vae_file``.
        text_encoders: in the order of ``family.text_encoders``.
        schedule: noise levels the U-Net was trained at.
        prediction: what the U-Net predicts.
        runtime: device and number formats.
        vae_file: the external VAE, None for the baked-in one.
        depth: tells how far away things are, for families that are guided by it; None where it is missing.
        tiny_encoder, tiny_decoder: TAESD in the VAE's place, where it was asked for and can be had.
        notes: what was asked of the model and cannot be had, one sentence each.
        execution: runs the networks within the memory there is.
        residence: knows where they lie.
        stamp: tells the checkpoint's file from others that had or will have its name.
    """

    file: "CheckpointFile"
    family: Family
    unet: UNet
    vae: AutoencoderKL
    text_encoders: tuple[TextEncoder, ...]
    schedule: NoiseSchedule
    prediction: Prediction
    runtime: Runtime
    vae_file: "VaeFile | None" = None
    depth: DepthEstimator | None = None
    tiny_encoder: TinyEncoder | None = None
    tiny_decoder: TinyDecoder | None = None
    notes: tuple[str, ...] = ()
    execution: Execution = field(default_factory=Execution)
    residence: Residence = field(default_factory=Residence)
    stamp: tuple[str, ...] = ()

    @property
    def latent_channels(self) -> int:
        """Channels of a latent."""
        return self.vae.config.latent_channels

    @property
    def latent_factor(self) -> int:
        """Pixels a latent cell, along one side."""
        return self.vae.config.factor

    @property
    def latent_scale(self) -> float:
        """The U-Net's latents are the VAE's times this."""
        return self.family.latent_scale

    @property
    def native_size(self) -> int:
        """Side in pixels the model was trained at."""
        return self.family.native_size

    @property
    def preview_matrix(self) -> PreviewMatrix | None:
        """Latent to RGB in -1..1; None for a VAE of another shape than the family's, whose colours differ."""
        return self.family.preview_matrix if self.has_usual_vae else None

    @property
    def has_usual_vae(self) -> bool:
        """Whether its latents mean what all latents of its family do."""
        return self.vae.config == VaeConfig()

    def with_vae(self, vae: AutoencoderKL, vae_file: "VaeFile | None") -> "LoadedModel":
        """The same model with another autoencoder; all other weights are shared."""
        return replace(self, vae=vae, vae_file=vae_file)

    def set_tiling(self, enabled: bool) -> None:
        """Make U-Net and VAE produce pictures whose opposite edges fit, or not."""
        set_tiling(self.unet, enabled)
        set_tiling(self.vae, enabled)

    def predict(
        self,
        x: Tensor,
        timesteps: Tensor,
        context: Tensor,
        vector: Tensor | None = None,
        *,
        token_merging: float = 0.0,
        deep: DeepFeatures | None = None,
    ) -> Tensor:
        """Run the U-Net without recording gradients.

        Args:
            x: scaled noisy latents with any extra channels, (B, Cin, h, w).
            timesteps: (B,), 0..999, may be fractional.
            context: (B, T, D).
            vector: (B, A) for families that have one.
            token_merging: see :meth:`UNet.forward`.
            deep: see :meth:`UNet.forward`; stays empty where rows had to be computed again in 32-bit floats.

        Returns:
            (B, C, h, w) float32 on the CPU.

        Raises:
            DeviceMemoryError: it does not fit, however it is done.
            NumericalError: the prediction holds NaN, also in 32-bit floats.
        """
        asked = UNetInput(x, timesteps, context, vector, token_merging, deep)
        return self.execution.predict(self.unet, asked, self._place(self.unet))

    def encode(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures (B, 3, H, W) in -1..1 to mean and log variance of unscaled latents, float32 on the CPU."""
        if self.tiny_encoder is not None:
            with torch.no_grad():
                latent = self.tiny_encoder((pixels / 2 + 0.5).to(self.runtime.device, self.runtime.dtype))
            mean = latent.to("cpu", torch.float32) / self.latent_scale
            return mean, torch.full_like(mean, -torch.inf)
        return self.execution.encode(self.vae, pixels, self._place(self.vae))

    def decode(self, z: Tensor) -> Tensor:
        """Unscaled latents (B, Z, h, w) to pictures (B, 3, H, W), about -1..1, float32 on the CPU."""
        if self.tiny_decoder is not None:
            with torch.no_grad():
                drawn = self.tiny_decoder((z * self.latent_scale).to(self.runtime.device, self.runtime.dtype))
            return drawn.to("cpu", torch.float32) * 2 - 1
        return self.execution.decode(self.vae, z, self._place(self.vae))

    def estimate_depth(self, pixels: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) in -1..1 to relative depth (B, 1, H', W'), float32 on the CPU.

        Raises:
            RequestError: there is no depth estimator.
        """
        if self.depth is None:
            raise RequestError(
                "checkpoint",
                f"{self.file.stem} holds no depth estimator; put dpt_hybrid-midas-501f0c75.pt, or the "
                "model.safetensors of Intel/dpt-hybrid-midas, into models/midas and load it again",
            )
        with torch.no_grad(), use_attention(self.runtime.attention), self.lent(self.depth):
            depth = self.depth(depth_input(pixels).to(self.runtime.device, self.runtime.dtype))
        return depth.to("cpu", torch.float32)

    def raise_vae_precision(self) -> bool:
        """Let the autoencoder compute in 32-bit floats from now on; False when it does already."""
        if next(self.vae.parameters()).dtype is torch.float32:
            return False
        self.vae.float()
        return True

    @contextmanager
    def lent(self, network: object) -> Iterator[None]:
        """Let one of the model's networks compute on the device within the block.

        Raises:
            DeviceMemoryError: the device is full.
        """
        if not isinstance(network, nn.Module):
            yield
            return
        alone = self.runtime.residency != "all"
        try:
            with self.residence.lend(network, self._others(network), alone=alone):
                yield
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise DeviceMemoryError(
                f"{self.runtime.device} has too little free memory; close other programs that use it"
            ) from error

    def send_home(self) -> None:
        """Let all weights lie in main memory, where the device is not to hold all of them."""
        if self.runtime.residency != "all":
            self.residence.send_home(self._others(None))

    def _others(self, network: nn.Module | None) -> tuple[nn.Module, ...]:
        """All networks but one."""
        networks = (self.unet, self.vae, *self.text_encoders, self.depth)
        return tuple(each for each in networks if isinstance(each, nn.Module) and each is not network)

    def _place(self, network: nn.Module) -> Place:
        return Place(self.runtime, network, self._others(network), self.residence)
