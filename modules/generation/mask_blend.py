"""How a mask protects the original while sampling: hard, or softly by noise level."""

from dataclasses import dataclass

from torch import Tensor

__all__ = ["HardBlend", "SoftBlend", "SoftInpainting"]


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
class SoftInpainting:
    """What the user set for soft inpainting (A1111's built-in script; its argument order).

    Attributes:
        schedule_bias: higher keeps the original until later steps.
        preservation_strength: higher keeps more of it.
        transition_contrast_boost: how much contrast blended latents keep.
        mask_influence, difference_threshold, difference_contrast: how the final overlay follows the mask
            and the difference between source and result.
    """

    schedule_bias: float = 1.0
    preservation_strength: float = 0.5
    transition_contrast_boost: float = 4.0
    mask_influence: float = 0.0
    difference_threshold: float = 0.5
    difference_contrast: float = 2.0


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
