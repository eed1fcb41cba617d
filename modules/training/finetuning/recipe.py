"""A recipe of fine-tuning: everything a run depends on, as the page, a YAML file or a queued job say it."""

from pathlib import Path
from typing import Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from modules.adapters.hypernetwork import activation_named
from modules.exceptions import AdapterError, TrainingError
from modules.training.finetuning.templates import TEMPLATES
from modules.training.optimisers import OptimiserKind
from modules.training.stepped_rates import SteppedRates

__all__ = [
    "KINDS",
    "DataChoice",
    "EmbeddingShape",
    "FineTuneRecipe",
    "HypernetworkChoice",
    "Kind",
    "LoraShape",
    "Optimisation",
    "PriorChoice",
    "SampleChoice",
    "checked_recipe",
    "read_recipe",
]

Kind = Literal["lora", "textual-inversion", "hypernetwork", "dreambooth"]
KINDS: tuple[Kind, ...] = ("lora", "textual-inversion", "hypernetwork", "dreambooth")

MAX_STEPS = 1_000_000


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataChoice(_Part):
    """Which pictures, and what is said about them."""

    folder: str = Field(description="folder with pictures; sub-folders named 10_words repeat theirs 10 times")
    trigger: str = Field("", max_length=200, description="the word for what is taught; [name] in templates")
    templates: tuple[str, ...] = Field(
        (),
        description=(
            "captions with [name] and [filewords] in them, one of which is drawn at each step; or one of the "
            f"words {', '.join(TEMPLATES)}"
        ),
    )
    resolution: int | None = Field(
        None, ge=32, le=2048, multiple_of=8, description="pixels; the model's own size if not given"
    )
    bucket_step: int = Field(64, ge=8, le=512, multiple_of=8, description="pixels between shapes of buckets")
    buckets: bool = Field(True, description="keep the pictures' shapes; else all are cropped to squares")
    repeats: int = Field(1, ge=1, le=1000, description="how often a picture is seen in one round")
    flip: bool = Field(False, description="also mirrored; not for what has a left and a right")
    shuffle_tags: bool = Field(False, description="draw the order of the caption's tags anew at each step")
    keep_tags: int = Field(1, ge=0, description="tags at the beginning that keep their place")
    tag_dropout: float = Field(0, ge=0, lt=1, description="share of a caption's tags that are left out")
    caption_dropout: float = Field(0.05, ge=0, lt=1, description="share of steps with an empty caption")
    masks: bool = Field(
        True, description="learn only where NAME.mask.png beside a picture is white, where there is one"
    )
    alpha_masks: bool = Field(False, description="learn only where the pictures are opaque")
    latent_sampling: Literal["random", "once", "deterministic"] = Field(
        "random", description="latents drawn from what the autoencoder says at each step, once, or its mean"
    )

    @field_validator("templates", mode="before")
    @classmethod
    def _templates_may_be_named(cls, said: object) -> object:
        if not isinstance(said, str):
            return said
        if said not in TEMPLATES:
            raise ValueError(f"there are no templates {said[:40]!r}; there are {', '.join(TEMPLATES)}")
        return TEMPLATES[said]


class LoraShape(_Part):
    """How large a LoRA is and what it changes."""

    rank: int = Field(16, ge=1, le=1024, description="rank of the change of a matrix")
    alpha: float | None = Field(None, gt=0, description="strength is alpha / rank; the rank if not given")
    conv_rank: int = Field(0, ge=0, le=1024, description="rank for 3x3 convolutions; 0 leaves them alone")
    conv_alpha: float | None = Field(None, gt=0)
    text_encoder: bool = Field(True, description="change the text encoder too")


class EmbeddingShape(_Part):
    """A textual inversion."""

    vectors: int = Field(4, ge=1, le=75, description="token positions that it takes")
    initial_text: str = Field("*", max_length=1000, description="words whose vectors it begins as")
    format: Literal["pt", "safetensors"] = "pt"
    go_on: bool = Field(False, description="begin with the embedding of that name, where there is one")


class HypernetworkChoice(_Part):
    """A hypernetwork."""

    layers: tuple[float, ...] = Field((1, 2, 1), min_length=2, max_length=8)
    activation: str = "linear"
    layer_norm: bool = False
    dropout: float = Field(0.0, ge=0, lt=1, description="share of values dropped inside, while training")
    start_from: str | None = Field(None, description="name of the hypernetwork to go on with")

    @field_validator("layers")
    @classmethod
    def _what_goes_in_comes_out(cls, layers: tuple[float, ...]) -> tuple[float, ...]:
        if layers[0] != 1 or layers[-1] != 1 or min(layers) <= 0:
            raise ValueError("the first and the last layer must be 1, and none may be 0, such as 1, 2, 1")
        return layers

    @field_validator("activation")
    @classmethod
    def _activation_is_known(cls, activation: str) -> str:
        try:
            activation_named(Path("hypernetwork"), activation.lower())
        except AdapterError as error:
            raise ValueError(str(error)) from error
        return activation


class PriorChoice(_Part):
    """Prior preservation: pictures of the class, so that it does not become the one subject.

    Source: Ruiz et al. 2023, "DreamBooth", section 3.3.
    """

    prompt: str = Field(min_length=1, description='the class, such as "a dog"')
    pictures: int = Field(100, ge=1, le=10_000, description="drawn by the model itself before training")
    weight: float = Field(1.0, gt=0, le=10)
    folder: str | None = Field(None, description="pictures of the class that are there already")


