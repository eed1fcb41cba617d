"""The event loop of the device: many image coroutines, one network call at a time.

``Engine.tick`` collects the pending :class:`~modules.generation.effects.Predict` requests that share
weights and shapes, answers them with one batched call, and lets each image run on to its next request.
It knows nothing of jobs, prompts or files; an :class:`ImageListener` hears what happens to an image.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from modules.checkpoints.model import LoadedModel
from modules.exceptions import WebuiError
from modules.generation.effects import (
    HALT,
    Answer,
    FinishedImage,
    ImageCoroutine,
    ModelKey,
    PassDone,
    Predict,
    StepEnd,
    UseModel,
)

__all__ = ["Engine", "ImageListener", "ImageTask"]


class ImageListener(Protocol):
    """Who started an image hears of it here, in the engine's thread."""

    def started(self, task: "ImageTask") -> None:
        """The image has entered the engine; its first network call is still to come."""
        ...

    def step_ended(self, task: "ImageTask", step: StepEnd) -> bool:
        """A step has ended; True ends the image here with what there is."""
        ...

    def pass_ended(self, task: "ImageTask", done: PassDone) -> None:
        """A sampling pass has ended."""
        ...

    def finished(self, task: "ImageTask", image: FinishedImage) -> None:
        """The image is done."""
        ...

    def failed(self, task: "ImageTask", error: Exception) -> None:
        """The image could not be made."""
        ...


@dataclass(eq=False)
class ImageTask:
    """One running image. While ``paused`` it holds still and keeps all state."""

    coroutine: ImageCoroutine
    listener: ImageListener
    index: int
    pending: Predict | None = None
    last_served: int = 0
    paused: bool = False
    stopped: bool = False

    def stop(self) -> None:
        """Take the image out of the engine; its listener hears nothing more."""
        self.stopped = True
        self.coroutine.close()


class Engine:
    """Runs image coroutines on one device.

    Args:
        use_model: makes weights current and returns them (see :class:`UseModel`).
        batch_invariant: give every image a network call of its own, so that an image's bytes do not
            depend on its neighbours. Batching pays on GPUs; a CPU is saturated by one image.
        max_rows: most rows of one network call.
    """

    def __init__(
        self, use_model: Callable[[ModelKey], LoadedModel], *, batch_invariant: bool, max_rows: int = 16
    ) -> None:
        self._use_model = use_model
        self._batch_invariant = batch_invariant
        self._max_rows = max_rows
        self._tasks: list[ImageTask] = []
        self._clock = itertools.count(1)

    @property
    def tasks(self) -> tuple[ImageTask, ...]:
        """The images in flight, oldest first."""
        return tuple(self._tasks)

    def start(self, coroutine: ImageCoroutine, listener: ImageListener, index: int) -> ImageTask:
        """Let an image run up to its first network call.

        A new image counts as served now, so that it takes its turn and does not overtake.
        """
        task = ImageTask(coroutine, listener, index, last_served=next(self._clock))
        self._tasks.append(task)
        listener.started(task)
        self._advance(task, None)
        return task

    def tick(self) -> bool:
        """Serve one group of waiting images with one network call; False when there is none."""
        self._tasks = [task for task in self._tasks if not task.stopped]
        waiting = [task for task in self._tasks if task.pending is not None and not task.paused]
        if not waiting:
            return False
        group = self._group(min(waiting, key=lambda task: task.last_served), waiting)
        try:
            answers = self._predict([task.pending for task in group if task.pending is not None])
        except (WebuiError, RuntimeError) as error:
            for task in group:
                self._fail(task, error)
            return True
        for task, answer in zip(group, answers, strict=True):
            task.last_served = next(self._clock)
            self._advance(task, answer)
        return True

    def _group(self, first: ImageTask, waiting: list[ImageTask]) -> list[ImageTask]:
        """The longest-waiting image and those that can share its call, within the row limit."""
        if self._batch_invariant:
            return [first]
        wanted = _batch_signature(first.pending)
        group: list[ImageTask] = []
        rows = 0
        for task in sorted(waiting, key=lambda task: task.last_served):
            if task.pending is None or _batch_signature(task.pending) != wanted:
                continue
            rows += len(task.pending.x)
            if group and rows > self._max_rows:
                break
            group.append(task)
        return group

    def _predict(self, requests: list[Predict]) -> list[Tensor]:
        model = self._use_model(requests[0].key)
        x = torch.cat([request.x for request in requests])
        timesteps = torch.cat([request.timesteps for request in requests])
        context = torch.cat([request.context for request in requests])
        vectors = [request.vector for request in requests if request.vector is not None]
        with torch.inference_mode():
            output = model.predict(
                x,
                timesteps,
                context,
                torch.cat(vectors) if vectors else None,
                token_merging=requests[0].token_merging,
            )
        return list(output.split([len(request.x) for request in requests]))

    def _advance(self, task: ImageTask, answer: Answer) -> None:
        """Run an image until it needs the network again, ends or fails."""
        task.pending = None
        try:
            image = self._run(task, answer)
        except Exception as error:  # noqa: BLE001 - the boundary: whatever an image raises ends that image only
            self._fail(task, error)
            return
        if image is not None:
            self._drop(task)
            task.listener.finished(task, image)

    def _run(self, task: ImageTask, answer: Answer) -> FinishedImage | None:
        """Send answers until the image is finished; None when it waits for the network or was stopped."""
        while not task.stopped:
            try:
                with torch.inference_mode():
                    effect = task.coroutine.send(answer)
            except StopIteration as end:
                image: FinishedImage = end.value
                return image
            answer = None
            if isinstance(effect, Predict):
                task.pending = effect
                return None
            if isinstance(effect, UseModel):
                answer = self._use_model(effect.key)
            elif isinstance(effect, StepEnd):
                answer = HALT if task.listener.step_ended(task, effect) else None
            else:
                task.listener.pass_ended(task, effect)
        return None

    def _fail(self, task: ImageTask, error: Exception) -> None:
        self._drop(task)
        task.listener.failed(task, error)

    def _drop(self, task: ImageTask) -> None:
        task.stopped = True
        if task in self._tasks:
            self._tasks.remove(task)


def _batch_signature(request: Predict | None) -> tuple[object, ...]:
    """Requests with equal signatures can share a network call."""
    if request is None:
        return ()
    vector = None if request.vector is None else request.vector.shape[1:]
    return (request.key, request.token_merging, request.x.shape[1:], request.context.shape[1:], vector)
