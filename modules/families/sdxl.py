"""Stable Diffusion XL: two text encoders, sizes as conditioning, 128x128 latents.

The cut-down variants (SSD-1B, Vega) are the same family; their U-Net's depth is read from the file.

Source: Podell et al. 2023, "SDXL: Improving Latent Diffusion Models for High-Resolution Image Synthesis".
"""

from dataclasses import replace

from modules.families.family import Family, TextEncoderRole

__all__ = ["SDXL", "SDXL_EDIT", "SDXL_INPAINT", "SDXL_REFINER"]

_CLIP_L = TextEncoderRole(
    architecture="clip",
    prefixes=("conditioner.embedders.0.transformer.",),
    hidden_layer=-2,
    final_norm=False,
    clip_skip="on_request",
    network_prefixes=("lora_te1_", "lora_te_"),
)

_BIG_G = TextEncoderRole(
    architecture="open_clip",
    prefixes=("conditioner.embedders.1.model.",),
    hidden_layer=-2,
    final_norm=False,
    clip_skip="never",
    pooled=True,
    embedding_key="clip_g",
    network_prefixes=("lora_te2_",),
)

SDXL = Family(
    name="sdxl",
    label="Stable Diffusion XL",
    network_version="sdxl",
    in_channels=4,
    extra_channels="none",
    text_encoders=(_CLIP_L, _BIG_G),
    latent_scale=0.13025,
    native_size=1024,
    preview_matrix=(
        (0.3448, 0.4168, 0.4395),
        (-0.1953, -0.0290, 0.0250),
        (0.1074, 0.0886, -0.0163),
        (-0.3730, -0.2499, -0.2088),
    ),
    head_channels=64,
    size_conditioning="sdxl",
    zeroes_empty_negative=True,
    ays_table="sdxl",
    tiny_vae="taesdxl",
    approx_decoder="vaeapprox-sdxl.pt",
    is_sdxl=True,
    lora_names="original",
)

SDXL_INPAINT = replace(
    SDXL, name="sdxl-inpaint", label="Stable Diffusion XL inpainting", in_channels=9, extra_channels="inpaint"
)

SDXL_EDIT = replace(
    SDXL, name="sdxl-edit", label="Stable Diffusion XL edit", in_channels=8, extra_channels="edit"
)

SDXL_REFINER = replace(
    SDXL,
    name="sdxl-refiner",
    label="Stable Diffusion XL refiner",
    text_encoders=(replace(_BIG_G, prefixes=("conditioner.embedders.0.model.",)),),
    size_conditioning="refiner",
    is_refiner=True,
)
