"""Noise as a function of (seed, image, position): never of batch, device order or another job.

Every image has its own :class:`NoiseSource`. The first draw is the initial latent; samplers draw the rest. A
source is rebuilt at any position from its seed, which is how an interrupted picture goes on.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from modules.diffusion.noise_brownian import BrownianTree
from modules.diffusion.noise_philox import philox_randn

__all__ = [
    "BrownianNoise",
    "NoiseKind",
    "NoiseSource",
    "NoiseSpec",
    "SharedTree",
    "initial_noise",
    "slerp",
]

NoiseKind = Literal["CPU", "GPU", "NV"]
"""Who makes the numbers: torch on the CPU, torch on the computing device, or CUDA's algorithm anywhere."""

Shape = tuple[int, int, int]

CPU = torch.device("cpu")
ALMOST_PARALLEL = 0.9995  # mean cosine above which slerp would divide by nearly nothing
SEED_MASK = 2**64 - 1  # numpy's seed sequences refuse negative numbers


class BrownianNoise(Protocol):
    """Normalised increments of a Brownian path over noise levels."""

    def __call__(self, sigma: Tensor, sigma_next: Tensor) -> Tensor:
        """Unit-variance noise (1, C, h, w) for the step from ``sigma`` to ``sigma_next``, 0-dim each."""
        ...


@dataclass(frozen=True)
class SharedTree:
    """One Brownian path for a whole batch, as A1111 has it with batch determinism switched off.

    Attributes:
        seed: seed of the batch's last image; the path's own is the first number drawn from it.
        batch_size: images in the batch.
        index: which of them this source is for, from 0.
    """

    seed: int
    batch_size: int
    index: int

    @property
    def entropy(self) -> int:
        """What decides the path."""
        generator = torch.Generator().manual_seed(self.seed)
        return int(torch.randint(0, 2**63 - 1, [], generator=generator))


def _randn(seed: int, shape: tuple[int, ...], kind: NoiseKind, device: torch.device) -> Tensor:
    """The first draw of a fresh generator."""
    if kind == "NV":
        return philox_randn(seed, shape)
    where = device if kind == "GPU" else CPU
    return torch.randn(shape, device=where, generator=torch.Generator(where).manual_seed(seed))


class NoiseSource:
    """The stream of random numbers of one image.

    Args:
        seed: of the stream; with ENSD already added.
        shape: (C, h, w) of one draw.
        kind: who makes the numbers.
        draws: how many draws have been made before.
        device: where draws are returned, and made if ``kind`` is GPU.
        brownian_seed: entropy of the Brownian path, if it is not ``seed`` (ENSD does not change it).
        shared_tree: share the Brownian path with the images of a batch.
    """

    def __init__(
        self,
        seed: int,
        shape: Shape,
        kind: NoiseKind = "CPU",
        draws: int = 0,
        *,
        device: torch.device = CPU,
        brownian_seed: int | None = None,
        shared_tree: SharedTree | None = None,
    ) -> None:
        self.seed = seed
        self.shape = shape
        self.kind = kind
        self.device = device
        self._brownian_seed = seed if brownian_seed is None else brownian_seed
        self._shared_tree = shared_tree
        self._draws = 0
        self._generator = torch.Generator(device if kind == "GPU" else CPU).manual_seed(seed)
        if kind == "NV":
            self._draws = draws  # a counter is all the state Philox has
        while self._draws < draws:
            self.next()

    @property
    def draws(self) -> int:
        """How many draws have been made; the position in the stream."""
        return self._draws

    def next(self) -> Tensor:
        """The next draw, (1, C, h, w) float32 on ``device``."""
        if self.kind == "NV":
            noise = philox_randn(self.seed, self.shape, self._draws)
        else:
            noise = torch.randn(self.shape, device=self._generator.device, generator=self._generator)
        self._draws += 1
        return noise.to(self.device)[None]

    def brownian(self, sigma_min: float, sigma_max: float) -> BrownianNoise:
        """The image's Brownian path over [sigma_min, sigma_max]; does not touch the stream of draws."""
        batch = self._shared_tree
        shape = self.shape if batch is None else (batch.batch_size, *self.shape)
        entropy = self._brownian_seed & SEED_MASK if batch is None else batch.entropy
        tree = BrownianTree(
            sigma_min, sigma_max, entropy, lambda seed: _randn(seed, shape, self.kind, self.device)
        )

        def noise(sigma: Tensor, sigma_next: Tensor) -> Tensor:
            low, high = sorted((sigma.item(), sigma_next.item()))
            rise = tree.increment(low, high)
            rise = rise if sigma <= sigma_next else -rise
            picked = rise[None] if batch is None else rise[batch.index : batch.index + 1]
            return picked.to(self.device) / (sigma_next - sigma).abs().sqrt().to(self.device)

        return noise


