"""Prompts to conditioning: editing, chunks, text encoders, emphasis, sizes.

All texts that one prompt becomes over the steps are encoded together, since the reference's emphasis keeps
their common mean; texts of different prompts, and of different pictures, are never encoded together.
"""

from collections import Counter, OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from modules.adapters.patches import bundled_embeddings
from modules.adapters.textual_inversion import EmbeddingSource
from modules.checkpoints.execution import PROMPT_IS_LOST, in_float32, is_finite
from modules.checkpoints.model import LoadedModel
from modules.conditioning.chunks import ChunkedText, chunk_text
from modules.conditioning.conditioned import ComposedConditioning, Conditioning, ScheduledConditioning
from modules.conditioning.embedding_names import EmbeddingNames, EncoderShape, missing_embeddings
from modules.conditioning.old_emphasis import chunk_text_by_tokens
from modules.conditioning.options import EncodingOptions
from modules.conditioning.size_vector import size_vector
from modules.conditioning.text_states import TextRunner
from modules.conditioning.tokenizer import TokenizerFlavour, clip_tokenizer
from modules.domain.composition import split_composition
from modules.domain.extra_networks import extract_extra_networks
from modules.domain.prompt import parse_attention
from modules.domain.prompt_schedule import prompt_schedule
from modules.exceptions import NumericalError
from modules.runtime.attention import use_attention
from modules.runtime.device import Runtime

__all__ = [
    "ComposedConditioning",
    "Conditioning",
    "ConditioningCache",
    "EncodingOptions",
    "PromptEncoder",
    "ScheduledConditioning",
]

UsedEmbedding = tuple[str, str]
"""Name and short hash of an embedding as the infotext has them."""


@dataclass(frozen=True, eq=False)
class _Encoded:
    """Distinct texts of one prompt, encoded together, and what was noticed meanwhile."""

    by_text: dict[str, Conditioning]
    used: tuple[UsedEmbedding, ...]
    comments: tuple[str, ...]


class ConditioningCache:
    """Remembers the last encodings by everything they depend on.

    Args:
        capacity: how many prompts are kept; one of SDXL takes about 1 MB.
    """

    def __init__(self, capacity: int = 32) -> None:
        self._capacity = capacity
        self._entries: OrderedDict[Hashable, _Encoded] = OrderedDict()

    def find(self, key: Hashable) -> _Encoded | None:
        """Look up a prompt, making it the youngest."""
        if key in self._entries:
            self._entries.move_to_end(key)
        return self._entries.get(key)

    def keep(self, key: Hashable, encoded: _Encoded) -> None:
        """Remember a prompt, forgetting the oldest if there are too many."""
        self._entries[key] = encoded
        if len(self._entries) > self._capacity:
            self._entries.popitem(last=False)


@dataclass(frozen=True)
class _Request:
    """What an encoding depends on beside the model."""

    texts: tuple[tuple[str, int], ...]  # each with how often it occurs in the schedule
    width: int
    height: int
    is_negative: bool


