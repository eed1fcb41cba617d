"""How a mask protects the original while sampling: hard, or softly by noise level."""

from dataclasses import dataclass

from torch import Tensor

from modules.domain.request import SoftInpainting

__all__ = ["HardBlend", "SoftBlend"]


@dataclass(frozen=True)
class HardBlend:
    """Painted cells from the sampler, the others from the original.

    Attributes:
        original: latent of the source, (1, C, h, w).
        paint: 1 where the sampler paints, 0 where the original stays, (1, C, h, w).
    """

    original: Tensor
    paint: Tensor

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Blend one latent; the noise level does not matter."""
        return x * self.paint + self.original * (1 - self.paint)

    def finish(self, x: Tensor) -> Tensor:
        """Blend the final latent."""
        return self(x, x)


@dataclass(frozen=True)
class SoftBlend:
    """A mask whose edge moves with the noise level, and which keeps the contrast of what it mixes.

    Attributes:
        original, paint: as in :class:`HardBlend`; ``paint`` may lie between 0 and 1.
    """

    original: Tensor
    paint: Tensor
    options: SoftInpainting

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Blend one latent (1, C, h, w) at noise level ``sigma``."""
        options = self.options
        exponent = float(sigma) ** options.schedule_bias * options.preservation_strength
        paint = self.paint**exponent
        mixed = (1 - paint) * self.original + paint * x
        boost = options.transition_contrast_boost
        # lengths over the channels; float64 because they are raised to high powers
        length = mixed.double().norm(dim=1, keepdim=True) + 1e-5
        keep = self.original.double().norm(dim=1, keepdim=True) ** boost
        new = x.double().norm(dim=1, keepdim=True) ** boost
        share = paint[:, :1].double()
        wanted = ((1 - share) * keep + share * new) ** (1 / boost)
        return (mixed * (wanted / length)).to(x.dtype)

    def finish(self, x: Tensor) -> Tensor:
        """The final latent stays as it is; the overlay does the rest."""
        return x
