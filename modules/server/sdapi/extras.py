"""The Extras tab over HTTP: enlarge pictures."""

import base64
from html import escape
from typing import Annotated

from fastapi import APIRouter
from PIL import Image
from pydantic import BaseModel, Field

from modules.exceptions import NotFoundError, RequestError
from modules.imaging.decode import MAX_PIXELS, decode_base64, load_image
from modules.imaging.metadata import encode_image, read_infotext
from modules.imaging.upscale import PLAIN_UPSCALERS, Upscaler, upscale
from modules.server.json_body import JsonRoute
from modules.services import Services

__all__ = ["extras_router"]

MAX_PICTURES = 500

Visibility = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Side = Annotated[int, Field(ge=1, le=16384)]


class ExtrasOptions(BaseModel):
    """What to do with the pictures."""

    resize_mode: Annotated[int, Field(ge=0, le=1)] = Field(
        0, description="0 enlarges by a factor, 1 to a size"
    )
    show_extras_results: bool | None = Field(True, description="accepted for compatibility")
    gfpgan_visibility: Visibility = Field(0, description="needs GFPGAN, which is not built in")
    codeformer_visibility: Visibility = Field(0, description="needs CodeFormer, which is not built in")
    codeformer_weight: Visibility = Field(0, description="accepted for compatibility")
    upscaling_resize: Annotated[float, Field(gt=0, le=16, allow_inf_nan=False)] = Field(
        2, description="factor for mode 0"
    )
    upscaling_resize_w: Side = Field(512, description="width in pixels for mode 1")
    upscaling_resize_h: Side = Field(512, description="height in pixels for mode 1")
    upscaling_crop: bool = Field(True, description="cut to exactly the size in mode 1")
    upscaler_1: str | None = Field("None", description="name from /sdapi/v1/upscalers")
    upscaler_2: str | None = Field("None", description="second upscaler, blended in")
    extras_upscaler_2_visibility: Visibility = Field(0, description="share of the second upscaler")
    upscale_first: bool | None = Field(False, description="accepted for compatibility")


class SingleRequest(ExtrasOptions):
    """One picture and what to do with it."""

    image: str | None = Field("", description="base64, with or without a data URI prefix")


class SingleResponse(BaseModel):
    """The picture."""

    html_info: str = Field(description="what was done, as HTML")
    image: str = Field(description="base64")


class NamedPicture(BaseModel):
    """A picture of a batch."""

    data: str = Field(description="base64, with or without a data URI prefix")
    name: str = ""


class BatchRequest(ExtrasOptions):
    """Several pictures and what to do with them."""

    imageList: Annotated[list[NamedPicture], Field(max_length=MAX_PICTURES)] = Field(  # noqa: N815
        description="the pictures"
    )


class BatchResponse(BaseModel):
    """The pictures."""

    html_info: str = Field(description="what was done, as HTML")
    images: list[str] = Field(description="base64")


class UpscalerItem(BaseModel):
    """An upscaler."""

    model_config = {"protected_namespaces": ()}

    name: str
    model_name: str | None
    model_path: str | None
    model_url: str | None
    scale: float


def extras_router(services: Services) -> APIRouter:
    """Routes that enlarge pictures. Nothing is saved."""
    router = APIRouter(route_class=JsonRoute, tags=["extras"])

    @router.post("/sdapi/v1/extra-single-image")
    def extra_single_image(asked: SingleRequest) -> SingleResponse:
        """Enlarge one picture."""
        content = _processed(services, asked, asked.image or "", "image")
        return SingleResponse(html_info=_description(asked), image=content)

    @router.post("/sdapi/v1/extra-batch-images")
    def extra_batch_images(asked: BatchRequest) -> BatchResponse:
        """Enlarge several pictures."""
        images = [_processed(services, asked, picture.data, "imageList") for picture in asked.imageList]
        return BatchResponse(html_info=_description(asked), images=images)

    @router.get("/sdapi/v1/upscalers")
    def upscalers() -> list[UpscalerItem]:
        """Upscalers for Extras and for the second pass."""
        return [
            UpscalerItem(name=name, model_name=None, model_path=None, model_url=None, scale=4)
            for name in PLAIN_UPSCALERS
        ]

    return router


def _processed(services: Services, asked: ExtrasOptions, text: str, field: str) -> str:
    for name in ("gfpgan", "codeformer"):
        if getattr(asked, f"{name}_visibility") > 0:
            raise RequestError(f"{name}_visibility", f"no {name} model is installed; send 0")
    content = decode_base64(text, field=field)
    image = _enlarged(load_image(content, field=field), asked)
    infotext, _items = read_infotext(content)
    settings = services.settings.current
    encoded = encode_image(image, settings.samples_format, infotext, quality=settings.jpeg_quality)
    return base64.b64encode(encoded).decode("ascii")


def _enlarged(image: Image.Image, asked: ExtrasOptions) -> Image.Image:
    first, second = (
        _upscaler(getattr(asked, field) or "None", field) for field in ("upscaler_1", "upscaler_2")
    )
    if (asked.upscaler_1 or "None") == "None":
        return image
    if image.mode == "L":
        image = image.convert("RGB")
    width, height = asked.upscaling_resize_w, asked.upscaling_resize_h
    scale = asked.upscaling_resize
    if asked.resize_mode == 1:
        scale = max(width / image.width, height / image.height)
    if image.width * scale * image.height * scale > MAX_PIXELS:
        raise RequestError("upscaling_resize", f"the picture would have more than {MAX_PIXELS:,} pixels")
    if min(image.width * scale, image.height * scale) < 8:
        raise RequestError("upscaling_resize", "the picture would be smaller than 8 pixels")
    result = upscale(image, scale, first)
    if (asked.upscaler_2 or "None") != "None" and asked.extras_upscaler_2_visibility > 0:
        result = Image.blend(result, upscale(image, scale, second), asked.extras_upscaler_2_visibility)
    if asked.resize_mode == 1 and asked.upscaling_crop:
        cropped = Image.new(result.mode, (width, height))
        cropped.paste(result, (width // 2 - result.width // 2, height // 2 - result.height // 2))
        result = cropped
    return result


def _upscaler(name: str, field: str) -> Upscaler:
    try:
        return PLAIN_UPSCALERS[name]
    except KeyError:
        raise NotFoundError(field, f"there is no upscaler {name!r}; see /sdapi/v1/upscalers") from None


def _description(asked: ExtrasOptions) -> str:
    if (asked.upscaler_1 or "None") == "None":
        return ""
    size = (
        f"to: {asked.upscaling_resize_w}x{asked.upscaling_resize_h}"
        if asked.resize_mode == 1
        else f"by: {asked.upscaling_resize:g}"
    )
    return f"<p>{escape(f'Postprocess upscale {size}, Postprocess upscaler: {asked.upscaler_1}')}</p>"