class PromptEncoder:
    """Encodes the prompts of one job for one model with its adapters in force.

    Args:
        model: a loaded model; used until the next adapter is applied to it.
        embeddings: textual inversions that prompts may name.
        options: everything else that changes the result.
        cache: shared between encoders of the same ``cache_key``; a private one if not given.
        cache_key: names the model's weights with its adapters.
    """

    def __init__(
        self,
        model: LoadedModel,
        embeddings: EmbeddingSource,
        options: EncodingOptions | None = None,
        *,
        cache: ConditioningCache | None = None,
        cache_key: Hashable = (),
    ) -> None:
        self._model = model
        self._sources = (*bundled_embeddings(model), embeddings)
        self._options = options or EncodingOptions()
        self._cache = cache or ConditioningCache()
        versions = tuple(source.version for source in self._sources)
        self._cache_key = (cache_key, self._options, versions)
        self._comments: dict[str, None] = {}
        self._used: dict[bool, tuple[UsedEmbedding, ...]] = {False: (), True: ()}
        self._emphasised = False
        self._old_timelines = False

    @property
    def comments(self) -> tuple[str, ...]:
        """What could not be done as asked, one sentence each."""
        return tuple(self._comments)

    @property
    def used_embeddings(self) -> tuple[UsedEmbedding, ...]:
        """Names and short hashes for the infotext, in the reference's order and with its repetitions."""
        return self._used[False] + self._used[True]

    @property
    def emphasised(self) -> bool:
        """Whether any text had a bracket, so that the emphasis mode matters."""
        return self._emphasised

    @property
    def old_timelines(self) -> bool:
        """Whether any text changes at other steps because prompt editing is as before A1111 1.6."""
        return self._old_timelines

    def positive(
        self, text: str, steps: int, *, width: int, height: int, hires_steps: int | None = None
    ) -> ComposedConditioning:
        """Encode a prompt.

        Args:
            text: with styles applied and comments removed; extra network tags are ignored.
            steps: denoiser calls of the first pass (twice the steps for second-order samplers).
            width: of this pass's picture, in pixels.
            height: of this pass's picture, in pixels.
            hires_steps: denoiser calls of the second pass, if this is for the second pass.
        """
        text, _ = extract_extra_networks(text)
        parts = split_composition(text)
        scheduled = {
            part: self._scheduled(part, steps, hires_steps, (width, height), is_negative=False)
            for part in dict.fromkeys(part for part, _ in parts)
        }
        return ComposedConditioning(tuple((scheduled[part], weight) for part, weight in parts))

    def negative(
        self, text: str, steps: int, *, width: int, height: int, hires_steps: int | None = None
    ) -> ScheduledConditioning:
        """Encode a negative prompt; neither split at ``AND`` nor freed of tags. See :meth:`positive`."""
        return self._scheduled(text, steps, hires_steps, (width, height), is_negative=True)

    def empty(self) -> Tensor:
        """Context of the empty prompt, (77, D), with which shorter prompts may be filled up."""
        request = _Request((("", 1),), self._model.native_size, self._model.native_size, is_negative=False)
        return self._encoded(request).by_text[""].context

    def _scheduled(
        self, text: str, steps: int, hires_steps: int | None, size: tuple[int, int], *, is_negative: bool
    ) -> ScheduledConditioning:
        schedule = prompt_schedule(text, steps, hires_steps, self._options.use_old_scheduling)
        if self._options.use_old_scheduling:
            self._old_timelines |= schedule != prompt_schedule(text, steps, hires_steps)
        counts = Counter(scheduled for _, scheduled in schedule)
        encoded = self._encoded(_Request(tuple(counts.items()), *size, is_negative))
        self._emphasised |= any(bracket in scheduled for scheduled in counts for bracket in "([")
        self._comments |= dict.fromkeys((*encoded.comments, *missing_embeddings(text, self._sources)))
        self._used[is_negative] = encoded.used + self._used[is_negative]
        return ScheduledConditioning(tuple((end, encoded.by_text[scheduled]) for end, scheduled in schedule))

    def _encoded(self, request: _Request) -> _Encoded:
        key = (self._cache_key, request)
        found = self._cache.find(key)
        if found is None:
            found = self._encode(request)
            self._cache.keep(key, found)
        return found

    def _encode(self, request: _Request) -> _Encoded:
        roles = self._model.family.text_encoders
        texts = [text for text, _ in request.texts]
        counts = torch.tensor([count for _, count in request.texts], dtype=torch.float32)
        shape = EncoderShape(
            tuple(role.embedding_key for role in roles),
            tuple(encoder.width for encoder in self._model.text_encoders),
        )
        names: list[EmbeddingNames] = []
        chunked: list[list[ChunkedText]] = []
        comments: dict[str, None] = {}
        for role in roles:
            names.append(EmbeddingNames(self._sources, clip_tokenizer(role.architecture), shape))
            chunked.append([self._chunked(text, role.architecture, names[-1], comments) for text in texts])
            comments |= names[-1].comments
        context, pooled = self._run(chunked, names, counts)
        if request.is_negative and self._model.family.zeroes_empty_negative and not any(texts):
            context = torch.zeros_like(context)
            pooled = None if pooled is None else torch.zeros_like(pooled)
        vectors = self._vectors(pooled, request)
        by_text = {
            text: Conditioning(context[row], None if vectors is None else vectors[row])
            for row, text in enumerate(texts)
        }
        bundled = self._options.report_bundled
        used = [entry for found in reversed(names) for entry in _reported(found, bundled=bundled)]
        return _Encoded(by_text, tuple(used), tuple(comments))

    def _chunked(
        self, text: str, flavour: TokenizerFlavour, names: EmbeddingNames, comments: dict[str, None]
    ) -> ChunkedText:
        tokenizer, options = clip_tokenizer(flavour), self._options
        if options.use_old_emphasis:
            chunked, cut = chunk_text_by_tokens(
                text, tokenizer, embeddings=names, emphasised=options.emphasis != "None"
            )
            if cut:
                comments[f"Warning: too many input tokens; some have been truncated: {cut}"] = None
            return chunked
        pieces = ((text, 1.0),) if options.emphasis == "None" else parse_attention(text)
        return chunk_text(
            pieces, tokenizer, embeddings=names, comma_padding_backtrack=options.comma_padding_backtrack
        )

    def _run(
        self, chunked: Sequence[Sequence[ChunkedText]], names: Sequence[EmbeddingNames], counts: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """Run every text encoder; states side by side (B, T, D), and the pooled state (B, P).

        Raises:
            NumericalError: an encoder yields NaN or infinity, also in 32-bit floats.
        """
        length = max(len(text.chunks) for texts in chunked for text in texts)
        states, pooled = [], None
        runtime = self._model.runtime
        encoders = zip(self._model.text_encoders, self._model.family.text_encoders, strict=True)
        with torch.no_grad(), use_attention(runtime.attention):
            for index, (encoder, role) in enumerate(encoders):
                vectors = names[index].vectors(index)
                runner = TextRunner(encoder, role, self._options, runtime.device, vectors)
                with self._model.lent(encoder):
                    hidden, summary = _checked(runner, chunked[index], counts, length, runtime)
                states.append(hidden)
                pooled = summary if summary is not None else pooled
        return torch.cat(states, dim=-1), pooled

    def _vectors(self, pooled: Tensor | None, request: _Request) -> Tensor | None:
        kind = self._model.family.size_conditioning
        if kind == "none" or pooled is None:
            return None
        sizes = size_vector(
            kind, request.width, request.height, self._options, is_negative=request.is_negative
        )
        return torch.cat([pooled, sizes.to(pooled).expand(len(pooled), -1)], dim=-1)


def _checked(
    runner: TextRunner, texts: Sequence[ChunkedText], counts: Tensor, chunks: int, runtime: Runtime
) -> tuple[Tensor, Tensor | None]:
    """Encode texts; values that overflow are computed again in 32-bit floats, once."""
    out = runner.encode(texts, counts, chunks)
    if not runtime.check_values or _are_finite(out):
        return out
    if isinstance(runner.encoder, nn.Module) and runtime.dtype is not torch.float32:
        with in_float32(runner.encoder):
            out = runner.encode(texts, counts, chunks)
    if not _are_finite(out):
        raise NumericalError("text encoder", PROMPT_IS_LOST)
    return out


def _are_finite(states: tuple[Tensor, Tensor | None]) -> bool:
    return all(is_finite(each) for each in states if each is not None)


def _reported(names: EmbeddingNames, *, bundled: bool) -> list[UsedEmbedding]:
    """Used embeddings that have a hash, as the infotext names them."""
    return [
        (embedding.name.replace(":", "").replace(",", ""), embedding.shorthash)
        for embedding in names.matched.values()
        if embedding.shorthash and (bundled or not embedding.is_bundled)
    ]
