"""A job as its followers see it, from what the queue keeps of it."""

from collections.abc import Sequence

from modules.domain.job import JobState, JobView, ResultImage
from modules.jobs.store import Job

__all__ = ["count_pictures", "view_of"]


def view_of(job: Job, images: tuple[ResultImage, ...]) -> JobView:
    """The view of a job that nobody has reported on yet, such as after a restart."""
    return JobView(
        id=job.id,
        owner=job.owner,
        state=job.state,
        progress=1.0 if job.state is JobState.DONE else 0.0,
        images_done=count_pictures(images),
        images_total=job.images_total,
        images=images,
        error=job.error,
        error_kind=job.error_kind,
        error_field=job.error_field,
        comments=job.comments,
        info=job.info,
        created=job.created,
        started=job.started,
        finished=job.finished,
    )


def count_pictures(images: Sequence[ResultImage]) -> int:
    """Number of pictures; grids (index -1) and masks (their picture's index) are not counted."""
    return len({image.index for image in images if image.index >= 0})
