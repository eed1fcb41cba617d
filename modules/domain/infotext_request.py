"""From pasted generation parameters to the request that makes the picture again.

Field names are those of A1111's HTTP API, which is also what the page's forms use. A value that makes
no sense is left out and reported; nothing here raises because of what a text says.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue, ValidationError

from modules.domain.infotext import parse_infotext
from modules.domain.infotext_defaults import InfotextValue, StyleExtractor
from modules.domain.request import GenerationRequest

__all__ = [
    "HIRES_FIELDS",
    "PastedParameters",
    "build_request",
    "has_second_pass",
    "like_option",
    "pasted_parameters",
    "request_from_infotext",
]

_FILL = {"fill": 0, "original": 1, "latent noise": 2, "latent nothing": 3}
_INFORMATION = frozenset({
    "Model", "Model hash", "VAE hash", "Lora hashes", "TI hashes", "Init image hash", "Version", "User",
    "Hashes", "Batch size", "Batch pos", "Hypernet", "Hypernet strength", "Mask mode", "Styles array",
    "First pass size-1", "First pass size-2", "Created Date", "Civitai resources", "Civitai metadata",
})  # fmt: skip


def _text(value: str) -> str:
    return value


def _yes(value: str) -> bool:
    return value not in {"False", "false", "0"}


def _whole(value: str) -> int:
    if len(value) > 40:
        raise ValueError("too long for a number")
    return int(value) if value.strip().lstrip("+-").isdecimal() else int(float(value))


def _real(value: str) -> float:
    number = float(value)
    if abs(number) > 1e300 or number != number:  # noqa: PLR0124 - NaN is the one value unequal to itself
        raise ValueError("not a finite number")
    return number


def _unless(placeholder: str) -> Callable[[str], str | None]:
    return lambda value: None if value == placeholder else value


_FIELDS: tuple[tuple[str, str, Callable[[str], JsonValue]], ...] = (
    ("Prompt", "prompt", _text),
    ("Negative prompt", "negative_prompt", _text),
    ("Steps", "steps", _whole),
    ("Sampler", "sampler_name", _text),
    ("Schedule type", "scheduler", _unless("Automatic")),
    ("CFG scale", "cfg_scale", _real),
    ("Image CFG scale", "image_cfg_scale", _real),
    ("Seed", "seed", _whole),
    ("Face restoration", "restore_faces", _yes),
    ("Size-1", "width", _whole),
    ("Size-2", "height", _whole),
    ("Variation seed", "subseed", _whole),
    ("Variation seed strength", "subseed_strength", _real),
    ("Seed resize from-1", "seed_resize_from_w", _whole),
    ("Seed resize from-2", "seed_resize_from_h", _whole),
    ("Denoising strength", "denoising_strength", _real),
    ("Hires upscale", "hr_scale", _real),
    ("Hires resize-1", "hr_resize_x", _whole),
    ("Hires resize-2", "hr_resize_y", _whole),
    ("Hires upscaler", "hr_upscaler", _text),
    ("Hires steps", "hr_second_pass_steps", _whole),
    ("Hires checkpoint", "hr_checkpoint_name", _unless("Use same checkpoint")),
    ("Hires sampler", "hr_sampler_name", _unless("Use same sampler")),
    ("Hires schedule type", "hr_scheduler", _unless("Use same scheduler")),
    ("Hires prompt", "hr_prompt", _text),
    ("Hires negative prompt", "hr_negative_prompt", _text),
    ("Refiner", "refiner_checkpoint", _text),
    ("Refiner switch at", "refiner_switch_at", _real),
    ("Mask blur", "mask_blur", _whole),
    ("Masked content", "inpainting_fill", _FILL.__getitem__),
    ("Inpaint area", "inpaint_full_res", lambda value: value == "Only masked"),
    ("Masked area padding", "inpaint_full_res_padding", _whole),
)
HIRES_FIELDS = {
    "hr_upscaler": "upscaler",
    "hr_scale": "scale",
    "hr_resize_x": "resize_x",
    "hr_resize_y": "resize_y",
    "hr_second_pass_steps": "steps",
    "denoising_strength": "denoising_strength",
    "hr_checkpoint_name": "checkpoint",
    "hr_sampler_name": "sampler_name",
    "hr_scheduler": "scheduler",
    "hr_prompt": "prompt",
    "hr_negative_prompt": "negative_prompt",
}
_FROM_IMAGE = (
    "denoising_strength",
    "image_cfg_scale",
    "inpainting_fill",
    "inpaint_full_res",
    "inpaint_full_res_padding",
    "inpainting_mask_invert",
)
_DIRECT = frozenset(GenerationRequest.model_fields)


@dataclass(frozen=True)
class PastedParameters:
    """What a paste changes.

    Attributes:
        fields: values by the names of A1111's HTTP API (``steps``, ``hr_scale``, ``enable_hr`` ...).
        override_settings: options whose value in the text differs from the current one.
        checkpoint: hash, else name, of the checkpoint that made the picture; None without either.
        unknown: keys that mean nothing here (other programs' and extensions').
        comments: one sentence for each value that could not be used.
    """

    fields: Mapping[str, JsonValue]
    override_settings: Mapping[str, JsonValue] = field(default_factory=dict)
    checkpoint: str | None = None
    unknown: tuple[str, ...] = ()
    comments: tuple[str, ...] = ()

    @property
    def is_image_to_image(self) -> bool:
        """Whether the picture was made from another one, which the text does not contain."""
        return "denoising_strength" in self.fields and not self.fields.get("enable_hr")


def pasted_parameters(
    parameters: Mapping[str, InfotextValue],
    *,
    settings: Mapping[str, JsonValue],
    setting_keys: Mapping[str, str],
) -> PastedParameters:
    """Convert what :func:`~modules.domain.infotext.parse_infotext` read.

    Args:
        parameters: parsed text.
        settings: current options by key; only differing values become overrides.
        setting_keys: key in the text -> key of the option (``infotext_options()`` of the settings).
    """
    reader = _Reader(parameters)
    fields: dict[str, JsonValue] = {}
    used = set(_INFORMATION)
    for key, name, convert in _FIELDS:
        used.add(key)
        fields.update((name, value) for value in reader.read(key, convert))
    styles = parameters.get("Styles array")
    if isinstance(styles, list):
        fields["styles"] = list[JsonValue](styles)
    fields["inpainting_mask_invert"] = parameters.get("Mask mode") == "Inpaint not masked"
    fields["enable_hr"] = has_second_pass(parameters)
    overrides: dict[str, JsonValue] = {}
    for key, option in setting_keys.items():
        if key not in used and option in settings:
            values = reader.read(key, like_option(settings[option]))
            overrides.update((option, value) for value in values if value != settings[option])
        used.add(key)
    checkpoint = parameters.get("Model hash") or parameters.get("Model")
    return PastedParameters(
        fields=fields,
        override_settings=overrides,
        checkpoint=None if checkpoint is None else str(checkpoint),
        unknown=tuple(key for key in parameters if key not in used),
        comments=tuple(reader.comments),
    )


def build_request(
    pasted: PastedParameters, *, images: tuple[str, ...] = (), mask: str | None = None
) -> tuple[GenerationRequest, tuple[str, ...]]:
    """A request for the pasted picture, and a sentence for each thing that could not be honoured.

    Args:
        pasted: converted parameters.
        images: blob ids of the pictures to start from, when it was an image-to-image picture.
        mask: blob id of its mask.
    """
    comments = list(pasted.comments)
    comments += [f'"{_short(key)}" is not known here and was ignored' for key in pasted.unknown]
    if pasted.is_image_to_image and not images:
        comments.append("the picture was made from another picture, which its parameters do not contain")
    content: dict[str, JsonValue] = {
        key: value for key, value in pasted.fields.items() if key in _DIRECT and value is not None
    }
    content["override_settings"] = dict(pasted.override_settings)
    content["checkpoint"] = pasted.checkpoint
    if pasted.fields.get("enable_hr"):
        content["hires"] = _picked(pasted.fields, HIRES_FIELDS)
    if "refiner_checkpoint" in pasted.fields:
        content["refiner"] = _picked(
            pasted.fields, {"refiner_checkpoint": "checkpoint", "refiner_switch_at": "switch_at"}
        )
    if images:
        start = _picked(pasted.fields, {name: name for name in _FROM_IMAGE})
        blur = pasted.fields.get("mask_blur", 4)
        content["image_to_image"] = {
            **start, "images": list(images), "mask": mask, "mask_blur_x": blur, "mask_blur_y": blur,
        }  # fmt: skip
    return _validated(content, comments)


def request_from_infotext(
    text: str,
    *,
    settings: Mapping[str, JsonValue],
    setting_keys: Mapping[str, str],
    styles: StyleExtractor | None = None,
) -> tuple[GenerationRequest, tuple[str, ...]]:
    """The request that makes a text's picture again, and what could not be honoured."""
    parameters = parse_infotext(text, styles=styles)
    return build_request(pasted_parameters(parameters, settings=settings, setting_keys=setting_keys))


