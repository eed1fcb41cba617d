"""Network configurations from the shapes of a checkpoint's tensors.

All functions take shapes by parameter name, without the checkpoint's prefix, and raise ``ValueError`` with
the first thing that is missing or impossible.
"""

from collections.abc import Mapping
from itertools import count, groupby, takewhile

from modules.networks.clip_text import ClipTextConfig
from modules.networks.open_clip_text import OpenClipTextConfig
from modules.networks.unet import UNetConfig
from modules.networks.vae import VaeConfig

__all__ = [
    "Shapes",
    "clip_config",
    "count_numbered",
    "open_clip_config",
    "shape_of",
    "unet_config",
    "vae_config",
]

Shapes = Mapping[str, tuple[int, ...]]

MAX_BLOCKS = 256  # far above any real network; bounds the work a hostile header can cause
MAX_CHANNELS = 65536


def unet_config(
    shapes: Shapes, *, num_heads: int | None, head_channels: int | None, groups: int
) -> UNetConfig:
    """Configuration of the U-Net whose shapes these are; heads and groups cannot be seen in shapes."""
    model_channels, in_channels = shape_of(shapes, "input_blocks.0.0.weight", 4)[:2]
    widths, depths, per_level = _way_down(shapes)
    if any(width % model_channels for width in widths):
        raise ValueError(f"level widths {widths} are no multiples of {model_channels}")
    if len(set(per_level)) != 1:
        raise ValueError(f"levels have different numbers of residual blocks: {per_level}")
    blocks = per_level[0]
    levels = len(widths)
    depths_up = tuple(_depth(shapes, f"output_blocks.{i}.1") for i in range(levels * (blocks + 1)))
    transformer_depth = tuple(depths[level * blocks] for level in range(levels))
    even = UNetConfig(
        in_channels=in_channels,
        out_channels=shape_of(shapes, "out.2.weight", 4)[0],
        model_channels=model_channels,
        channel_mult=tuple(width // model_channels for width in widths),
        num_res_blocks=blocks,
        transformer_depth=transformer_depth,
        middle_depth=_depth(shapes, "middle_block.1") if "middle_block.1.norm.weight" in shapes else None,
        context_dim=_context_dim(shapes),
        num_heads=num_heads or 8,
        head_channels=head_channels,
        linear_projections=_has_linear_projections(shapes),
        adm_channels=shapes.get("label_emb.0.0.weight", (0, 0))[1],
        groups=groups,
    )
    _check_division(even)
    if even.depths_down() == depths and even.depths_up() == depths_up:
        return even
    return _with_single_depths(even, depths, depths_up)


def vae_config(shapes: Shapes, *, groups: int) -> VaeConfig:
    """Configuration of the autoencoder whose shapes these are."""
    channels = shape_of(shapes, "encoder.conv_in.weight", 4)[0]
    levels = count_numbered(shapes, "encoder.down.{}.block.0.conv1.weight")
    if not levels:
        raise ValueError("encoder.down.0.block.0.conv1.weight is missing")
    widths = [shape_of(shapes, f"encoder.down.{i}.block.0.conv1.weight", 4)[0] for i in range(levels)]
    if any(width % channels for width in widths):
        raise ValueError(f"level widths {widths} are no multiples of {channels}")
    if any(width % groups for width in widths):
        raise ValueError(f"level widths {widths} cannot be normalised in {groups} groups")
    return VaeConfig(
        channels=channels,
        channel_mult=tuple(width // channels for width in widths),
        num_res_blocks=count_numbered(shapes, "encoder.down.0.block.{}.conv1.weight"),
        latent_channels=shape_of(shapes, "decoder.conv_in.weight", 4)[1],
        groups=groups,
    )


def clip_config(shapes: Shapes, *, heads: int | None) -> ClipTextConfig:
    """Configuration of a CLIP text tower in transformers' names; 64 features a head unless said."""
    vocabulary, width = shape_of(shapes, "text_model.embeddings.token_embedding.weight", 2)
    return ClipTextConfig(
        width=width,
        layers=count_numbered(shapes, "text_model.encoder.layers.{}.mlp.fc1.weight"),
        heads=_text_heads(width, heads),
        mlp_width=shape_of(shapes, "text_model.encoder.layers.0.mlp.fc1.weight", 2)[0],
        vocabulary=vocabulary,
        positions=shape_of(shapes, "text_model.embeddings.position_embedding.weight", 2)[0],
    )


def open_clip_config(shapes: Shapes, *, heads: int | None) -> OpenClipTextConfig:
    """Configuration of an OpenCLIP text tower; 64 features a head unless said."""
    vocabulary, width = shape_of(shapes, "token_embedding.weight", 2)
    projection = shapes.get("text_projection")
    return OpenClipTextConfig(
        width=width,
        layers=count_numbered(shapes, "transformer.resblocks.{}.mlp.c_fc.weight"),
        heads=_text_heads(width, heads),
        mlp_width=shape_of(shapes, "transformer.resblocks.0.mlp.c_fc.weight", 2)[0],
        projection=0 if projection is None else projection[-1],
        vocabulary=vocabulary,
        positions=shape_of(shapes, "positional_embedding", 2)[0],
    )


def count_numbered(shapes: Shapes, pattern: str) -> int:
    """How many names of the pattern exist, counting "{}" up from 0."""
    return sum(1 for _ in takewhile(lambda i: pattern.format(i) in shapes, range(MAX_BLOCKS)))


def _way_down(shapes: Shapes) -> tuple[list[int], tuple[int, ...], list[int]]:
    """Width of each level, depth after each residual block, residual blocks of each level."""
    blocks: list[tuple[int, int, int]] = []  # level, width, depth
    level = 0
    for i in count(1):
        if f"input_blocks.{i}.0.op.weight" in shapes:
            level += 1
        elif f"input_blocks.{i}.0.in_layers.2.weight" in shapes:
            width = shape_of(shapes, f"input_blocks.{i}.0.in_layers.2.weight", 4)[0]
            blocks.append((level, width, _depth(shapes, f"input_blocks.{i}.1")))
        else:
            break
    if not blocks:
        raise ValueError("input_blocks.1.0.in_layers.2.weight is missing")
    levels = [list(members) for _, members in groupby(blocks, key=lambda block: block[0])]
    if len(levels) != level + 1:
        raise ValueError(f"input_blocks has {level + 1} resolutions but residual blocks in {len(levels)}")
    return [members[0][1] for members in levels], tuple(block[2] for block in blocks), [*map(len, levels)]


def _depth(shapes: Shapes, name: str) -> int:
    return count_numbered(shapes, name + ".transformer_blocks.{}.attn1.to_q.weight")


def _context_dim(shapes: Shapes) -> int:
    for name in shapes:
        if name.endswith(".attn2.to_k.weight"):
            return shape_of(shapes, name, 2)[1]
    raise ValueError("no attention to text (*.attn2.to_k.weight)")


def _has_linear_projections(shapes: Shapes) -> bool:
    return any(len(shape) == 2 for name, shape in shapes.items() if name.endswith(".proj_in.weight"))


def _check_division(config: UNetConfig) -> None:
    for factor in config.channel_mult:
        width = factor * config.model_channels
        if width % config.groups:
            raise ValueError(f"{width} channels cannot be normalised in {config.groups} groups")
    for width in _attention_widths(config):
        heads = config.heads(width)
        if heads < 1 or width % heads:
            raise ValueError(f"{width} channels cannot be split into {heads} attention heads")


def _attention_widths(config: UNetConfig) -> set[int]:
    widths = [factor * config.model_channels for factor in config.channel_mult]
    attended = {width for width, depth in zip(widths, config.transformer_depth, strict=True) if depth}
    return attended | ({widths[-1]} if config.middle_depth else set())


def _with_single_depths(even: UNetConfig, down: tuple[int, ...], up: tuple[int, ...]) -> UNetConfig:
    return UNetConfig(**{**vars(even), "input_depths": down, "output_depths": up})


def _text_heads(width: int, heads: int | None) -> int:
    number = heads or max(1, width // 64)
    if width % number:
        raise ValueError(f"text width {width} cannot be split into {number} attention heads")
    return number


def shape_of(shapes: Shapes, name: str, dimensions: int) -> tuple[int, ...]:
    """The named shape.

    Raises:
        ValueError: it is missing, has another number of sides, or impossible ones.
    """
    shape = shapes.get(name)
    if shape is None:
        raise ValueError(f"{name} is missing")
    if len(shape) != dimensions or not all(0 < side <= MAX_CHANNELS for side in shape):
        raise ValueError(f"{name} has the impossible shape {list(shape)}")
    return shape
