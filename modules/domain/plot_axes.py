"""The axes of the X/Y/Z plot: what varies, how values are written, how a value changes a request.

Order and labels are A1111's: clients send an axis by its place in the list of their tab. Applying a
value is a pure function from request to request, so that every cell of a plot is a request of its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from types import MappingProxyType
from typing import Literal

from pydantic import JsonValue, ValidationError

from modules.domain.request import GenerationRequest, Hires, Refiner
from modules.domain.script import ScriptTab
from modules.exceptions import RequestError

__all__ = ["AXES", "FIXED_CHOICES", "Axis", "AxisValue", "apply_value", "axes_of", "axis_label"]

AxisValue = str | int | float | tuple[str, ...]
ValueKind = Literal["none", "int", "float", "str", "permutations"]
LabelKind = Literal["with name", "value", "file name", "list", "none"]
_Apply = Callable[[GenerationRequest, AxisValue, Sequence[AxisValue]], GenerationRequest]


@dataclass(frozen=True)
class Axis:
    """One thing that a plot can vary.

    Attributes:
        tab: where A1111 offers it; None is everywhere.
        choices: name of the list to choose from, "" where values are written as text.
        names: values are names of this kind, which are looked up before the first picture is made.
        cost: how expensive a change is; the dearest axis changes least often.
    """

    label: str
    kind: ValueKind
    apply: _Apply
    tab: ScriptTab | None = None
    choices: str = ""
    names: Literal["", "sampler", "checkpoint", "refiner", "vae"] = ""
    cost: float = 0.0
    legend: LabelKind = "with name"


def axes_of(tab: str) -> tuple[Axis, ...]:
    """The axes of a tab in A1111's order."""
    return tuple(axis for axis in AXES if axis.tab in (None, tab))


def apply_value(
    axis: Axis, request: GenerationRequest, value: AxisValue, values: Sequence[AxisValue]
) -> GenerationRequest:
    """The request with one value of an axis; ``values`` are all of them.

    Raises:
        RequestError: the value cannot be used; the message names the axis.
    """
    try:
        return axis.apply(request, value, values)
    except ValidationError as error:
        message = error.errors(include_url=False)[0]["msg"]
        raise RequestError("script_args", f"{axis.label}: {value} cannot be used: {message}") from error


def axis_label(axis: Axis, value: AxisValue) -> str:
    """What the legend says of a value."""
    if axis.legend == "none":
        return ""
    if isinstance(value, tuple):
        return ", ".join(value)
    shown = round(value, 8) if isinstance(value, float) else value
    if axis.legend == "file name":
        return PurePath(str(shown)).name
    return f"{axis.label}: {shown}" if axis.legend == "with name" else str(shown)


def _changed(request: GenerationRequest, **changes: object) -> GenerationRequest:
    """The request with other values, checked again."""
    return GenerationRequest.model_validate({**dict(request), **changes})


def _field(name: str) -> _Apply:
    return lambda request, value, _values: _changed(request, **{name: value})


def _setting(key: str) -> _Apply:
    def apply(
        request: GenerationRequest, value: AxisValue, _values: Sequence[AxisValue]
    ) -> GenerationRequest:
        overrides: dict[str, JsonValue] = {**request.override_settings, key: _json(value)}
        return _changed(request, override_settings=overrides)

    return apply


def _switch(key: str) -> _Apply:
    setting = _setting(key)
    return lambda request, value, values: setting(request, str(value).lower() == "true", values)


def _hires(name: str) -> _Apply:
    """A part of the second pass; without one nothing changes, as in A1111."""

    def apply(
        request: GenerationRequest, value: AxisValue, _values: Sequence[AxisValue]
    ) -> GenerationRequest:
        if request.hires is None:
            return request
        return _changed(request, hires=Hires.model_validate({**dict(request.hires), name: value}))

    return apply


def _source(name: str) -> _Apply:
    """A part of image to image."""

    def apply(
        request: GenerationRequest, value: AxisValue, _values: Sequence[AxisValue]
    ) -> GenerationRequest:
        start = request.image_to_image
        if start is None:
            return request
        return _changed(request, image_to_image={**dict(start), name: value})

    return apply


