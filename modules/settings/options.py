"""All settings as one frozen value with A1111's option keys and defaults.

``settings.randn_source`` is read the same way wherever the option is declared; the groups are files
of their own only to stay readable. Defaults are A1111's but for the live previews, which cost nothing
here and are therefore shown at every step, for output folders, which are relative to the outputs root, and
for Real-ESRGAN, of which all models are shown whose files are there. Options of A1111 that would do nothing
here (console noise, URL fetching, profiler ...) are absent.
"""

from collections.abc import Mapping
from functools import cache
from typing import Self

from pydantic import JsonValue, ValidationError

from modules.exceptions import RequestError
from modules.settings.generation import GenerationSettings
from modules.settings.interface import InterfaceSettings
from modules.settings.option import OptionInfo, option_info
from modules.settings.postprocessing import PostprocessingSettings
from modules.settings.samplers import SamplerSettings
from modules.settings.saving import SavingSettings
from modules.settings.system import SystemSettings

__all__ = ["Settings", "describe_options", "infotext_options"]


class Settings(
    SystemSettings,
    InterfaceSettings,
    PostprocessingSettings,
    SamplerSettings,
    GenerationSettings,
    SavingSettings,
):
    """Every option, immutable. A change makes a new value (:meth:`overridden`)."""

    @classmethod
    def known(cls, changes: Mapping[str, object]) -> tuple[dict[str, object], tuple[str, ...]]:
        """Split ``changes`` into those with a known key and the names of the others."""
        ours = {key: value for key, value in changes.items() if key in cls.model_fields}
        return ours, tuple(key for key in changes if key not in cls.model_fields)

    def overridden(self, changes: Mapping[str, object]) -> Self:
        """These settings with some options changed; unknown keys are ignored.

        Raises:
            RequestError: a value has the wrong type or lies outside its limits; ``field`` is its key.
        """
        ours, _ = self.known(changes)
        if not ours:
            return self
        try:
            valid = type(self).model_validate(ours)  # options do not depend on each other
            return self.model_copy(update={key: getattr(valid, key) for key in ours})
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            key = str(first["loc"][0])
            raise RequestError(key, f"setting {key} = {_shown(ours.get(key))}: {first['msg']}") from error

    def as_json(self) -> dict[str, JsonValue]:
        """All options as plain JSON values, in the order of the settings page."""
        dumped = self.model_dump(mode="json")
        return {info.key: dumped[info.key] for info in describe_options()}


@cache
def describe_options() -> tuple[OptionInfo, ...]:
    """Every option with its label, section, limits and choices, in the order of the settings page."""
    groups = (
        SavingSettings,
        GenerationSettings,
        SamplerSettings,
        PostprocessingSettings,
        InterfaceSettings,
        SystemSettings,
    )
    return tuple(option_info(key, field) for group in groups for key, field in group.model_fields.items())


@cache
def infotext_options() -> Mapping[str, str]:
    """Key in generation parameters -> key of the option that it restores."""
    return {info.infotext: info.key for info in describe_options() if info.infotext is not None}


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
