"""From a sampler's question to network calls and back: conditioning, guidance, masks.

The order within one call is A1111's: pick the conditioning of this call, mask (timestep samplers),
network, guidance, mask (sigma samplers), count. Every sampler question goes through here.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from modules.conditioning.conditioned import ComposedConditioning, Conditioning, ScheduledConditioning
from modules.diffusion.guidance import classifier_free_guidance, edit_guidance
from modules.diffusion.prediction import Prediction
from modules.diffusion.sampling import Evaluate, EvaluateEps, GuidedEps
from modules.generation.effects import Answer, Effect, ModelKey, Predict
from modules.networks.deep_features import DeepFeatures

__all__ = [
    "GuidanceOptions",
    "GuidedDenoiser",
    "LatentBlend",
    "ModelView",
    "PadMode",
    "PromptConditioning",
    "ShownAnswer",
]

PadMode = Literal["none", "empty", "v0"]
ShownAnswer = Literal["Combined", "Prompt", "Negative prompt"]

Asking = Generator[Effect, Answer, Tensor | GuidedEps]


@dataclass(frozen=True)
class PromptConditioning:
    """What the text encoders made of a picture's prompts for one pass.

    Attributes:
        empty: encoding of the empty prompt, (77, D); only needed for ``pad_cond_uncond``.
    """

    positive: ComposedConditioning
    negative: ScheduledConditioning
    empty: Tensor | None = None


@dataclass(frozen=True)
class GuidanceOptions:
    """How strongly, and at which calls, the prompt guides.

    Attributes:
        total_calls: denoiser calls of the whole pass as prompt editing counts them.
        s_min_uncond: below this noise level every second call goes without the negative prompt (NGMS).
        skip_early: up to this fraction of the calls only the positive prompt is run.
        pad: "none", "empty" (append blocks of the empty prompt) or "v0" (repeat or cut, before 1.6).
        shown: which answer previews show: the guided one, or that to one prompt alone.
    """

    cfg_scale: float
    total_calls: int
    image_cfg_scale: float | None = None
    s_min_uncond: float = 0.0
    s_min_uncond_all: bool = False
    skip_early: float = 0.0
    pad: PadMode = "none"
    shown: ShownAnswer = "Combined"


class LatentBlend(Protocol):
    """Keeps what the mask protects. ``sigma`` is the noise level, or the timestep."""

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Return ``x`` (1, C, h, w) with the protected cells put back."""
        ...


@dataclass(frozen=True)
class ModelView:
    """A model and everything of one picture that depends on it; a refiner brings another one.

    Attributes:
        concat: channels appended to the network's input, (1, K, h, w), or None.
        edits_images: the network was trained to edit a picture (instruct-pix2pix).
        token_merging: part of the tokens that self-attention does without, 0..1.
        deep_interval: calls that share the deep features of the first of them; 1 is none.
    """

    key: ModelKey
    prediction: Prediction
    conditioning: PromptConditioning
    concat: Tensor | None = None
    edits_images: bool = False
    token_merging: float = 0.0
    deep_interval: int = 1


