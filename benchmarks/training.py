"""Steps of training beside a plain loop with diffusers: same weights, pictures, captions, noise and batch.

    python -m benchmarks.training [--rounds 9] [--write]

Everybody trains the whole U-Net of the embedded model on latents that are there already. The plain loop is
what diffusers' example of text-to-image training does: encode the captions, predict, mean squared error,
limited gradients, AdamW, a learning-rate scheduler. Steps of all contestants alternate, so that a busy
machine slows them alike; beside the time on the clock stands that of the processors.
"""

import argparse
import copy
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

from benchmarks.report import add_page_options, publish
from benchmarks.results import Machine, this_machine
from benchmarks.theirs import unet_options
from modules.checkpoints.files import CheckpointFile, ModelStore
from modules.checkpoints.loader import load_model
from modules.checkpoints.model import LoadedModel
from modules.conditioning.tokenizer import END, START, clip_tokenizer
from modules.families.detect import UNET_PREFIX
from modules.families.diffusers_names import translate, unet_layout, unet_modules
from modules.runtime.attention import AttentionKind, use_attention
from modules.runtime.device import choose_runtime, configure_process
from modules.training.finetuning.texts import CaptionEncoder
from modules.training.loop import LoopSettings, Measurement, Trainer
from modules.training.objective import add_noise
from modules.training.optimisers import LearningRateSchedule, build_optimiser

__all__ = ["Batch", "Timing", "main", "measure", "table"]

_ROOT = Path(__file__).resolve().parent.parent
_CHECKPOINT = _ROOT / "models" / "Stable-diffusion" / "embedded.safetensors"
_RATE = 1e-5
_CAPTIONS = ("a fox, flat style", "a red car", "a green apple on a blue background", "a small house")
_PLAIN, _PLAIN_HALF, _OURS, _OURS_HALF = (
    "diffusers, plain loop",
    "diffusers, plain loop in bfloat16 autocast",
    "ours, float32",
    "ours, bfloat16 (as the preset of this model says)",
)
_AIM = 1.2

Step = Callable[[int], float]
"""One update; returns the loss before it."""


@dataclass(frozen=True)
class Batch:
    """What everybody learns from: x0 and eps (B, 4, h, w), timesteps (B,), one caption a row."""

    x0: Tensor
    eps: Tensor
    timesteps: Tensor
    captions: tuple[str, ...]

    @classmethod
    def drawn(cls, count: int, cells: int) -> "Batch":
        """Random latents of ``cells`` a side."""
        generator = torch.Generator().manual_seed(0)
        x0, eps = torch.randn(2, count, 4, cells, cells, generator=generator)
        timesteps = torch.randint(0, 1000, (count,), generator=generator)
        return cls(x0, eps, timesteps, tuple(_CAPTIONS[row % len(_CAPTIONS)] for row in range(count)))


@dataclass(frozen=True)
class Timing:
    """Steps of one contestant.

    Attributes:
        seconds: On the clock, of each step.
        processor: Of the processors, of each step.
        loss: Before the first step; the same for all whose mathematics is the same.
    """

    seconds: tuple[float, ...]
    processor: tuple[float, ...]
    loss: float


def _plain_loop(model: LoadedModel, batch: Batch, *, half: bool) -> Step:
    """As one writes it with diffusers and transformers."""
    unet, text, ids = _their_unet(model), _their_text(), _ids(batch.captions)
    alphas_cumprod = model.schedule.alphas_cumprod.float()
    optimiser = torch.optim.AdamW(unet.parameters(), lr=_RATE, betas=(0.9, 0.99), weight_decay=0.01)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda _: 1.0)
    unet.train()

    def step(_number: int) -> float:
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            with torch.no_grad():
                states = text(ids).last_hidden_state
            signal = alphas_cumprod[batch.timesteps][:, None, None, None]
            x = signal.sqrt() * batch.x0 + (1 - signal).sqrt() * batch.eps
            predicted = unet(x, batch.timesteps, states).sample
            loss = F.mse_loss(predicted.float(), batch.eps)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
        optimiser.step()
        scheduler.step()
        optimiser.zero_grad()
        return float(loss.item())

    return step


def _our_loop(model: LoadedModel, batch: Batch, folder: Path, *, half: bool) -> Step:
    """Our trainer, as fine-tuning uses it."""
    unet = copy.deepcopy(model.unet)
    unet.requires_grad_(requires_grad=True).train()
    texts = CaptionEncoder(model)
    alphas_cumprod = model.schedule.alphas_cumprod.float()
    optimiser = build_optimiser("adamw", [(list(unet.parameters()), _RATE)], 0.01)
    settings = LoopSettings(10_000, LearningRateSchedule(10_000, 0, 1.0), ema_decay=0, save_seconds=1e9)

    attention: AttentionKind = "sliced" if half else model.runtime.attention

    def measure(_number: int) -> Measurement:
        with use_attention(attention), torch.autocast("cpu", torch.bfloat16, enabled=half):
            states, _ = texts.encode(batch.captions)
            x = add_noise(batch.x0, batch.eps, alphas_cumprod[batch.timesteps])
            predicted = unet(x, batch.timesteps.float(), states)
        return (predicted.float() - batch.eps).square().mean(), {}

    updates = Trainer(unet, [optimiser], settings, folder / "state.pt").updates(measure)
    return lambda _number: next(updates)


