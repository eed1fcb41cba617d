"""Teaching models over HTTP: sets of pictures, runs, their curves and samples. For administrators."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, JsonValue
from starlette.concurrency import run_in_threadpool

from modules.domain.principal import Principal
from modules.exceptions import NotFoundError, RequestError
from modules.imaging.thumbnail import thumbnail_webp
from modules.server.answer_types import PICTURE_ANSWER
from modules.server.errors import ERROR_RESPONSES, require_admin
from modules.server.identity import Caller
from modules.server.json_body import JsonRoute
from modules.server.v1.models import JobModel, job_model
from modules.services import Services
from modules.training.finetuning.curve import smoothed
from modules.training.finetuning.drawing import sample_path
from modules.training.finetuning.pictures import read_picture
from modules.training.finetuning.presets import PRESETS, merged, preset_kinds, preset_values
from modules.training.finetuning.recipe import checked_recipe
from modules.training.finetuning.sets import MAX_CAPTION, PictureSets

__all__ = ["training_router"]

_Checkpoint = Annotated[str, Query(max_length=500, description="title of one; else the current one")]
_Step = Annotated[int, Query(ge=0, description="of the samples; 0 is the newest")]
_POINTS = 200  # of a loss curve
_THUMBNAIL = 160  # pixels
_NO_STORE = {"cache-control": "no-store"}
_FILE_BODY = {
    "requestBody": {
        "required": True,
        "content": {"image/*": {"schema": {"type": "string", "format": "binary"}}},
    }
}


class NewTraining(BaseModel):
    """What is to be taught."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"recipe": {"kind": "lora", "name": "my-cat"}, "pictures": "my cat"}]}
    )

    recipe: dict[str, JsonValue] = Field(description="parts that differ from preset and defaults")
    preset: str | None = Field(None, description="name of the preset that it begins with")
    pictures: str | None = Field(None, description="set of pictures that were sent; else data.folder says it")


class TrainingModel(BaseModel):
    """A training at one moment, beside what its job says."""

    name: str = Field(description="of the file that it makes")
    kind: str = Field(description="lora, textual-inversion, hypernetwork or dreambooth")
    losses: list[float] = Field(description=f"moving mean of the loss, at most {_POINTS} points")
    sample: int = Field(description="step of the newest sample pictures; 0 before the first")
    samples: list[int] = Field(description="steps of all sample pictures")
    can_go_on: bool = Field(description="whether it was stopped or failed, and left what it can go on from")


class StoppedTraining(BaseModel):
    """A training that was stopped or has failed before its last step, and can go on."""

    id: str = Field(description="of its last job")
    name: str = Field(description="of the file that it makes")
    kind: str = Field(description="lora, textual-inversion, hypernetwork or dreambooth")
    finished: float | None = Field(description="when it stopped, seconds since 1970")


class SetModel(BaseModel):
    """Pictures that were sent."""

    captions: dict[str, str] = Field(
        description="caption of each picture by its file's name", examples=[{"1.png": "a red fox in snow"}]
    )


class Added(BaseModel):
    """A picture that was taken into a set."""

    file: str = Field(description="its name there")


def training_router(services: Services) -> APIRouter:
    """Routes under /api/v1/training."""
    router = APIRouter(
        prefix="/api/v1/training", route_class=JsonRoute, tags=["training"], responses=ERROR_RESPONSES
    )
    _add_runs(router, services)
    _add_sets(router, services)
    return router


