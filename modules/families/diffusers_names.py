"""The names that the diffusers and transformers libraries give to the same parameters.

Tables of module names are made by walking the network's structure; a parameter's name is translated by
the longest module name that it begins with.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from modules.families.shapes import Shapes, count_numbered

__all__ = [
    "UNetLayout",
    "open_clip_sources",
    "translate",
    "unet_layout",
    "unet_modules",
    "vae_modules",
]

_RESIDUAL = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_VAE_RESIDUAL = {
    **{name: name for name in ("norm1", "conv1", "norm2", "conv2")},
    "conv_shortcut": "nin_shortcut",
}
_VAE_ATTENTION = {
    "group_norm": "norm",
    "to_q": "q",
    "to_k": "k",
    "to_v": "v",
    "to_out.0": "proj_out",
    "query": "q",  # these four are the library's older names
    "key": "k",
    "value": "v",
    "proj_attn": "proj_out",
}
_CLIP_LAYER = {
    "self_attn.out_proj": "attn.out_proj",
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}


@dataclass(frozen=True)
class UNetLayout:
    """What names of a U-Net's modules depend on.

    Attributes:
        levels: number of resolutions.
        num_res_blocks: residual blocks a level on the way down.
        upsampler_after_attention: for each level of the way up, coarsest first, whether its last block has
            attention, which moves the upsampler one place on.
    """

    levels: int
    num_res_blocks: int
    upsampler_after_attention: tuple[bool, ...]


def unet_layout(shapes: Shapes) -> UNetLayout:
    """Read the layout from the names in a diffusers U-Net file."""
    levels = count_numbered(shapes, "down_blocks.{}.resnets.0.conv1.weight")
    blocks = count_numbered(shapes, "down_blocks.0.resnets.{}.conv1.weight")
    return UNetLayout(
        levels,
        blocks,
        tuple(f"up_blocks.{i}.attentions.{blocks}.norm.weight" in shapes for i in range(levels)),
    )


def unet_modules(layout: UNetLayout) -> dict[str, str]:
    """Diffusers module name to original module name, for all modules the structure can have."""
    table = {
        "conv_in": "input_blocks.0.0",
        "time_embedding.linear_1": "time_embed.0",
        "time_embedding.linear_2": "time_embed.2",
        "add_embedding.linear_1": "label_emb.0.0",
        "add_embedding.linear_2": "label_emb.0.2",
        "conv_norm_out": "out.0",
        "conv_out": "out.2",
        "mid_block.attentions.0": "middle_block.1",
    }
    _add_residual(table, "mid_block.resnets.0", "middle_block.0")
    _add_residual(table, "mid_block.resnets.1", "middle_block.2")
    stride = layout.num_res_blocks + 1
    for level in range(layout.levels):
        for j in range(layout.num_res_blocks):
            block = f"input_blocks.{1 + level * stride + j}"
            _add_residual(table, f"down_blocks.{level}.resnets.{j}", f"{block}.0")
            table[f"down_blocks.{level}.attentions.{j}"] = f"{block}.1"
        table[f"down_blocks.{level}.downsamplers.0.conv"] = f"input_blocks.{(level + 1) * stride}.0.op"
        for j in range(stride):
            block = f"output_blocks.{level * stride + j}"
            _add_residual(table, f"up_blocks.{level}.resnets.{j}", f"{block}.0")
            table[f"up_blocks.{level}.attentions.{j}"] = f"{block}.1"
        place = 2 if layout.upsampler_after_attention[level] else 1
        last = f"output_blocks.{level * stride + layout.num_res_blocks}"
        table[f"up_blocks.{level}.upsamplers.0.conv"] = f"{last}.{place}.conv"
    return table


def vae_modules(levels: int, num_res_blocks: int) -> dict[str, str]:
    """Diffusers module name to original module name of an autoencoder."""
    table = {name: name for name in ("quant_conv", "post_quant_conv")}
    for half in ("encoder", "decoder"):
        table |= {f"{half}.conv_in": f"{half}.conv_in", f"{half}.conv_out": f"{half}.conv_out"}
        table[f"{half}.conv_norm_out"] = f"{half}.norm_out"
        _add(table, f"{half}.mid_block.resnets.0", f"{half}.mid.block_1", _VAE_RESIDUAL)
        _add(table, f"{half}.mid_block.resnets.1", f"{half}.mid.block_2", _VAE_RESIDUAL)
        _add(table, f"{half}.mid_block.attentions.0", f"{half}.mid.attn_1", _VAE_ATTENTION)
    for level in range(levels):
        down, up = f"encoder.down.{level}", f"decoder.up.{levels - 1 - level}"
        for j in range(num_res_blocks):
            _add(table, f"encoder.down_blocks.{level}.resnets.{j}", f"{down}.block.{j}", _VAE_RESIDUAL)
        for j in range(num_res_blocks + 1):
            _add(table, f"decoder.up_blocks.{level}.resnets.{j}", f"{up}.block.{j}", _VAE_RESIDUAL)
        table[f"encoder.down_blocks.{level}.downsamplers.0.conv"] = f"{down}.downsample.conv"
        table[f"decoder.up_blocks.{level}.upsamplers.0.conv"] = f"{up}.upsample.conv"
    return table


def open_clip_sources(layers: int) -> dict[str, tuple[str, ...]]:
    """OpenCLIP parameter name to the transformers parameters that it is made of.

    Three sources are joined along their first dimension: queries, keys and values. The pooled projection
    is stored transposed.
    """
    sources: dict[str, tuple[str, ...]] = {
        "token_embedding.weight": ("text_model.embeddings.token_embedding.weight",),
        "positional_embedding": ("text_model.embeddings.position_embedding.weight",),
        "text_projection": ("text_projection.weight",),
    }
    for kind in ("weight", "bias"):
        sources[f"ln_final.{kind}"] = (f"text_model.final_layer_norm.{kind}",)
        for i in range(layers):
            theirs, ours = f"text_model.encoder.layers.{i}", f"transformer.resblocks.{i}"
            sources[f"{ours}.attn.in_proj_{kind}"] = (
                f"{theirs}.self_attn.q_proj.{kind}",
                f"{theirs}.self_attn.k_proj.{kind}",
                f"{theirs}.self_attn.v_proj.{kind}",
            )
            for name, original in _CLIP_LAYER.items():
                sources[f"{ours}.{original}.{kind}"] = (f"{theirs}.{name}.{kind}",)
    return sources


def translate(name: str, modules: Mapping[str, str]) -> str | None:
    """The parameter's name with its module's name replaced; None if no module of the table holds it."""
    parts = name.split(".")
    for length in range(len(parts) - 1, 0, -1):
        original = modules.get(".".join(parts[:length]))
        if original is not None:
            return ".".join([original, *parts[length:]])
    return None


def _add_residual(table: dict[str, str], theirs: str, ours: str) -> None:
    _add(table, theirs, ours, _RESIDUAL)


def _add(table: dict[str, str], theirs: str, ours: str, leaves: Mapping[str, str]) -> None:
    table.update({f"{theirs}.{name}": f"{ours}.{original}" for name, original in leaves.items()})
