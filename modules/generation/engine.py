"""The event loop of the device: many image coroutines, one network call at a time.

``Engine.tick`` collects the pending :class:`~modules.generation.effects.Predict` requests that share
weights and shapes, answers them with one batched call, and lets each image run on to its next request.
It knows nothing of jobs, prompts or files; an :class:`ImageListener` hears what happens to an image.
"""

import itertools
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from modules.checkpoints.model import LoadedModel
from modules.exceptions import WebuiError
from modules.generation.batching import RowLimit
from modules.generation.device_time import DeviceTime
from modules.generation.effects import (
    HALT,
    Answer,
    Elsewhere,
    FinishedImage,
    ImageCoroutine,
    ModelKey,
    PassDone,
    Predict,
    StepEnd,
    UseModel,
)
from modules.networks.deep_features import DeepFeatures

__all__ = ["Engine", "ImageListener", "ImageTask", "Speeds"]

# Seconds by which an owner may lag before weights are changed for him
ADAPTER_SLACK = 1.0
CHECKPOINT_SLACK = 20.0


class ImageListener(Protocol):
    """Who started an image hears of it here, in the engine's thread."""

    job_id: str
    owner: str

    def started(self, task: "ImageTask") -> None:
        """The image has entered the engine; its first network call is still to come."""
        ...

    def step_ended(self, task: "ImageTask", step: StepEnd) -> bool:
        """A step has ended; True ends the image here with what there is."""
        ...

    def pass_ended(self, task: "ImageTask", done: PassDone) -> None:
        """A sampling pass has ended."""
        ...

    def wants_end(self) -> bool:
        """Whether to end an image that waits for work elsewhere with what there is."""
        ...

    def finished(self, task: "ImageTask", image: FinishedImage) -> None:
        """The image is done."""
        ...

    def failed(self, task: "ImageTask", error: Exception) -> None:
        """The image could not be made."""
        ...

    def used_device(self, seconds: float) -> None:
        """One of the images has used so much time of the device, its share of a common call."""
        ...


class Speeds(Protocol):
    """Learns how fast the device is."""

    def row(self, checkpoint: str, cells: int, seconds: float) -> None:
        """A U-Net row of so many latent cells took so long."""
        ...

    def picture(self, checkpoint: str, cells: int, seconds: float) -> None:
        """Decoding a picture of so many latent cells took so long."""
        ...


@dataclass(eq=False)
class ImageTask:
    """One running image. While ``paused`` it holds still and keeps all state."""

    coroutine: ImageCoroutine
    listener: ImageListener
    index: int
    pending: Predict | UseModel | None = None
    elsewhere: Elsewhere | None = None
    last_served: int = 0
    paused: bool = False
    stopped: bool = False

    @property
    def owner(self) -> str:
        """Whose image it is."""
        return self.listener.owner

    def stop(self) -> None:
        """Take the image out of the engine; its listener hears nothing more."""
        self.stopped = True
        self.coroutine.close()


