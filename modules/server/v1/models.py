"""What /api/v1 answers with."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from modules.domain.job import JobState, JobView, ResultImage

__all__ = ["ImageModel", "JobModel", "Order", "Place", "Uploaded", "image_model", "job_model"]


class ImageModel(BaseModel):
    """A finished picture."""

    id: str = Field(description="cannot be guessed; names the picture everywhere")
    url: str = Field(description="where its file is; ?thumb=256 makes it small")
    index: int = Field(description="place in the job, 0 is the first; grids have -1")
    width: int = Field(description="pixels")
    height: int = Field(description="pixels")
    seed: int = Field(description="that made it")
    infotext: str = Field(description="generation parameters as written into the file")


class JobModel(BaseModel):
    """A job at one moment."""

    id: str = Field(description="cannot be guessed; names the job everywhere")
    state: JobState = Field(description="where it is in its life")
    version: int = Field(description="grows with each change")
    position: int = Field(description="place in the queue, 1 is next; 0 when not waiting")
    progress: float = Field(description="0 to 1 over the whole job")
    step: int = Field(description="sampling step of the current picture")
    steps: int = Field(description="sampling steps of a picture")
    images_done: int = Field(description="finished pictures")
    images_total: int = Field(description="pictures in all")
    eta_seconds: float | None = Field(description="estimated time left")
    text: str = Field(description="what is being done, for people")
    preview_version: int = Field(description="grows with each preview; 0 before the first")
    images: list[ImageModel] = Field(description="finished pictures")
    error: str | None = Field(description="one sentence when the job failed")
    error_field: str | None = Field(description="the request's field that is to blame, if one is")
    comments: list[str] = Field(description="what could not be honoured")
    info: str = Field(description="JSON text with the resolved parameters, empty until known")
    created: float = Field(description="seconds since 1970, as are started and finished")
    started: float | None = Field(description="when the device began with it, null before")
    finished: float | None = Field(description="when it ended, null before")


class Uploaded(BaseModel):
    """A stored picture, to be named in image_to_image."""

    id: str = Field(description="names it in image_to_image")
    width: int = Field(description="pixels")
    height: int = Field(description="pixels")


class Place(BaseModel):
    """Where a waiting job is wanted."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"place": 1}]})

    place: int = Field(ge=1, le=10_000, description="among the caller's waiting jobs, 1 is first")


class Order(BaseModel):
    """Ids of waiting jobs in the wanted order."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"ids": ["4f0c...", "9be1..."]}]})

    ids: list[str] = Field(description="ids of the caller's waiting jobs, the first one next")


def image_model(image: ResultImage) -> ImageModel:
    """A picture as clients see it: never its path."""
    return ImageModel(
        id=image.id,
        url=f"/files/{image.id}",
        index=image.index,
        width=image.width,
        height=image.height,
        seed=image.seed,
        infotext=image.infotext,
    )


def job_model(view: JobView) -> JobModel:
    """A job as clients see it; the preview has a route of its own."""
    images: Sequence[ResultImage] = view.images
    return JobModel(
        id=view.id,
        state=view.state,
        version=view.version,
        position=view.position,
        progress=view.progress,
        step=view.step,
        steps=view.steps,
        images_done=view.images_done,
        images_total=view.images_total,
        eta_seconds=view.eta_seconds,
        text=view.text,
        preview_version=view.preview_version,
        images=[image_model(image) for image in images],
        error=view.error,
        error_field=view.error_field or None,
        comments=list(view.comments),
        info=view.info,
        created=view.created,
        started=view.started,
        finished=view.finished,
    )
