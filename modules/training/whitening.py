"""Make latents zero-mean, unit-variance and uncorrelated, and build that into the autoencoder itself."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from modules.networks.vae import AutoencoderKL

__all__ = ["Whitening"]


@dataclass(frozen=True)
class Whitening:
    """The affine map ``matrix @ (z - mean)`` of the channels of a latent.

    Attributes:
        mean: (Z,) float32.
        matrix: (Z, Z) float32, invertible.
    """

    mean: Tensor
    matrix: Tensor

    @classmethod
    def of(cls, latents: Tensor) -> Self:
        """PCA whitening of latents (N, Z, h, w)."""
        channels = latents.double().transpose(0, 1).flatten(1)  # Z N*h*w
        eigenvalues, vectors = torch.linalg.eigh(torch.cov(channels))
        matrix = torch.diag(eigenvalues.rsqrt()) @ vectors.T
        return cls(channels.mean(1).float(), matrix.float())

    def apply(self, latents: Tensor) -> Tensor:
        """Whiten latents (B, Z, h, w)."""
        return torch.einsum("ij,bjhw->bihw", self.matrix, latents - self.mean[:, None, None])

    def invert(self, latents: Tensor) -> Tensor:
        """Undo :meth:`apply`."""
        inverse = torch.linalg.inv(self.matrix)
        return torch.einsum("ij,bjhw->bihw", inverse, latents) + self.mean[:, None, None]

    @torch.no_grad()
    def fold_into(self, autoencoder: AutoencoderKL, scale_factor: float) -> None:
        """Change the two 1x1 convolutions so that encoding whitens and decoding undoes it.

        Afterwards ``scale_factor * encode(x)[0]`` is the whitened latent, and decoding its quotient by
        ``scale_factor`` is what decoding the unwhitened latent was. Means are exact. Log variances, which
        a linear layer cannot mix exactly, become the average of the old ones with the shares of variance
        as weights.
        """
        count = len(self.mean)
        forward = self.matrix.double() / scale_factor
        backward = torch.linalg.inv(forward)
        mean = self.mean.double()
        _fold_moments(autoencoder, forward, mean, count)
        convolution = autoencoder.post_quant_conv
        if convolution.bias is None:
            raise ValueError("The convolution after the latent has no bias.")
        weight = convolution.weight[:, :, 0, 0].double()  # Z Z
        convolution.bias.copy_(weight @ mean + convolution.bias.double())
        convolution.weight.copy_((weight @ backward)[:, :, None, None])


def _fold_moments(autoencoder: AutoencoderKL, forward: Tensor, mean: Tensor, count: int) -> None:
    convolution = autoencoder.quant_conv
    if convolution.bias is None:
        raise ValueError("The convolution before the latent has no bias.")
    weight, bias = convolution.weight[:, :, 0, 0].double(), convolution.bias.double()  # 2Z 2Z, 2Z
    energy = forward.square()
    total = energy.sum(1)
    shares = energy / total[:, None]
    new_weight = torch.cat([forward @ weight[:count], shares @ weight[count:]])
    new_bias = torch.cat([forward @ (bias[:count] - mean), shares @ bias[count:] + total.log()])
    convolution.weight.copy_(new_weight[:, :, None, None])
    convolution.bias.copy_(new_bias)
