"""One run of fine-tuning, from a folder of pictures to a file that prompts can name.

The loop itself is :meth:`FineTuning.updates`; what a step learns is :meth:`FineTuning.measure`.
"""

import json
import math
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from modules.checkpoints.model import LoadedModel
from modules.exceptions import TrainingError
from modules.imaging.files import make_folder, write_replacing
from modules.runtime.attention import AttentionKind, use_attention
from modules.training.finetuning.batches import Batches, latents_of, mask_of
from modules.training.finetuning.captions import caption_of, filled, first_caption
from modules.training.finetuning.checkpointing import checkpoint_blocks
from modules.training.finetuning.curve import draw_curve, write_losses
from modules.training.finetuning.drawing import draw_class, draw_picture, draw_row, sample_path
from modules.training.finetuning.latents import EncodedPicture, encode_pictures, settled
from modules.training.finetuning.pictures import PictureSet, read_pictures
from modules.training.finetuning.recipe import DataChoice, FineTuneRecipe, Optimisation, PriorChoice
from modules.training.finetuning.texts import CaptionEncoder, vector_of
from modules.training.finetuning.trainee import RunFacts, Trainee
from modules.training.loop import (
    LoopSettings,
    Measurement,
    RateSchedule,
    Trainer,
    numpy_generator,
    step_generator,
)
from modules.training.objective import (
    add_noise,
    masked_errors,
    min_snr_weights,
    offset_noise,
    stratified_timesteps,
    target,
)
from modules.training.optimisers import LearningRateSchedule, build_optimiser
from modules.training.stepped_rates import SteppedRates, SteppedSchedule

__all__ = ["FineTuning", "Progress", "is_begun"]

_RUN_FILE = "run.json"
_PLAIN = DataChoice(folder="", caption_dropout=0.0)  # pictures of the class: their captions as they are


@dataclass(frozen=True)
class Progress:
    """What has just happened.

    Attributes:
        text: what is being done before training begins; "" while training.
        step, steps: updates done, and all.
        sample: pictures just drawn by what is being trained.
    """

    text: str
    step: int
    steps: int
    sample: Path | None = None


