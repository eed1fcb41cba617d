"""The scripts that forms offer, and what their arguments are chosen from."""

from dataclasses import dataclass

from modules.domain.script import ScriptDeclaration
from modules.generation.scripts.choices import script_choices
from modules.services import Services, catalogs_of

__all__ = ["ScriptOffer"]


@dataclass(frozen=True)
class ScriptOffer:
    """The scripts there are and the lists they choose from, read when they are asked for."""

    services: Services

    def declarations(self, kind: str) -> tuple[ScriptDeclaration, ...]:
        """Scripts of txt2img or img2img."""
        return self.services.plugins.scripts.declarations(kind)

    def lists(self, kind: str) -> dict[str, tuple[str, ...]]:
        """What may be chosen, by the names in the declarations."""
        return script_choices(catalogs_of(self.services), self.services.settings.current, kind)
