"""Submit and follow: what every button that makes pictures does."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

from modules.jobs.service import JobService
from modules.webui.messages import explain
from modules.webui.result.live import JobPicture, follow_jobs, notice_picture
from modules.webui.tab import GenerationTab

__all__ = ["submit_and_follow"]


async def submit_and_follow(
    jobs: JobService, tab: GenerationTab, submit: Callable[[], Sequence[str]], *, shown: int = -1
) -> AsyncIterator[JobPicture]:
    """Queue jobs and relay them to a tab; what cannot be done becomes a sentence beside its control.

    Args:
        jobs: where they run.
        tab: on which they are shown.
        submit: queues them and returns their ids; called in a thread.
        shown: how many pictures are shown at most, -1 for all.
    """
    try:
        job_ids = await asyncio.to_thread(submit)
    except Exception as error:  # noqa: BLE001  # boundary: whatever it is, the page says one sentence
        notice = explain(error)
        element = str(tab.form[notice.field].elem_id) if notice.field in tab.form else ""
        yield notice_picture(notice.text, element)
        return
    async for picture in follow_jobs(jobs, job_ids, shown=shown):
        yield picture
