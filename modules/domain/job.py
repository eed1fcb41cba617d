"""A job as its owner sees it: states, live view, results. Plain data, no torch, no I/O."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

__all__ = ["JobKind", "JobState", "JobView", "Lasting", "ResultImage"]

Lasting = Literal["job", "pictures", "nothing"]
"""What of a job a power cut must not take back: the job from its submission on, or only what it has made
once that is shown, or nothing, where who waits for it takes its pictures with the one answer there is. A
killed server takes back nothing of any of them."""


class JobState(StrEnum):
    """Life of a job. The last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen to the job."""
        return self in (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


class JobKind(StrEnum):
    """What the runner has to do with the job's payload."""

    GENERATE = "generate"
    TRAIN = "train"


@dataclass(frozen=True)
class ResultImage:
    """One finished picture.

    Attributes:
        id: name under which the server hands the picture out, unguessable.
        path: absolute path of the saved file; pictures that are not to be kept lie in the blob store.
        index: position in the job, 0-based; grids have -1, masks shown beside a picture have its index.
        infotext: the generation parameters as written into the file.
    """

    id: str
    path: str
    index: int
    width: int
    height: int
    seed: int
    infotext: str


@dataclass(frozen=True)
class JobView:
    """Everything a page or client may show of a job at one moment.

    Attributes:
        version: grows with each change; followers compare it.
        position: place in the queue, 1 is next; 0 when not queued.
        progress: 0..1 over the whole job.
        step, steps: sampling step of the current picture(s).
        images_done, images_total: finished pictures and all pictures.
        eta_seconds: estimate of the time left, None until there is one.
        preview: latest preview as the bytes of a picture file, None before the first.
        preview_version: grows with each preview.
        images: finished pictures, in order of index.
        error: one sentence for the user when the job failed.
        error_kind: class of the error, one of ``modules.exceptions``; "" when it was none of ours.
        error_field: the request's field that is to blame, "" where none is.
        comments: messages beside the picture (a missing LoRA ...).
        info: JSON text with the job's resolved parameters (A1111's ``info``), "" until known.
    """

    id: str
    owner: str
    state: JobState
    version: int = 0
    position: int = 0
    progress: float = 0.0
    step: int = 0
    steps: int = 0
    images_done: int = 0
    images_total: int = 0
    eta_seconds: float | None = None
    text: str = ""
    preview: bytes | None = None
    preview_version: int = 0
    images: tuple[ResultImage, ...] = ()
    error: str | None = None
    error_kind: str = ""
    error_field: str = ""
    comments: tuple[str, ...] = ()
    info: str = ""
    created: float = 0.0
    started: float | None = None
    finished: float | None = None
