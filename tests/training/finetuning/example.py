"""What the examples of fine-tuning share: a room on a processor, pictures before and after, and a report."""

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from PIL import Image

from modules.adapters.textual_inversion import EmbeddingCatalog
from modules.checkpoints.catalog import ModelCatalog
from modules.checkpoints.model import LoadedModel
from modules.cli import ROOT
from modules.runtime.device import choose_runtime, configure_process
from modules.settings.launch import Folders
from modules.training.fidelity.measures import wilson_interval
from modules.training.finetuning.drawing import draw_picture
from modules.training.finetuning.opening import TrainingRoom
from modules.training.finetuning.session import FineTuning
from modules.training.finetuning.texts import CaptionEncoder

__all__ = ["kept_pictures", "share", "trained", "training_room", "write_report", "write_sheet"]

log = logging.getLogger(__name__)


def training_room(folder: Path, threads: int) -> TrainingRoom:
    """Where the embedded model is taught on a processor; results go below ``folder``."""
    configure_process(threads)
    folders = replace(Folders.below(folder), extra_checkpoints=(ROOT / "models" / "Stable-diffusion",))
    catalog = ModelCatalog(folders, hashing=False)
    embeddings = EmbeddingCatalog((folders.embeddings,), catalog.store)
    return TrainingRoom(folders, catalog, embeddings, choose_runtime("cpu"))


def kept_pictures(
    model: LoadedModel, texts: CaptionEncoder, prompts: Sequence[str], first_seed: int, folder: Path
) -> list[Image.Image]:
    """Pictures of the prompts, each with the next seed; those that are in the folder are not drawn again."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = []
    for index, prompt in enumerate(prompts):
        path = folder / f"{index:03d}.png"
        if not path.is_file():
            seed = first_seed + index
            drawn = draw_picture(model, texts, prompt, side=256, seed=seed, steps=20, cfg_scale=4.0)
            drawn.save(path)
        pictures.append(Image.open(path).convert("RGB"))
    return pictures


def trained(run: FineTuning, threads: int) -> dict[str, object]:
    """Train to the end; returns what it cost."""
    begun, busy, first = time.monotonic(), time.process_time(), -1
    for progress in run.updates():
        first = progress.step if first < 0 and not progress.text else first
        if progress.step % 50 == 0 and not progress.text:
            log.info("step %d after %.0f s", progress.step, time.monotonic() - begun)
    return {
        "steps": run.trainer.step,
        "steps_of_this_process": run.trainer.step - max(first, 1) + 1,
        "seconds": round(time.monotonic() - begun),
        "processor_seconds": round(time.process_time() - busy),
        "threads": threads,
    }


def write_sheet(rows: Sequence[Sequence[Image.Image]], path: Path, side: int = 160) -> None:
    """Rows of pictures as one small JPEG."""
    sheet = Image.new("RGB", (side * max(len(row) for row in rows), side * len(rows)), "white")
    for top, row in enumerate(rows):
        for left, picture in enumerate(row):
            small = picture.convert("RGB").resize((side, side), Image.Resampling.LANCZOS)
            sheet.paste(small, (side * left, side * top))
    sheet.save(path, quality=82, optimize=True)


def share(right: int, count: int) -> str:
    """A number of pictures with its 95 % interval."""
    low, high = wilson_interval(right, count)
    return f"{right} of {count} ({100 * low:.0f} to {100 * high:.0f} %)"


def write_report(report: dict[str, object], folder: Path) -> None:
    """Write and log what was measured."""
    (folder / "report.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    log.info("%s", report)
