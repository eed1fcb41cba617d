"""What the drop-down lists offer, read from the owners of state when a page is opened."""

from collections.abc import Mapping
from dataclasses import dataclass

from modules.diffusion.samplers import SAMPLERS
from modules.diffusion.schedulers import SCHEDULERS
from modules.domain.script import BOTH_TABS
from modules.exceptions import WebuiError
from modules.services import Services
from modules.webui.form.request_builder import AUTOMATIC
from modules.webui.form.suggestions import Suggestions, hires_upscalers, suggestions_for

__all__ = ["FormChoices", "read_choices"]


@dataclass(frozen=True)
class FormChoices:
    """Lists and defaults of the forms.

    Attributes:
        checkpoints: titles, as A1111 shows them ("name.safetensors [shorthash]").
        checkpoint: the one selected at first, "" when there is none.
        suggested: what suits that checkpoint.
        scripts: titles of the scripts there are, by kind (txt2img, img2img).
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
    suggested: Suggestions
    scripts: Mapping[str, tuple[str, ...]]


def read_choices(services: Services) -> FormChoices:
    """The lists as they are now."""
    settings = services.settings.current
    hidden = set(settings.hide_samplers)
    checkpoints = tuple(file.title for file in services.catalog.checkpoints())
    checkpoint = _selected(services, checkpoints)
    return FormChoices(
        samplers=tuple(sampler.name for sampler in SAMPLERS if sampler.name not in hidden),
        schedulers=tuple(scheduler.label for scheduler in SCHEDULERS),
        upscalers=hires_upscalers(services),
        checkpoints=checkpoints,
        checkpoint=checkpoint,
        vaes=(AUTOMATIC, "None", *(vae.name for vae in services.catalog.vaes())),
        vae=settings.sd_vae,
        clip_skip=settings.CLIP_stop_at_last_layers,
        styles=tuple(services.styles.styles),
        suggested=suggestions_for(services, checkpoint),
        scripts={
            kind: tuple(one.title for one in services.plugins.scripts.declarations(kind))
            for kind in BOTH_TABS
        },
    )


def _selected(services: Services, checkpoints: tuple[str, ...]) -> str:
    """Title of the checkpoint that the command line or the settings name, else the first."""
    wanted = services.options.checkpoint or services.settings.current.sd_model_checkpoint
    if wanted:
        try:
            return services.catalog.find_checkpoint(wanted).title
        except WebuiError:
            return wanted  # shown as it is; a picture with it is refused with a sentence
    return checkpoints[0] if checkpoints else ""
