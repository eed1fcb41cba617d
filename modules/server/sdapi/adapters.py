"""New textual inversions and hypernetworks over HTTP: administrators make their files."""

from itertools import pairwise
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field
from torch.nn.modules import activation

from modules.adapters.new_files import (
    HypernetworkShape,
    adapter_file_name,
    write_embedding,
    write_hypernetwork,
)
from modules.checkpoints.files import CheckpointFile
from modules.conditioning.initial_vectors import initial_vectors
from modules.exceptions import NotFoundError, RequestError
from modules.server.errors import ERROR_RESPONSES, require_admin
from modules.server.identity import Caller
from modules.server.json_body import JsonRoute
from modules.services import Services

__all__ = ["Created", "adapters_router"]

MAX_LAYERS = 8
MAX_WEIGHTS = 250_000_000  # of all layers together; a file of 1 GB
_NEEDS_MORE = ("multiheadattention", "threshold", "glu")  # activations that are more than their name
_ACTIVATIONS = frozenset(
    {"linear", "swish", *(name.lower() for name in activation.__all__)} - set(_NEEDS_MORE)
)
Size = Annotated[Literal["320", "640", "768", "1024", "1280"], Field(description="width of a context")]
Multiple = Annotated[float, Field(gt=0, le=16, allow_inf_nan=False)]
Probability = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]


class NewEmbedding(BaseModel):
    """A textual inversion to be made."""

    name: str = Field(description="the word that prompts will use", examples=["my-cat"])
    num_vectors_per_token: int = Field(1, ge=1, le=75, description="token positions that it takes")
    overwrite_old: bool | None = Field(False, description="replace a file of that name")
    init_text: str | None = Field("*", max_length=1000, description="words whose vectors it begins as")


class NewHypernetwork(BaseModel):
    """A hypernetwork to be made."""

    name: str = Field(description="the name that prompts will use", examples=["my-style"])
    enable_sizes: list[Size] = Field(
        ["768", "320", "640", "1280"], min_length=1, max_length=5, description="widths that get a network"
    )
    overwrite_old: bool | None = Field(False, description="replace a file of that name")
    layer_structure: str | list[Multiple] | None = Field(
        None, description='widths of the layers as multiples, "1, 2, 1" or a list; first and last are 1'
    )
    activation_func: str | None = Field(None, description="linear, relu, leakyrelu, elu, swish ...")
    weight_init: Literal["Normal", "XavierUniform", "XavierNormal", "KaimingUniform", "KaimingNormal"] = (
        Field("Normal", description="distribution of the first weights")
    )
    add_layer_norm: bool | None = Field(False, description="a normalisation after each layer")
    use_dropout: bool | None = Field(False, description="drop values at random while training")
    dropout_structure: str | list[Probability] | None = Field(
        None, description="probability for each width of layer_structure; first and last are 0"
    )


class Created(BaseModel):
    """What was made."""

    info: str = Field(
        description="one sentence with the file's place",
        examples=["create embedding filename: /studio/embeddings/my-cat.pt"],
    )


def adapters_router(services: Services) -> APIRouter:
    """Routes that make new embeddings and hypernetworks."""
    router = APIRouter(route_class=JsonRoute, tags=["training"], responses=ERROR_RESPONSES)

    @router.post("/sdapi/v1/create/embedding")
    def create_embedding(asked: NewEmbedding, caller: Caller) -> Created:
        """Make a textual inversion that begins as some words of the current model."""
        require_admin(caller)
        name = adapter_file_name(asked.name)
        file = _checkpoint_in_use(services)
        text = "" if asked.init_text is None else asked.init_text
        path = write_embedding(
            services.options.folders.embeddings,
            name,
            initial_vectors(file, text, asked.num_vectors_per_token),
            checkpoint=(file.shorthash or "", file.model_name),
            replace=bool(asked.overwrite_old),
        )
        services.embeddings.refresh()
        return Created(info=f"create embedding filename: {path}")

    @router.post("/sdapi/v1/create/hypernetwork")
    def create_hypernetwork(asked: NewHypernetwork, caller: Caller) -> Created:
        """Make a hypernetwork with random weights, for training."""
        require_admin(caller)
        name = adapter_file_name(asked.name)
        folder = services.options.folders.models / "hypernetworks"
        path = write_hypernetwork(folder, name, _shape(asked), replace=bool(asked.overwrite_old))
        services.networks.refresh()
        return Created(info=f"create hypernetwork filename: {path}")

    return router


def _checkpoint_in_use(services: Services) -> CheckpointFile:
    wanted = services.settings.current.sd_model_checkpoint
    if wanted:
        return services.catalog.find_checkpoint(wanted)
    files = services.catalog.checkpoints()
    if not files:
        raise NotFoundError("sd_model_checkpoint", "there is no checkpoint whose words could be used")
    return files[0]


def _shape(asked: NewHypernetwork) -> HypernetworkShape:
    layers = _numbers("layer_structure", asked.layer_structure) or (1.0, 2.0, 1.0)
    if not 2 <= len(layers) <= MAX_LAYERS or (layers[0], layers[-1]) != (1, 1):
        raise RequestError(
            "layer_structure", f"layer_structure must have 2 to {MAX_LAYERS} numbers and begin and end with 1"
        )
    if not all(0 < layer <= 16 for layer in layers):
        raise RequestError("layer_structure", "layer_structure must hold numbers above 0 and up to 16")
    sizes = tuple(dict.fromkeys(int(size) for size in asked.enable_sizes))
    weights = sum(2 * size**2 * a * b for size in sizes for a, b in pairwise(layers))
    if weights > MAX_WEIGHTS:
        raise RequestError("layer_structure", f"layer_structure would need {weights:,.0f} weights")
    function = (asked.activation_func or "linear").lower()
    if function not in _ACTIVATIONS:
        raise RequestError("activation_func", f"there is no activation {function[:40]!r}")
    return HypernetworkShape(
        sizes=sizes,
        layers=layers,
        activation=function,
        weight_init=asked.weight_init,
        layer_norm=bool(asked.add_layer_norm),
        dropout=_dropout(asked, len(layers)),
    )


def _dropout(asked: NewHypernetwork, length: int) -> tuple[float, ...]:
    if not asked.use_dropout:
        return ()
    given = _numbers("dropout_structure", asked.dropout_structure)
    dropout = given or (0.0, *[0.3] * (length - 2), 0.0)
    if len(dropout) != length or dropout[0] != 0 or dropout[-1] != 0 or not all(0 <= p < 1 for p in dropout):
        raise RequestError(
            "dropout_structure",
            f"dropout_structure must have {length} numbers below 1 and begin and end with 0",
        )
    return dropout


def _numbers(field: str, value: str | list[float] | None) -> tuple[float, ...]:
    """A list, or text such as "1, 2, 1", as numbers."""
    if not isinstance(value, str):
        return tuple(value or ())
    try:
        return tuple(float(part) for part in value.strip(" []()").split(",") if part.strip())
    except ValueError as error:
        raise RequestError(field, f"{field} must hold numbers with commas between them") from error
