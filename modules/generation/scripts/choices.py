"""What the arguments of scripts and the axes of a plot may be chosen from: lists of what there is."""

from collections.abc import Mapping

from modules.diffusion.samplers import SAMPLERS, find_sampler
from modules.diffusion.schedulers import SCHEDULERS
from modules.domain.plot_axes import FIXED_CHOICES, axes_of
from modules.generation.hires_size import LATENT_UPSCALERS
from modules.generation.resolve import Catalogs
from modules.settings.options import Settings

__all__ = ["axis_choices", "check_name", "script_choices"]

_SPECIAL_VAES = ("auto", "automatic", "none")


def script_choices(catalogs: Catalogs, settings: Settings, tab: str) -> dict[str, tuple[str, ...]]:
    """All lists by the name that declarations give them (``choices_from``)."""
    checkpoints = tuple(sorted((file.title for file in catalogs.models.checkpoints()), key=str.casefold))
    hidden, names = set(settings.hide_samplers), catalogs.upscalers.names(settings)
    return {
        **FIXED_CHOICES,
        "axes": tuple(axis.label for axis in axes_of(tab)),
        "upscalers": names,
        "hires upscalers": (*LATENT_UPSCALERS, *names),
        "samplers": tuple(sampler.name for sampler in SAMPLERS if sampler.name not in hidden),
        "schedulers": tuple(scheduler.label for scheduler in SCHEDULERS),
        "checkpoints": checkpoints,
        "refiners": ("None", *checkpoints),
        "vaes": ("Automatic", "None", *(vae.name for vae in catalogs.models.vaes())),
        "styles": tuple(catalogs.styles.styles),
    }


def axis_choices(lists: Mapping[str, tuple[str, ...]], axis: str | int, tab: str) -> tuple[str, ...]:
    """What may be chosen for an axis, by its label or place; empty where values are written as text."""
    axes = axes_of(tab)
    found = axes[axis] if isinstance(axis, int) else next(one for one in axes if one.label == axis)
    return lists[found.choices] if found.choices else ()


def check_name(catalogs: Catalogs, kind: str, name: str) -> None:
    """Make sure that a name on an axis stands for something.

    Raises:
        NotFoundError: it does not.
    """
    if kind == "sampler":
        find_sampler(name)
    elif kind == "checkpoint" or (kind == "refiner" and name.lower() not in ("", "none")):
        catalogs.models.find_checkpoint(name)
    elif kind == "vae" and name.strip().lower() not in _SPECIAL_VAES:
        catalogs.models.find_vae(name.strip())
