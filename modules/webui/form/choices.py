"""What the drop-down lists offer, read from the owners of state when a page is opened."""

from collections.abc import Mapping
from dataclasses import dataclass

from modules.checkpoints.loader import detect_checkpoint
from modules.diffusion.samplers import SAMPLERS
from modules.diffusion.schedulers import SCHEDULERS
from modules.domain.script import BOTH_TABS
from modules.exceptions import WebuiError
from modules.generation.hires_size import LATENT_UPSCALERS
from modules.services import Services
from modules.webui.form.request_builder import AUTOMATIC

__all__ = ["FormChoices", "native_size", "read_choices", "suggested_cfg_scale"]


@dataclass(frozen=True)
class FormChoices:
    """Lists and defaults of the forms.

    Attributes:
        checkpoints: titles, as A1111 shows them ("name.safetensors [shorthash]").
        checkpoint: the one selected at first, "" when there is none.
        native_size: side in pixels for which that checkpoint was trained.
        scripts: titles of the scripts there are, by kind (txt2img, img2img).
        cfg_scale: what its notes suggest, else A1111's default.
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
    scripts: Mapping[str, tuple[str, ...]]
    cfg_scale: float = 7.0


FALLBACK_SIDE = 512  # pixels; SD1's
DEFAULT_CFG_SCALE = 7.0  # A1111's


def read_choices(services: Services) -> FormChoices:
    """The lists as they are now."""
    settings = services.settings.current
    hidden = set(settings.hide_samplers)
    checkpoints = tuple(file.title for file in services.catalog.checkpoints())
    checkpoint = _selected(services, checkpoints)
    return FormChoices(
        samplers=tuple(sampler.name for sampler in SAMPLERS if sampler.name not in hidden),
        schedulers=tuple(scheduler.label for scheduler in SCHEDULERS),
        upscalers=(*LATENT_UPSCALERS, *services.upscalers.names(settings)),
        checkpoints=checkpoints,
        checkpoint=checkpoint,
        vaes=(AUTOMATIC, "None", *(vae.name for vae in services.catalog.vaes())),
        vae=settings.sd_vae,
        clip_skip=settings.CLIP_stop_at_last_layers,
        styles=tuple(services.styles.styles),
        native_size=native_size(services, checkpoint),
        scripts={
            kind: tuple(one.title for one in services.plugins.scripts.declarations(kind))
            for kind in BOTH_TABS
        },
        cfg_scale=suggested_cfg_scale(services, checkpoint),
    )


def native_size(services: Services, checkpoint: str) -> int:
    """Side in pixels that a checkpoint was trained for, read from the file's header."""
    try:
        return detect_checkpoint(services.catalog.find_checkpoint(checkpoint)).family.native_size
    except WebuiError:
        return FALLBACK_SIDE  # a file that cannot be used says so when it is asked for a picture


def suggested_cfg_scale(services: Services, checkpoint: str) -> float:
    """The "cfg scale" in the notes beside a checkpoint (``<stem>.json``), else A1111's default."""
    try:
        noted = services.catalog.find_checkpoint(checkpoint).user_metadata.get("cfg scale")
    except WebuiError:
        return DEFAULT_CFG_SCALE
    return float(noted) if isinstance(noted, int | float) and 1 <= noted <= 30 else DEFAULT_CFG_SCALE


def _selected(services: Services, checkpoints: tuple[str, ...]) -> str:
    """Title of the checkpoint that the command line or the settings name, else the first."""
    wanted = services.options.checkpoint or services.settings.current.sd_model_checkpoint
    if wanted:
        try:
            return services.catalog.find_checkpoint(wanted).title
        except WebuiError:
            return wanted  # shown as it is; a picture with it is refused with a sentence
    return checkpoints[0] if checkpoints else ""
