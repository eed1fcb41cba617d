"""The ``infotext`` field: generation parameters as text fill what the client did not say."""

from collections.abc import Mapping

from pydantic import JsonValue, ValidationError

from modules.domain.infotext import parse_infotext
from modules.exceptions import RequestError
from modules.server.sdapi.payloads import Payload, TextToImagePayload
from modules.settings.options import Settings, infotext_options

__all__ = ["filled_from_infotext"]

_FIELDS: Mapping[str, str] = {
    "Prompt": "prompt",
    "Negative prompt": "negative_prompt",
    "Steps": "steps",
    "Sampler": "sampler_name",
    "Schedule type": "scheduler",
    "CFG scale": "cfg_scale",
    "Seed": "seed",
    "Size-1": "width",
    "Size-2": "height",
    "Batch size": "batch_size",
    "Variation seed": "subseed",
    "Variation seed strength": "subseed_strength",
    "Seed resize from-1": "seed_resize_from_w",
    "Seed resize from-2": "seed_resize_from_h",
    "Denoising strength": "denoising_strength",
    "Hires upscale": "hr_scale",
    "Hires upscaler": "hr_upscaler",
    "Hires steps": "hr_second_pass_steps",
    "Hires resize-1": "hr_resize_x",
    "Hires resize-2": "hr_resize_y",
    "Hires checkpoint": "hr_checkpoint_name",
    "Hires sampler": "hr_sampler_name",
    "Hires schedule type": "hr_scheduler",
    "Hires prompt": "hr_prompt",
    "Hires negative prompt": "hr_negative_prompt",
    "Refiner": "refiner_checkpoint",
    "Refiner switch at": "refiner_switch_at",
}


def filled_from_infotext(payload: Payload) -> Payload:
    """The payload with its gaps filled from its ``infotext``.

    As in A1111, img2img takes only settings from the text.

    Raises:
        RequestError: the text holds a value that cannot be used.
    """
    if not payload.infotext:
        return payload
    parsed = parse_infotext(payload.infotext)
    given = payload.model_fields_set
    values: dict[str, object] = {}
    if isinstance(payload, TextToImagePayload):
        values = {
            field: parsed[label] for label, field in _FIELDS.items() if label in parsed and field not in given
        }
        if "enable_hr" not in given and "Denoising strength" in parsed:
            values["enable_hr"] = "Hires upscale" in parsed or "Hires upscaler" in parsed
    overrides = {**_settings(parsed), **(payload.override_settings or {})}
    try:
        return type(payload).model_validate(
            {**payload.model_dump(exclude_unset=True), **values, "override_settings": overrides}
        )
    except ValidationError as error:
        place = error.errors(include_input=False)[0]["loc"][0]
        raise RequestError("infotext", f"the text's value for {place} cannot be used") from error


def _settings(parsed: Mapping[str, object]) -> dict[str, JsonValue]:
    """Settings in the text that differ from the defaults, as typed values; unusable ones are left out."""
    plain = Settings()
    found: dict[str, JsonValue] = {}
    for label, key in infotext_options().items():
        if label not in parsed:
            continue
        try:
            found[key] = plain.overridden({key: parsed[label]}).as_json()[key]
        except RequestError:
            continue  # a value of another program under the same key
    return found
