"""What the rest of the program may ask about a model family.

A behaviour that differs between families is a field here; no code elsewhere compares names.
"""

from dataclasses import dataclass
from typing import Literal

__all__ = ["ExtraChannels", "Family", "Prediction", "PreviewMatrix", "SizeConditioning", "TextEncoderRole"]

Prediction = Literal["epsilon", "v"]
ExtraChannels = Literal["none", "inpaint", "depth", "edit"]
SizeConditioning = Literal["none", "sdxl", "refiner"]
PreviewMatrix = tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class TextEncoderRole:
    """How a family uses one of its text encoders.

    Attributes:
        architecture: which network it is.
        prefixes: what its parameters' names begin with in checkpoints; the first is the usual one.
        hidden_layer: index into the hidden states that the U-Net was trained on, e.g. -1 or -2.
        final_norm: whether that state goes through the final layer norm.
        clip_skip: whether the CLIP skip setting moves ``hidden_layer``: always, only when the user asks
            for it beside the setting, or never.
        pooled: whether its pooled state is part of the vector conditioning.
        embedding_key: name of this encoder's vectors in textual inversions made for several encoders.
        network_prefixes: what module names begin with in LoRA-like files.
    """

    architecture: Literal["clip", "open_clip"]
    prefixes: tuple[str, ...]
    hidden_layer: int
    final_norm: bool
    clip_skip: Literal["always", "on_request", "never"]
    pooled: bool = False
    embedding_key: str = "clip_l"
    network_prefixes: tuple[str, ...] = ("lora_te_", "lora_te1_")


@dataclass(frozen=True)
class Family:
    """One kind of checkpoint.

    Attributes:
        name: short unique name.
        label: name for people.
        network_version: which LoRA-like files fit, in the words of their metadata.
        in_channels: input channels of the U-Net; the first signature of a file.
        extra_channels: what the input channels beyond the latent's are.
        text_encoders: in the order in which their states are joined.
        prediction: what the network predicts unless the file says otherwise; "probe" means that the
            loaded network must be asked.
        latent_scale: latents are the VAE's times this.
        num_heads: attention heads of the U-Net; None where ``head_channels`` decides.
        head_channels: width of one attention head of the U-Net.
        size_conditioning: which numbers follow the pooled text in the vector conditioning.
        zeroes_empty_negative: whether an entirely empty negative prompt is a conditioning of zeros.
        native_size: side in pixels the family was trained at.
        preview_matrix: latent channel to RGB in -1..1, for the family's usual VAE.
        tiny_vae: what the files of the tiny autoencoder for its latents begin with.
        approx_decoder: file of the network that "Approx NN" previews draw its latents with.
        ays_table: which table of the "Align Your Steps" schedule fits.
        is_refiner: whether it only finishes another model's pictures.
        is_sdxl: whether settings "for SDXL" hold for it.
        lora_names: how files of LoRAs name the U-Net's layers: by their original paths or by diffusers'.
    """

    name: str
    label: str
    network_version: Literal["sd1", "sd2", "sdxl"]
    in_channels: int
    extra_channels: ExtraChannels
    text_encoders: tuple[TextEncoderRole, ...]
    latent_scale: float
    native_size: int
    preview_matrix: PreviewMatrix
    prediction: Literal["epsilon", "v", "probe"] = "epsilon"
    num_heads: int | None = None
    head_channels: int | None = None
    size_conditioning: SizeConditioning = "none"
    zeroes_empty_negative: bool = False
    ays_table: Literal["sd1", "sdxl"] = "sd1"
    tiny_vae: str = "taesd"
    approx_decoder: str = "model.pt"
    is_refiner: bool = False
    is_sdxl: bool = False
    lora_names: Literal["original", "diffusers"] = "diffusers"

    @property
    def has_vector(self) -> bool:
        """Whether the U-Net takes a vector conditioning beside the text."""
        return self.size_conditioning != "none"
