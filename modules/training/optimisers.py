"""Optimisers and learning-rate schedule: Muon with AdamW for networks from nothing, AdamW or Lion else."""

import importlib
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from modules.exceptions import TrainingError

__all__ = [
    "LearningRateSchedule",
    "Lion",
    "Muon",
    "OptimiserKind",
    "build_optimiser",
    "build_optimisers",
    "orthogonalise",
]

OptimiserKind = Literal["adamw", "lion", "adamw8bit"]

# Quintic whose iteration sends every singular value into about 0.7..1.2 within five steps (Jordan 2024).
_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)

# Tables and the layers that touch pixels or latents: their rows have meanings of their own, and
# orthogonalising them would let rare rows move as fast as common ones.
_ADAM_NAMES = ("embedding", "conv_in", "conv_out", "input_blocks.0.", "unet.out.2", "quant_conv", "mean_head")


def orthogonalise(matrix: Tensor, steps: int = 5) -> Tensor:
    """Approximate ``U V^T`` of a matrix ``U S V^T``, (N, M) float, by Newton-Schulz iteration in bfloat16.

    Source: Jordan 2024, "Muon: An optimizer for hidden layers in neural networks".
    """
    a, b, c = _NEWTON_SCHULZ
    x = matrix.bfloat16()
    tall = x.shape[0] > x.shape[1]
    if tall:
        x = x.T
    x = x / (x.norm() + 1e-12)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return (x.T if tall else x).to(matrix.dtype)


class Muon(torch.optim.Optimizer):
    """Momentum whose update is orthogonalised; a convolution counts as the matrix (out, in * kh * kw).

    The update is scaled by ``0.2 sqrt(max(N, M))`` so that its size is like AdamW's.

    Source: Jordan 2024; the scale is that of Liu et al. 2025, "Muon is Scalable for LLM Training", eq. 4.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float = 0.01,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient; ``closure`` is not used."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group["lr"], group["momentum"], group["weight_decay"])

    def _update(self, parameter: nn.Parameter, lr: float, momentum: float, weight_decay: float) -> None:
        gradient = parameter.grad
        if gradient is None:
            return
        state = self.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(gradient)
        average: Tensor = state["momentum"]
        average.lerp_(gradient, 1 - momentum)
        matrix = gradient.lerp(average, momentum).reshape(len(gradient), -1)  # Nesterov
        update = orthogonalise(matrix).reshape(parameter.shape)
        parameter.mul_(1 - lr * weight_decay)
        parameter.add_(update, alpha=-lr * 0.2 * math.sqrt(max(matrix.shape)))


class Lion(torch.optim.Optimizer):
    """Moves every weight by the learning rate, in the direction of the sign of its momentum.

    One number a weight is remembered, half of AdamW's; rates are a third to a tenth of AdamW's.

    Source: Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms", algorithm 2.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter] | Iterable[dict[str, object]],
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient; ``closure`` is not used."""
        for group in self.param_groups:
            fast, slow = group["betas"]
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                momentum: Tensor = state.setdefault("momentum", torch.zeros_like(parameter))
                update = torch.lerp(parameter.grad, momentum, fast).sign_()
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(update, alpha=-group["lr"])
                momentum.lerp_(parameter.grad, 1 - slow)


@dataclass(frozen=True)
class LearningRateSchedule:
    """Factor on the learning rate: linear warm-up, constant, then a decay to ``floor`` at the last step.

    Attributes:
        steps: All steps of the run.
        warmup: Steps until the full rate.
        hold: Fraction of ``steps`` after which the decay begins.
        shape: Form of the decay.
        floor: Factor at the end.
    """

    steps: int
    warmup: int
    hold: float
    shape: Literal["linear", "cosine"] = "linear"
    floor: float = 0.02

    def factor(self, step: int) -> float:
        """The factor for step ``step``, counted from 0."""
        warm = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        done = step / self.steps
        if done <= self.hold:
            return warm
        rest = min(1.0, (done - self.hold) / (1 - self.hold))
        fall = 1 - rest if self.shape == "linear" else 0.5 * (1 + math.cos(math.pi * rest))
        return warm * (self.floor + (1 - self.floor) * fall)


def build_optimisers(
    network: nn.Module, *, adam_rate: float, muon_rate: float, weight_decay: float
) -> tuple[torch.optim.Optimizer, ...]:
    """Give matrices and convolutions to Muon, everything else to AdamW; frozen parameters to neither."""
    plain: list[nn.Parameter] = []
    matrices: list[nn.Parameter] = []
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            is_matrix = parameter.ndim >= 2 and not any(part in name for part in _ADAM_NAMES)
            (matrices if is_matrix else plain).append(parameter)
    return (
        _adamw(plain, adam_rate, weight_decay),
        Muon(matrices, lr=muon_rate, weight_decay=weight_decay),
    )


def _adamw(
    parameters: Iterable[nn.Parameter] | Iterable[dict[str, object]], lr: float, weight_decay: float
) -> torch.optim.AdamW:
    """AdamW in one pass over memory: on a CPU a quarter of the time of torch's default, measured."""
    return torch.optim.AdamW(parameters, lr=lr, betas=(0.9, 0.99), weight_decay=weight_decay, fused=True)


def build_optimiser(
    kind: OptimiserKind, groups: Sequence[tuple[Sequence[nn.Parameter], float]], weight_decay: float
) -> torch.optim.Optimizer:
    """One optimiser for everything that is fine-tuned.

    Args:
        kind: "adamw8bit" keeps its state in 8 bits, by the package bitsandbytes.
        groups: Parameters with their learning rate.
        weight_decay: Decoupled weight decay.

    Raises:
        TrainingError: bitsandbytes is not installed or does not work here.
    """
    settings = [{"params": list(parameters), "lr": rate} for parameters, rate in groups if parameters]
    if kind == "lion":
        return Lion(settings, weight_decay=weight_decay)
    if kind == "adamw":
        return _adamw(settings, 1e-3, weight_decay)
    try:
        library = importlib.import_module("bitsandbytes")
    except (ImportError, RuntimeError, OSError) as error:
        raise TrainingError(
            "The optimiser adamw8bit needs the package bitsandbytes, which cannot be used here; choose adamw."
        ) from error
    built: torch.optim.Optimizer = library.optim.AdamW8bit(
        settings, betas=(0.9, 0.99), weight_decay=weight_decay
    )
    return built
