"""Generation parameters as text -> values of a form's controls, by A1111's names."""

from pydantic import JsonValue

from modules.domain.infotext_request import pasted_parameters
from modules.generation.pasting import parse_pasted, pasted_sampler
from modules.generation.resolve import Catalogs
from modules.settings.options import Settings, infotext_options
from modules.webui.form.request_builder import (
    AUTOMATIC,
    MASKED_CONTENT,
    SAME_CHECKPOINT,
    SAME_SAMPLER,
    SAME_SCHEDULER,
)
from modules.webui.form.script_values import pasted_script

__all__ = ["pasted_values", "read_overrides"]

# field of A1111's HTTP API -> key of the control; where they agree there is no entry
_CONTROL_OF = {
    "negative_prompt": "neg_prompt",
    "sampler_name": "sampling",
    "hr_second_pass_steps": "hires_steps",
    "refiner_checkpoint": "checkpoint",
    "refiner_switch_at": "switch_at",
    "enable_hr": "hr",
    "hr_checkpoint_name": "hr_checkpoint",
    "hr_sampler_name": "hr_sampler",
}
# what these controls show when the parameters do not speak of them
_UNSAID: dict[str, object] = {
    "hr_checkpoint": SAME_CHECKPOINT,
    "hr_sampler": SAME_SAMPLER,
    "hr_scheduler": SAME_SCHEDULER,
    "hr_prompt": "",
    "hr_negative_prompt": "",
}
_QUICK_OPTIONS = {
    "CLIP_stop_at_last_layers": "setting_CLIP_stop_at_last_layers",
    "sd_vae": "setting_sd_vae",
}


def pasted_values(text: str, settings: Settings, catalogs: Catalogs | None = None) -> dict[str, object]:
    """Values for the controls that the parameters speak of; what cannot be read is left out.

    The accordions' switches (``hr``, ``enable``) and Extra are always decided, so that a paste leaves
    nothing of an earlier picture behind.
    """
    found = parse_pasted(text, settings, catalogs)
    current = settings.as_json()
    pasted = pasted_parameters(found, settings=current, setting_keys=infotext_options())
    values: dict[str, object] = {
        _CONTROL_OF.get(name, name): value for name, value in pasted.fields.items() if value is not None
    }
    sampler, schedule = pasted_sampler(found) or (None, pasted.fields.get("scheduler") or AUTOMATIC)
    if sampler is not None:
        values["sampling"] = sampler
    if "Schedule type" in found:
        values["scheduler"] = schedule
    values["enable"] = "checkpoint" in values
    values = _UNSAID | values
    values["subseed_show"] = any(key in values for key in ("subseed", "seed_resize_from_w"))
    if pasted.checkpoint and not settings.disable_weights_auto_swap:
        values["setting_sd_model_checkpoint"] = pasted.checkpoint
    values |= _mask_values(values)
    overrides = dict(pasted.override_settings)
    for option, key in _QUICK_OPTIONS.items():
        values[key] = overrides.pop(option, current[option])
    values["override_settings"] = _labels(overrides)
    return values | pasted_script(found)


def read_overrides(labels: object) -> dict[str, JsonValue]:
    """Option keys and values from ``"name: value"``; names that are no options are left out."""
    options = infotext_options()
    overrides: dict[str, JsonValue] = {}
    for label in labels if isinstance(labels, (list, tuple)) else ():
        name, colon, value = str(label).partition(":")
        if colon and name.strip() in options:
            overrides[options[name.strip()]] = value.strip()
    return overrides


def _labels(overrides: dict[str, JsonValue]) -> list[str]:
    names = {option: name for name, option in infotext_options().items()}
    return [f"{names[option]}: {value}" for option, value in overrides.items()]


def _mask_values(values: dict[str, object]) -> dict[str, object]:
    """The mask's choices by the words that their radio buttons show."""
    words: dict[str, object] = {}
    fill = values.get("inpainting_fill")
    if isinstance(fill, int):
        words["inpainting_fill"] = MASKED_CONTENT[fill]
    if "inpaint_full_res" in values:
        words["inpaint_full_res"] = "Only masked" if values["inpaint_full_res"] else "Whole picture"
    if "inpainting_mask_invert" in values:
        inverted = bool(values["inpainting_mask_invert"])
        words["mask_mode"] = "Inpaint not masked" if inverted else "Inpaint masked"
    return words
