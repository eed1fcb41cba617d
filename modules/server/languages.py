"""Translations of the page, for its script."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from modules.domain.languages import LanguageCatalog
from modules.exceptions import NotFoundError

__all__ = ["languages_router"]


def languages_router(languages: LanguageCatalog) -> APIRouter:
    """Route ``/languages/<name>.json``."""
    router = APIRouter(tags=["page"])

    @router.get("/languages/{name}.json", response_model=dict[str, str])
    def translations(name: str) -> JSONResponse:
        """English text -> translation, as in A1111's localisation files."""
        found = languages.translations(name)
        if not found:
            raise NotFoundError("name", "there is no such language")
        return JSONResponse(found, headers={"cache-control": "private, max-age=60"})

    return router
