"""What a job has to make: which pictures in which order, and what becomes of them.

An ordinary job works off the pictures of one plan. A job with a script asks the script
(:mod:`modules.generation.script_work`). :class:`~modules.generation.job_run.JobRun` runs either.
"""

from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from modules.domain.job import ResultImage
from modules.generation.effects import FinishedImage, ImageCoroutine
from modules.generation.plan import GenerationPlan, ImagePlan
from modules.generation.step_store import ImageMemory

__all__ = ["Ending", "ImageOutput", "PlanWork", "SavedImages", "StoryTeller", "Work", "WorkImage"]

StoryTeller = Callable[[ImagePlan, ImageMemory], ImageCoroutine]


class ImageOutput(Protocol):
    """Turns finished pixels into saved pictures and the job's ``info`` text.

    Attributes:
        comments: what went wrong with that, one sentence each.
    """

    comments: list[str]

    def save(self, image: ImagePlan, finished: FinishedImage) -> tuple[ResultImage, ...]:
        """Composite, write and describe one picture; masks that were asked for come behind it."""
        ...

    def close(self, images: tuple[ResultImage, ...]) -> tuple[tuple[ResultImage, ...], str]:
        """Write grids; returns them and the job's ``info`` as JSON text."""
        ...


@dataclass(frozen=True, eq=False)
class WorkImage:
    """One picture to be made.

    Attributes:
        key: number within the job, the same again after a crash; names what is kept of it.
        story: begins the picture's coroutine.
    """

    key: int
    plan: GenerationPlan
    image: ImagePlan
    story: StoryTeller


@dataclass(frozen=True)
class Ending:
    """What is shown at the end of a job: further pictures, and A1111's ``info`` as JSON text."""

    images: tuple[ResultImage, ...]
    info: str


@dataclass(frozen=True)
class SavedImages:
    """What became of one picture: what the job shows of it, and what was saved without being shown."""

    shown: tuple[ResultImage, ...] = ()
    hidden: tuple[ResultImage, ...] = ()


class Work(Protocol):
    """What a job has to make. Used by the engine's thread only."""

    @property
    def plan(self) -> GenerationPlan:
        """The plan of what is being made now."""
        ...

    @property
    def comments(self) -> Sequence[str]:
        """What could not be honoured so far, one sentence each."""
        ...

    def counts(self) -> tuple[int, int] | None:
        """Pictures made and pictures in all; None where the queue counts them itself."""
        ...

    def steps_left(self) -> int:
        """Sampling steps of all pictures that are not finished, as far as known."""
        ...

    def next_batch(self, *, interrupted: bool) -> tuple[WorkImage, ...]:
        """The pictures to be made next, side by side; none when there is nothing left to be made.

        Called when the last batch is through. ``interrupted``: the owner wants no more.
        """
        ...

    def save(self, image: WorkImage, finished: FinishedImage) -> SavedImages:
        """Save a finished picture."""
        ...

    def tolerates(self, image: WorkImage, error: Exception) -> bool:
        """Whether the job goes on although this picture cannot be made."""
        ...

    def close(self, images: tuple[ResultImage, ...]) -> Ending:
        """End the work, finished or not; ``images`` are those shown already."""
        ...


@dataclass
class PlanWork:
    """The pictures of one plan, batch by batch.

    Args:
        done: indexes of the pictures that an earlier run has finished.
    """

    plan: GenerationPlan
    story: StoryTeller
    output: ImageOutput
    done: Collection[int] = ()
    _batches: deque[tuple[WorkImage, ...]] = field(init=False)
    _unfinished: int = field(init=False)

    def __post_init__(self) -> None:
        size, images = self.plan.request.batch_size, self.plan.images
        batches = (
            tuple(
                WorkImage(image.index, self.plan, image, self.story)
                for image in images[start : start + size]
                if image.index not in self.done
            )
            for start in range(0, len(images), size)
        )
        self._batches = deque(filter(None, batches))
        self._unfinished = sum(map(len, self._batches))

    @property
    def comments(self) -> Sequence[str]:
        """See :class:`Work`."""
        return (*self.plan.comments, *self.output.comments)

    def counts(self) -> None:
        """See :class:`Work`."""
        return

    def steps_left(self) -> int:
        """See :class:`Work`."""
        return self._unfinished * self.plan.steps_total

    def next_batch(self, *, interrupted: bool) -> tuple[WorkImage, ...]:
        """See :class:`Work`."""
        return self._batches.popleft() if self._batches and not interrupted else ()

    def save(self, image: WorkImage, finished: FinishedImage) -> SavedImages:
        """See :class:`Work`."""
        self._unfinished -= 1
        return SavedImages(self.output.save(image.image, finished))

    def tolerates(self, image: WorkImage, error: Exception) -> bool:
        """See :class:`Work`."""
        return False

    def close(self, images: tuple[ResultImage, ...]) -> Ending:
        """See :class:`Work`."""
        return Ending(*self.output.close(images))
