"""What the weights of tokens do to the encoded text."""

from typing import Literal

import torch
from torch import Tensor

__all__ = ["Emphasis", "apply_emphasis"]

Emphasis = Literal["None", "Ignore", "Original", "No norm"]
"""A1111's modes: brackets are text; are removed; weigh and keep the mean; only weigh."""


def apply_emphasis(states: Tensor, weights: Tensor, mode: Emphasis, counts: Tensor) -> Tensor:
    """Scale the states of each token by its weight.

    Args:
        states: encoder output of one chunk of several texts, (B, 77, W).
        weights: weight of each token, (B, 77).
        mode: "Original" restores the mean that the states had before, taken over all texts, tokens and
            features together; texts that are encoded together are therefore coupled.
        counts: how often each text counts in that mean, (B,).

    Returns:
        (B, 77, W).
    """
    if mode in {"None", "Ignore"}:
        return states
    weighted = states * weights[..., None].to(states.dtype)
    if mode == "No norm" or bool((weights == 1).all()):
        return weighted
    return weighted * (_mean(states, counts) / _mean(weighted, counts))


def _mean(states: Tensor, counts: Tensor) -> Tensor:
    # the mean is often a thousandth of the values: summed in 32 bits it would carry their rounding everywhere
    precise = torch.float32 if states.device.type == "mps" else torch.float64
    means = states.mean(dim=(1, 2), dtype=precise)  # B
    return ((means * counts).sum() / counts.sum()).to(states.dtype)
