"""The picture that a page says is shown, if it is the visitor's."""

import gradio as gr

from modules.domain.job import ResultImage
from modules.exceptions import NotFoundError
from modules.jobs.queue import OwnedImage
from modules.jobs.service import JobService
from modules.webui.owner import owner_of
from modules.webui.result.live import selected_image

__all__ = ["pictures_of_job", "selected_picture"]


def selected_picture(jobs: JobService, payload: object, request: gr.Request) -> OwnedImage:
    """Look the selected picture up.

    Raises:
        gr.Error: there is none, or it is somebody else's.
    """
    try:
        return jobs.image(selected_image(payload)[1], owner_of(request))
    except NotFoundError:
        raise gr.Error("There is no picture yet: generate one first.") from None


def pictures_of_job(jobs: JobService, payload: object, request: gr.Request) -> tuple[ResultImage, ...]:
    """All pictures that the page shows, grids not counted.

    Raises:
        gr.Error: there are none, or they are somebody else's.
    """
    shown = payload.get("images") if isinstance(payload, dict) else None
    ids = [each.get("id") for each in shown if isinstance(each, dict)] if isinstance(shown, list) else []
    found = [selected_picture(jobs, {"selected": each}, request).image for each in ids]
    pictures = tuple(each for each in found if each.index >= 0)
    if not pictures:
        raise gr.Error("There is no picture yet: generate one first.")
    return pictures
