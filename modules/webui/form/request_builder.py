"""From the values of a form to a frozen request; every refusal names the control that caused it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue, ValidationError

from modules.domain.request import GenerationRequest, Hires, ImageToImage, Refiner, SoftInpainting
from modules.exceptions import RequestError
from modules.webui.form.script_values import SCRIPT_KEY, chosen_script

__all__ = [
    "AUTOMATIC",
    "MASKED_CONTENT",
    "RESIZE_MODES",
    "SAME_CHECKPOINT",
    "SAME_SAMPLER",
    "SAME_SCHEDULER",
    "SOFT_INPAINTING",
    "Pictures",
    "build_request",
    "control_of",
    "hires_of",
]

AUTOMATIC = "Automatic"
SAME_CHECKPOINT, SAME_SAMPLER, SAME_SCHEDULER = (
    "Use same checkpoint",
    "Use same sampler",
    "Use same scheduler",
)
RESIZE_MODES = ("Just resize", "Crop and resize", "Resize and fill", "Just resize (latent upscale)")
MASKED_CONTENT = ("fill", "original", "latent noise", "latent nothing")
SOFT_INPAINTING: tuple[tuple[str, str, tuple[float, float, float], float], ...] = (
    ("soft_schedule_bias", "Schedule bias", (0, 8, 0.1), 1),
    ("soft_preservation_strength", "Preservation strength", (0, 8, 0.05), 0.5),
    ("soft_transition_contrast_boost", "Transition contrast boost", (1, 32, 0.5), 4),
    ("soft_mask_influence", "Mask influence", (0, 1, 0.05), 0),
    ("soft_difference_threshold", "Difference threshold", (0, 8, 0.25), 0.5),
    ("soft_difference_contrast", "Difference contrast", (0, 8, 0.25), 2),
)
"""Key, label, limits (least, most, step) and default of each control of soft inpainting."""

# request field -> key of the control; where they agree there is no entry
_CONTROL_OF = {
    "negative_prompt": "neg_prompt",
    "sampler_name": "sampling",
    "n_iter": "batch_count",
    "checkpoint": "setting_sd_model_checkpoint",
    "sd_model_checkpoint": "setting_sd_model_checkpoint",
    "sd_vae": "setting_sd_vae",
    "CLIP_stop_at_last_layers": "setting_CLIP_stop_at_last_layers",
    "script_name": SCRIPT_KEY,
    "script_args": SCRIPT_KEY,
    "hires.upscaler": "hr_upscaler",
    "upscaler": "hr_upscaler",
    "hires.scale": "hr_scale",
    "hires.resize_x": "hr_resize_x",
    "hires.resize_y": "hr_resize_y",
    "hires.steps": "hires_steps",
    "hires.denoising_strength": "denoising_strength",
    "hires.checkpoint": "hr_checkpoint",
    "hires.sampler_name": "hr_sampler",
    "hires.scheduler": "hr_scheduler",
    "image_to_image.image_cfg_scale": "image_cfg_scale",
    "refiner.checkpoint": "checkpoint",
    "refiner.switch_at": "switch_at",
    "image_to_image.denoising_strength": "denoising_strength",
    "image_to_image.mask_blur_x": "mask_blur",
    "image_to_image.mask_blur_y": "mask_blur",
    "image_to_image.inpaint_full_res_padding": "inpaint_full_res_padding",
}
_LABELS = {
    "steps": "Sampling steps",
    "width": "Width",
    "height": "Height",
    "cfg_scale": "CFG Scale",
    "seed": "Seed",
    "subseed": "Variation seed",
    "subseed_strength": "Variation strength",
    "batch_size": "Batch size",
    "batch_count": "Batch count",
    "hr_scale": "Upscale by",
    "image_cfg_scale": "Image CFG Scale",
    "hr_resize_x": "Resize width to",
    "hr_resize_y": "Resize height to",
    "hires_steps": "Hires steps",
    "denoising_strength": "Denoising strength",
    "switch_at": "Switch at",
    "mask_blur": "Mask blur",
    "inpaint_full_res_padding": "Only masked padding",
    "seed_resize_from_w": "Resize seed from width",
    "seed_resize_from_h": "Resize seed from height",
}


@dataclass(frozen=True)
class Pictures:
    """Blob ids of what an image-to-image request starts from."""

    image: str
    mask: str | None = None


@dataclass(frozen=True)
class _Values:
    """Typed access to the values of a form."""

    values: Mapping[str, object]

    def text(self, key: str, default: str = "") -> str:
        value = self.values.get(key)
        return value if isinstance(value, str) else default

    def flag(self, key: str) -> bool:
        return self.values.get(key) is True

    def number(self, key: str, default: float) -> float:
        value = self.values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise RequestError(key, f"{_label(key)} needs a number{_given(value)}.")
        return value

    def whole(self, key: str, default: int) -> int:
        value = self.number(key, default)
        if value != int(value):
            raise RequestError(key, f"{_label(key)} needs a whole number (you gave {value}).")
        return int(value)

    def names(self, key: str) -> tuple[str, ...]:
        value = self.values.get(key)
        return (
            tuple(name for name in value if isinstance(name, str)) if isinstance(value, (list, tuple)) else ()
        )


def build_request(
    sent: Mapping[str, object],
    *,
    overrides: Mapping[str, JsonValue],
    pictures: Pictures | None = None,
) -> GenerationRequest:
    """Freeze a form into a request.

    Args:
        sent: values of the form by key.
        overrides: settings for this request alone, by option key.
        pictures: what to start from; None makes a txt2img request.

    Raises:
        RequestError: a value cannot be used; ``field`` is the control's key.
    """
    form = _Values(sent)
    extra_seed = form.flag("subseed_show")
    script_name, script_args = chosen_script(sent)
    try:
        return GenerationRequest(
            prompt=form.text("prompt"),
            negative_prompt=form.text("neg_prompt"),
            styles=form.names("styles"),
            seed=form.whole("seed", -1),
            subseed=form.whole("subseed", -1) if extra_seed else -1,
            subseed_strength=form.number("subseed_strength", 0) if extra_seed else 0.0,
            seed_resize_from_w=form.whole("seed_resize_from_w", 0) if extra_seed else 0,
            seed_resize_from_h=form.whole("seed_resize_from_h", 0) if extra_seed else 0,
            sampler_name=form.text("sampling") or None,
            scheduler=_unless_automatic(form.text("scheduler")),
            steps=form.whole("steps", 20),
            cfg_scale=form.number("cfg_scale", 7),
            width=form.whole("width", 512),
            height=form.whole("height", 512),
            batch_size=form.whole("batch_size", 1),
            n_iter=form.whole("batch_count", 1),
            checkpoint=form.text("setting_sd_model_checkpoint") or None,
            override_settings=dict(overrides),
            script_name=script_name,
            script_args=script_args,
            hires=_hires(form) if pictures is None else None,
            refiner=_refiner(form),
            image_to_image=None if pictures is None else _image_to_image(form, pictures),
        )
    except ValidationError as error:
        raise _refusal(error) from error


def control_of(field: str) -> str:
    """Key of the control for a request field that was refused."""
    return _CONTROL_OF.get(field, field.rsplit(".", 1)[-1])


def hires_of(sent: Mapping[str, object]) -> Hires:
    """The second pass by a form's controls, whether it is switched on or not.

    Raises:
        RequestError: a value cannot be used; ``field`` is the control's key.
    """
    try:
        return _hires_settings(_Values(sent))
    except ValidationError as error:
        raise _refusal(error) from error


def _hires(form: _Values) -> Hires | None:
    return _hires_settings(form) if form.flag("hr") else None


def _hires_settings(form: _Values) -> Hires:
    return Hires(
        upscaler=form.text("hr_upscaler", "Latent"),
        scale=form.number("hr_scale", 2),
        resize_x=form.whole("hr_resize_x", 0),
        resize_y=form.whole("hr_resize_y", 0),
        steps=form.whole("hires_steps", 0),
        denoising_strength=form.number("denoising_strength", 0.7),
        checkpoint=_unless_same(form.text("hr_checkpoint"), SAME_CHECKPOINT),
        sampler_name=_unless_same(form.text("hr_sampler"), SAME_SAMPLER),
        scheduler=_unless_same(form.text("hr_scheduler"), SAME_SCHEDULER),
        prompt=form.text("hr_prompt"),
        negative_prompt=form.text("hr_negative_prompt"),
    )


def _refiner(form: _Values) -> Refiner | None:
    if not form.flag("enable"):
        return None
    name = form.text("checkpoint")
    if not name or name == "None":
        raise RequestError("checkpoint", "Choose the refiner's checkpoint, or close the Refiner.")
    return Refiner(checkpoint=name, switch_at=form.number("switch_at", 0.8))


def _image_to_image(form: _Values, pictures: Pictures) -> ImageToImage:
    start = ImageToImage(
        images=(pictures.image,),
        denoising_strength=form.number("denoising_strength", 0.75),
        resize_mode=_place(RESIZE_MODES, form.text("resize_mode"), 0),
        image_cfg_scale=form.number("image_cfg_scale", 1.5),
    )
    if pictures.mask is None:
        return start
    blur = form.whole("mask_blur", 4)
    return ImageToImage.model_validate(
        start.model_dump()
        | {
            "mask": pictures.mask,
            "mask_blur_x": blur,
            "mask_blur_y": blur,
            "inpainting_fill": _place(MASKED_CONTENT, form.text("inpainting_fill"), 1),
            "inpaint_full_res": form.text("inpaint_full_res") == "Only masked",
            "inpaint_full_res_padding": form.whole("inpaint_full_res_padding", 32),
            "inpainting_mask_invert": form.text("mask_mode") == "Inpaint not masked",
            "soft_inpainting": _soft_inpainting(form),
        }
    )


def _soft_inpainting(form: _Values) -> SoftInpainting | None:
    if not form.flag("soft_inpainting"):
        return None
    return SoftInpainting.model_validate(
        {key.removeprefix("soft_"): form.number(key, default) for key, _, _, default in SOFT_INPAINTING}
    )


def _place(names: tuple[str, ...], name: str, default: int) -> int:
    return names.index(name) if name in names else default


def _unless_same(name: str, same: str) -> str | None:
    return None if name in ("", same) else name


def _unless_automatic(name: str) -> str | None:
    return None if name in ("", AUTOMATIC) else name


def _refusal(error: ValidationError) -> RequestError:
    """The first finding of pydantic as one sentence about one control."""
    finding = error.errors()[0]
    path = ".".join(str(part) for part in finding["loc"])
    if "." not in path and error.title in _GROUPS:
        path = f"{_GROUPS[error.title]}.{path}"
    key = control_of(path)
    if not path:
        return RequestError("", f"{finding['msg'].removeprefix('Value error, ').capitalize()}.")
    wish = finding["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return RequestError(key, f"{_label(key)} must be {wish}{_given(finding['input'])}.")


_GROUPS = {"Hires": "hires", "Refiner": "refiner", "ImageToImage": "image_to_image"}


def _label(key: str) -> str:
    return _LABELS.get(key, key.replace("_", " ").capitalize())


def _given(value: object) -> str:
    return "" if value is None or value == "" else f" (you gave {str(value)[:40]})"