class Optimisation(_Part):
    """How it is learnt."""

    steps: int = Field(1000, ge=1, le=MAX_STEPS)
    batch: int = Field(1, ge=1, le=256, description="pictures at a time")
    accumulation: int = Field(1, ge=1, le=1024, description="batches for one update")
    learning_rate: float = Field(1e-4, gt=0, le=10)
    rates: str = Field(
        "",
        max_length=1000,
        description="rates that change at steps, in place of learning rate, schedule and warm-up: "
        "0.005:100, 1e-3:1000, 1e-5",
    )
    text_learning_rate: float | None = Field(None, gt=0, le=10, description="half of the other if not given")
    optimiser: OptimiserKind = "adamw"
    weight_decay: float = Field(0.01, ge=0, le=1)
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    warmup: int = Field(0, ge=0, description="updates until the full learning rate")
    gradient_clipping: Literal["norm", "value", "disabled"] = Field(
        "norm", description="whether the norm of all gradients is limited, each number, or nothing"
    )
    max_gradient_norm: float = Field(1.0, gt=0, description="the limit")
    ema_decay: float = Field(0.0, ge=0, lt=1, description="moving average of the weights; 0 is none")
    snr_gamma: float = Field(
        5.0, ge=0, description="cap of the signal-to-noise ratio in the weights; 0 weighs all timesteps alike"
    )
    noise_offset: float = Field(0.0, ge=0, le=1)
    clip_skip: int = Field(1, ge=1, le=12)
    timestep_shift: float = Field(
        1.0,
        gt=0,
        le=20,
        description="above 1: more of the noisy timesteps, where shapes and colours are decided",
    )
    checkpointing: bool = Field(False, description="compute twice, with far less memory")
    bfloat16: bool | None = Field(None, description="arithmetic in 16 bits; if not said, on a GPU")
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _rates_count_to_the_end(self) -> Self:
        end = SteppedRates.parse(self.rates).end if self.rates.strip() else None
        if end is not None and end < self.steps:
            raise ValueError(
                f"the learning rates end at step {end}, before the last of {self.steps} steps; leave the "
                f"last rate without a step, or train {end} steps"
            )
        return self


class SampleChoice(_Part):
    """Pictures drawn while training."""

    prompts: tuple[str, ...] = Field((), max_length=8, description="[name] stands for the trigger")
    every: int = Field(0, ge=0, description="steps between two sets of pictures; 0 draws none")
    steps: int = Field(20, ge=1, le=150)
    cfg_scale: float = Field(7.0, ge=0, le=30)
    seed: int = 42


class FineTuneRecipe(_Part):
    """A whole run."""

    kind: Kind
    name: str = Field(min_length=1, max_length=100, description="of the file, and the word of an embedding")
    checkpoint: str = Field("", description="what is taught: title, name or hash; empty is the current one")
    data: DataChoice
    optimisation: Optimisation = Optimisation()
    lora: LoraShape = LoraShape()
    embedding: EmbeddingShape = EmbeddingShape()
    hypernetwork: HypernetworkChoice = HypernetworkChoice()
    prior: PriorChoice | None = None
    result: Literal["checkpoint", "lora"] = Field("lora", description="what DreamBooth leaves")
    samples: SampleChoice = SampleChoice()
    replace: bool = Field(False, description="an older result of that name may be replaced")
    save_every: int = Field(0, ge=0, description="steps between results that are kept beside the last")

    @model_validator(mode="after")
    def _name_is_a_file_name(self) -> Self:
        if any(char in self.name for char in '/\\:*?"<>|') or self.name.startswith("."):
            raise ValueError('the name must not hold any of / \\ : * ? " < > | nor begin with a dot')
        if not any(char.isalnum() for char in self.name):
            raise ValueError("the name must hold a letter or a digit")
        return self

    @model_validator(mode="after")
    def _a_word_is_always_said(self) -> Self:
        templates = self.data.templates
        if self.kind == "textual-inversion" and any("[name]" not in template for template in templates):
            raise ValueError("every template of a textual inversion must hold [name]")
        return self

    @property
    def caption_dropout(self) -> float:
        """Share of empty captions; none for a word, which is only learnt where it is said."""
        return 0.0 if self.kind == "textual-inversion" else self.data.caption_dropout

    @property
    def word(self) -> str:
        """What stands for the subject in captions and prompts: an embedding is called by its name."""
        return self.name if self.kind == "textual-inversion" else self.data.trigger

    @property
    def makes_lora(self) -> bool:
        """Whether the result is a LoRA."""
        return self.kind == "lora" or (self.kind == "dreambooth" and self.result == "lora")

    @property
    def makes_checkpoint(self) -> bool:
        """Whether the result is a whole checkpoint."""
        return self.kind == "dreambooth" and self.result == "checkpoint"


def read_recipe(path: Path) -> dict[str, object]:
    """The content of a YAML recipe; flags of the command line may complete it.

    Raises:
        TrainingError: the file cannot be read or holds no mapping.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise TrainingError(f"The recipe {path} cannot be used: {error}") from error
    if not isinstance(content, dict):
        raise TrainingError(f"The recipe {path} cannot be used: it holds no mapping of names to values.")
    return content


def checked_recipe(content: object) -> FineTuneRecipe:
    """A recipe from plain values.

    Raises:
        TrainingError: something in it is impossible; the message names it.
    """
    try:
        return FineTuneRecipe.model_validate(content)
    except ValidationError as error:
        problems = [
            f"{'.'.join(str(part) for part in problem['loc']) or 'recipe'}: {problem['msg']}"
            for problem in error.errors(include_url=False, include_input=False)
        ]
        raise TrainingError(f"The recipe cannot be used. {'; '.join(problems)}") from error
