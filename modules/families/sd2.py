"""Stable Diffusion 2.x: OpenCLIP ViT-H/14, heads of 64 channels, noise or v prediction."""

from dataclasses import replace

from modules.families.family import Family, TextEncoderRole
from modules.families.sd1 import SD1

__all__ = ["SD2", "SD2_DEPTH", "SD2_INPAINT"]

SD2 = Family(
    name="sd2",
    label="Stable Diffusion 2",
    network_version="sd2",
    in_channels=4,
    extra_channels="none",
    text_encoders=(
        TextEncoderRole(
            architecture="open_clip",
            # SD 2.1 turbo lies in the layout of SDXL's tools
            prefixes=("cond_stage_model.model.", "conditioner.embedders.0.model."),
            hidden_layer=-2,
            final_norm=True,
            clip_skip="never",
        ),
    ),
    latent_scale=0.18215,
    native_size=768,
    preview_matrix=SD1.preview_matrix,  # the VAE is SD1's
    prediction="probe",  # base predicts noise, 768-v predicts v; the shapes are the same
    head_channels=64,
)

SD2_INPAINT = replace(
    SD2,
    name="sd2-inpaint",
    label="Stable Diffusion 2 inpainting",
    in_channels=9,
    extra_channels="inpaint",
    prediction="epsilon",
    native_size=512,
)

SD2_DEPTH = replace(
    SD2,
    name="sd2-depth",
    label="Stable Diffusion 2 depth",
    in_channels=5,
    extra_channels="depth",
    prediction="epsilon",
    native_size=512,
)