def _denoising(
    request: GenerationRequest, value: AxisValue, values: Sequence[AxisValue]
) -> GenerationRequest:
    part = _hires if request.image_to_image is None else _source
    return part("denoising_strength")(request, value, values)


def _same(request: GenerationRequest, _value: AxisValue, _values: Sequence[AxisValue]) -> GenerationRequest:
    return request


def _search_and_replace(
    request: GenerationRequest, value: AxisValue, values: Sequence[AxisValue]
) -> GenerationRequest:
    searched = str(values[0])
    if searched not in request.prompt and searched not in request.negative_prompt:
        raise RequestError("script_args", f"Prompt S/R did not find {searched} in prompt or negative prompt.")
    return _changed(
        request,
        prompt=request.prompt.replace(searched, str(value)),
        negative_prompt=request.negative_prompt.replace(searched, str(value)),
    )


def _order(request: GenerationRequest, value: AxisValue, _values: Sequence[AxisValue]) -> GenerationRequest:
    """The words of the axis swap places: the first of ``value`` comes where any of them came first."""
    words = value if isinstance(value, tuple) else (str(value),)
    missing = [word for word in words if word not in request.prompt]
    if missing:
        raise RequestError("script_args", f"Prompt order did not find {missing[0]} in the prompt.")
    rest, written = request.prompt, ""
    for place, word in enumerate(sorted(words, key=request.prompt.find)):
        at = max(0, rest.find(word))
        written += rest[:at] + words[place]
        rest = rest[at + len(word) :]
    return _changed(request, prompt=written + rest)


def _checkpoint(
    request: GenerationRequest, value: AxisValue, _values: Sequence[AxisValue]
) -> GenerationRequest:
    return _changed(request, checkpoint=str(value))


def _refiner(request: GenerationRequest, value: AxisValue, _values: Sequence[AxisValue]) -> GenerationRequest:
    name = str(value)
    if name.lower() in ("", "none"):
        return _changed(request, refiner=None)
    switch_at = request.refiner.switch_at if request.refiner else Refiner.model_fields["switch_at"].default
    return _changed(request, refiner=Refiner(checkpoint=name, switch_at=switch_at))


def _refiner_switch(
    request: GenerationRequest, value: AxisValue, _values: Sequence[AxisValue]
) -> GenerationRequest:
    if request.refiner is None:
        return request
    return _changed(request, refiner={"checkpoint": request.refiner.checkpoint, "switch_at": value})


def _vae(request: GenerationRequest, value: AxisValue, values: Sequence[AxisValue]) -> GenerationRequest:
    name = str(value).strip()
    special = {"auto": "Automatic", "automatic": "Automatic", "none": "None"}
    return _setting("sd_vae")(request, special.get(name.lower(), name), values)


def _styles(request: GenerationRequest, value: AxisValue, _values: Sequence[AxisValue]) -> GenerationRequest:
    return _changed(request, styles=(*request.styles, *str(value).split(",")))


def _unipc_order(
    request: GenerationRequest, value: AxisValue, values: Sequence[AxisValue]
) -> GenerationRequest:
    order = min(int(str(value)), max(1, request.steps - 1))
    return _setting("uni_pc_order")(request, order, values)


def _face_restore(
    request: GenerationRequest, value: AxisValue, values: Sequence[AxisValue]
) -> GenerationRequest:
    name = str(value).lower()
    models = {"codeformer": "CodeFormer", "gfpgan": "GFPGAN"}
    if name in models:
        request = _setting("face_restoration_model")(request, models[name], values)
    return _changed(request, restore_faces=name in models or name in ("true", "yes", "y", "1"))