@dataclass(frozen=True)
class NoiseSpec:
    """What decides an image's noise.

    Attributes:
        seed: of the image.
        subseed: of its variation.
        subseed_strength: 0 (none) to 1 (the variation alone).
        resize_from: (h, w) in latent cells of the picture whose composition is wanted, or None.
        ensd: eta noise seed delta: added to the seed for all but the first draw.
        kind: who makes the numbers.
    """

    seed: int
    subseed: int = 0
    subseed_strength: float = 0.0
    resize_from: tuple[int, int] | None = None
    ensd: int = 0
    kind: NoiseKind = "CPU"

    def source(
        self,
        shape: Shape,
        draws: int | None = None,
        *,
        device: torch.device = CPU,
        shared_tree: SharedTree | None = None,
    ) -> NoiseSource:
        """The image's stream at position ``draws``; None is where sampling starts."""
        first = 0 if self.ensd else 1  # without ENSD the initial noise was the stream's first draw
        return NoiseSource(
            self.seed + self.ensd,
            shape,
            self.kind,
            first if draws is None else draws,
            device=device,
            brownian_seed=self.seed,
            shared_tree=shared_tree,
        )


def slerp(strength: float, low: Tensor, high: Tensor) -> Tensor:
    """Mix two noises (C, h, w) on the arc between them, column by column, so that variance is kept.

    Where two columns are opposite or equal there is no arc and they are mixed linearly. If *all* are nearly
    equal the mix is linear and ``strength`` counts backwards: pictures of A1111 depend on it.

    Source: Shoemake 1985, "Animating Rotation with Quaternion Curves", section 3.3.
    """
    low_direction = low / torch.linalg.vector_norm(low, dim=1, keepdim=True)
    high_direction = high / torch.linalg.vector_norm(high, dim=1, keepdim=True)
    cosine = (low_direction * high_direction).sum(1)
    if cosine.mean() > ALMOST_PARALLEL:
        return low * strength + high * (1 - strength)
    omega = torch.acos(cosine.clamp(-1, 1))
    sine = torch.sin(omega)
    arc = sine > 1e-6  # float32: at 0 and pi the quotients below are 0 / 0
    safe = torch.where(arc, sine, torch.ones_like(sine))
    low_part = torch.where(arc, torch.sin((1 - strength) * omega) / safe, 1 - strength)
    high_part = torch.where(arc, torch.sin(strength * omega) / safe, strength)
    return low_part.unsqueeze(1) * low + high_part.unsqueeze(1) * high


def _paste_centre(small: Tensor, base: Tensor) -> Tensor:
    """``base`` (C, h, w) with the middle of ``small`` (C, h', w') laid over its middle."""
    dy, dx = ((b - s) // 2 for b, s in zip(base.shape[1:], small.shape[1:], strict=True))
    height = small.shape[1] if dy >= 0 else small.shape[1] + 2 * dy
    width = small.shape[2] if dx >= 0 else small.shape[2] + 2 * dx
    to_y, to_x, from_y, from_x = max(dy, 0), max(dx, 0), max(-dy, 0), max(-dx, 0)
    pasted = base.clone()
    pasted[:, to_y : to_y + height, to_x : to_x + width] = small[
        :, from_y : from_y + height, from_x : from_x + width
    ]
    return pasted


def initial_noise(
    spec: NoiseSpec,
    shape: Shape,
    *,
    device: torch.device = CPU,
    shared_tree: SharedTree | None = None,
) -> tuple[Tensor, NoiseSource]:
    """The noise an image starts from, and the source its sampler draws from.

    Args:
        spec: what decides it.
        shape: (C, h, w) of the latent.
        device: where both live.
        shared_tree: see :class:`SharedTree`.

    Returns:
        Unit-variance noise (1, C, h, w) float32, and the source behind its first draw.
    """
    small = shape if spec.resize_from is None else (shape[0], *spec.resize_from)
    noise = _randn(spec.seed, small, spec.kind, device).to(device)
    if spec.subseed_strength != 0:
        variation = _randn(spec.subseed, small, spec.kind, device).to(device)
        noise = slerp(spec.subseed_strength, noise, variation)
    if small != shape:
        noise = _paste_centre(noise, _randn(spec.seed, shape, spec.kind, device).to(device))
    return noise[None], spec.source(shape, device=device, shared_tree=shared_tree)