class Engine:
    """Runs image coroutines on one device. Owners share its time evenly, however many images each has.

    Args:
        use_model: makes weights current and returns them (see :class:`UseModel`).
        batch_invariant: give every image a network call of its own, so that an image's bytes do not
            depend on its neighbours. Batching pays on GPUs; a CPU is saturated by one image.
        max_rows: most rows of one network call.
        at_work: told before any work whose jobs it is for; nobody's when there is none.
        speeds: learns how long calls and pictures take.
        clock: seconds, for sharing the device.
    """

    def __init__(
        self,
        use_model: Callable[[ModelKey], LoadedModel],
        *,
        batch_invariant: bool,
        max_rows: int = 16,
        at_work: Callable[[Sequence[str]], None] = lambda _job_ids: None,
        speeds: Speeds | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._use_model = use_model
        self._batch_invariant = batch_invariant
        self._rows = RowLimit(max_rows)
        self._at_work = at_work
        self._speeds = speeds
        self._clock = clock
        self._time = DeviceTime()
        self._key: ModelKey | None = None
        self._tasks: list[ImageTask] = []
        self._turns = itertools.count(1)

    @property
    def tasks(self) -> tuple[ImageTask, ...]:
        """The images in flight, oldest first."""
        return tuple(self._tasks)

    def seconds_of(self, owner: str) -> float:
        """Device time that an owner was given, on a scale that only serves to compare owners."""
        return self._time.of(owner)

    def start(self, coroutine: ImageCoroutine, listener: ImageListener, index: int) -> ImageTask:
        """Let an image run up to its first network call.

        A new image counts as served now, so that it takes its turn and does not overtake.
        """
        task = ImageTask(coroutine, listener, index, last_served=next(self._turns))
        self._time.enter(listener.owner, {other.owner for other in self._tasks})
        self._tasks.append(task)
        listener.started(task)
        self._advance(task, None)
        return task

    def tick(self) -> bool:
        """Serve one group of waiting images with one network call; False when there is none."""
        self._call_back()
        self._tasks = [task for task in self._tasks if not task.stopped]
        waiting = [task for task in self._tasks if task.pending is not None and not task.paused]
        if not waiting:
            self._hold(())
            return False
        first = self._next(waiting)
        group = self._group(first, waiting)
        answers: list[Answer | Exception] = [*self._answers(group)] if group else [self._model_for(first)]
        group = group or [first]
        for task, answer in zip(group, answers, strict=True):
            task.last_served = next(self._turns)
            self._advance(task, answer)
        return True

    def _call_back(self) -> None:
        """Let images go on whose work elsewhere is done, or whose owner ends them."""
        for task in [task for task in self._tasks if task.elsewhere is not None and not task.paused]:
            ends = task.listener.wants_end()
            if task.elsewhere is not None and (ends or task.elsewhere.is_done()):
                task.elsewhere = None
                self._advance(task, HALT if ends else None)

    def _hold(self, job_ids: Sequence[str]) -> None:
        """Say whose work is done now: here, and elsewhere."""
        away = [task.listener.job_id for task in self._tasks if task.elsewhere is not None]
        self._at_work([*job_ids, *away])

    def _next(self, waiting: list[ImageTask]) -> ImageTask:
        """The image to be served: of the owner who was given least, the one that waits longest.

        Weights that are in place stay there until another owner lags behind noticeably.
        """

        def turn(task: ImageTask) -> tuple[float, int]:
            return self._time.of(task.owner), task.last_served

        first = min(waiting, key=turn)
        same_adapters = (task for task in waiting if task.pending and task.pending.key == self._key)
        same_files = (task for task in waiting if task.pending and task.pending.key.files == self._files)
        for ready, slack in ((same_adapters, ADAPTER_SLACK), (same_files, CHECKPOINT_SLACK)):
            stay = min(ready, key=turn, default=first)
            if self._time.of(stay.owner) - self._time.of(first.owner) < slack:
                return stay
        return first

    def _group(self, first: ImageTask, waiting: list[ImageTask]) -> list[ImageTask]:
        """The first image and those that can share its call, longest-waiting first, within the row limit.

        Empty when it does not wait for a network call.
        """
        if not isinstance(first.pending, Predict):
            return []
        if self._batch_invariant:
            return [first]
        wanted = _batch_signature(first.pending)
        most = self._rows.of(wanted, len(first.pending.x))
        group, rows = [first], len(first.pending.x)
        for task in sorted(waiting, key=lambda task: task.last_served):
            if task is first or not isinstance(task.pending, Predict):
                continue
            if _batch_signature(task.pending) != wanted:
                continue
            rows += len(task.pending.x)
            if rows > most:
                break
            group.append(task)
        return group

    def _answers(self, group: list[ImageTask]) -> list[Tensor | Exception]:
        """One network call for all; when it fails, one for each, so that only the guilty image fails."""
        requests = [task.pending for task in group if isinstance(task.pending, Predict)]
        self._hold([task.listener.job_id for task in group])
        begun = self._clock()
        answers: list[Tensor | Exception]
        try:
            answers = [*self._predict(requests)]
        except (WebuiError, RuntimeError, MemoryError) as error:
            answers = [error]
        seconds = self._clock() - begun
        rows = sum(len(request.x) for request in requests)
        for task, request in zip(group, requests, strict=True):
            self._book(task, seconds * len(request.x) / rows)
        if len(answers) != len(group):
            return [self._answers([task])[0] for task in group]
        self._rows.observe(_batch_signature(requests[0]), rows, seconds)
        if self._speeds is not None:
            self._speeds.row(requests[0].key.checkpoint, requests[0].x[0, 0].numel(), seconds / rows)
        return answers

    def _predict(self, requests: list[Predict]) -> list[Tensor]:
        model = self._use(requests[0].key)
        x = _joined([request.x for request in requests])
        timesteps = torch.cat([request.timesteps for request in requests])
        context = _joined([request.context for request in requests])
        vectors = [request.vector for request in requests if request.vector is not None]
        kept = [request.deep for request in requests if request.deep is not None]
        deep = DeepFeatures() if kept else None
        if deep is not None:
            deep.fill(kept)
        with torch.inference_mode():
            output = model.predict(
                x,
                timesteps,
                context,
                _joined(vectors) if vectors else None,
                token_merging=requests[0].token_merging,
                deep=deep,
            )
        sizes = [len(request.x) for request in requests]
        if deep is not None:
            for own, part in zip(kept, deep.split(sizes), strict=True):
                own.fill([part])
        return list(output.split(sizes))

    def _advance(self, task: ImageTask, answer: Answer | Exception) -> None:
        """Run an image until it needs the network again, ends or fails."""
        task.pending = None
        self._hold((task.listener.job_id,))
        begun = self._clock()
        try:
            image = self._run(task, answer)
        except Exception as error:  # noqa: BLE001 - the boundary: whatever an image raises ends that image only
            self._book(task, self._clock() - begun)
            self._drop(task)
            task.listener.failed(task, error)
            return
        self._book(task, self._clock() - begun)
        if image is not None:
            if self._speeds is not None and self._key is not None:
                cells = image.latent[0, 0].numel()
                self._speeds.picture(self._key.checkpoint, cells, self._clock() - begun)
            self._drop(task)
            task.listener.finished(task, image)

    def _run(self, task: ImageTask, answer: Answer | Exception) -> FinishedImage | None:
        """Send answers until the image is finished; None when it waits for the network or was stopped."""
        while not task.stopped:
            try:
                with torch.inference_mode():
                    if isinstance(answer, Exception):
                        effect = task.coroutine.throw(answer)
                    else:
                        effect = task.coroutine.send(answer)
            except StopIteration as end:
                image: FinishedImage = end.value
                return image
            answer = None
            if isinstance(effect, Predict):
                task.pending = effect
                return None
            if isinstance(effect, UseModel):
                if self._key is not None and effect.key.files != self._files:
                    task.pending = effect  # another checkpoint waits until it is this owner's turn
                    return None
                answer = self._use(effect.key)
            elif isinstance(effect, Elsewhere):
                task.elsewhere = effect
                return None
            elif isinstance(effect, StepEnd):
                answer = HALT if task.listener.step_ended(task, effect) else None
            else:
                task.listener.pass_ended(task, effect)
        return None

    def _model_for(self, task: ImageTask) -> LoadedModel | Exception:
        """Make the weights current that an image waits for."""
        self._hold((task.listener.job_id,))
        begun = self._clock()
        try:
            if task.pending is None:
                raise ValueError("the image waits for nothing")
            return self._use(task.pending.key)
        except (WebuiError, RuntimeError, MemoryError, OSError) as error:
            return error
        finally:
            self._book(task, self._clock() - begun)

    def _use(self, key: ModelKey) -> LoadedModel:
        self._key = key
        return self._use_model(key)

    @property
    def _files(self) -> Hashable:
        return None if self._key is None else self._key.files

    def _book(self, task: ImageTask, seconds: float) -> None:
        self._time.book(task.owner, seconds)
        task.listener.used_device(seconds)

    def _drop(self, task: ImageTask) -> None:
        task.stopped = True
        if task in self._tasks:
            self._tasks.remove(task)


def _joined(rows: list[Tensor]) -> Tensor:
    """All rows as one tensor; of a single image its own, which the device may know from its last call."""
    return rows[0] if len(rows) == 1 else torch.cat(rows)


def _batch_signature(request: Predict) -> Hashable:
    """Requests with equal signatures can share a network call."""
    vector = None if request.vector is None else request.vector.shape[1:]
    deep = None if request.deep is None else request.deep.is_known
    return (request.key, request.token_merging, deep, request.x.shape[1:], request.context.shape[1:], vector)
