"""The Extras tab over HTTP: enlarge pictures, restore faces. Nothing is saved."""

import base64
from html import escape
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from modules.domain.extras import ExtrasRequest, Upscaling
from modules.exceptions import RequestError
from modules.imaging.decode import decode_base64, load_image
from modules.imaging.metadata import encode_image, fitting_format, read_infotext
from modules.server.compression import already_compressed
from modules.server.identity import Caller
from modules.server.json_body import JsonRoute
from modules.server.sdapi.lenient import TEXTS_FROM_NUMBERS, WHOLE
from modules.services import Services

__all__ = ["extras_router"]

MAX_PICTURES = 500
MAX_ANSWER_BYTES = 512 * 1024 * 1024  # all pictures of a batch together, before base64

Visibility = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Side = Annotated[int, Field(ge=1, le=16384), WHOLE]


class ExtrasOptions(BaseModel):
    """What to do with the pictures."""

    model_config = TEXTS_FROM_NUMBERS

    resize_mode: Annotated[int, Field(ge=0, le=1), WHOLE] = Field(
        0, description="0 enlarges by a factor, 1 to a size"
    )
    show_extras_results: bool | None = Field(True, description="accepted for compatibility")
    gfpgan_visibility: Visibility = Field(0, description="share of GFPGAN's result; needs its files")
    codeformer_visibility: Visibility = Field(0, description="share of CodeFormer's result; needs its files")
    codeformer_weight: Visibility = Field(0, description="of CodeFormer: 0 changes most, 1 least")
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

    def as_request(self) -> ExtrasRequest:
        """The same in our words."""
        return ExtrasRequest(
            upscaling=Upscaling(
                by=self.upscaling_resize,
                to_size=self.resize_mode == 1,
                width=self.upscaling_resize_w,
                height=self.upscaling_resize_h,
                crop=self.upscaling_crop,
                upscaler_1=self.upscaler_1 or "None",
                upscaler_2=self.upscaler_2 or "None",
                upscaler_2_visibility=self.extras_upscaler_2_visibility,
            ),
            gfpgan_visibility=self.gfpgan_visibility,
            codeformer_visibility=self.codeformer_visibility,
            codeformer_weight=self.codeformer_weight,
        )


class SingleRequest(ExtrasOptions):
    """One picture and what to do with it."""

    image: str | None = Field(
        "", description="base64, with or without a data URI prefix", examples=["iVBORw0KGgo..."]
    )


class SingleResponse(BaseModel):
    """The picture."""

    html_info: str = Field(description="what was done, as HTML")
    image: str = Field(description="base64")


class NamedPicture(BaseModel):
    """A picture of a batch."""

    data: str = Field(description="base64, with or without a data URI prefix")
    name: str = Field("", description="of its file; accepted for compatibility")


class BatchRequest(ExtrasOptions):
    """Several pictures and what to do with them."""

    imageList: Annotated[list[NamedPicture], Field(max_length=MAX_PICTURES)] = Field(  # noqa: N815
        description="the pictures", examples=[[{"data": "iVBORw0KGgo...", "name": "cat.png"}]]
    )


class BatchResponse(BaseModel):
    """The pictures."""

    html_info: str = Field(description="what was done, as HTML")
    images: list[str] = Field(description="base64")


class UpscalerItem(BaseModel):
    """An upscaler."""

    model_config = {"protected_namespaces": ()}

    name: str = Field(description="for upscaler_1 and hr_upscaler")
    model_name: str | None = Field(description="A1111's name of the kind, null for those without a file")
    model_path: str | None = Field(description="its file; the full path for administrators only")
    model_url: str | None = Field(description="always null: nothing is downloaded")
    scale: float = Field(description="by which it enlarges on its own")


def extras_router(services: Services) -> APIRouter:
    """Routes that work on finished pictures."""
    router = APIRouter(route_class=JsonRoute, tags=["extras"], dependencies=[Depends(already_compressed)])

    @router.post("/sdapi/v1/extra-single-image")
    def extra_single_image(asked: SingleRequest) -> SingleResponse:
        """Work on one picture."""
        content, info = _processed(services, asked.as_request(), asked.image or "", "image")
        return SingleResponse(html_info=_html(info), image=base64.b64encode(content).decode("ascii"))

    @router.post("/sdapi/v1/extra-batch-images")
    def extra_batch_images(asked: BatchRequest) -> BatchResponse:
        """Work on several pictures, one after the other."""
        request = asked.as_request()
        services.extras.check(request, services.settings.current)
        images, info, left = [], "", MAX_ANSWER_BYTES
        for picture in asked.imageList:
            content, info = _processed(services, request, picture.data, "imageList")
            left -= len(content)
            if left < 0:
                raise RequestError("imageList", "the results are too large for one answer; send fewer")
            images.append(base64.b64encode(content).decode("ascii"))
        return BatchResponse(html_info=_html(info), images=images)

    @router.get("/sdapi/v1/upscalers")
    def upscalers(caller: Caller) -> list[UpscalerItem]:
        """Upscalers for Extras and for the second pass."""
        services.upscalers.refresh()
        return [
            UpscalerItem(
                name=file.name,
                model_name=file.kind,
                model_path=file.path and (str(file.path) if caller.is_admin else file.path.name),
                model_url=None,
                scale=file.scale,
            )
            for file in services.upscalers.listed(services.settings.current)
        ]

    return router


def _processed(services: Services, asked: ExtrasRequest, text: str, field: str) -> tuple[bytes, str]:
    """One picture as a file in the wanted format, with its old parameters; and what was done."""
    settings = services.settings.current
    content = decode_base64(text, field=field)
    done = services.extras.run(load_image(content, field=field), asked, settings)
    image = done.images[0]
    parameters, _items = read_infotext(content)
    encoded = encode_image(
        image,
        fitting_format(settings.samples_format, *image.size),
        parameters if settings.enable_pnginfo else None,
        items={"postprocessing": done.infotext} if settings.enable_pnginfo and done.infotext else None,
        quality=settings.jpeg_quality,
        lossless=settings.webp_lossless,
    )
    return encoded, done.infotext


def _html(infotext: str) -> str:
    return f"<p>{escape(infotext)}</p>" if infotext else ""
