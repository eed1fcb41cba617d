"""Which family a checkpoint belongs to, and the exact shape of its networks, from the header alone."""

from dataclasses import dataclass, replace

from modules.exceptions import CheckpointError
from modules.families.family import Family, Prediction, TextEncoderRole
from modules.families.header import CheckpointHeader
from modules.families.hints import ArchitectureHints, hints_from_header
from modules.families.known import FAMILIES
from modules.families.shapes import Shapes, clip_config, open_clip_config, unet_config, vae_config
from modules.networks.clip_text import ClipTextConfig
from modules.networks.open_clip_text import OpenClipTextConfig
from modules.networks.unet import UNetConfig
from modules.networks.vae import VaeConfig

__all__ = ["UNET_PREFIX", "VAE_PREFIX", "DetectedModel", "DetectedText", "detect_family", "text_shapes"]

UNET_PREFIX = "model.diffusion_model."
VAE_PREFIX = "first_stage_model."

_DEFAULT_GROUPS = 32
_MARKERS = {"clip": "text_model.final_layer_norm.weight", "open_clip": "ln_final.weight"}
_VIT_H_WITHOUT_LAST = (1024, 23)  # width and layers; the whole tower has 24
_LEGACY_PARTS = ("embeddings.", "encoder.", "final_layer_norm.")  # of CLIP, without "text_model."


@dataclass(frozen=True)
class DetectedText:
    """One text encoder of a checkpoint: its role, its shape, and what its parameters' names begin with."""

    role: TextEncoderRole
    config: ClipTextConfig | OpenClipTextConfig
    prefix: str


@dataclass(frozen=True)
class DetectedModel:
    """All that is needed to build a checkpoint's networks.

    Attributes:
        family: its family, with what the file itself says put in.
        unet: shape of the U-Net.
        vae: shape of the baked-in autoencoder, None where the file has none.
        texts: the text encoders, in the family's order.
        prediction: what the U-Net predicts; None if the loaded network must be asked.
        hints: everything that was said beside the shapes.
    """

    family: Family
    unet: UNetConfig
    vae: VaeConfig | None
    texts: tuple[DetectedText, ...]
    prediction: Prediction | None
    hints: ArchitectureHints


def detect_family(header: CheckpointHeader, sidecar: ArchitectureHints | None = None) -> DetectedModel:
    """Recognise a checkpoint in the original single-file layout.

    Args:
        header: names and shapes of the file's tensors.
        sidecar: what a ``.yaml`` beside the file says; it wins over the file's own metadata.

    Raises:
        CheckpointError: no family fits; the message says for each what did not.
    """
    hints = (sidecar or ArchitectureHints()).over(hints_from_header(header))
    reasons = []
    for family in FAMILIES:
        try:
            return _fit(header, family, hints)
        except ValueError as reason:
            reasons.append(f"{family.label}: {reason}")
    raise CheckpointError(
        header.path,
        "is no Stable Diffusion 1, 2 or XL checkpoint that this program knows; put LoRA, VAE and other files "
        "into their own folders. What did not fit: " + "; ".join(reasons),
    )


def text_shapes(header: CheckpointHeader, role: TextEncoderRole) -> tuple[str, Shapes] | None:
    """Prefix and shapes of the text encoder in that role, None if the file has none.

    Old files leave out CLIP's ``text_model.``; the shapes have it always.
    """
    for prefix in role.prefixes:
        shapes = header.below(prefix)
        if role.architecture == "clip" and "final_layer_norm.weight" in shapes:
            shapes = {
                f"text_model.{name}" if name.startswith(_LEGACY_PARTS) else name: shape
                for name, shape in shapes.items()
            }
        if _MARKERS[role.architecture] in shapes:
            return prefix, shapes
    return None


def _fit(header: CheckpointHeader, family: Family, hints: ArchitectureHints) -> DetectedModel:
    first = header.shape(UNET_PREFIX + "input_blocks.0.0.weight")
    if first is None:
        raise ValueError(f"{UNET_PREFIX}input_blocks.0.0.weight is missing")
    if len(first) != 4 or first[1] != family.in_channels:
        raise ValueError(
            f"{UNET_PREFIX}input_blocks.0.0.weight has shape {list(first)}, not {family.in_channels} inputs"
        )
    has_vector = header.shape(UNET_PREFIX + "label_emb.0.0.weight") is not None
    if has_vector != family.has_vector:
        raise ValueError(f"{UNET_PREFIX}label_emb.0.0.weight is {'there' if has_vector else 'missing'}")
    texts = _texts(header, family, hints)
    unet = _unet(header, family, hints)
    width = sum(text.config.width for text in texts)
    if unet.context_dim != width:
        raise ValueError(f"the U-Net wants text of width {unet.context_dim}, the text encoders give {width}")
    vae_shapes = header.below(VAE_PREFIX)
    vae = vae_config(vae_shapes, groups=hints.vae_groups or _DEFAULT_GROUPS) if vae_shapes else None
    fitted = replace(
        family,
        text_encoders=tuple(text.role for text in texts),
        latent_scale=hints.latent_scale or family.latent_scale,
        native_size=hints.native_size or family.native_size,
    )
    prediction = hints.prediction or (None if family.prediction == "probe" else family.prediction)
    return DetectedModel(fitted, unet, vae, texts, prediction, hints)


def _unet(header: CheckpointHeader, family: Family, hints: ArchitectureHints) -> UNetConfig:
    said = hints.unet_heads or hints.unet_head_channels
    return unet_config(
        header.below(UNET_PREFIX),
        num_heads=hints.unet_heads if said else family.num_heads,
        head_channels=hints.unet_head_channels if said else family.head_channels,
        groups=hints.unet_groups or _DEFAULT_GROUPS,
    )


def _texts(header: CheckpointHeader, family: Family, hints: ArchitectureHints) -> tuple[DetectedText, ...]:
    texts = []
    for role in family.text_encoders:
        found = text_shapes(header, role)
        if found is None:
            raise ValueError(f"{role.prefixes[0]}{_MARKERS[role.architecture]} is missing")
        prefix, shapes = found
        config: ClipTextConfig | OpenClipTextConfig
        if role.architecture == "clip":
            config = clip_config(shapes, heads=hints.text_heads)
        else:
            config = open_clip_config(shapes, heads=hints.text_heads)
        if hints.text_activation is not None:
            config = replace(config, activation=hints.text_activation)
        if role.pooled and not (isinstance(config, OpenClipTextConfig) and config.projection):
            raise ValueError(f"{prefix}text_projection is missing")
        texts.append(DetectedText(_with_stored_layers(role, config, hints), config, prefix))
    return tuple(texts)


def _with_stored_layers(
    role: TextEncoderRole, config: ClipTextConfig | OpenClipTextConfig, hints: ArchitectureHints
) -> TextEncoderRole:
    """Count from the last stored layer: SD2 files that went through diffusers lack the last, unused one."""
    dropped = hints.text_layers_dropped or 0
    if isinstance(config, OpenClipTextConfig) and (config.width, config.layers) == _VIT_H_WITHOUT_LAST:
        dropped = 1
    return replace(role, hidden_layer=min(-1, role.hidden_layer + dropped))
