"""What suits a checkpoint: the values that a form begins with."""

from dataclasses import dataclass

from modules.checkpoints.loader import detect_checkpoint
from modules.exceptions import WebuiError
from modules.generation.hires_size import LATENT_UPSCALERS
from modules.services import Services

__all__ = ["Suggestions", "hires_upscalers", "suggestions_for"]

_SCALES = (1.0, 30.0)
_STRENGTHS = (0.0, 1.0)


@dataclass(frozen=True)
class Suggestions:
    """Values that suit a checkpoint; those of A1111 where nothing is known.

    Attributes:
        side: pixels for which it was trained.
        cfg_scale: 1 to 30.
        hires_upscaler: name of the upscaler of the second pass.
        hires_strength: its denoising strength, 0 to 1.
    """

    side: int = 512
    cfg_scale: float = 7.0
    hires_upscaler: str = "Latent"
    hires_strength: float = 0.7


def suggestions_for(services: Services, checkpoint: str) -> Suggestions:
    """What suits a checkpoint: the size by its file's header, the rest by the notes beside it.

    The notes (``<stem>.json``) may have "cfg scale", "hires upscaler" and "hires strength". A file that
    cannot be used says so when it is asked for a picture, not here.
    """
    usual = Suggestions()
    try:
        file = services.catalog.find_checkpoint(checkpoint)
        notes = file.user_metadata
        upscaler = notes.get("hires upscaler")
        return Suggestions(
            detect_checkpoint(file).family.native_size,
            _within(_SCALES, notes.get("cfg scale"), usual.cfg_scale),
            str(upscaler) if upscaler in hires_upscalers(services) else usual.hires_upscaler,
            _within(_STRENGTHS, notes.get("hires strength"), usual.hires_strength),
        )
    except WebuiError:
        return usual


def hires_upscalers(services: Services) -> tuple[str, ...]:
    """Names of what can enlarge a picture before its second pass."""
    return (*LATENT_UPSCALERS, *services.upscalers.names(services.settings.current))


def _within(limits: tuple[float, float], noted: object, usual: float) -> float:
    return float(noted) if isinstance(noted, int | float) and limits[0] <= noted <= limits[1] else usual
