"""What the shapes of a checkpoint cannot say, and the places where it may be written.

Three places are read, the first that says something wins: a ``.yaml`` file in LDM's or SGM's style beside
the checkpoint, the safetensors metadata (``studio.architecture``, ``modelspec.*``), and the marker tensors
``v_pred`` and ``ztsnr`` that some community checkpoints carry.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Literal, Self, cast

import yaml

from modules.exceptions import CheckpointError
from modules.families.family import Prediction
from modules.families.header import CheckpointHeader

__all__ = ["ARCHITECTURE_KEY", "ArchitectureHints", "hints_from_header", "hints_from_sidecar"]

ARCHITECTURE_KEY = "studio.architecture"
MAX_SIDECAR_BYTES = 256 * 1024  # LDM's largest configuration has 3 KiB

ScheduleKind = Literal["scaled_linear", "linear", "cosine"]


@dataclass(frozen=True)
class ArchitectureHints:
    """Facts that no shape tells; None where nothing was said.

    Attributes:
        prediction: what the network predicts.
        unet_groups, vae_groups: groups of the group norms.
        unet_heads: attention heads everywhere in the U-Net.
        unet_head_channels: width of one head; wins over ``unet_heads``.
        text_heads: attention heads of the text encoder(s).
        text_activation: non-linearity of the text encoder.
        text_layers_dropped: how many of the text encoder's last layers are not in the file.
        native_size: side in pixels the model was trained at.
        latent_scale: factor between the VAE's latents and the U-Net's.
        schedule: shape of the betas.
        beta_start, beta_end: first and last beta of a linear or scaled-linear schedule.
        zero_terminal_snr: whether the schedule ends in pure noise.
    """

    prediction: Prediction | None = None
    unet_groups: int | None = None
    vae_groups: int | None = None
    unet_heads: int | None = None
    unet_head_channels: int | None = None
    text_heads: int | None = None
    text_activation: Literal["gelu", "quick_gelu"] | None = None
    text_layers_dropped: int | None = None
    native_size: int | None = None
    latent_scale: float | None = None
    schedule: ScheduleKind | None = None
    beta_start: float | None = None
    beta_end: float | None = None
    zero_terminal_snr: bool | None = None

    def over(self, weaker: "ArchitectureHints") -> Self:
        """These facts, completed by weaker ones where nothing is said."""
        missing = {f.name: getattr(weaker, f.name) for f in fields(self) if getattr(self, f.name) is None}
        return replace(self, **missing)


_CHOICES: Mapping[str, tuple[str, ...]] = {
    "prediction": ("epsilon", "v"),
    "text_activation": ("gelu", "quick_gelu"),
    "schedule": ("scaled_linear", "linear", "cosine"),
}
_FLOATS = ("latent_scale", "beta_start", "beta_end")


def hints_from_header(header: CheckpointHeader) -> ArchitectureHints:
    """Read metadata and marker tensors.

    Raises:
        CheckpointError: ``studio.architecture`` is no JSON object or holds a value that cannot be.
    """
    markers = ArchitectureHints(
        prediction="v" if "v_pred" in header.tensors else None,
        zero_terminal_snr=True if "ztsnr" in header.tensors else None,
    )
    spec: Prediction | None = None
    if header.metadata.get("modelspec.prediction_type") in {"v", "epsilon"}:
        spec = cast("Prediction", header.metadata["modelspec.prediction_type"])
    return _studio_hints(header).over(ArchitectureHints(prediction=spec)).over(markers)


def hints_from_sidecar(path: Path) -> ArchitectureHints:
    """Read an LDM- or SGM-style ``.yaml`` file.

    Raises:
        CheckpointError: the file cannot be read, is too large, or is no YAML mapping.
    """
    return _ldm_hints(_load_yaml(path))


def _studio_hints(header: CheckpointHeader) -> ArchitectureHints:
    text = header.metadata.get(ARCHITECTURE_KEY)
    if text is None:
        return ArchitectureHints()
    try:
        said = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(header.path, f"its metadata {ARCHITECTURE_KEY!r} is no JSON") from error
    if not isinstance(said, dict):
        raise CheckpointError(header.path, f"its metadata {ARCHITECTURE_KEY!r} is no JSON object")
    known = {f.name for f in fields(ArchitectureHints)}
    hints = {key: value for key, value in said.items() if key in known and value is not None}
    for key, value in hints.items():
        if not _is_possible(key, value):
            raise CheckpointError(
                header.path, f"its metadata {ARCHITECTURE_KEY!r} says {key} = {value!r}, which cannot be"
            )
    return ArchitectureHints(**hints)


def _is_possible(key: str, value: object) -> bool:
    if key in _CHOICES:
        return value in _CHOICES[key]
    if key == "zero_terminal_snr":
        return isinstance(value, bool)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if key in _FLOATS:
        return 0 < value < 1e6
    return isinstance(value, int) and 0 < value <= 65536


def _load_yaml(path: Path) -> Mapping[str, object]:
    try:
        if path.stat().st_size > MAX_SIDECAR_BYTES:
            raise CheckpointError(path, f"is larger than {MAX_SIDECAR_BYTES} bytes; remove or shorten it")
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise CheckpointError(
            path, f"cannot be read as YAML ({type(error).__name__}); remove or repair it"
        ) from error
    if not isinstance(tree, dict):
        raise CheckpointError(path, "is no LDM configuration (no mapping at its top); remove or repair it")
    return tree


def _ldm_hints(tree: Mapping[str, object]) -> ArchitectureHints:
    params = _branch(tree, "model", "params")
    unet = _branch(params, "unet_config", "params") or _branch(params, "network_config", "params")
    denoiser = _branch(params, "denoiser_config", "params")
    text = json.dumps(denoiser, default=str)
    prediction: Prediction | None = None
    if params.get("parameterization") == "v" or "VScaling" in text or "VWeighting" in text:
        prediction = "v"
    elif "unet_config" in params or "EpsScaling" in text:  # LDM predicts the noise where nothing is said
        prediction = "epsilon"
    head_channels = _positive_int(unet.get("num_head_channels"))
    return ArchitectureHints(
        prediction=prediction,
        unet_heads=None if head_channels else _positive_int(unet.get("num_heads")),
        unet_head_channels=head_channels,
        latent_scale=_positive_float(params.get("scale_factor")),
        beta_start=_positive_float(params.get("linear_start")),
        beta_end=_positive_float(params.get("linear_end")),
        schedule=_schedule(params.get("beta_schedule")),
        zero_terminal_snr=True if any(_says_zero_snr(part) for part in (params, tree)) else None,
    )


def _branch(tree: Mapping[str, object], *names: str) -> Mapping[str, object]:
    node: object = tree
    for name in names:
        node = node.get(name) if isinstance(node, Mapping) else None
    return node if isinstance(node, Mapping) else {}


def _schedule(word: object) -> ScheduleKind | None:
    # LDM calls "linear" what everyone else calls scaled linear, and "sqrt_linear" what is linear
    names: Mapping[object, ScheduleKind] = {
        "linear": "scaled_linear",
        "sqrt_linear": "linear",
        "cosine": "cosine",
    }
    return names.get(word) if isinstance(word, str) else None


def _says_zero_snr(part: Mapping[str, object]) -> bool:
    return any(part.get(name) is True for name in ("zero_terminal_snr", "ztsnr", "rescale_betas_zero_snr"))


def _positive_int(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= 65536 else None


def _positive_float(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 < value < 1e6 else None