def _their_unet(model: LoadedModel) -> nn.Module:
    config = model.unet.config
    unet = UNet2DConditionModel(
        **unet_options(config), norm_num_groups=config.groups, layers_per_block=config.num_res_blocks
    )
    tensors = load_file(_CHECKPOINT)
    shapes = {name: tuple(value.shape) for name, value in unet.state_dict().items()}
    modules = unet_modules(unet_layout(shapes))
    state = {
        name: tensors[UNET_PREFIX + str(translate(name, modules))].float().reshape(value.shape)
        for name, value in unet.state_dict().items()
    }
    unet.load_state_dict(state)
    network: nn.Module = unet
    return network


def _their_text() -> nn.Module:
    tensors = load_file(_CHECKPOINT)
    prefix = "cond_stage_model.transformer."
    vocabulary, width = tensors[f"{prefix}text_model.embeddings.token_embedding.weight"].shape
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=vocabulary, hidden_size=width, intermediate_size=4 * width, hidden_act="quick_gelu",
            num_hidden_layers=sum(name.endswith("mlp.fc1.weight") for name in tensors),
            num_attention_heads=width // 64,
        )
    )  # fmt: skip
    state = {
        name: tensors.get(prefix + (name if name.startswith("text_model.") else f"text_model.{name}"), value)
        for name, value in text.state_dict().items()
    }
    text.load_state_dict({name: value.float() for name, value in state.items()})
    text.requires_grad_(requires_grad=False).eval()
    network: nn.Module = text
    return network


def _ids(captions: Sequence[str]) -> Tensor:
    tokenizer = clip_tokenizer()
    rows = [[START, *tokenizer.encode(caption)] for caption in captions]
    return torch.tensor([row + [END] * (77 - len(row)) for row in rows])


def measure(batch: Batch, rounds: int) -> Mapping[str, Timing]:
    """Let the contestants take turns; the first two steps of each are not counted."""
    with tempfile.TemporaryDirectory() as folder:
        file = CheckpointFile(_CHECKPOINT, _CHECKPOINT.name, ModelStore.below(Path(folder), hashing=False))
        runtime = replace(choose_runtime("cpu", "full"), vae_dtype=torch.float32)
        model = load_model(file, None, runtime)
        steps = {
            _PLAIN: _plain_loop(model, batch, half=False),
            _PLAIN_HALF: _plain_loop(model, batch, half=True),
            _OURS: _our_loop(model, batch, Path(folder), half=False),
            _OURS_HALF: _our_loop(model, batch, Path(folder), half=True),
        }
        losses = {name: step(0) for name, step in steps.items()}
        for step in steps.values():
            step(1)
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in steps}
        for number in range(2, 2 + rounds):
            for name, step in steps.items():
                clock, processor = time.perf_counter(), time.process_time()
                step(number)
                taken[name].append((time.perf_counter() - clock, time.process_time() - processor))
    return {
        name: Timing(tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs), losses[name])
        for name, pairs in taken.items()
    }


def table(machine: Machine, timings: Mapping[str, Timing], batch: Batch) -> str:
    """Markdown: what a step of each contestant takes, and how much faster it is than the plain loop."""
    count, _, cells, _ = batch.x0.shape
    rounds = len(timings[_PLAIN].seconds)
    lines = [
        (
            f"{machine.date}: {machine.processor}, {machine.cores} cores ({machine.matrix_units}), torch "
            f"{machine.torch}; {count} pictures of {8 * cells}² a step, median of {rounds} steps of each. "
            f"Load of the machine before the run: {machine.load_before}."
        ),
        "",
        "| one training step | clock | processors | faster by the clock | faster by processors | loss |",
        "|---|---|---|---|---|---|",
    ]
    plain = timings[_PLAIN]
    clock, processor = statistics.median(plain.seconds), statistics.median(plain.processor)
    for name, timing in timings.items():
        mine, busy = statistics.median(timing.seconds), statistics.median(timing.processor)
        lines.append(
            f"| {name} | {mine:.2f} s | {busy:.2f} s | {clock / mine:.2f}× | {processor / busy:.2f}× "
            f"| {timing.loss:.5f} |"
        )
    reached = processor / statistics.median(timings[_OURS_HALF].processor)
    verdict = "reached" if reached >= _AIM else "**not reached**"
    lines += [
        "",
        f"The aim, {_AIM} times the plain loop in time of the processors, is {verdict}: {reached:.2f}.",
    ]
    return "\n".join(lines)


def main(argv: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training",
        description="Compare training steps with a plain diffusers loop.",
    )
    parser.add_argument("--rounds", type=int, default=9, help="steps of each contestant that are timed")
    parser.add_argument("--batch", type=int, default=4, help="pictures a step")
    parser.add_argument("--side", type=int, default=256, help="pixels of a picture's side")
    parser.add_argument("--threads", type=int, default=0, help="of torch; 0 is one a core")
    add_page_options(parser)
    arguments = parser.parse_args(argv)
    configure_process(arguments.threads)
    machine = this_machine()
    batch = Batch.drawn(arguments.batch, arguments.side // 8)
    markdown = table(machine, measure(batch, arguments.rounds), batch)
    publish(markdown, "training", arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
