"""One safetensors file in the original layout, which every Stable Diffusion 1 loader knows."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from modules.diffusion.schedule import NoiseSchedule
from modules.families.detect import UNET_PREFIX, VAE_PREFIX
from modules.families.hints import ARCHITECTURE_KEY
from modules.families.sd1 import SD1
from modules.networks.vae import AutoencoderKL
from modules.training.config import EmbeddedRecipe
from modules.training.icon_sets import ATTRIBUTION
from modules.training.latent_diffusion import LatentDiffusion
from modules.training.vocabulary import CompactVocabulary
from modules.training.whitening import Whitening

__all__ = ["checkpoint_metadata", "checkpoint_tensors", "export_checkpoint"]

_TEXT_PREFIX = SD1.text_encoders[0].prefixes[0]
_TOKEN_TABLE = "text_model.embeddings.token_embedding.weight"  # noqa: S105 - a table of tokens, no secret
_ALL_TOKENS = 49408


def checkpoint_metadata(recipe: EmbeddedRecipe) -> dict[str, str]:
    """What the shapes cannot say, who made the drawings, and what the file is."""
    architecture = {
        "prediction": "v",
        "unet_groups": recipe.denoiser.groups,
        "unet_heads": recipe.denoiser.num_heads,
        "vae_groups": recipe.autoencoder.groups,
        "text_heads": recipe.denoiser.text_heads,
        "native_size": recipe.data.side,
    }
    return {
        ARCHITECTURE_KEY: json.dumps(architecture),
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.architecture": "stable-diffusion-v1",
        "modelspec.implementation": "https://github.com/CompVis/stable-diffusion",
        "modelspec.title": "Embedded icons",
        "modelspec.description": (
            "A small latent diffusion model trained from nothing on emoji drawings. It draws icons in four "
            "styles: cartoon, flat, 3d and line art. It knows no photographs; words it does not know change "
            "nothing."
        ),
        "modelspec.license": "Apache-2.0",
        "modelspec.usage_hint": "256x256, CFG scale 4, 20 steps; 'a red apple, flat style, blue background'",
        "modelspec.prediction_type": "v",
        "modelspec.resolution": f"{recipe.data.side}x{recipe.data.side}",
        "attribution": ATTRIBUTION,
    }


def checkpoint_tensors(
    model: LatentDiffusion, autoencoder: AutoencoderKL, vocabulary: CompactVocabulary, whitening: Whitening
) -> dict[str, Tensor]:
    """All weights in half precision under their original names.

    The autoencoder is changed: afterwards its latents times the family's scale are the whitened ones.
    """
    whitening.fold_into(autoencoder, SD1.latent_scale)
    tensors: dict[str, Tensor] = {}
    for name, tensor in model.unet.state_dict().items():
        tensors[UNET_PREFIX + name] = tensor
    for name, tensor in autoencoder.state_dict().items():
        tensors[VAE_PREFIX + name] = tensor
    for name, tensor in model.text.state_dict().items():
        is_table = name == _TOKEN_TABLE
        tensors[_TEXT_PREFIX + name] = vocabulary.expand(tensor, _ALL_TOKENS) if is_table else tensor
    halves = {name: tensor.half().contiguous() for name, tensor in tensors.items()}
    return halves | {
        "alphas_cumprod": NoiseSchedule.scaled_linear().alphas_cumprod.float(),
        "v_pred": torch.tensor([]),  # marks v prediction for the programs that look for it
    }


def export_checkpoint(tensors: Mapping[str, Tensor], metadata: Mapping[str, str], path: Path) -> None:
    """Write the file so that ``path`` always holds a whole one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    save_file(dict(tensors), partial, metadata=dict(metadata))
    partial.chmod(0o644)  # the library makes files that only their owner can read
    partial.replace(path)
