"""POST train/embedding and train/hypernetwork: A1111's arguments as recipes; answered at the end."""

from pathlib import Path
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from modules.domain.job import JobState
from modules.domain.principal import Principal
from modules.exceptions import NotFoundError, RequestError
from modules.server.errors import ERROR_RESPONSES, JobFailedError, require_admin
from modules.server.identity import Caller
from modules.server.json_body import JsonRoute
from modules.server.sdapi.adapters import Created
from modules.services import Services
from modules.training.finetuning.presets import merged
from modules.training.finetuning.recipe import MAX_STEPS, FineTuneRecipe, checked_recipe
from modules.training.finetuning.templates import TEMPLATES
from modules.training.stepped_rates import SteppedRates

__all__ = ["training_files_router"]

_TEMPLATE_FOLDER = "textual_inversion_templates"
MAX_TEMPLATES = 200


class _TrainingArguments(BaseModel):
    """What A1111's trainers take; arguments that are not listed change nothing here."""

    model_config = ConfigDict(extra="ignore")

    learn_rate: float | str = Field("0.005", description="one number, or several: 0.005:100, 1e-3:1000, 1e-5")
    batch_size: int = Field(1, ge=1, le=256, description="pictures at a time")
    gradient_step: int = Field(1, ge=1, le=1024, description="batches for one update")
    data_root: str = Field(description="folder with pictures")
    training_width: int = Field(512, ge=64, le=2048, description="pixels")
    training_height: int = Field(512, ge=64, le=2048, description="pixels; the larger side counts")
    varsize: bool = Field(False, description="keep the pictures' shapes")
    steps: int = Field(1000, ge=1, le=MAX_STEPS, description="updates")
    shuffle_tags: bool = Field(False, description="draw the order of tags anew at each step")
    tag_drop_out: float = Field(0, ge=0, lt=1, description="share of a caption's tags that are left out")
    latent_sampling_method: Literal["once", "deterministic", "random"] = Field(
        "once", description="when latents are drawn from what the autoencoder says"
    )
    use_weight: bool = Field(False, description="learn only where pictures are opaque")
    template_filename: str = Field(
        "", max_length=200, description=f"{', '.join(TEMPLATES)}, or a file in {_TEMPLATE_FOLDER}/"
    )
    create_image_every: int = Field(0, ge=0, description="steps between sample pictures")
    preview_prompt: str = Field("", max_length=5000, description="of the sample pictures")
    preview_steps: int = Field(20, ge=1, le=150, description="of the sample pictures")
    preview_cfg_scale: float = Field(7, ge=0, le=30, description="of the sample pictures")
    preview_seed: int = Field(42, description="of the sample pictures; below 0 is 42")
    clip_grad_mode: Literal["disabled", "value", "norm"] | None = Field(
        None, description="what of the gradients is limited; if not said, the norm"
    )
    clip_grad_value: float | None = Field(None, ge=0, description="the limit; 0 or none is 1")


class EmbeddingTraining(_TrainingArguments):
    """Training of a textual inversion."""

    embedding_name: str = Field(description="an embedding that was made before", examples=["my-cat"])
    save_embedding_every: int = Field(0, ge=0, description="steps between results that are kept")


class HypernetworkTraining(_TrainingArguments):
    """Training of a hypernetwork."""

    hypernetwork_name: str = Field(description="a hypernetwork that was made before", examples=["ink"])
    save_hypernetwork_every: int = Field(0, ge=0, description="steps between results that are kept")


