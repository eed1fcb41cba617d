"""Stable Diffusion 1.x: CLIP ViT-L/14, 64x64 latents, noise prediction."""

from dataclasses import replace

from modules.families.family import Family, TextEncoderRole

__all__ = ["SD1", "SD1_EDIT", "SD1_INPAINT"]

SD1 = Family(
    name="sd1",
    label="Stable Diffusion 1",
    network_version="sd1",
    in_channels=4,
    extra_channels="none",
    text_encoders=(
        TextEncoderRole(
            architecture="clip",
            prefixes=("cond_stage_model.transformer.",),
            hidden_layer=-1,
            final_norm=True,
            clip_skip="always",
        ),
    ),
    latent_scale=0.18215,
    native_size=512,
    preview_matrix=(
        (0.298, 0.207, 0.208),
        (0.187, 0.286, 0.173),
        (-0.158, 0.189, 0.264),
        (-0.184, -0.271, -0.473),
    ),
    num_heads=8,
)

SD1_INPAINT = replace(
    SD1, name="sd1-inpaint", label="Stable Diffusion 1 inpainting", in_channels=9, extra_channels="inpaint"
)

# Brooks et al. 2023, "InstructPix2Pix"
SD1_EDIT = replace(SD1, name="sd1-edit", label="InstructPix2Pix", in_channels=8, extra_channels="edit")