def _add_runs(router: APIRouter, services: Services) -> None:
    training = services.training
    sets = _sets(services)

    @router.get("/presets")
    def presets(caller: Caller, checkpoint: _Checkpoint = "") -> dict[str, JsonValue]:
        """Starting values of recipes by model and memory; those that fit a checkpoint come first.

        Values are a LoRA's; `kinds` says what differs for a textual-inversion, a hypernetwork, or a
        checkpoint that DreamBooth leaves.
        """
        require_admin(caller)
        first = training.room.fitting_preset(checkpoint or services.settings.current.sd_model_checkpoint)
        names = sorted(PRESETS, key=lambda name: name != first)
        return {name: _plain({**PRESETS[name], "kinds": preset_kinds(name)}) for name in names}

    @router.post("/jobs", status_code=201)
    async def start(asked: NewTraining, caller: Caller) -> JobModel:
        """Check everything, queue a training and return at once."""
        require_admin(caller)
        job_id = await run_in_threadpool(_submit, services, sets, asked, caller)
        return job_model(services.jobs.view(job_id))

    @router.get("/jobs/{job_id}")
    def get_training(job_id: str, caller: Caller) -> TrainingModel:
        """Loss and samples of a training of the caller's."""
        folder = _own_folder(services, job_id, caller)
        recipe = training.recipe(job_id)
        samples = _sample_steps(folder)
        return TrainingModel(
            name=recipe.name,
            kind=recipe.kind,
            losses=_points(training.losses(job_id)),
            sample=samples[-1] if samples else 0,
            samples=samples,
            can_go_on=training.can_go_on(job_id),
        )

    @router.get("/jobs")
    def list_stopped(caller: Caller) -> list[StoppedTraining]:
        """The caller's trainings that were stopped or have failed, and can go on."""
        require_admin(caller)
        return [_stopped(services, job_id) for job_id in training.stopped(caller.name)]

    @router.post("/jobs/{job_id}/continue", status_code=201)
    async def go_on(job_id: str, caller: Caller) -> JobModel:
        """Queue the rest of a training that was stopped or has failed; it goes on from its last state."""
        _own_folder(services, job_id, caller)
        new_id = await run_in_threadpool(training.go_on, job_id, caller.name)
        return job_model(services.jobs.view(new_id))

    @router.delete("/jobs/{job_id}")
    def forget(job_id: str, caller: Caller) -> list[StoppedTraining]:
        """Remove state, samples and curve of a training that is over; its result stays."""
        _own_folder(services, job_id, caller)
        training.forget(job_id)
        return [_stopped(services, other) for other in training.stopped(caller.name)]

    @router.get("/jobs/{job_id}/curve", response_class=Response, responses=PICTURE_ANSWER)
    def get_curve(job_id: str, caller: Caller) -> Response:
        """The loss curve as a PNG."""
        path = _own_folder(services, job_id, caller) / "loss.png"
        if not path.is_file():
            raise NotFoundError("job_id", "there is no loss curve yet")
        return Response(path.read_bytes(), media_type="image/png", headers=_NO_STORE)

    @router.get("/jobs/{job_id}/sample", response_class=Response, responses=PICTURE_ANSWER)
    def get_sample(job_id: str, caller: Caller, step: _Step = 0) -> Response:
        """The sample pictures of a step, side by side, as a PNG."""
        folder = _own_folder(services, job_id, caller)
        samples = _sample_steps(folder)
        if not samples:
            raise NotFoundError("job_id", "there are no samples yet")
        wanted = step or samples[-1]
        if wanted not in samples:
            raise NotFoundError("step", f"there are no samples of step {wanted}")
        content = sample_path(folder, wanted).read_bytes()
        return Response(content, media_type="image/png", headers=_NO_STORE)


def _sets(services: Services) -> PictureSets:
    return PictureSets(services.options.folders.data / "training-sets")


