"""What each kind of LoRA-like network adds to a weight.

A module of a network is a handful of small tensors; which names they have says which kind it is. All
results are float32.

Source: Hu et al. 2021, "LoRA"; Hyeon-Woo et al. 2021, "FedPara" (LoHa); Liu et al. 2022, "(IA)3";
Yeh et al. 2023, "LyCORIS" (LoKr); Chavan et al. 2023, "GLoRA"; Qiu et al. 2023, "OFT";
Liu et al. 2023, "BOFT"; Liu et al. 2024, "DoRA".
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Delta", "Parts", "delta"]

Parts = Mapping[str, Tensor]
"""Tensors of one module by the last part of their key."""


@dataclass(frozen=True, eq=False)
class Delta:
    """What to add to a layer.

    Attributes:
        change: in the weight's shape, float32.
        strength: what the change is multiplied by.
        bias: what to add to the bias, already multiplied.
    """

    change: Tensor
    strength: float = 1.0
    bias: Tensor | None = None

    def added_to(self, weight: Tensor) -> Tensor:
        """The changed weight, rounded once; one pass over memory."""
        return torch.add(weight.to(torch.float32), self.change, alpha=self.strength).to(weight.dtype)


@dataclass(frozen=True, eq=False)
class _Raw:
    """A change of the weight in any shape with the right number of values, before scaling."""

    change: Tensor
    rank: int | None = None  # what alpha is divided by
    bias: Tensor | None = None


@dataclass(frozen=True, eq=False)
class _Module:
    parts: Parts
    weight: Tensor
    dyn_dim: int | None


def _flat(tensor: Tensor) -> Tensor:
    return tensor.reshape(len(tensor), -1)


def _tucker(core: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Contract a core (R, S, k, l) with rows (R, O) and columns (S, I) to (O, I, k, l)."""
    return torch.einsum("rskl,ro,si->oikl", core, rows, columns)


def _lora(module: _Module) -> _Raw:
    parts = module.parts
    up, down = _flat(parts["lora_up.weight"]), parts["lora_down.weight"]
    rank = len(down)
    if "lora_mid.weight" in parts:
        return _Raw(_tucker(parts["lora_mid.weight"], up.T, _flat(down)), rank)
    down = _flat(down)
    if module.dyn_dim:
        up, down = up[:, : module.dyn_dim], down[: module.dyn_dim]
    return _Raw(up @ down, rank)


def _loha(module: _Module) -> _Raw:
    parts = module.parts
    factors = []
    for n in (1, 2):
        a, b = parts[f"hada_w{n}_a"], parts[f"hada_w{n}_b"]
        core = parts.get(f"hada_t{n}")
        factors.append(a @ b if core is None else _tucker(core, a, b))
    return _Raw(factors[0] * factors[1], len(parts["hada_w1_b"]))


def _ia3(module: _Module) -> _Raw:
    parts = module.parts
    axis = 1 if bool(parts["on_input"]) else 0
    shape = [1] * module.weight.ndim
    shape[axis] = -1
    return _Raw(module.weight * parts["weight"].reshape(shape))


def _lokr(module: _Module) -> _Raw:
    parts = module.parts
    rank = None
    if "lokr_w1" in parts:
        first = parts["lokr_w1"]
    else:
        first, rank = parts["lokr_w1_a"] @ parts["lokr_w1_b"], len(parts["lokr_w1_b"])
    if "lokr_w2" in parts:
        second = parts["lokr_w2"]
    else:
        a, b = parts["lokr_w2_a"], parts["lokr_w2_b"]
        rank = len(b)
        second = _tucker(parts["lokr_t2"], a, b) if "lokr_t2" in parts else a @ b
    first = first.reshape(*first.shape, *[1] * (second.ndim - first.ndim))
    return _Raw(torch.kron(first, second.contiguous()), rank)


def _full(module: _Module) -> _Raw:
    parts = module.parts
    return _Raw(parts["diff"], bias=parts.get("diff_b"))


def _norm(module: _Module) -> _Raw:
    parts = module.parts
    return _Raw(parts["w_norm"], bias=parts.get("b_norm"))


def _glora(module: _Module) -> _Raw:
    parts = module.parts
    a1, a2, b1, b2 = (_flat(parts[f"{name}.weight"]) for name in ("a1", "a2", "b1", "b2"))
    return _Raw(b2 @ b1 + _flat(module.weight) @ a2 @ a1)


def _rotations(blocks: Tensor, constraint: float) -> Tensor:
    """Cayley transform of skew-symmetric blocks, (..., n, n), with a bounded norm."""
    skew = blocks - blocks.mT
    if constraint:
        norm = skew.norm()
        skew = skew * ((norm.clamp(max=constraint) + 1e-8) / (norm + 1e-8))
    eye = torch.eye(blocks.shape[-1], device=blocks.device)
    return (eye + skew) @ torch.linalg.inv(eye - skew)


