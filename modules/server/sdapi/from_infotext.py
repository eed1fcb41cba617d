"""The ``infotext`` field: generation parameters as text fill what the client did not say."""

from collections.abc import Collection, Mapping

from pydantic import JsonValue, ValidationError

from modules.checkpoints.catalog import AUTOMATIC_VAE, BAKED_IN_VAE, ModelCatalog
from modules.domain.infotext import InfotextValue
from modules.domain.infotext_request import has_second_pass, like_option
from modules.exceptions import RequestError
from modules.generation.pasting import parse_pasted, pasted_sampler
from modules.generation.resolve import Catalogs
from modules.server.sdapi.payloads import Payload, TextToImagePayload
from modules.settings.options import Settings, infotext_options

__all__ = ["filled_from_infotext"]

_FIELDS: Mapping[str, str] = {
    "Prompt": "prompt",
    "Negative prompt": "negative_prompt",
    "Styles array": "styles",
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


def filled_from_infotext(payload: Payload, settings: Settings, catalogs: Catalogs) -> Payload:
    """The payload with its gaps filled from its ``infotext``, which is read as a paste reads it.

    As in A1111, img2img takes only settings from the text.

    Args:
        payload: what the client sent.
        settings: of this moment; those for pasting say what of the text counts.
        catalogs: what is on disk; a checkpoint or VAE that is not there is disregarded.

    Raises:
        RequestError: the text holds a value that cannot be used.
    """
    if not payload.infotext:
        return payload
    parsed = parse_pasted(payload.infotext, settings, catalogs)
    values = _fields(parsed, payload.model_fields_set) if isinstance(payload, TextToImagePayload) else {}
    overrides = {**_settings(parsed, settings, catalogs.models), **(payload.override_settings or {})}
    try:
        return type(payload).model_validate(
            {**payload.model_dump(exclude_unset=True), **values, "override_settings": overrides}
        )
    except ValidationError as error:
        place = error.errors(include_input=False)[0]["loc"][0]
        raise RequestError("infotext", f"the text's value for {place} cannot be used") from error


def _fields(parsed: Mapping[str, InfotextValue], given: Collection[str]) -> dict[str, InfotextValue]:
    """Values for the fields that the client did not give."""
    values = {field: parsed[label] for label, field in _FIELDS.items() if label in parsed}
    sampler, schedule = pasted_sampler(parsed) or (None, None)
    if sampler is not None and schedule is not None:
        values |= {"sampler_name": sampler, "scheduler": schedule}
    if "sampler_name" in given and values.get("scheduler") == "Automatic":
        del values["scheduler"]  # the name that the client gave may hold a schedule
    if "Denoising strength" in parsed:
        values["enable_hr"] = has_second_pass(parsed)
    return {field: value for field, value in values.items() if field not in given}


def _settings(
    parsed: Mapping[str, InfotextValue], settings: Settings, models: ModelCatalog
) -> dict[str, JsonValue]:
    """Settings in the text that differ from the current ones, as typed values; unusable ones are left out."""
    current = settings.as_json()
    found: dict[str, JsonValue] = {}
    for label, key in infotext_options().items():
        if label not in parsed or (label == "Model hash" and settings.disable_weights_auto_swap):
            continue
        try:
            value = like_option(current[key])(str(parsed[label]))
            value = Settings().overridden({key: value}).as_json()[key]
            _find_weights(key, str(value), models)
        except (RequestError, ValueError, OverflowError):
            continue  # a value of another program under the same key, or weights that are not here
        if value != current[key]:
            found[key] = value
    return found


def _find_weights(key: str, name: str, models: ModelCatalog) -> None:
    """Raise NotFoundError if a setting names weights that are not there."""
    if key == "sd_model_checkpoint":
        models.find_checkpoint(name)
    elif key == "sd_vae" and name not in {AUTOMATIC_VAE, BAKED_IN_VAE}:
        models.find_vae(name)