class GuidedDenoiser:
    """Answers the questions of one sampler run, counting its calls.

    Args:
        view: the model to start with.
        switch: asked before each call with the noise level's timestep (0..999); returns a generator
            that ends with another view when the refiner takes over.
        blend: the mask, or None.
        calls: how many calls an interrupted run had made.
    """

    def __init__(
        self,
        view: ModelView,
        options: GuidanceOptions,
        *,
        timestep_of: Callable[[Tensor], Tensor],
        switch: Callable[[float, int], Generator[Effect, Answer, ModelView] | None] | None = None,
        blend: LatentBlend | None = None,
        calls: int = 0,
    ) -> None:
        self._view = view
        self._options = options
        self._timestep_of = timestep_of
        self._switch = switch
        self._blend = blend
        self._shown: Tensor | None = None
        self._stacked = _Stacked()
        self._deep: dict[int, DeepFeatures] = {}  # of each row since the last call that computed everything
        self.calls = calls

    @property
    def shown(self) -> Tensor | None:
        """x0 by one prompt alone at the last call, (1, C, h, w), for previews; None for the guided one."""
        return self._shown

    @property
    def key(self) -> ModelKey:
        """The model that answers now."""
        return self._view.key

    def answer(self, question: Evaluate | EvaluateEps) -> Asking:
        """Run the network for one question of the sampler."""
        level = question.sigma if isinstance(question, Evaluate) else question.timestep
        yield from self._maybe_switch(question)
        if isinstance(question, Evaluate):
            result: Tensor | GuidedEps = yield from self._denoised(question)
        else:
            result = yield from self._eps(question)
        if self._blend is not None and isinstance(result, Tensor):
            result = self._blend(result, level)
        self.calls += 1
        return result

    def _denoised(self, question: Evaluate) -> Asking:
        x, sigma = question.x, question.sigma
        prediction = self._view.prediction
        timestep = self._timestep_of(sigma) if question.timestep is None else question.timestep
        conds, weights, unconds = self._conditionings(float(sigma))
        outputs = yield from self._predict(prediction.model_input(x, sigma), timestep, conds, unconds)
        answers = [prediction.denoised(x, sigma, output) for output in outputs]
        one = self._one_answer(answers)
        self._shown = one if one is None or self._blend is None else self._blend(one, sigma)
        return self._guide(answers, weights, len(unconds))[0]

    def _eps(self, question: EvaluateEps) -> Asking:
        x, timestep = question.x, question.timestep
        if self._blend is not None:
            x = self._blend(x, timestep)
        conds, weights, unconds = self._conditionings(float(timestep))
        outputs = yield from self._predict(x, timestep, conds, unconds)
        answers = [self._view.prediction.eps_at_timestep(x, timestep, output) for output in outputs]
        one = self._one_answer(answers)
        if one is not None:
            alphas_cumprod = self._view.prediction.schedule.alphas_cumprod[int(timestep)].to(x)
            self._shown = (x - (1 - alphas_cumprod).sqrt() * one) / alphas_cumprod.sqrt()
        return GuidedEps(*self._guide(answers, weights, len(unconds)))

    def _one_answer(self, answers: list[Tensor]) -> Tensor | None:
        """The answer to the prompt or the negative prompt alone, where previews show that."""
        if self._options.shown == "Combined":
            return None
        return answers[0] if self._options.shown == "Prompt" else answers[-1]

    def _maybe_switch(self, question: Evaluate | EvaluateEps) -> Generator[Effect, Answer, None]:
        if self._switch is None:
            return
        timestep = (
            question.timestep if isinstance(question, EvaluateEps) else self._timestep_of(question.sigma)
        )
        switching = self._switch(float(timestep), self.calls)
        if switching is not None:
            self._view = yield from switching
            self._deep.clear()
            self._switch = None

    def _conditionings(self, level: float) -> tuple[list[Conditioning], list[float], list[Conditioning]]:
        """The texts of this call; no negative where it is skipped (then the weights bear no scale)."""
        prompts, options = self._view.conditioning, self._options
        conds = [part.at(self.calls) for part, _ in prompts.positive.parts]
        weights = [weight for _, weight in prompts.positive.parts]
        early = options.skip_early != 0 and self.calls / options.total_calls <= options.skip_early
        sparse = options.s_min_uncond > 0 and level < options.s_min_uncond
        if early or (sparse and (self.calls % 2 == 1 or options.s_min_uncond_all)):
            return conds, weights, []
        negative = prompts.negative.at(self.calls)
        return conds, weights, [negative, negative] if self._is_edit() else [negative]

    def _is_edit(self) -> bool:
        scale = self._options.image_cfg_scale
        return self._view.edits_images and scale is not None and scale != 1.0

    def _guide(self, answers: list[Tensor], weights: list[float], unconds: int) -> tuple[Tensor, Tensor]:
        """Combine the answers; returns the guided one and the unconditional one."""
        options = self._options
        if unconds == 0:
            first = answers[0]
            return classifier_free_guidance(answers, weights, first, 1.0), first
        if unconds == 2 and options.image_cfg_scale is not None:
            cond, image_only, uncond = answers
            guided = edit_guidance(
                cond, image_only, uncond, scale=options.cfg_scale, image_scale=options.image_cfg_scale
            )
            return guided, uncond
        conds, uncond = answers[:-1], answers[-1]
        return classifier_free_guidance(conds, weights, uncond, options.cfg_scale), uncond

    def _predict(
        self, x: Tensor, timestep: Tensor, conds: list[Conditioning], unconds: list[Conditioning]
    ) -> Generator[Effect, Answer, list[Tensor]]:
        """One output (1, C, h, w) for each conditioning; texts of different length run separately."""
        positive = _stack_parts([cond.context for cond in conds])
        negative = [uncond.context for uncond in unconds]
        if negative:
            positive, negative = self._pad(positive, negative)
        contexts = [*positive, *negative]
        vectors = [cond.vector for cond in (*conds, *unconds)]
        outputs: dict[int, Tensor] = {}
        if self.calls % self._view.deep_interval == 0:
            self._deep.clear()
        for length in dict.fromkeys(len(context) for context in contexts):
            rows = [i for i, context in enumerate(contexts) if len(context) == length]
            row_vectors = [vector for i in rows if (vector := vectors[i]) is not None]
            deep = self._deep_of(rows)
            output = yield Predict(
                key=self._view.key,
                x=torch.cat([self._with_concat(x, row, len(conds)) for row in rows]),
                timesteps=timestep.to(x.device, torch.float32).reshape(1).expand(len(rows)),
                context=self._stacked.of([contexts[i] for i in rows]),
                vector=self._stacked.of(row_vectors) if row_vectors else None,
                token_merging=self._view.token_merging,
                deep=deep,
            )
            if not isinstance(output, Tensor):
                raise TypeError(f"the denoiser asked for a prediction and was sent {type(output).__name__}")
            outputs |= dict(zip(rows, output.split(1), strict=True))
            if deep is not None:
                self._deep |= zip(rows, deep.split([1] * len(rows)), strict=True)
        return [outputs[i] for i in range(len(contexts))]

    def _deep_of(self, rows: list[int]) -> DeepFeatures | None:
        """Deep features of these rows, empty where one of them has none yet; None where none are shared."""
        if self._view.deep_interval == 1:
            return None
        deep = DeepFeatures()
        deep.fill([self._deep.get(row, deep) for row in rows])
        return deep

    def _with_concat(self, x: Tensor, row: int, cond_count: int) -> Tensor:
        """The network's input of one row; the second unconditional row of an edit sees no picture."""
        concat = self._view.concat
        if concat is None:
            return x
        return torch.cat([x, torch.zeros_like(concat) if row > cond_count else concat], dim=1)

    def _pad(self, positive: list[Tensor], negative: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Equalise the lengths of positive and negative texts where the options ask for it."""
        want = len(positive[0])
        empty = self._view.conditioning.empty
        if self._options.pad == "v0":
            return positive, [_repeat_last(text, want)[:want] for text in negative]
        if self._options.pad == "empty" and empty is not None:
            longest = max(want, len(negative[0]))
            return [_append(text, empty, longest) for text in positive], [
                _append(text, empty, longest) for text in negative
            ]
        return positive, negative


class _Stacked:
    """Rows as tensors; the same tensor for the same rows, so that a device need not get it again."""

    _KEPT = 4  # prompts that are in use at a time

    def __init__(self) -> None:
        self._known: dict[tuple[int, ...], tuple[list[Tensor], Tensor]] = {}

    def of(self, rows: list[Tensor]) -> Tensor:
        key = tuple(map(id, rows))  # they are kept, so that no others get their ids
        if key not in self._known:
            if len(self._known) >= self._KEPT:
                self._known.clear()
            self._known[key] = rows, torch.stack(rows)
        return self._known[key][1]


def _stack_parts(contexts: list[Tensor]) -> list[Tensor]:
    """Parts of one prompt get the longest part's length by repeating their last token vector."""
    longest = max(len(context) for context in contexts)
    return [_repeat_last(context, longest) for context in contexts]


def _repeat_last(context: Tensor, length: int) -> Tensor:
    missing = length - len(context)
    return context if missing <= 0 else torch.cat([context, context[-1:].expand(missing, -1)])


def _append(context: Tensor, block: Tensor, length: int) -> Tensor:
    while len(context) < length:
        context = torch.cat([context, block])
    return context