def _butterfly(weight: Tensor, rotations: Tensor) -> Tensor:
    """Rotate rows (O, I) in stages that mix ever more distant ones; rotations are (M, K, n, n)."""
    half = rotations.shape[-1] // 2
    for stage, blocks in enumerate(rotations):
        stride = 2**stage * half
        rows = weight.unflatten(0, (-1, 2, stride)).transpose(1, 2).flatten(0, 2)
        rows = torch.einsum("kij,kjc->kic", blocks, rows.unflatten(0, (-1, 2 * half))).flatten(0, 1)
        weight = rows.unflatten(0, (-1, stride, 2)).transpose(1, 2).flatten(0, 2)
    return weight


def _oft(module: _Module) -> _Raw:
    parts = module.parts
    flat = _flat(module.weight)
    if "oft_blocks" in parts:
        constraint = float(parts["alpha"]) * len(flat) if "alpha" in parts else 0.0
        rotations = _rotations(parts["oft_blocks"], constraint)
    else:
        rotations = parts["oft_diag"]  # already rotations
    if rotations.ndim == 4:
        merged = _butterfly(flat, rotations)
    else:
        rows = flat.unflatten(0, (-1, rotations.shape[-1]))
        merged = torch.einsum("knm,knc->kmc", rotations, rows).flatten(0, 1)
    if "rescale" in parts:
        merged = parts["rescale"].reshape(-1, 1) * merged
    return _Raw(merged - flat)


_KINDS: tuple[tuple[frozenset[str], Callable[[_Module], _Raw]], ...] = (
    (frozenset({"lora_up.weight", "lora_down.weight"}), _lora),
    (frozenset({"hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"}), _loha),
    (frozenset({"weight", "on_input"}), _ia3),
    (frozenset({"lokr_w1"}), _lokr),
    (frozenset({"lokr_w1_a", "lokr_w1_b"}), _lokr),
    (frozenset({"diff"}), _full),
    (frozenset({"w_norm"}), _norm),
    (frozenset({"a1.weight", "a2.weight", "b1.weight", "b2.weight"}), _glora),
    (frozenset({"oft_blocks"}), _oft),
    (frozenset({"oft_diag"}), _oft),
)
_CONSTRAINED = frozenset({_oft})  # their alpha is no scale


def _scale(parts: Parts, raw: _Raw) -> float:
    if "scale" in parts:
        return float(parts["scale"])
    return float(parts["alpha"]) / raw.rank if "alpha" in parts and raw.rank else 1.0


def _shaped(change: Tensor, weight: Tensor) -> Tensor:
    """Give a change the weight's shape; an inpainting model's first layer has five more channels."""
    if change.numel() == weight.numel():
        return change.reshape(weight.shape)
    if weight.ndim == 4 and weight.shape[1] == 9:
        change = change.reshape(weight.shape[0], 4, *weight.shape[2:])
        return torch.nn.functional.pad(change, (0, 0, 0, 0, 0, 5))
    raise ValueError(
        f"a change of {change.numel()} values does not fit a weight of shape {tuple(weight.shape)}"
    )


def _decomposed(change: Tensor, weight: Tensor, magnitude: Tensor) -> Tensor:
    """DoRA: the changed weight's direction with a trained magnitude for each input column."""
    merged = weight + change
    norm = merged.transpose(0, 1).flatten(1).norm(dim=1)
    columns = (1, -1, *[1] * (weight.ndim - 2))
    return merged * (magnitude.reshape(columns) / norm.reshape(columns)) - weight


def delta(parts: Parts, weight: Tensor, multiplier: float, dyn_dim: int | None = None) -> Delta | None:
    """Compute what a network's module adds to a weight.

    Args:
        parts: the module's tensors, float32.
        weight: the weight as it is, (O, I) or (O, I, k, l) or (C,), float32.
        multiplier: strength chosen in the prompt.
        dyn_dim: use only the first ranks of a LoRA.

    Returns:
        The change, or None if the tensors are of no known kind.

    Raises:
        ValueError: the change does not fit the weight.
        RuntimeError: the module's tensors do not fit each other or the weight.
    """
    kind = next((compute for names, compute in _KINDS if names <= parts.keys()), None)
    if kind is None:
        return None
    raw = kind(_Module(parts, weight, dyn_dim))
    change = raw.change
    if "bias" in parts:
        change = (change.reshape(parts["bias"].shape) + parts["bias"]).reshape(change.shape)
    change = _shaped(change, weight)
    scale = 1.0 if kind in _CONSTRAINED else _scale(parts, raw)
    bias = None if raw.bias is None else raw.bias * multiplier
    if "dora_scale" in parts:
        return Delta(_decomposed(change * scale, weight, parts["dora_scale"]), multiplier, bias)
    return Delta(change, scale * multiplier, bias)
