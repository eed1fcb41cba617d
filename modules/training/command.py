"""``webui.py train latent-diffusion``: the embedded model from nothing, stage by stage."""

import argparse
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from modules.exceptions import TrainingError
from modules.training.autoencoder import load_autoencoder, train_autoencoder
from modules.training.concepts import Concept, load_concepts
from modules.training.config import EmbeddedRecipe, load_recipe
from modules.training.export import checkpoint_metadata, checkpoint_tensors, export_checkpoint
from modules.training.fidelity.evaluation import FidelityArtist, judge_accuracy, judge_pictures, judge_real
from modules.training.fidelity.judge import Labels
from modules.training.fidelity.learning import taught_judge
from modules.training.fidelity.pictures import RealPictures, drawings_for
from modules.training.fidelity.prompts import drawings_apart, fidelity_prompts
from modules.training.fidelity.report import fidelity_tables, renew_card, write_report
from modules.training.fidelity.two_things import judge_pairs, pair_prompts, real_pairs
from modules.training.icons import load_icons, render_icons
from modules.training.latent_diffusion import (
    CaptionedLatents,
    LatentDiffusion,
    load_latent_diffusion,
    train_latent_diffusion,
)
from modules.training.latent_set import LatentSet, encode_compositions, load_latent_set, planned_pictures
from modules.training.preview import ContactSheet

__all__ = ["STAGES", "add_arguments", "run"]

_LOG = logging.getLogger(__name__)
_LATENT_FACTOR = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``train latent-diffusion``."""
    parser.add_argument("--config", type=Path, required=True, help="recipe, a YAML file")
    parser.add_argument(
        "--folder", type=Path, required=True, help="where states and results of the run are kept"
    )
    parser.add_argument(
        "--cache", type=Path, help="folder for downloaded packages; FOLDER/packages if not given"
    )
    parser.add_argument(
        "--output", type=Path, help="checkpoint to write; FOLDER/embedded.safetensors if not given"
    )
    parser.add_argument(
        "--card", type=Path, help="Markdown page whose table of measures the stage evaluate renews"
    )
    parser.add_argument(
        "--stage",
        action="append",
        choices=tuple(STAGES),
        help="do only this stage (may be given several times); all that are not finished if not given",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the stages that were asked for; a stage that was interrupted goes on where it stopped."""
    try:
        workshop = _Workshop.open(arguments)
        for stage in arguments.stage or STAGES:
            _LOG.info("stage %s", stage)
            STAGES[stage](workshop)
    except TrainingError as error:
        _LOG.error("%s", error)
        return 1
    return 0


@dataclass(frozen=True)
class _Workshop:
    """The recipe and the places of one run."""

    recipe: EmbeddedRecipe
    name: str
    configuration: Path
    folder: Path
    cache: Path
    output: Path
    card: Path | None

    @classmethod
    def open(cls, arguments: argparse.Namespace) -> "_Workshop":
        recipe = load_recipe(arguments.config)
        torch.set_num_threads(recipe.threads)
        folder: Path = arguments.folder
        return cls(
            recipe,
            arguments.config.stem,
            arguments.config.parent,
            folder,
            arguments.cache or folder / "packages",
            arguments.output or folder / "embedded.safetensors",
            arguments.card,
        )

    @cached_property
    def concepts(self) -> tuple[Concept, ...]:
        return load_concepts(self.configuration / self.recipe.data.concepts)

    @cached_property
    def prompts(self) -> tuple[str, ...]:
        path = self.configuration / self.recipe.data.prompts
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise TrainingError(f"The list of prompts {path} cannot be read: {error}") from error
        return tuple(line.strip() for line in lines if line.strip())

    @cached_property
    def latents(self) -> LatentSet:
        return load_latent_set(self.folder, self.recipe.data.side)

    @cached_property
    def captioned(self) -> CaptionedLatents:
        return CaptionedLatents.of(self.latents, self.concepts, self.recipe.denoiser)

    def sheet(self) -> ContactSheet:
        return ContactSheet(
            self.prompts,
            self.captioned.vocabulary,
            load_autoencoder(self.recipe.autoencoder, self.folder),
            self.latents.whitening,
            self.folder,
            side=self.recipe.data.side // _LATENT_FACTOR,
            seconds=self.recipe.denoiser.preview_seconds,
        )

    def denoiser(self) -> LatentDiffusion:
        return load_latent_diffusion(self.recipe.denoiser, self.captioned.vocabulary.size, self.folder)


