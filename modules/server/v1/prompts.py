"""What becomes of a prompt, for the page that draws it below the words while they are typed."""

from functools import lru_cache
from itertools import accumulate

from fastapi import APIRouter
from pydantic import BaseModel, Field

from modules.adapters.textual_inversion import EmbeddingCatalog
from modules.conditioning.embedding_names import EmbeddingNames
from modules.conditioning.prompt_map import PromptMap, PromptTag, PromptWord, map_prompt
from modules.conditioning.tokenizer import clip_tokenizer
from modules.server.errors import ERROR_RESPONSES
from modules.server.json_body import JsonRoute
from modules.services import Services

__all__ = ["prompts_router"]


class PromptText(BaseModel):
    """A prompt as it is in the box."""

    text: str = Field(max_length=200_000, description="as typed", examples=["a (red:1.2) apple"])
    negative: bool = Field(False, description="whether it is the negative prompt")
    steps: int = Field(20, ge=1, le=1000, description="sampling steps, for prompt editing")
    styles: list[str] = Field(default_factory=list, max_length=100, description="styles that will be added")


class WordModel(BaseModel):
    """A word worth a mark. Places are counted in UTF-16 units, as JavaScript counts."""

    start: int = Field(description="its first unit")
    end: int = Field(description="behind its last unit")
    pieces: list[str] = Field(description="more than one when the model has no token for the word")
    cut: bool = Field(description="it goes on in the next chunk")
    embedding: str = Field(description="name of the textual inversion that it is; empty for a plain word")


class TagModel(BaseModel):
    """A tag such as <lora:name:1>."""

    start: int = Field(description="its first unit")
    end: int = Field(description="behind its last unit")
    kind: str = Field(description="lora or hypernet")
    name: str = Field(description="of the file")
    known: bool = Field(description="whether there is such a file and the tag is used")


class BandModel(BaseModel):
    """From the first to the last word of a chunk."""

    start: int = Field(description="its first unit")
    end: int = Field(description="behind its last unit")
    chunk: int = Field(description="number of the chunk, 0 is the first")


class PromptMapModel(BaseModel):
    """Chunks of 75 tokens and where they lie in the text."""

    count: int = Field(description="tokens in all")
    limit: int = Field(description="tokens up to the end of the last chunk")
    sizes: list[int] = Field(description="tokens in each chunk")
    bands: list[BandModel] = Field(description="where chunks lie")
    words: list[WordModel] = Field(description="words that are worth a mark")
    tags: list[TagModel] = Field(description="networks that the text names")


def prompts_router(services: Services) -> APIRouter:
    """Routes under /api/v1/prompts."""
    router = APIRouter(
        prefix="/api/v1/prompts", route_class=JsonRoute, tags=["prompts"], responses=ERROR_RESPONSES
    )

    @router.post("/map")
    def map_text(prompt: PromptText) -> PromptMapModel:
        """Count tokens, and say which words are in which chunk, cut, unknown or names of networks."""
        settings = services.settings.current
        styles = prompt.styles if settings.include_styles_into_token_counters else []

        def styled(text: str) -> str:
            pair = ("", text) if prompt.negative else (text, "")
            return services.styles.apply(*pair, styles)[prompt.negative]

        found = map_prompt(
            prompt.text,
            steps=prompt.steps,
            is_negative=prompt.negative,
            emphasis=settings.emphasis,
            embeddings=_names(services.embeddings, services.embeddings.version),
            comma_padding_backtrack=settings.comma_padding_backtrack,
            styled=styled,
        )
        return _model(found, prompt, services)

    @router.get("/names")
    def names() -> list[str]:
        """Names that a prompt may use: embeddings as they are, others as the tag's beginning."""
        networks = services.networks
        prefer_alias = services.settings.current.lora_preferred_name == "Alias from file"
        return [
            *services.embeddings.names(),
            *(f"<lora:{networks.prompt_name(file, prefer_alias=prefer_alias)}:" for file in networks.loras()),
            *(f"<hypernet:{file.name}:" for file in networks.hypernetworks()),
        ]

    return router


def _model(found: PromptMap, prompt: PromptText, services: Services) -> PromptMapModel:
    at = _utf16_places(prompt.text)
    marked = [word for word in found.words if len(word.pieces) > 1 or word.is_cut or word.embedding]
    return PromptMapModel(
        count=found.count,
        limit=found.limit,
        sizes=list(found.sizes),
        bands=[
            BandModel(start=at[words[0].start], end=at[words[-1].end], chunk=chunk)
            for chunk in range(len(found.sizes))
            if (words := [word for word in found.words if word.chunk == chunk])
        ],
        words=[_word_model(word, at) for word in marked],
        tags=[_tag_model(tag, at, prompt, services) for tag in found.tags],
    )


def _word_model(word: PromptWord, at: list[int]) -> WordModel:
    return WordModel(
        start=at[word.start],
        end=at[word.end],
        pieces=list(word.pieces),
        cut=word.is_cut,
        embedding=word.embedding,
    )


def _tag_model(tag: PromptTag, at: list[int], prompt: PromptText, services: Services) -> TagModel:
    known = not prompt.negative and services.networks.knows(tag.kind, tag.name)
    return TagModel(start=at[tag.start], end=at[tag.end], kind=tag.kind, name=tag.name, known=known)


def _utf16_places(text: str) -> list[int]:
    """For each place between characters, how many UTF-16 units are before it."""
    return [0, *accumulate(1 + (ord(character) > 0xFFFF) for character in text)]


@lru_cache(maxsize=2)
def _names(catalog: EmbeddingCatalog, version: int) -> EmbeddingNames:  # noqa: ARG001  # part of the key
    """Embedding names as tokens, made anew when the catalog's version changes."""
    return EmbeddingNames((catalog,), clip_tokenizer())
