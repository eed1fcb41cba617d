"""What /api/v1/history takes and answers with."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from modules.domain.infotext import split_infotext
from modules.history.difference import Difference, WordChange
from modules.history.picture import HistoryPicture

__all__ = [
    "CardModel",
    "Changed",
    "ComparisonModel",
    "PageModel",
    "PictureModel",
    "Pictures",
    "Starring",
    "TagCount",
    "Tagging",
    "card_model",
    "comparison_model",
    "picture_model",
]

MAX_SELECTED = 10_000  # pictures of one change

Ids = Annotated[
    list[str],
    Field(
        min_length=1,
        max_length=MAX_SELECTED,
        description="ids of own pictures",
        examples=[["0bX5cF2hT0iKqG7mZp3Y1w"]],
    ),
]
Tags = Annotated[list[str], Field(max_length=32)]


class Pictures(BaseModel):
    """Pictures to which something is to be done."""

    ids: Ids


class Starring(Pictures):
    """Pictures that get the star or lose it."""

    starred: bool = Field(description="true gives the star, false takes it")


class Tagging(Pictures):
    """Pictures that get and lose tags."""

    add: Tags = Field([], description="tags that they get")
    remove: Tags = Field([], description="tags that they lose")


class Changed(BaseModel):
    """How many pictures were concerned."""

    count: int = Field(description="pictures that are different now")


class TagCount(BaseModel):
    """A tag and how many pictures carry it."""

    tag: str = Field(description="in the user's words")
    count: int = Field(description="own pictures that carry it")


class CardModel(BaseModel):
    """A picture in a list."""

    id: str = Field(description="names the picture everywhere")
    name: str = Field(description="of its file")
    url: str = Field(description="where its file is")
    thumbnail: str = Field(description="where a small version is")
    kind: str = Field(description="txt2img, img2img, extras, grid or other")
    created: float = Field(description="seconds since 1970")
    width: int = Field(description="pixels")
    height: int = Field(description="pixels")
    starred: bool = Field(description="whether it has the star")
    binned: bool = Field(description="whether it lies in the bin")
    prompt: str = Field(description="beginning of its prompt")


class PageModel(BaseModel):
    """A stretch of a list."""

    pictures: list[CardModel] = Field(description="in the order that was asked for")
    cursor: str | None = Field(description="hand it in to get the next stretch; null at the end")
    total: int | None = Field(description="length of the whole list; only with its first stretch")


class ParameterModel(BaseModel):
    """One of the parameters."""

    name: str = Field(description="as infotexts call it")
    value: str = Field(description="as the file says it")


class PictureModel(CardModel):
    """A picture with all that is known of it."""

    infotext: str = Field(description="generation parameters as written into the file")
    negative_prompt: str = Field(description="what was to be avoided")
    parameters: list[ParameterModel] = Field(description="in the order of the file")
    tags: list[str] = Field(description="the user's own")
    parents: list[CardModel] = Field(description="own pictures that it was made from")
    children: list[CardModel] = Field(description="own pictures that were made from it")


class WordsModel(BaseModel):
    """A run of words that both have, only the first ("removed") or only the second ("added")."""

    kind: Literal["same", "removed", "added"] = Field(description="who has these words")
    text: str = Field(description="the words")


class ParameterPair(BaseModel):
    """A parameter of both; null where a picture does not have it."""

    name: str = Field(description="as infotexts call it")
    first: str | None = Field(description="value of the first picture")
    second: str | None = Field(description="value of the second picture")
    changed: bool = Field(description="whether the two differ")


class ComparisonModel(BaseModel):
    """From the first picture's parameters to the second's."""

    prompt: list[WordsModel] = Field(description="the prompts, run by run")
    negative_prompt: list[WordsModel] = Field(description="the negative prompts, run by run")
    parameters: list[ParameterPair] = Field(description="all that either of them has")


_PROMPT_START = 200  # characters; enough for a label


def card_model(picture: HistoryPicture) -> CardModel:
    """A picture in a list."""
    return CardModel.model_validate(_card(picture, split_infotext(picture.infotext).prompt[:_PROMPT_START]))


def picture_model(
    picture: HistoryPicture,
    tags: Sequence[str],
    parents: Sequence[HistoryPicture],
    children: Sequence[HistoryPicture],
) -> PictureModel:
    """A picture with all that is known of it."""
    document = split_infotext(picture.infotext)
    return PictureModel.model_validate(
        {
            **_card(picture, document.prompt),
            "infotext": picture.infotext,
            "negative_prompt": document.negative_prompt,
            "parameters": [{"name": name, "value": value} for name, value in document.parameters.items()],
            "tags": list(tags),
            "parents": [card_model(parent) for parent in parents],
            "children": [card_model(child) for child in children],
        }
    )


def comparison_model(difference: Difference) -> ComparisonModel:
    """A difference as clients see it."""
    return ComparisonModel(
        prompt=_words(difference.prompt),
        negative_prompt=_words(difference.negative_prompt),
        parameters=[
            ParameterPair(name=pair.name, first=pair.first, second=pair.second, changed=pair.is_change)
            for pair in difference.parameters
        ],
    )


def _card(picture: HistoryPicture, prompt: str) -> dict[str, object]:
    return {
        "id": picture.id,
        "name": picture.name,
        "url": f"/files/{picture.id}",
        "thumbnail": f"/api/v1/history/{picture.id}/thumbnail",
        "kind": picture.kind,
        "created": picture.created,
        "width": picture.width,
        "height": picture.height,
        "starred": picture.starred,
        "binned": picture.binned is not None,
        "prompt": prompt,
    }


def _words(changes: Sequence[WordChange]) -> list[WordsModel]:
    return [WordsModel(kind=change.kind, text=change.text) for change in changes]