def _size(request: GenerationRequest, value: AxisValue, _values: Sequence[AxisValue]) -> GenerationRequest:
    width, _, height = str(value).lower().partition("x")
    try:
        sides = int(width), int(height)
    except ValueError:
        raise RequestError("script_args", f"Size: {value!r} is no size such as 512x768") from None
    return _changed(request, width=sides[0] // 8 * 8, height=sides[1] // 8 * 8)


def _json(value: AxisValue) -> JsonValue:
    return list(value) if isinstance(value, tuple) else value


AXES = (
    Axis("Nothing", "none", _same, legend="none"),
    Axis("Seed", "int", _field("seed")),
    Axis("Var. seed", "int", _field("subseed")),
    Axis("Var. strength", "float", _field("subseed_strength")),
    Axis("Steps", "int", _field("steps")),
    Axis("Hires steps", "int", _hires("steps"), "txt2img"),
    Axis("CFG Scale", "float", _field("cfg_scale")),
    Axis("Image CFG Scale", "float", _source("image_cfg_scale"), "img2img"),
    Axis("Prompt S/R", "str", _search_and_replace, legend="value"),
    Axis("Prompt order", "permutations", _order, legend="list"),
    Axis("Sampler", "str", _field("sampler_name"), choices="samplers", names="sampler", legend="value"),
    Axis(
        "Hires sampler",
        "str",
        _hires("sampler_name"),
        "txt2img",
        choices="samplers",
        names="sampler",
    ),
    Axis(
        "Checkpoint name",
        "str",
        _checkpoint,
        choices="checkpoints",
        names="checkpoint",
        cost=1.0,
        legend="file name",
    ),
    Axis("Negative Guidance minimum sigma", "float", _field("s_min_uncond")),
    Axis("Sigma Churn", "float", _field("s_churn")),
    Axis("Sigma min", "float", _field("s_tmin")),
    Axis("Sigma max", "float", _field("s_tmax")),
    Axis("Sigma noise", "float", _field("s_noise")),
    Axis("Schedule type", "str", _field("scheduler"), choices="schedulers"),
    Axis("Schedule min sigma", "float", _setting("sigma_min")),
    Axis("Schedule max sigma", "float", _setting("sigma_max")),
    Axis("Schedule rho", "float", _setting("rho")),
    Axis("Beta schedule alpha", "float", _setting("beta_dist_alpha")),
    Axis("Beta schedule beta", "float", _setting("beta_dist_beta")),
    Axis("Eta", "float", _field("eta")),
    Axis("Clip skip", "int", _setting("CLIP_stop_at_last_layers")),
    Axis("Denoising", "float", _denoising),
    Axis("Initial noise multiplier", "float", _source("initial_noise_multiplier")),
    Axis("Extra noise", "float", _setting("img2img_extra_noise")),
    Axis("Hires upscaler", "str", _hires("upscaler"), "txt2img", choices="hires upscalers"),
    Axis("Cond. Image Mask Weight", "float", _setting("inpainting_mask_weight"), "img2img"),
    Axis("VAE", "str", _vae, choices="vaes", names="vae", cost=0.7),
    Axis("Styles", "str", _styles, choices="styles"),
    Axis("UniPC Order", "int", _unipc_order, cost=0.5),
    Axis("Face restore", "str", _face_restore, legend="value"),
    Axis("Token merging ratio", "float", _setting("token_merging_ratio")),
    Axis("Token merging ratio high-res", "float", _setting("token_merging_ratio_hr")),
    Axis(
        "Always discard next-to-last sigma",
        "str",
        _switch("always_discard_next_to_last_sigma"),
        choices="booleans",
    ),
    Axis("SGM noise multiplier", "str", _switch("sgm_noise_multiplier"), choices="booleans"),
    Axis(
        "Refiner checkpoint",
        "str",
        _refiner,
        choices="refiners",
        names="refiner",
        cost=1.0,
        legend="file name",
    ),
    Axis("Refiner switch at", "float", _refiner_switch),
    Axis("RNG source", "str", _setting("randn_source"), choices="rng sources"),
    Axis("FP8 mode", "str", _setting("fp8_storage"), choices="fp8 modes", cost=0.9),
    Axis("Size", "str", _size),
)
"""All axes of both tabs in A1111's order."""

FIXED_CHOICES = MappingProxyType(
    {
        "booleans": ("True", "False"),
        "rng sources": ("GPU", "CPU", "NV"),
        "fp8 modes": ("Disable", "Enable for SDXL", "Enable"),
    }
)
"""Lists of choices that are the same everywhere; the others are read from what is on disk."""