def _add_sets(router: APIRouter, services: Services) -> None:
    sets = _sets(services)

    @router.get("/sets")
    def list_sets(caller: Caller) -> list[str]:
        """Names of the sets of pictures that were sent."""
        require_admin(caller)
        return list(sets.names())

    @router.get("/sets/{name}")
    def get_set(name: str, caller: Caller) -> SetModel:
        """Pictures of a set with their captions; a set that nobody has sent is empty."""
        require_admin(caller)
        return SetModel(captions=sets.captions(name))

    @router.put("/sets/{name}")
    def write_captions(name: str, written: SetModel, caller: Caller) -> SetModel:
        """Write captions; pictures that are not named keep theirs."""
        require_admin(caller)
        sets.write_captions(name, written.captions)
        return SetModel(captions=sets.captions(name))

    @router.post("/sets/{name}/pictures", status_code=201, openapi_extra=_FILE_BODY)
    async def add_picture(
        name: str,
        caller: Caller,
        request: Request,
        file: Annotated[str, Query(max_length=200, description="the file's name")],
    ) -> Added:
        """Put a picture (the file itself is the body) into a set."""
        require_admin(caller)
        content = await request.body()
        return Added(file=await run_in_threadpool(sets.add, name, file, content))

    @router.get("/sets/{name}/pictures/{file}", response_class=Response, responses=PICTURE_ANSWER)
    def get_picture(name: str, file: str, caller: Caller) -> Response:
        """A picture of a set, small."""
        require_admin(caller)
        content = thumbnail_webp(sets.picture(name, file), _THUMBNAIL)
        return Response(content, media_type="image/webp", headers=_NO_STORE)

    @router.post("/sets/{name}/pictures/{file}/describe")
    def describe_picture(
        name: str,
        file: str,
        caller: Caller,
        method: Annotated[str, Query(max_length=40, description="clip for sentences, deepdanbooru for tags")],
    ) -> SetModel:
        """Let a model that is installed here write a picture's caption."""
        require_admin(caller)
        image, _ = read_picture(sets.picture(name, file))
        text = services.interrogator.describe(image, method, services.settings.current)
        sets.write_captions(name, {file: text[:MAX_CAPTION]})
        return SetModel(captions=sets.captions(name))

    @router.delete("/sets/{name}/pictures/{file}")
    def remove_picture(name: str, file: str, caller: Caller) -> SetModel:
        """Take a picture and its caption out of a set."""
        require_admin(caller)
        sets.remove(name, file)
        return SetModel(captions=sets.captions(name))


def _submit(services: Services, sets: PictureSets, asked: NewTraining, caller: Principal) -> str:
    if asked.preset is not None and asked.preset not in PRESETS:
        raise RequestError("preset", f"there is no preset {asked.preset!r}; there are {', '.join(PRESETS)}")
    place: Mapping[str, object] = {}
    if asked.pictures is not None:
        if not sets.captions(asked.pictures):
            raise RequestError("pictures", f"there are no pictures in the set {asked.pictures!r} yet")
        place = {"data": {"folder": str(sets.place(asked.pictures))}}
    preset = preset_values(asked.preset, asked.recipe.get("kind"), asked.recipe.get("result"))
    current = {"checkpoint": services.settings.current.sd_model_checkpoint}
    recipe = checked_recipe(merged(current, preset, asked.recipe, place))
    return services.training.submit(recipe, caller.name)


def _own_folder(services: Services, job_id: str, caller: Principal) -> Path:
    require_admin(caller)
    services.jobs.owned_view(job_id, caller.name)
    return services.training.folder_of(job_id)


def _stopped(services: Services, job_id: str) -> StoppedTraining:
    recipe = services.training.recipe(job_id)
    finished = services.jobs.view(job_id).finished
    return StoppedTraining(id=job_id, name=recipe.name, kind=recipe.kind, finished=finished)


def _sample_steps(folder: Path) -> list[int]:
    return sorted(int(path.stem) for path in sample_path(folder, 0).parent.glob("*.png"))


def _points(losses: list[float]) -> list[float]:
    mean = smoothed(losses).tolist() if losses else []
    every = -(-len(mean) // _POINTS) or 1
    return [round(value, 5) for value in mean[::every]]


def _plain(part: object) -> JsonValue:
    if isinstance(part, Mapping):
        return {str(key): _plain(value) for key, value in part.items()}
    return part if isinstance(part, str | int | float | bool) else None