def _render(workshop: _Workshop) -> None:
    if not (workshop.folder / "icons.json").exists():
        render_icons(workshop.cache, workshop.folder)


def _train_autoencoder(workshop: _Workshop) -> None:
    train_autoencoder(workshop.recipe.autoencoder, load_icons(workshop.folder), workshop.folder)


def _encode(workshop: _Workshop) -> None:
    data = workshop.recipe.data
    if (workshop.folder / f"latents-{data.side}.json").exists():
        return
    encode_compositions(
        load_autoencoder(workshop.recipe.autoencoder, workshop.folder),
        load_icons(workshop.folder),
        workshop.concepts,
        workshop.folder,
        data,
    )


def _train_denoiser(workshop: _Workshop) -> None:
    sheet = workshop.sheet()

    def preview(model: LatentDiffusion, step: int, is_last: bool) -> None:
        sheet.draw(model, step, force=is_last)

    train_latent_diffusion(workshop.recipe.denoiser, workshop.captioned, workshop.folder, preview=preview)


def _export(workshop: _Workshop) -> None:
    tensors = checkpoint_tensors(
        workshop.denoiser(),
        load_autoencoder(workshop.recipe.autoencoder, workshop.folder),
        workshop.captioned.vocabulary,
        workshop.latents.whitening,
    )
    export_checkpoint(tensors, checkpoint_metadata(workshop.recipe), workshop.output)
    _LOG.info("wrote %s, %.1f MB", workshop.output, workshop.output.stat().st_size / 1e6)


def _draw_sheet(workshop: _Workshop) -> None:
    workshop.sheet().draw_at(workshop.denoiser(), workshop.folder / "contact-sheet.png", steps=20)


def _evaluate(workshop: _Workshop) -> None:
    """Measure the exported checkpoint; the networks' states are not needed."""
    data, folder = workshop.recipe.data, workshop.folder
    library = load_icons(folder)
    artist = FidelityArtist(workshop.output, folder, side=data.side)
    labels = Labels.of(workshop.concepts)
    real = RealPictures(drawings_for(workshop.concepts, library), labels)
    judge = taught_judge(real, labels, folder)
    trained = [plan for plan, _ in planned_pictures(workshop.concepts, library, data)]
    prompts = fidelity_prompts(workshop.concepts, real.drawings, trained)
    shares = judge_accuracy(judge, real)
    apart = drawings_apart(real.drawings, trained)
    if apart:
        shares += judge_real(judge, RealPictures(apart, labels), "real pictures, held-out styles")
    shares += judge_pictures(judge, prompts, artist.draw(prompts))
    pairs = pair_prompts(workshop.concepts, trained)
    if pairs:
        shares += judge_pairs(judge, pairs, real_pairs(pairs, library, data.side), note=" (real pictures)")
        shares += judge_pairs(judge, pairs, artist.draw(pairs))
    write_report(shares, artist.model_hash, folder / "evaluation.json")
    tables = fidelity_tables(shares, artist.model_hash)
    _LOG.info("%s", tables)
    if workshop.card is not None:
        renew_card(tables, workshop.card, workshop.name)


STAGES: Mapping[str, Callable[[_Workshop], None]] = {
    "icons": _render,
    "autoencoder": _train_autoencoder,
    "latents": _encode,
    "denoiser": _train_denoiser,
    "export": _export,
    "sheet": _draw_sheet,
    "evaluate": _evaluate,
}
