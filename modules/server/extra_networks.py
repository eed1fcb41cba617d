"""What cards of models show over HTTP, at A1111's addresses: previews, metadata, one card.

A file is found only through the lists of models: no text of a request ever becomes a path.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse, Response
from pydantic import BaseModel, Field

from modules.exceptions import NotFoundError, RequestError
from modules.imaging.decode import decode_base64, picture_type
from modules.server.answer_types import PICTURE_ANSWER
from modules.services import Services

__all__ = ["extra_networks_router"]

_PREVIEW_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".avif")
_COVERS = "ssmd_cover_images"
_HEADERS = {"content-security-policy": "default-src 'none'; sandbox", "cache-control": "private, max-age=60"}

Page = Annotated[
    str, Query(description="lora, textual inversion, hypernetworks or checkpoints", examples=["lora"])
]
Item = Annotated[str, Query(description="name of the model as the lists have it", examples=["ink"])]


@dataclass(frozen=True)
class _Model:
    """One model of a page."""

    name: str
    path: Path
    metadata: Mapping[str, str] = field(default_factory=dict)

    def preview(self) -> Path | None:
        """The picture beside it: ``name.png`` or ``name.preview.png``."""
        for suffix in _PREVIEW_SUFFIXES:
            for path in (self.path.with_suffix(suffix), self.path.with_suffix(f".preview{suffix}")):
                if path.is_file() and path != self.path:
                    return path
        return None


class Metadata(BaseModel):
    """What a model's file says about itself."""

    metadata: str | None = Field(None, description="JSON text; absent when the file says nothing")


class Card(BaseModel):
    """One card."""

    html: str = Field(description="the card as HTML")


def extra_networks_router(services: Services) -> APIRouter:
    """Routes under /sd_extra_networks."""
    router = APIRouter(prefix="/sd_extra_networks", tags=["models"])
    pages = _pages(services)

    def find(page: str, item: str) -> _Model:
        models = pages.get(page.lower().replace("_", " "), tuple)()
        found = next((model for model in models if model.name == item), None)
        if found is None:
            raise NotFoundError("item", f"there is no {item[:100]!r} on the page {page[:40]!r}")
        return found

    @router.get("/thumb", response_class=FileResponse, responses=PICTURE_ANSWER)
    def thumb(
        filename: Annotated[str, Query(description="path of a preview as a card has it")] = "",
        page: Page = "",
        item: Item = "",
    ) -> Response:
        """The preview picture of a model, by its path or by page and item."""
        if item:
            path = find(page, item).preview()
        else:
            every = (model.preview() for models in pages.values() for model in models())
            path = next((path for path in every if path is not None and str(path) == filename), None)
        if path is None:
            raise NotFoundError("filename", "there is no such preview")
        return _picture(path.read_bytes())

    @router.get("/cover-images", response_class=Response, responses=PICTURE_ANSWER)
    def cover_images(
        page: Page = "", item: Item = "", index: Annotated[int, Query(ge=0, le=1000)] = 0
    ) -> Response:
        """A picture that a model's file carries in its metadata."""
        try:
            covers = json.loads(find(page, item).metadata.get(_COVERS, "[]"))
            return _picture(decode_base64(str(covers[index]), field="index"))
        except (ValueError, TypeError, LookupError, RecursionError, RequestError) as error:
            raise NotFoundError("index", "there is no such cover picture") from error

    @router.get("/metadata", response_model_exclude_none=True)
    def metadata(page: Page = "", item: Item = "") -> Metadata:
        """What a model's file says about its training; empty when it says nothing or is not there."""
        try:
            said = find(page, item).metadata
        except NotFoundError:
            return Metadata()
        shown = {key: value for key, value in said.items() if key != _COVERS}
        return Metadata(metadata=json.dumps(shown, indent=4, ensure_ascii=False) if shown else None)

    @router.get("/get-single-card")
    def get_single_card(
        page: Page = "",
        tabname: Annotated[str, Query(description="txt2img or img2img")] = "",
        name: Item = "",
    ) -> Card:
        """One model's card."""
        return Card(html=_card(page, find(page, name), tabname))

    return router


def _pages(services: Services) -> Mapping[str, Callable[[], tuple[_Model, ...]]]:
    """The models of each page, read when they are asked for."""
    embeddings, networks = services.embeddings, services.networks
    return {
        "lora": lambda: tuple(_Model(file.name, file.path, file.metadata) for file in networks.loras()),
        "hypernetworks": lambda: tuple(_Model(file.name, file.path) for file in networks.hypernetworks()),
        "textual inversion": lambda: tuple(
            _Model(name, embeddings.path(name)) for name in embeddings.names()
        ),
        "checkpoints": lambda: tuple(
            _Model(file.stem, file.path, file.metadata) for file in services.catalog.checkpoints()
        ),
    }


def _picture(content: bytes) -> Response:
    kind = picture_type(content[:12])
    if kind is None:
        raise NotFoundError("filename", "there is no such picture")
    return Response(content, media_type=kind, headers=_HEADERS)


def _card(page: str, model: _Model, tab: str) -> str:
    address = f"/sd_extra_networks/thumb?page={quote(page)}&item={quote(model.name, safe='')}"
    picture = (
        f'<img class="preview" loading="lazy" alt="" src="{escape(address)}">' if model.preview() else ""
    )
    name = escape(model.name)
    return (
        f'<div class="card" data-name="{name}" data-tab="{escape(tab)}">{picture}'
        f'<div class="actions"><span class="name">{name}</span></div></div>'
    )
