"""Generation parameters as a paste reads them: with the settings, styles and LoRAs of this place."""

from collections.abc import Mapping

from modules.diffusion.samplers import split_sampler_name
from modules.domain.infotext import InfotextValue, parse_infotext
from modules.exceptions import NotFoundError
from modules.generation.resolve import Catalogs
from modules.settings.options import Settings

__all__ = ["parse_pasted", "pasted_sampler"]


def parse_pasted(text: str, settings: Settings, catalogs: Catalogs | None = None) -> dict[str, InfotextValue]:
    """Read generation parameters under the settings for pasting.

    Args:
        text: a picture's ``parameters``, or any text at all.
        settings: say which keys are disregarded and what becomes of styles.
        catalogs: its styles are taken out of the prompts, and its LoRAs are called by their names here;
            None leaves the prompts alone.
    """
    found = parse_infotext(
        text,
        styles=None if catalogs is None else catalogs.styles.extract,
        style_mode=settings.infotext_styles,
        skip=settings.infotext_skip_pasting,
    )
    if catalogs is not None and "Prompt" in found and "Lora hashes" in found:
        prefer_alias = settings.lora_preferred_name == "Alias from file"
        found["Prompt"] = catalogs.networks.with_names_here(
            str(found["Prompt"]), str(found["Lora hashes"]), prefer_alias=prefer_alias
        )
    return found


def pasted_sampler(found: Mapping[str, InfotextValue]) -> tuple[str, str] | None:
    """Names of sampler and schedule that parameters speak of; old ones have both in one name.

    None if they name no sampler, or one that is not known here.
    """
    if "Sampler" not in found:
        return None
    schedule = str(found.get("Schedule type", ""))
    try:
        sampler, scheduler = split_sampler_name(str(found["Sampler"]), schedule, keep_explicit=True)
    except NotFoundError:
        return None
    return sampler.name, scheduler.label
