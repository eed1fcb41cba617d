"""Noise that continues a picture: the picture's own spectrum and colours in what is still to be painted.

Random values are shaped by the Fourier magnitudes and phases of the known part and then given its
histogram, so that a network finds plausible structure where the picture is to grow.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["matched_noise"]

Pixels = NDArray[np.float64]

_KNOWN, _UNKNOWN = 1e-3, 1e-6  # below and above these a mask's value counts as kept and as to be painted
_TINY = 1e-12  # keeps quotients finite where a picture is black all over


def matched_noise(image: Pixels, mask: Pixels, *, falloff: float = 1.0, colour: float = 0.05) -> Pixels:
    """The picture with noise in place of what the mask covers.

    Args:
        image: (H, W, 3), 0..1.
        mask: (H, W, 3), 0..1; 1 is to be painted.
        falloff: exponent of the spectrum; lower keeps more fine detail.
        colour: how colourful the noise is, 0..1.

    Returns:
        (H, W, 3), 0..1. The noise is the same for equal sizes: only the job's seed varies the result.
    """
    height, width = image.shape[:2]
    grey = mask.sum(axis=2) / 3
    unknown, known = grey > _UNKNOWN, grey < _KNOWN
    shown = image * (1 - grey[..., None])
    shown = shown / max(float(shown.max()), _TINY) + np.average(image) * mask
    spectrum = _to_frequencies(shown)
    magnitude = np.abs(spectrum)
    phase = spectrum / np.maximum(magnitude, _TINY)
    noise = np.random.default_rng(0).random((height, width, 3))
    noise = noise * colour + (1 - colour) * noise.sum(axis=2, keepdims=True) / 3
    noise = np.real(_from_frequencies(_to_frequencies(noise) * _window(height, width)[..., None]))
    shaped = np.abs(_to_frequencies(noise)) ** 2 * magnitude**falloff * phase
    noise = np.real(_from_frequencies(shaped))
    noise = noise - noise.min()
    noise = noise / max(float(noise.max()), _TINY)
    if unknown.any() and known.any():
        noise[unknown] = _match_histograms(noise[unknown], image[known])
    result: Pixels = np.clip(image * (1 - mask) + noise * mask, 0, 1)
    return result


def _to_frequencies(values: Pixels) -> NDArray[np.complex128]:
    moved = np.fft.fft2(np.fft.fftshift(values, axes=(0, 1)), axes=(0, 1), norm="ortho")
    return np.fft.ifftshift(moved, axes=(0, 1))


def _from_frequencies(values: NDArray[np.complex128]) -> NDArray[np.complex128]:
    moved = np.fft.ifft2(np.fft.fftshift(values, axes=(0, 1)), axes=(0, 1), norm="ortho")
    return np.fft.ifftshift(moved, axes=(0, 1))


def _window(height: int, width: int) -> Pixels:
    """Weights (H, W) that fall from the lowest frequency to the highest."""
    shorter = min(height, width)
    y = (np.arange(height) / height * 2 - 1) * (height / shorter)
    x = (np.arange(width) / width * 2 - 1) * (width / shorter)
    window: Pixels = 1 / ((y[:, None] ** 2 + 1) * (x[None, :] ** 2 + 1))
    return window


def _match_histograms(values: Pixels, template: Pixels) -> Pixels:
    """Each channel of (N, 3) values mapped so that its distribution follows the template's, (M, 3)."""
    matched = np.empty_like(values)
    for channel in range(values.shape[1]):
        _, places, counts = np.unique(values[:, channel], return_inverse=True, return_counts=True)
        wanted, wanted_counts = np.unique(template[:, channel], return_counts=True)
        quantiles = np.cumsum(counts) / len(values)
        mapped = np.interp(quantiles, np.cumsum(wanted_counts) / len(template), wanted)
        matched[:, channel] = mapped[places]
    return matched
