"""All scripts there are: the built-in ones and those of extensions."""

from collections.abc import Sequence
from dataclasses import dataclass

from modules.domain.request import GenerationRequest
from modules.domain.script import Arguments, ScriptDeclaration, read_arguments
from modules.exceptions import RequestError
from modules.generation.resolve import Catalogs
from modules.generation.scripts import (
    loopback,
    noise_reversal,
    outpainting,
    plot,
    poor_mans_outpainting,
    prompt_matrix,
    prompts_from_file,
    sd_upscale,
)
from modules.generation.scripts.choices import script_choices
from modules.generation.scripts.script import Script
from modules.settings.options import Settings

__all__ = ["BUILT_IN", "ScriptCatalog"]

BUILT_IN: tuple[Script, ...] = (
    noise_reversal.SCRIPT,
    loopback.SCRIPT,
    outpainting.SCRIPT,
    poor_mans_outpainting.SCRIPT,
    prompt_matrix.SCRIPT,
    prompts_from_file.SCRIPT,
    sd_upscale.SCRIPT,
    plot.SCRIPT,
)
"""A1111's scripts in its order: that of their files' names."""


@dataclass(frozen=True)
class ScriptCatalog:
    """Scripts by title; of two with one title the first counts."""

    scripts: Sequence[Script] = BUILT_IN

    def declarations(self, tab: str) -> tuple[ScriptDeclaration, ...]:
        """The scripts that a tab offers."""
        return tuple(script.declaration for script in self.scripts if tab in script.declaration.tabs)

    def find(self, title: str, tab: str) -> Script:
        """The script of that title, in any case, if the tab offers it.

        Raises:
            RequestError: there is none.
        """
        for script in self.scripts:
            if script.declaration.title.lower() == title.lower() and tab in script.declaration.tabs:
                return script
        raise RequestError("script_name", f"Script '{title}' not found")

    def prepare(
        self, request: GenerationRequest, catalogs: Catalogs, settings: Settings
    ) -> tuple[Script, Arguments]:
        """The script that a request names, and its arguments checked.

        Raises:
            RequestError: there is no such script, or an argument cannot be used.
        """
        script = self.find(request.script_name or "", request.kind)
        choices = script_choices(catalogs, settings, request.kind)
        return script, read_arguments(script.declaration, request.script_args, choices)
