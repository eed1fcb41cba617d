"""Reading pictures: their parameters, and what they show."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from modules.exceptions import NotFoundError
from modules.generation.pasting import parse_pasted
from modules.imaging.decode import decode_base64, load_image
from modules.imaging.metadata import read_infotext
from modules.server.errors import ERROR_RESPONSES
from modules.server.json_body import JsonRoute
from modules.services import Services, catalogs_of

__all__ = ["pictures_router"]


class PngInfoRequest(BaseModel):
    """A picture."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"image": "iVBORw0KGgo..."}]})

    image: str | None = Field("", description="base64, with or without a data URI prefix")


class PngInfoResponse(BaseModel):
    """What the picture's file says about its making."""

    info: str = Field(description="generation parameters as text, empty if there are none")
    items: dict[str, JsonValue] = Field(description="all texts in the file")
    parameters: dict[str, JsonValue] = Field(description="the parameters by name, as a paste reads them")


class InterrogateRequest(BaseModel):
    """A picture and who is to describe it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"image": "iVBORw0KGgo...", "model": "clip"}]})

    image: str | None = Field("", description="base64, with or without a data URI prefix")
    model: Annotated[str | None, Field(description="clip or deepdanbooru")] = "clip"


class InterrogateResponse(BaseModel):
    """A description."""

    caption: str = Field(description="what the picture shows, as a prompt")


def pictures_router(services: Services) -> APIRouter:
    """Routes that read pictures."""
    router = APIRouter(route_class=JsonRoute, tags=["pictures"], responses=ERROR_RESPONSES)

    @router.post("/sdapi/v1/png-info")
    def png_info(asked: PngInfoRequest) -> PngInfoResponse:
        """Generation parameters in a picture of any supported format."""
        if not (asked.image or "").strip():
            return PngInfoResponse(info="", items={}, parameters={})
        text, items = read_infotext(decode_base64(asked.image or "", field="image"))
        if text is None:
            return PngInfoResponse(info="", items=dict(items), parameters={})
        parameters: dict[str, JsonValue] = {
            key: list(value) if isinstance(value, list) else value
            for key, value in parse_pasted(text, services.settings.current, catalogs_of(services)).items()
        }
        return PngInfoResponse(info=text, items=dict(items), parameters=parameters)

    @router.post("/sdapi/v1/interrogate")
    def interrogate(asked: InterrogateRequest) -> InterrogateResponse:
        """Describe a picture in words.

        "clip" needs a captioning model in models/BLIP; by a model in models/CLIP it ranks the words of lists
        in interrogate/. "deepdanbooru" needs a tagging model in models/deepdanbooru. Nothing is fetched.
        """
        if not asked.image:
            raise NotFoundError("image", "Image not found")
        image = load_image(decode_base64(asked.image, field="image"))
        words = services.interrogator.describe(image, asked.model or "clip", services.settings.current)
        return InterrogateResponse(caption=words)

    return router
