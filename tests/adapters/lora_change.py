"""What it costs to change LoRAs between two jobs, beside one sampling step of SD1 at 512 x 512.

    python -m tests.adapters.lora_change

The networks have SD1's full size and random weights: about 5 GB of memory. The LoRAs are of rank 32 and
change every linear layer of the text encoder and of the U-Net's transformers, as trainers write them.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from modules.adapters.module_names import layers_by_name
from modules.adapters.patches import Patch, apply_patches
from modules.checkpoints.files import CheckpointFile, ModelStore
from modules.checkpoints.model import LoadedModel
from modules.diffusion.schedule import NoiseSchedule
from modules.families.sd1 import SD1
from modules.networks.clip_text import ClipTextConfig, ClipTextEncoder
from modules.networks.unet import UNet, UNetConfig
from modules.networks.vae import AutoencoderKL, VaeConfig
from modules.runtime.device import Runtime

__all__ = ["LoraChange", "measure_lora_change"]

SMALL_VAE = VaeConfig(channels=32)  # takes no part in it


@dataclass(frozen=True)
class LoraChange:
    """Seconds, each the shortest of some runs.

    Attributes:
        another_file: from one LoRA to another, its file read from disk.
        another_strength: the same LoRA with another strength.
        step: one sampling step with classifier-free guidance, 512 x 512.
        layers: how many layers a LoRA changes.
    """

    another_file: float
    another_strength: float
    step: float
    layers: int


def measure_lora_change(folder: Path, *, rank: int = 32, rounds: int = 3) -> LoraChange:
    """Measure; LoRA files of 100 MB are written into ``folder``.

    Args:
        folder: for the files.
        rank: of the LoRAs.
        rounds: how often each thing is done.
    """
    model = _model()
    layers = _layers(model)
    first, second = (_lora(folder / f"{name}.safetensors", layers, rank) for name in ("first", "second"))
    weaker = Patch(first.name, first.path, te_multiplier=0.5, unet_multiplier=0.5)
    files, strengths, steps = list[float](), list[float](), list[float]()
    for _ in range(rounds):
        apply_patches(model, (first,))
        strengths.append(_seconds(lambda: apply_patches(model, (weaker,))))
        files.append(_seconds(lambda: apply_patches(model, (second,))))
    x, timesteps, context = torch.randn(2, 4, 64, 64), torch.tensor([500.0, 500.0]), torch.randn(2, 77, 768)
    for _ in range(rounds):
        steps.append(_seconds(lambda: model.predict(x, timesteps, context)))
    return LoraChange(min(files), min(strengths), min(steps), len(layers))


def _model() -> LoadedModel:
    torch.manual_seed(0)
    return LoadedModel(
        file=CheckpointFile(Path("sd1.safetensors"), "sd1.safetensors", ModelStore.below(Path("unused"))),
        family=SD1,
        unet=UNet(UNetConfig()).requires_grad_(requires_grad=False),
        vae=AutoencoderKL(SMALL_VAE),
        text_encoders=(ClipTextEncoder(ClipTextConfig()).requires_grad_(requires_grad=False),),
        schedule=NoiseSchedule.scaled_linear(),
        prediction="epsilon",
        runtime=Runtime(torch.device("cpu")),
    )


def _layers(model: LoadedModel) -> dict[str, nn.Linear]:
    """Linear layers by the names that trainers give them."""
    found: dict[nn.Linear, str] = {}  # a layer of the U-Net has two names
    for name, layer in layers_by_name(model).items():
        if isinstance(layer.module, nn.Linear) and ("transformer_blocks" in name or layer.is_text):
            found.setdefault(layer.module, name)
    return {name: module for module, name in found.items()}


def _lora(path: Path, layers: dict[str, nn.Linear], rank: int) -> Patch:
    tensors: dict[str, Tensor] = {}
    for name, layer in layers.items():
        tensors[f"{name}.lora_down.weight"] = torch.randn(rank, layer.in_features).half() * 0.01
        tensors[f"{name}.lora_up.weight"] = torch.randn(layer.out_features, rank).half() * 0.01
        tensors[f"{name}.alpha"] = torch.tensor(rank / 2)
    save_file(tensors, path)
    return Patch(path.stem, path)


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def main() -> int:
    """The command; 0 if a change costs less than a step."""
    with tempfile.TemporaryDirectory() as folder:
        found = measure_lora_change(Path(folder))
    sys.stdout.write(
        f"{found.layers} layers: another LoRA {found.another_file:.2f} s, another strength "
        f"{found.another_strength:.2f} s, one sampling step {found.step:.2f} s\n"
    )
    return 0 if max(found.another_file, found.another_strength) < found.step else 1


if __name__ == "__main__":
    sys.exit(main())
