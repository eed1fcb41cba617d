"""What the drop-down lists offer, read from the owners of state when a page is opened."""

from dataclasses import dataclass

from modules.diffusion.samplers import SAMPLERS
from modules.diffusion.schedulers import SCHEDULERS
from modules.services import Services

__all__ = ["AUTOMATIC", "FormChoices", "read_choices"]

AUTOMATIC = "Automatic"


@dataclass(frozen=True)
class FormChoices:
    """Lists and defaults of the forms.

    Attributes:
        checkpoints: titles, as A1111 shows them ("name.safetensors [shorthash]").
        checkpoint: the one selected at first, "" when there is none.
        native_size: side in pixels for which that checkpoint was trained.
    """

    samplers: tuple[str, ...]
    schedulers: tuple[str, ...]
    upscalers: tuple[str, ...]
    checkpoints: tuple[str, ...]
    checkpoint: str
    vaes: tuple[str, ...]
    vae: str
    clip_skip: int
    styles: tuple[str, ...]
    native_size: int


UPSCALERS = (
    "Latent",
    "Latent (antialiased)",
    "Latent (bicubic)",
    "Latent (bicubic antialiased)",
    "Latent (nearest)",
    "Latent (nearest-exact)",
    "None",
    "Lanczos",
    "Nearest",
)
FALLBACK_SIDE = 512  # pixels; SD1's


def read_choices(services: Services) -> FormChoices:
    """The lists as they are now."""
    settings = services.settings.current
    hidden = set(settings.hide_samplers)
    checkpoints = tuple(file.title for file in services.catalog.checkpoints())
    return FormChoices(
        samplers=tuple(sampler.name for sampler in SAMPLERS if sampler.name not in hidden),
        schedulers=tuple(scheduler.label for scheduler in SCHEDULERS),
        upscalers=UPSCALERS,
        checkpoints=checkpoints,
        checkpoint=checkpoints[0] if checkpoints else "",
        vaes=(AUTOMATIC, "None", *(vae.name for vae in services.catalog.vaes())),
        vae=settings.sd_vae,
        clip_skip=settings.CLIP_stop_at_last_layers,
        styles=tuple(services.styles.styles),
        native_size=FALLBACK_SIDE,
    )
