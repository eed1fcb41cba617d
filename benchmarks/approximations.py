"""Optional approximations: what each saves, and how far its results are from those without it.

    python -m benchmarks.approximations [--kind sd15] [--side 512] [--rounds 3] [--write]

Steps are those of a model of the kind's shape with random weights; a pair of rows, as guidance has them.
Pictures are those of the embedded model; what has no effect there, because its U-Net has no attention at the
finest level, is said. Times are those of one processor, in the U-Net alone.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from benchmarks.kinds import KINDS, Kind, Work, make_work, write_checkpoint
from benchmarks.report import add_page_options, publish
from benchmarks.results import Machine, this_machine
from modules.checkpoints.files import CheckpointFile, ModelStore
from modules.checkpoints.loader import load_model
from modules.checkpoints.model import LoadedModel
from modules.commands.workplace import make_pictures, open_workplace
from modules.domain.request import GenerationRequest
from modules.networks.deep_features import DeepFeatures
from modules.runtime.device import WeightStorage, choose_runtime, configure_process
from modules.services import Services
from modules.settings.launch import Folders, LaunchOptions

__all__ = ["APPROXIMATIONS", "Approximation", "Distance", "main", "picture_distance", "table"]

_ROOT = Path(__file__).resolve().parent.parent
_MODELS = _ROOT / "models" / "Stable-diffusion"
_PROMPTS = ("a fox", "a red car, flat style", "an apple on a blue background", "a house, 3d style")
_STEPS = 20
_PICTURE = {
    "seed": 11,
    "steps": _STEPS,
    "cfg_scale": 4.0,
    "sampler_name": "DPM++ 2M",
    "width": 256,
    "height": 256,
}


@dataclass(frozen=True)
class Approximation:
    """A way to compute less.

    Attributes:
        label: as the table names it.
        settings: that turn it on for a picture.
        token_merging: of a step.
        weights: of a step.
        shares: steps that share deep features; of a step, the time of the others is measured.
        rows: of the two that a step has, as long as it is in force.
        is_in_pictures: whether the embedded model's pictures show it.
    """

    label: str
    settings: Mapping[str, object] = field(default_factory=dict)
    token_merging: float = 0.0
    weights: WeightStorage = "as computed"
    shares: int = 1
    rows: int = 2
    is_in_pictures: bool = True


APPROXIMATIONS = (
    Approximation("token merging 0.2", {"token_merging_ratio": 0.2}, token_merging=0.2, is_in_pictures=False),
    Approximation("token merging 0.5", {"token_merging_ratio": 0.5}, token_merging=0.5, is_in_pictures=False),
    Approximation("no negative prompt in the first 20 %", {"skip_early_cond": 0.2}, rows=1),
    Approximation("no negative prompt below sigma 1 (NGMS)", {"s_min_uncond": 1.0}, rows=1),
    Approximation("deep features of two steps shared (DeepCache)", {"deep_cache_interval": 2}, shares=2),
    Approximation("deep features of three steps shared", {"deep_cache_interval": 3}, shares=3),
    Approximation("weights in eight bits", {"fp8_storage": "Enable"}, weights="fp8"),
)


@dataclass(frozen=True)
class Distance:
    """What an approximation saves and costs, in one step or in pictures.

    Attributes:
        share: of the U-Net's time without it.
        deviation: relative L2 of a step, none where it has less rows; or of each picture root mean square in
            grey levels, 0..255.
        weights: bytes of the U-Net's weights, 0 if not looked at.
    """

    share: float
    deviation: tuple[float, ...]
    weights: int = 0


def steps(kind: Kind, side: int, rounds: int, folder: Path) -> Mapping[str, Distance]:
    """One step of a model with random weights with each approximation, and without any."""
    path = folder / f"{kind.label.lower()}.safetensors"
    write_checkpoint(kind, path)
    file = CheckpointFile(path, path.name, ModelStore.below(folder))
    models = {
        weights: load_model(file, None, replace(choose_runtime("cpu"), weights=weights))
        for weights in dict.fromkeys(each.weights for each in APPROXIMATIONS)
    }
    work, exact = make_work(kind, side), Approximation("exact")
    ways = {each.label: _step_with(each, models[each.weights], work) for each in (exact, *APPROXIMATIONS)}
    outputs = {label: way() for label, way in ways.items()}  # packs weights
    seconds: dict[str, list[float]] = {label: [] for label in ways}
    for _ in range(rounds):  # all take turns, so that a busy machine slows them alike
        for label, way in ways.items():
            begun = time.process_time()
            way()
            seconds[label].append(time.process_time() - begun)
    base = min(seconds[exact.label])
    found = {exact.label: Distance(1.0, (0.0,), _size(models[exact.weights]))}
    for each in APPROXIMATIONS:
        fastest = min(seconds[each.label])
        whole = fastest if each.shares == 1 else base  # of a step that shares nothing yet
        share = (whole + (each.shares - 1) * fastest) / base
        out, reference = outputs[each.label], outputs[exact.label]
        deviation = (_relative(out, reference),) if len(out) == len(reference) else ()
        found[each.label] = Distance(share / each.shares, deviation, _size(models[each.weights]))
    return found


def _step_with(each: Approximation, model: LoadedModel, work: Work) -> Callable[[], Tensor]:
    """One step; where features are shared, one that goes by those of the step before."""
    used = replace(work, x=work.x[: each.rows], timesteps=work.timesteps[: each.rows])
    used = replace(used, context=work.context[: each.rows])
    if each.shares == 1:
        return partial(_step, model, used, each.token_merging)
    deep = DeepFeatures()
    _step(model, replace(used, x=1.05 * used.x, timesteps=used.timesteps + 1000 / _STEPS), 0.0, deep)
    return partial(_step, model, used, each.token_merging, deep)


def _step(model: LoadedModel, work: Work, token_merging: float, deep: DeepFeatures | None = None) -> Tensor:
    vector = None if work.vector is None else work.vector[: len(work.x)]
    with torch.inference_mode():
        return model.predict(
            work.x, work.timesteps, work.context, vector, token_merging=token_merging, deep=deep
        )


def _size(model: LoadedModel) -> int:
    return sum(parameter.nbytes for parameter in model.unet.parameters())


def _relative(out: Tensor, reference: Tensor) -> float:
    return float((out.double() - reference.double()).norm() / reference.double().norm())


def pictures(prompts: Sequence[str] = _PROMPTS) -> Mapping[str, Distance]:
    """Pictures of the embedded model with each approximation that they show, and without any."""
    asked: dict[str, Mapping[str, object]] = {"exact": {}}
    asked |= {each.label: each.settings for each in APPROXIMATIONS if each.is_in_pictures}
    shares: dict[str, list[float]] = {label: [] for label in asked}
    distances: dict[str, list[float]] = {label: [] for label in asked}
    with tempfile.TemporaryDirectory() as folder:
        folders = replace(Folders.below(Path(folder)), embedded=_MODELS)
        options = LaunchOptions(folders=folders, device="cpu", step_cache=0, hashing=False)
        with open_workplace(options) as services:
            for prompt in prompts:  # all take turns, so that a busy machine slows them alike
                made = {label: _timed_picture(services, prompt, each) for label, each in asked.items()}
                base, reference = made["exact"]
                for label, (seconds, shot) in made.items():
                    shares[label].append(seconds / base)
                    distances[label].append(picture_distance(shot, reference))
    return {label: Distance(statistics.median(shares[label]), tuple(distances[label])) for label in asked}


def _timed_picture(
    services: Services, prompt: str, settings: Mapping[str, object]
) -> tuple[float, np.ndarray]:
    """The U-Net's seconds, and the picture."""
    _picture(services, prompt, settings, steps=2)  # reads the model anew where it must, and packs its weights
    with _unet_seconds(services.models.loaded()[-1].unet) as seconds:
        shot = _picture(services, prompt, settings)
    return sum(seconds), shot


