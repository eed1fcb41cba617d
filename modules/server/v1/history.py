"""Routes of /api/v1/history: everything the caller ever made. For others it does not exist."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response

from modules.domain.infotext import split_infotext
from modules.history.difference import compare
from modules.history.history import History
from modules.history.query import parse_query
from modules.server.errors import ERROR_RESPONSES
from modules.server.identity import Caller
from modules.server.json_body import JsonRoute
from modules.server.v1.history_models import (
    Changed,
    ComparisonModel,
    PageModel,
    PictureModel,
    Pictures,
    Starring,
    TagCount,
    Tagging,
    card_model,
    comparison_model,
    picture_model,
)

__all__ = ["history_router"]

_THUMBNAIL: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/webp": {}}, "description": "a small version"}
}
_HEADERS = {
    "cache-control": "private, max-age=31536000, immutable",  # an id never names another picture
    "content-security-policy": "default-src 'none'; sandbox",
}


def history_router(history: History) -> APIRouter:
    """Routes under /api/v1/history."""
    router = APIRouter(
        prefix="/api/v1/history", route_class=JsonRoute, tags=["history"], responses=ERROR_RESPONSES
    )
    _add_lists(router, history)
    _add_changes(router, history)
    _add_pictures(router, history)  # last: its paths would take the names of the others for ids
    return router


def _add_lists(router: APIRouter, history: History) -> None:
    index = history.index

    @router.get("")
    def search(
        caller: Caller,
        q: Annotated[str, Query(max_length=4000, description="what to look for; see docs/history.md")] = "",
        cursor: Annotated[str | None, Query(max_length=64, description="of the stretch before")] = None,
        limit: Annotated[int, Query(ge=1, le=500, description="how many at most")] = 100,
        binned: Annotated[bool, Query(alias="bin", description="what lies in the bin instead")] = False,
    ) -> PageModel:
        """Own pictures that fulfil a query, newest first."""
        page = index.search(caller.name, parse_query(q), cursor=cursor, limit=limit, binned=binned)
        return PageModel(
            pictures=[card_model(picture) for picture in page.pictures], cursor=page.cursor, total=page.total
        )

    @router.get("/tags")
    def list_tags(caller: Caller) -> list[TagCount]:
        """Own tags, the most used first."""
        return [TagCount(tag=tag, count=count) for tag, count in index.all_tags(caller.name).items()]

    @router.get("/compare")
    def compare_two(
        caller: Caller,
        first: Annotated[str, Query(description="id of a picture")],
        second: Annotated[str, Query(description="id of another one")],
    ) -> ComparisonModel:
        """What differs between the parameters of two own pictures, word by word."""
        pictures = index.pictures([first, second], caller.name)
        texts = [split_infotext(picture.infotext) for picture in pictures]
        return comparison_model(compare(texts[0], texts[1]))


def _add_changes(router: APIRouter, history: History) -> None:
    index = history.index

    @router.post("/star")
    def star(change: Starring, caller: Caller) -> Changed:
        """Give pictures the star, or take it."""
        pictures = index.pictures(change.ids, caller.name)
        index.star(pictures, change.starred)
        return Changed(count=len(pictures))

    @router.post("/tag")
    def tag(change: Tagging, caller: Caller) -> Changed:
        """Add tags to pictures and remove others."""
        pictures = index.pictures(change.ids, caller.name)
        index.change_tags(pictures, change.add, change.remove)
        return Changed(count=len(pictures))

    @router.post("/delete")
    def delete(selection: Pictures, caller: Caller) -> Changed:
        """Move pictures into the bin, from which they can be restored."""
        history.throw_in_bin(selection.ids, caller.name)
        return Changed(count=len(selection.ids))

    @router.post("/restore")
    def restore(selection: Pictures, caller: Caller) -> Changed:
        """Move pictures out of the bin to where they were."""
        history.restore(selection.ids, caller.name)
        return Changed(count=len(selection.ids))

    @router.post("/empty-bin")
    def empty_bin(caller: Caller) -> Changed:
        """Delete what lies in the caller's bin for good."""
        return Changed(count=history.empty_bin(caller.name))


def _add_pictures(router: APIRouter, history: History) -> None:
    index = history.index

    @router.get("/{picture_id}")
    def picture(picture_id: str, caller: Caller) -> PictureModel:
        """One picture with its parameters, tags and relatives; its file is at its ``url``."""
        found = index.picture(picture_id, caller.name)
        return picture_model(found, index.tags(found), index.parents(found), index.children(found))

    @router.get("/{picture_id}/thumbnail", response_class=Response, responses=_THUMBNAIL)
    def thumbnail(picture_id: str, caller: Caller) -> Response:
        """A small WebP version, made at the first time of asking."""
        content = history.thumbnail(picture_id, caller.name)
        return Response(content, media_type="image/webp", headers=_HEADERS)
