"""Cards of models: lists, previews, what the files say, and the user's notes."""

from collections.abc import Mapping
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from modules.adapters.network_cards import CardKind, NetworkCard, NetworkCards, training_tags
from modules.checkpoints.loader import detect_checkpoint
from modules.exceptions import NotFoundError, RequestError, WebuiError
from modules.imaging.decode import picture_type
from modules.imaging.thumbnail import thumbnail_webp
from modules.server.answer_types import PICTURE_ANSWER
from modules.server.errors import ERROR_RESPONSES, require_admin
from modules.server.files import owned_picture
from modules.server.identity import Caller
from modules.server.json_body import JsonRoute
from modules.services import Services

__all__ = ["networks_router"]

PREVIEW_SIDE = 320  # pixels; a card is at most half as wide, on screens of twice the density
_HEADERS = {
    "cache-control": "private, max-age=31536000, immutable",  # the page asks with the time of the change
    "content-security-policy": "default-src 'none'; sandbox",
}
_SUFFIX = {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp", "image/avif": ".avif"}

Kind = Annotated[CardKind, Query(description="which tab the card is on")]
Name = Annotated[str, Query(max_length=1000, description="name of the model as the list has it")]


class CardModel(BaseModel):
    """One card. What is empty is left out of the answer."""

    kind: CardKind = Field(description="what it is")
    name: str = Field(description="by which the other routes know it")
    called: str = Field(description="what a prompt calls it; of a checkpoint its title")
    folder: str = Field("", description="folder below the kind's own, / between parts")
    version: str = Field("", description="sd1, sd2, sdxl; empty if unknown")
    created: float = Field(0.0, description="seconds since 1970")
    modified: float = Field(0.0, description="seconds since 1970")
    preview: float | None = Field(None, description="when its preview was changed; absent without one")
    hidden: bool = Field(False, description="it lies in a folder whose name begins with a dot")
    description: str = Field("", description="the user's words about it")
    activation_text: str = Field("", description="what is added to the prompt with it")
    preferred_weight: float = Field(0.0, description="0: the default of the settings")
    negative_text: str = Field("", description="what is added to the negative prompt with it")


class CardsModel(BaseModel):
    """All cards of one kind."""

    version: str = Field("", description="version of networks that fit the checkpoint that was named")
    cards: list[CardModel] = Field(description="in the order of their names")


class CardNotes(BaseModel):
    """What the user notes on a card; what is absent stays as it is."""

    description: str | None = Field(None, max_length=20_000, description="shown on the card")
    notes: str | None = Field(None, max_length=20_000, description="shown in its editor")
    version: Literal["", "SD1", "SD2", "SDXL"] | None = Field(
        None, description="family that it fits; empty if unknown"
    )
    activation_text: str | None = Field(None, max_length=20_000, description="added to the prompt with it")
    preferred_weight: float | None = Field(
        None, ge=0, le=2, allow_inf_nan=False, description="of its tag; 0 is the default of the settings"
    )
    negative_text: str | None = Field(
        None, max_length=20_000, description="added to the negative prompt with it"
    )
    vae: str | None = Field(None, max_length=500, description="of a checkpoint: the VAE to use with it")


class DetailsModel(BaseModel):
    """Everything about one card."""

    card: CardModel = Field(description="as in the list")
    file: str = Field(description="name of the file")
    size: int = Field(description="bytes")
    notes: CardNotes = Field(description="what the user noted")
    metadata: dict[str, str] = Field(description="what the file's header says")
    tags: list[tuple[str, int]] = Field(description="training tags and how often, most frequent first")
    editable: bool = Field(description="whether the caller may change the notes")


class CardName(BaseModel):
    """Which card."""

    kind: CardKind = Field(description="what it is")
    name: str = Field(max_length=1000, description="as in the list")


class NotesOfCard(CardName):
    """New notes for a card."""

    notes: CardNotes = Field(description="what is to be changed", examples=[{"activation_text": "in ink"}])


class PreviewOfCard(CardName):
    """A finished picture of the caller's for a card."""

    image: str = Field(description="id of the picture", examples=["0bX5cF2hT0iKqG7mZp3Y1w"])


def networks_router(services: Services) -> APIRouter:
    """Routes under /api/v1/networks."""
    router = APIRouter(
        prefix="/api/v1/networks", route_class=JsonRoute, tags=["models"], responses=ERROR_RESPONSES
    )
    folders = services.options.folders
    cards = NetworkCards(
        services.networks,
        services.embeddings,
        services.catalog,
        (folders.embeddings, folders.models / "Stable-diffusion", *folders.extra_checkpoints),
    )
    _add_lists(router, services, cards)
    _add_changes(router, services, cards)
    return router


def _add_lists(router: APIRouter, services: Services, cards: NetworkCards) -> None:
    @router.get("", response_model_exclude_defaults=True)
    def list_cards(
        kind: Kind,
        checkpoint: Annotated[str, Query(max_length=1000, description="the one that is in use")] = "",
        refresh: Annotated[bool, Query(description="look at the folders again")] = False,
    ) -> CardsModel:
        """All cards of a kind."""
        if refresh:
            cards.refresh()
        prefer_alias = services.settings.current.lora_preferred_name == "Alias from file"
        found = cards.cards(kind, prefer_alias=prefer_alias)
        return CardsModel(version=_version(services, checkpoint), cards=[_card(card) for card in found])

    @router.get("/details")
    def details(kind: Kind, name: Name, caller: Caller) -> DetailsModel:
        """What the file and the user say about one model."""
        card = cards.card(kind, name)
        metadata = cards.metadata(kind, name)
        return DetailsModel(
            card=_card(card),
            file=card.path.name,
            size=card.size,
            notes=_notes(card.notes),
            metadata={key: text for key, text in metadata.items() if not key.startswith("ssmd_")},
            tags=list(training_tags(metadata)),
            editable=caller.is_admin,
        )

    @router.get("/preview", response_class=Response, responses=PICTURE_ANSWER)
    async def preview(kind: Kind, name: Name) -> Response:
        """The picture on a card, made small."""
        path = await run_in_threadpool(cards.preview, kind, name)
        try:
            small = await run_in_threadpool(thumbnail_webp, path, PREVIEW_SIDE)
        except RequestError as error:
            raise NotFoundError("name", f"{path.name} is not a picture") from error
        return Response(small, media_type="image/webp", headers=_HEADERS)


def _add_changes(router: APIRouter, services: Services, cards: NetworkCards) -> None:
    @router.put("/notes")
    def write_notes(change: NotesOfCard, caller: Caller) -> CardModel:
        """Write the user's notes into the file beside the model, in A1111's form."""
        require_admin(caller)
        sent = change.notes.model_dump(exclude_unset=True)
        cards.write_notes(change.kind, change.name, {_KEYS[key]: value for key, value in sent.items()})
        return _card(cards.card(change.kind, change.name))

    @router.put("/preview")
    def write_preview(change: PreviewOfCard, caller: Caller) -> CardModel:
        """Put one of the caller's pictures on a card."""
        require_admin(caller)
        content = owned_picture(services.jobs, change.image, caller).read_bytes()
        kind = picture_type(content[:12])
        if kind is None:
            raise NotFoundError("image", "there is no such picture")
        cards.write_preview(change.kind, change.name, content, _SUFFIX[kind])
        return _card(cards.card(change.kind, change.name))


_KEYS = {  # ours -> A1111's in the note file
    "description": "description",
    "notes": "notes",
    "version": "sd version",
    "activation_text": "activation text",
    "preferred_weight": "preferred weight",
    "negative_text": "negative text",
    "vae": "vae",
}


def _card(card: NetworkCard) -> CardModel:
    notes = _notes(card.notes)
    return CardModel(
        kind=card.kind,
        name=card.name,
        called=card.called,
        folder=card.folder,
        version=card.version,
        created=card.created,
        modified=card.modified,
        preview=card.preview,
        hidden=card.is_hidden,
        description=notes.description or "",
        activation_text=notes.activation_text or "",
        preferred_weight=notes.preferred_weight or 0.0,
        negative_text=notes.negative_text or "",
    )


def _notes(stored: Mapping[str, object]) -> CardNotes:
    """Notes as far as they can be used; other programs write numbers as texts and the like."""
    weight = stored.get("preferred weight")
    version = stored.get("sd version")
    return CardNotes(
        description=_text(stored, "description"),
        notes=_text(stored, "notes"),
        version=version if version in ("SD1", "SD2", "SDXL") else None,
        activation_text=_text(stored, "activation text"),
        preferred_weight=weight if isinstance(weight, int | float) and 0 <= weight <= 2 else None,
        negative_text=_text(stored, "negative text"),
        vae=_text(stored, "vae", 500),
    )


def _text(stored: Mapping[str, object], key: str, longest: int = 20_000) -> str | None:
    value = stored.get(key)
    return value[:longest] if isinstance(value, str) else None


def _version(services: Services, checkpoint: str) -> str:
    if not checkpoint:
        return ""
    try:
        return detect_checkpoint(services.catalog.find_checkpoint(checkpoint)).family.network_version
    except WebuiError:
        return ""  # making a picture with it says what is wrong
