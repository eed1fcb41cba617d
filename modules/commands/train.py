"""``webui.py train``: the embedded model from nothing, or something taught to a model, without a server."""

import argparse
import logging
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from modules.adapters.textual_inversion import EmbeddingCatalog
from modules.checkpoints.catalog import ModelCatalog
from modules.exceptions import WebuiError
from modules.runtime.device import choose_runtime, configure_process
from modules.settings.launch import LaunchOptions
from modules.training import command as from_nothing
from modules.training.finetuning.opening import TrainingRoom
from modules.training.finetuning.presets import PRESETS, merged, preset_values
from modules.training.finetuning.recipe import KINDS, FineTuneRecipe, checked_recipe, read_recipe
from modules.training.finetuning.session import FineTuning

__all__ = ["recipe_of", "run_train", "train_parser"]

log = logging.getLogger(__name__)

_FROM_NOTHING = "latent-diffusion"
_HELP = {
    "lora": "a LoRA of a subject or a style",
    "textual-inversion": "a word that prompts can use",
    "hypernetwork": "a hypernetwork",
    "dreambooth": "a subject beside its class, as a checkpoint or a LoRA",
}


def train_parser(add_place: Callable[[argparse.ArgumentParser], None]) -> argparse.ArgumentParser:
    """The parser of everything behind ``train``; ``add_place`` adds the flags of folders and device."""
    parser = argparse.ArgumentParser(prog="webui.py train", description="Train a model.")
    commands = parser.add_subparsers(dest="kind", required=True, metavar="what")
    from_nothing.add_arguments(commands.add_parser(_FROM_NOTHING, help="the embedded model, from nothing"))
    for kind in KINDS:
        command = commands.add_parser(kind, help=_HELP[kind])
        _add_arguments(command)
        add_place(command)
    return parser


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, help="recipe, a YAML file; flags win over it")
    parser.add_argument("--preset", choices=tuple(PRESETS), help="starting values by model and memory")
    parser.add_argument("--data", help="folder with pictures and captions")
    parser.add_argument("--name", help="of the file; of a textual inversion also the word")
    parser.add_argument("--trigger", help="the word for what is taught")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--batch", type=int, help="pictures at a time")
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--rates", help='learning rates that change at steps: "0.005:100, 1e-3:1000, 1e-5"')
    parser.add_argument("--resolution", type=int, help="pixels; the model's own size if not given")
    parser.add_argument("--rank", type=int, help="of a LoRA")
    parser.add_argument("--alpha", type=float, help="of a LoRA; the rank if not given")
    parser.add_argument("--conv-rank", type=int, help="of a LoRA, for 3x3 convolutions")
    parser.add_argument(
        "--text-encoder",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="teach the text encoder too, or not",
    )
    parser.add_argument("--vectors", type=int, help="of a textual inversion")
    parser.add_argument("--initial-text", help="words that a textual inversion begins as")
    parser.add_argument("--class-prompt", help='DreamBooth: the class that is preserved, such as "a dog"')
    parser.add_argument("--class-pictures", type=int, help="how many pictures of the class are drawn")
    parser.add_argument("--result", choices=("lora", "checkpoint"), help="what DreamBooth leaves")
    parser.add_argument("--sample-prompt", action="append", default=None, help="drawn while training")
    parser.add_argument("--sample-every", type=int, help="steps between samples")
    parser.add_argument("--save-every", type=int, help="steps between results that are kept")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--replace", action="store_true", default=None, help="an older file of that name")
    parser.add_argument("--folder", type=Path, help="where the run is kept; data/training/NAME if not given")
    parser.add_argument("--from-step", type=int, help="go on from the state that was kept of this step")


def recipe_of(arguments: argparse.Namespace, checkpoint: str | None) -> FineTuneRecipe:
    """The recipe that flags, file and preset make together; flags win over the file, it over the preset.

    Raises:
        TrainingError: the file cannot be read, or something in the recipe is impossible.
    """
    written = read_recipe(arguments.config) if arguments.config else {}
    preset = preset_values(arguments.preset, arguments.kind, arguments.result or written.get("result"))
    prior = {"prompt": arguments.class_prompt, "pictures": arguments.class_pictures}
    flags: dict[str, object] = {
        "kind": arguments.kind,
        "name": arguments.name,
        "checkpoint": checkpoint,
        "data": {
            "folder": arguments.data,
            "trigger": arguments.trigger,
            "resolution": arguments.resolution,
        },
        "optimisation": {
            "steps": arguments.steps,
            "batch": arguments.batch,
            "learning_rate": arguments.learning_rate,
            "rates": arguments.rates,
            "seed": arguments.seed,
        },
        "lora": {
            "rank": arguments.rank,
            "alpha": arguments.alpha,
            "conv_rank": arguments.conv_rank,
            "text_encoder": arguments.text_encoder,
        },
        "embedding": {"vectors": arguments.vectors, "initial_text": arguments.initial_text},
        "prior": prior if any(value is not None for value in prior.values()) else None,
        "result": arguments.result,
        "samples": {"prompts": arguments.sample_prompt, "every": arguments.sample_every},
        "save_every": arguments.save_every,
        "replace": arguments.replace,
    }
    return checked_recipe(merged(preset, written, flags))


def run_train(arguments: argparse.Namespace, options: LaunchOptions | None) -> int:
    """Train what was asked for; returns the exit status.

    Args:
        arguments: what :func:`train_parser` parsed.
        options: folders and device; None for a model from nothing, which has its own.
    """
    if options is None:
        return from_nothing.run(arguments)
    try:
        recipe = recipe_of(arguments, options.checkpoint)
        run = _open(recipe, arguments, options)
        for note in run.notes:
            log.warning("%s", note)
        _follow(run, arguments.from_step)
    except WebuiError as error:
        log.error("%s", error)
        return 1
    sys.stdout.write(f"{run.result}\n")
    return 0


def _open(recipe: FineTuneRecipe, arguments: argparse.Namespace, options: LaunchOptions) -> FineTuning:
    configure_process(options.threads)
    catalog = ModelCatalog(options.folders, hashing=options.hashing, vae_path=options.vae_path)
    room = TrainingRoom(
        options.folders,
        catalog,
        EmbeddingCatalog((options.folders.embeddings,), catalog.store),
        choose_runtime(options.device, options.precision, attention=options.attention, graphs=False),
    )
    return room.open(recipe, arguments.folder or options.folders.data / "training" / recipe.name)


def _follow(run: FineTuning, from_step: int | None) -> None:
    """Train to the end, or until Ctrl-C, which keeps state and result."""
    with _interrupts() as asked:
        for progress in run.updates(from_step):
            if progress.text:
                log.info("%s", progress.text)
            if progress.sample is not None:
                log.info("step %d: drew %s", progress.step, progress.sample)
            if asked:
                run.finish()
                log.warning("stopped at step %d; the same command goes on from there", progress.step)
                return


@contextmanager
def _interrupts() -> Iterator[Sequence[int]]:
    """A list that is not empty any more once Ctrl-C was pressed; the second time ends at once."""
    asked: list[int] = []

    def ask(number: int, _frame: FrameType | None) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)