def has_second_pass(parameters: Mapping[str, InfotextValue]) -> bool:
    """Whether a text's picture went through hires fix: a strength, and a size or an upscaler of its own."""
    sizes = (str(parameters.get(key, 0)) for key in ("Hires resize-1", "Hires resize-2"))
    resized = any(size.strip("0").isdecimal() for size in sizes)
    return "Denoising strength" in parameters and (
        resized or "Hires upscale" in parameters or "Hires upscaler" in parameters
    )


class _Reader:
    """Converts values of a text and notes those that make no sense."""

    def __init__(self, parameters: Mapping[str, InfotextValue]) -> None:
        self.parameters = parameters
        self.comments: list[str] = []

    def read(self, key: str, convert: Callable[[str], JsonValue]) -> list[JsonValue]:
        """The converted value as a list of one; empty when it is absent or makes no sense."""
        if key not in self.parameters:
            return []
        value = str(self.parameters[key])
        try:
            return [convert(value)]
        except (ValueError, OverflowError, KeyError):
            self.comments.append(f'"{key}: {_short(value)}" was not understood and was ignored')
            return []


def like_option(current: JsonValue) -> Callable[[str], JsonValue]:
    """Conversion of a text's value to the type that an option has now.

    Of a switch, every text but a written no means yes (``Face restoration: CodeFormer``). The conversion
    raises ValueError or OverflowError for what is no number.
    """
    if isinstance(current, bool):
        return _yes
    if isinstance(current, int):
        return _whole
    if isinstance(current, float):
        return _real
    return _text


def _picked(fields: Mapping[str, JsonValue], names: Mapping[str, str]) -> dict[str, JsonValue]:
    return {names[key]: fields[key] for key in names if fields.get(key) is not None}


def _validated(
    content: dict[str, JsonValue], comments: list[str]
) -> tuple[GenerationRequest, tuple[str, ...]]:
    """Drop what the request model refuses, value by value, until it accepts."""
    for _ in range(len(content) + 1):
        try:
            return GenerationRequest.model_validate(content), tuple(comments)
        except ValidationError as error:
            for problem in error.errors(include_url=False, include_input=True):
                path = [str(part) for part in problem["loc"]] or ["width", "height"]
                comments.append(f"{'.'.join(path)}: {problem['msg']}; it was ignored")
                _drop(content, path)
    return GenerationRequest(), tuple(comments)


def _drop(content: dict[str, JsonValue], path: list[str]) -> None:
    inner = content.get(path[0])
    if path == ["width", "height"]:
        content.pop("width", None)
        content.pop("height", None)
    elif len(path) > 1 and isinstance(inner, dict) and path[1] in inner and path[1] != "checkpoint":
        inner.pop(path[1])
    else:
        content.pop(path[0], None)


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