def _picture(services: Services, prompt: str, settings: Mapping[str, object], **asked: object) -> np.ndarray:
    values = {**_PICTURE, "prompt": prompt, "override_settings": dict(settings), **asked}
    view = make_pictures(services, GenerationRequest.model_validate(values))
    with Image.open(view.images[0].path) as picture:
        return np.asarray(picture.convert("RGB"))


@contextmanager
def _unet_seconds(unet: nn.Module) -> Iterator[list[float]]:
    """The processors' seconds of each of its calls within the block."""
    seconds: list[float] = []
    begun: list[float] = []
    before = unet.register_forward_pre_hook(lambda *_: begun.append(time.process_time()))
    behind = unet.register_forward_hook(lambda *_: seconds.append(time.process_time() - begun[-1]))
    try:
        yield seconds
    finally:
        before.remove()
        behind.remove()


def picture_distance(one: np.ndarray, other: np.ndarray) -> float:
    """Root mean square of the difference of two pictures, (H, W, 3) uint8, in grey levels."""
    return float(np.sqrt(np.mean((one.astype(np.float64) - other) ** 2)))


def table(
    machine: Machine, label: str, of_steps: Mapping[str, Distance], of_pictures: Mapping[str, Distance]
) -> str:
    """Markdown: what each approximation saves and costs."""
    lines = [
        (
            f"{machine.date}: {machine.processor}, {machine.cores} cores ({machine.matrix_units}), torch "
            f"{machine.torch}, one thread. Load of the machine before the run: {machine.load_before}."
        ),
        "",
        (
            f"| approximation | U-Net's time, {label} | relative L2 of the step | U-Net's weights "
            "| U-Net's time, embedded model | difference of its pictures in grey levels: median, largest |"
        ),
        "|---|---|---|---|---|---|",
    ]
    whole = of_steps["exact"].weights
    for each in APPROXIMATIONS:
        step, shots = of_steps.get(each.label), of_pictures.get(each.label)
        cells = [each.label, "", "", ""]
        if step is not None:
            concerned = "" if step.deviation else " while it is left out"
            deviation = f"{step.deviation[0]:.1e}" if step.deviation else ""
            cells[1:] = [f"{step.share:.0%}{concerned}", deviation, f"{step.weights / whole:.0%}"]
        if shots is None:
            cells += ["no effect", ""]
        else:
            worst = max(shots.deviation)
            cells += [f"{shots.share:.0%}", f"{statistics.median(shots.deviation):.1f}, {worst:.1f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main(argv: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.approximations",
        description="What optional approximations save, and how far they are from exact results.",
    )
    parser.add_argument("--kind", choices=KINDS, default="sd15", help="shape of the model of the steps")
    parser.add_argument("--side", type=int, default=512, help="pixels of a step's picture")
    parser.add_argument("--rounds", type=int, default=3, help="steps that are timed")
    add_page_options(parser)
    arguments = parser.parse_args(argv)
    configure_process(
        threads=1
    )  # threads that wait for each other on a busy machine would be counted as work
    machine, kind = this_machine(), KINDS[arguments.kind]
    with tempfile.TemporaryDirectory() as folder:
        of_steps = steps(kind, arguments.side, arguments.rounds, Path(folder))
    label = f"a step of {kind.label} at {arguments.side}²"
    markdown = table(machine, label, of_steps, pictures())
    publish(markdown, "approximations", arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