def training_files_router(services: Services) -> APIRouter:
    """Routes that train what create/embedding and create/hypernetwork have made."""
    router = APIRouter(route_class=JsonRoute, tags=["training"], responses=ERROR_RESPONSES)

    @router.post("/sdapi/v1/train/embedding")
    async def train_embedding(asked: EmbeddingTraining, caller: Caller) -> Created:
        """Train an embedding with the current model and answer when that is done."""
        require_admin(caller)
        services.embeddings.refresh()
        name = asked.embedding_name
        if name not in services.embeddings.names():
            raise NotFoundError("embedding_name", f"there is no embedding {name!r}; create it first")
        own = {"kind": "textual-inversion", "name": name, "embedding": {"go_on": True}}
        recipe = _recipe(services, asked, {**own, "save_every": asked.save_embedding_every})
        return await _trained(services, recipe, caller, "embedding")

    @router.post("/sdapi/v1/train/hypernetwork")
    async def train_hypernetwork(asked: HypernetworkTraining, caller: Caller) -> Created:
        """Train a hypernetwork with the current model and answer when that is done."""
        require_admin(caller)
        services.networks.refresh()
        name = services.networks.find_hypernetwork(asked.hypernetwork_name).name
        own = {"kind": "hypernetwork", "name": name, "hypernetwork": {"start_from": name}, "replace": True}
        recipe = _recipe(services, asked, {**own, "save_every": asked.save_hypernetwork_every})
        return await _trained(services, recipe, caller, "hypernetwork")

    return router


def _recipe(services: Services, asked: _TrainingArguments, own: dict[str, object]) -> FineTuneRecipe:
    learning: dict[str, object] = {
        "steps": asked.steps,
        "batch": asked.batch_size,
        "accumulation": asked.gradient_step,
        "gradient_clipping": asked.clip_grad_mode,
        "max_gradient_norm": asked.clip_grad_value or None,
        **_rates(asked),
    }
    content: dict[str, object] = {
        "checkpoint": services.settings.current.sd_model_checkpoint or "",
        "data": {
            "folder": asked.data_root,
            "resolution": max(asked.training_width, asked.training_height) // 8 * 8,
            "buckets": asked.varsize or asked.training_width != asked.training_height,
            "shuffle_tags": asked.shuffle_tags,
            "keep_tags": 0,
            "tag_dropout": asked.tag_drop_out,
            "caption_dropout": 0,
            "latent_sampling": asked.latent_sampling_method,
            "alpha_masks": asked.use_weight,
            "templates": _templates(services, asked.template_filename),
        },
        "optimisation": learning,
        "samples": {
            "every": asked.create_image_every,
            "prompts": [asked.preview_prompt] if asked.preview_prompt else [],
            "steps": asked.preview_steps,
            "cfg_scale": asked.preview_cfg_scale,
            "seed": asked.preview_seed if asked.preview_seed >= 0 else None,
        },
    }
    return checked_recipe(merged(content, own))


def _rates(asked: _TrainingArguments) -> dict[str, object]:
    """The learning rate, or several; as with A1111 a training ends where they do.

    Raises:
        RequestError: they cannot be read.
    """
    try:
        rates = SteppedRates.parse(str(asked.learn_rate))
    except ValueError as error:
        raise RequestError("learn_rate", f"learn_rate: {error}") from error
    if rates.parts == ((rates.parts[0][0], None),):
        return {"learning_rate": rates.parts[0][0]}
    return {"rates": str(asked.learn_rate), "steps": min(asked.steps, rates.end or asked.steps)}


def _templates(services: Services, name: str) -> tuple[str, ...]:
    """Captions that a template's name stands for; no name is none.

    Raises:
        NotFoundError: there is no such file.
    """
    stem = Path(name).stem
    if not name or stem in TEMPLATES:
        return TEMPLATES[stem] if name else ()
    folder = services.options.folders.data.parent / _TEMPLATE_FOLDER
    path = next((file for file in folder.glob("*.txt") if name in {file.name, file.stem}), None)
    if path is None:
        raise NotFoundError(
            "template_filename", f"there is no template {name!r}; known are {', '.join(TEMPLATES)}"
        )
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return tuple(line.strip() for line in lines if line.strip())[:MAX_TEMPLATES]


async def _trained(services: Services, recipe: FineTuneRecipe, caller: Principal, what: str) -> Created:
    job_id = await run_in_threadpool(services.training.submit, recipe, caller.name)
    view = await services.jobs.ended(job_id)
    if view.state is JobState.CANCELLED:
        raise JobFailedError("the training was cancelled")
    if view.state is JobState.FAILED:
        raise JobFailedError(view.error or "the training failed", view.error_kind, view.error_field)
    path = services.training.room.result_path(recipe)
    return Created(info=f"train {what} complete: filename: {path} error: None")