class FineTuning:
    """A run that goes on where it was left.

    Args:
        recipe: everything that is to be done.
        pictures: what its folder holds.
        model: loaded for training; nobody else uses it.
        trainee: what is trained, attached to the model.
        folder: where states, caches, samples and the loss curve are kept.
        result: the finished file.

    Raises:
        TrainingError: the folder holds another run.
    """

    def __init__(
        self,
        recipe: FineTuneRecipe,
        pictures: PictureSet,
        model: LoadedModel,
        trainee: Trainee,
        *,
        folder: Path,
        result: Path,
    ) -> None:
        self.recipe = recipe
        self.pictures = pictures
        self.folder = folder
        self.result = result
        self.model, self._trainee = model, trainee
        self._choice = recipe.data.model_copy(update={"caption_dropout": recipe.caption_dropout})
        self._resolution = recipe.data.resolution or model.native_size
        self._started = _started(folder, recipe)
        learning = recipe.optimisation
        on_gpu = model.runtime.device.type != "cpu"
        self._half = on_gpu if learning.bfloat16 is None else learning.bfloat16
        # torch's fused attention is slow in bfloat16 on CPUs
        self._attention: AttentionKind = "sliced" if self._half and not on_gpu else model.runtime.attention
        self.texts = CaptionEncoder(model, learning.clip_skip, trainee.changes_text, trainee.word)
        self._signal = model.schedule.alphas_cumprod.float()
        self._batches = Batches((), learning.batch, learning.seed)
        self._prior: Batches | None = None
        self.trainer = Trainer(
            trainee.network,
            [build_optimiser(learning.optimiser, trainee.groups(), learning.weight_decay)],
            _loop_settings(recipe),
            folder / "state.pt",
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What deserves attention, one sentence each."""
        captions = [first_caption(picture.caption, self.recipe.word) for picture in self.pictures.pictures]
        cut = self.texts.too_long(captions)
        told = (f"{len(cut)} captions are longer than 225 tokens; their ends are not learnt.",) if cut else ()
        return (*self.pictures.notes, *told)

    def updates(self, from_step: int | None = None) -> Generator[Progress, None, None]:
        """Prepare, train to the end and write the result; every update can be waited for alone.

        Args:
            from_step: go on from the state that was kept of this step; the newest if not given.

        Raises:
            TrainingError: the loss is not finite (the last state is kept), or there is no such state.
        """
        yield from self._prepare()
        if not self.trainer.resume(from_step) and from_step is not None:
            raise TrainingError(f"No state of step {from_step} was kept in {self.folder}.")
        if self.recipe.optimisation.checkpointing:
            checkpoint_blocks(self.model, self._attention)
        for _ in self.trainer.updates(self.measure):
            step = self.trainer.step
            if self.recipe.save_every and step % self.recipe.save_every == 0:
                self._write(self.folder / "results" / f"{self.recipe.name}-{step:06d}{self._trainee.suffix}")
            is_due = self.recipe.samples.every and step % self.recipe.samples.every == 0
            yield Progress("", step, self.recipe.optimisation.steps, self._sample() if is_due else None)
        self.finish()

    def measure(self, number: int) -> Measurement:
        """The loss of batch ``number``: of the subject, and of its class where that is to be preserved."""
        torch.manual_seed(self.recipe.optimisation.seed + number)  # for what drops values at random
        loss = self._loss(self._batches.at(number), self._choice, number)
        if self._prior is not None and self.recipe.prior is not None:
            loss = loss + self.recipe.prior.weight * self._loss(self._prior.at(number), _PLAIN, number)
        return loss, {}

    def _loss(self, pictures: Sequence[EncodedPicture], choice: DataChoice, number: int) -> Tensor:
        """Weighted squared error of the prediction for noisy latents, 0-dim."""
        learning, prediction = self.recipe.optimisation, self.model.prediction
        generator = step_generator(learning.seed, number)
        rng = numpy_generator(learning.seed, number)
        word = self.recipe.word if choice is self._choice else ""
        captions = [caption_of(picture.caption, word, choice, rng) for picture in pictures]
        x0 = latents_of(pictures, generator)
        timesteps = stratified_timesteps(len(x0), len(self._signal), generator, shift=learning.timestep_shift)
        signal = self._signal[timesteps]
        eps = offset_noise(x0.shape, learning.noise_offset, generator)
        predicted = self._predict(add_noise(x0, eps, signal), timesteps, captions, pictures)
        wanted, mask = target(prediction, x0, eps, signal), mask_of(pictures)
        errors = masked_errors(
            predicted, wanted.to(predicted.device), None if mask is None else mask.to(predicted.device)
        )
        if learning.snr_gamma:
            weights = min_snr_weights(signal, learning.snr_gamma, prediction=prediction)
            errors = errors * weights.to(errors.device)
        return errors.mean()

    def _predict(
        self, x: Tensor, timesteps: Tensor, captions: Sequence[str], pictures: Sequence[EncodedPicture]
    ) -> Tensor:
        device = self.model.runtime.device
        autocast = torch.autocast(device.type, torch.bfloat16, enabled=self._half)
        with use_attention(self._attention), autocast:
            context, pooled = self.texts.encode(captions)
            vector = vector_of(pooled, [picture.sizes for picture in pictures])
            out: Tensor = self.model.unet(x.to(device), timesteps.to(device).float(), context, vector)
        return out

    def finish(self) -> None:
        """Save state and result as they are now: the safe way to stop."""
        self.trainer.save()
        self._write(self.result)
        self.draw_curve()
        write_losses(self.trainer.losses, self.folder / "loss.csv")

    def draw_curve(self) -> Path:
        """Draw the losses so far."""
        return draw_curve(self.trainer.losses, self.folder / "loss.png")

    def close(self) -> None:
        """Take what was trained off the model."""
        self._trainee.detach()

    # --- inside ------------------------------------------------------------------------------------

    def _prepare(self) -> Iterator[Progress]:
        """Encode the pictures, and draw those of the class that are missing."""
        learning = self.recipe.optimisation
        own = yield from self._encoded(self.pictures, self.recipe.data, self.folder / "latents.pt")
        self._batches = Batches(own, learning.batch, learning.seed)
        if self.recipe.prior is not None:
            prior = yield from self._class_pictures(self.recipe.prior)
            self._prior = Batches(prior, learning.batch, learning.seed + 1)

    def _class_pictures(self, prior: PriorChoice) -> Generator[Progress, None, tuple[EncodedPicture, ...]]:
        folder = Path(prior.folder).expanduser() if prior.folder else self.folder / "class"
        if prior.folder is None:
            drawing = draw_class(
                self.model,
                self.texts,
                folder,
                prompt=prior.prompt,
                count=prior.pictures,
                side=self._resolution,
                cfg_scale=self.recipe.samples.cfg_scale,
            )
            for done in drawing:
                yield self._telling(f"Drawing pictures of the class: {done} of {prior.pictures}")
        choice = DataChoice(folder=str(folder), resolution=self._resolution)
        found = read_pictures(choice, prior.prompt)
        return (yield from self._encoded(found, choice, self.folder / "class-latents.pt"))

    def _encoded(
        self, found: PictureSet, choice: DataChoice, cache: Path
    ) -> Generator[Progress, None, tuple[EncodedPicture, ...]]:
        encoding = encode_pictures(
            self.model, found.pictures, choice, resolution=self._resolution, cache=cache
        )
        while True:
            try:
                done = next(encoding)
            except StopIteration as ended:
                encoded: tuple[EncodedPicture, ...] = ended.value
                return settled(encoded, choice.latent_sampling, self.recipe.optimisation.seed)
            yield self._telling(f"Reading pictures: {done} of {len(found.pictures)}")

    def _telling(self, text: str) -> Progress:
        return Progress(text, self.trainer.step, self.recipe.optimisation.steps)

    def _sample(self) -> Path:
        """Draw the sample prompts; what is averaged is drawn with its average."""
        choice, pictures = self.recipe.samples, self.pictures.pictures
        prompts = [filled(prompt, self.recipe.word, "") for prompt in choice.prompts]
        prompts = prompts or [first_caption(pictures[0].caption, self.recipe.word)]
        with self._averaged():
            drawn = [
                draw_picture(
                    self.model,
                    self.texts,
                    prompt,
                    side=self._resolution,
                    seed=choice.seed,
                    steps=choice.steps,
                    cfg_scale=choice.cfg_scale,
                )
                for prompt in prompts
            ]
        return draw_row(drawn, sample_path(self.folder, self.trainer.step))

    def _write(self, path: Path) -> None:
        make_folder(path.parent)
        facts = RunFacts(
            recipe=self.recipe,
            step=self.trainer.step,
            losses=self.trainer.losses,
            pictures=len(self.pictures.pictures),
            batches_per_round=self._batches.per_round,
            captions=[first_caption(picture.caption, self.recipe.word) for picture in self.pictures.pictures],
            resolution=self._resolution,
            started=self._started,
        )
        with self._averaged():
            self._trainee.write(path, facts)

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        self._trainee.network.eval()
        try:
            with self.trainer.averaged():
                yield
        finally:
            self._trainee.network.train()


def _loop_settings(recipe: FineTuneRecipe) -> LoopSettings:
    learning = recipe.optimisation
    limit, clipping = learning.max_gradient_norm, learning.gradient_clipping
    return LoopSettings(
        steps=learning.steps,
        schedule=_schedule(learning),
        accumulation=learning.accumulation,
        max_gradient_norm=limit if clipping == "norm" else math.inf,
        max_gradient_value=limit if clipping == "value" else math.inf,
        ema_decay=learning.ema_decay,
        save_steps=0 if recipe.makes_checkpoint else recipe.save_every,
    )


def _schedule(learning: Optimisation) -> RateSchedule:
    if learning.rates.strip():
        return SteppedSchedule(SteppedRates.parse(learning.rates), learning.learning_rate)
    constant = learning.schedule == "constant"
    return LearningRateSchedule(
        learning.steps,
        learning.warmup,
        hold=1.0 if constant else 0.0,
        shape="linear" if learning.schedule == "constant" else learning.schedule,
    )


def is_begun(folder: Path) -> bool:
    """Whether the folder holds a run to go on with."""
    return (folder / _RUN_FILE).is_file()


def _started(folder: Path, recipe: FineTuneRecipe) -> float:
    """When the run began; notes the recipe, so that no other can go on with its state.

    Raises:
        TrainingError: the folder holds a run of another recipe.
    """
    path, said = folder / _RUN_FILE, recipe.model_dump(mode="json")
    make_folder(folder)
    if path.is_file():
        noted = json.loads(path.read_text(encoding="utf-8"))
        if noted["recipe"] != said:
            raise TrainingError(
                f"{folder} holds a run with other settings, which can only go on with its own. Choose "
                "another name or folder, or remove it."
            )
        return float(noted["started"])
    started = time.time()
    write_replacing(path, json.dumps({"recipe": said, "started": started}, indent=1).encode())
    return started
