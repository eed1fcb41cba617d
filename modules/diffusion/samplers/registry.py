"""All samplers, in the order in which the page lists them, and how a name finds one."""

from functools import cache

from modules.diffusion.samplers.ddim import sample_ddim, sample_ddim_cfgpp
from modules.diffusion.samplers.ddpm import sample_ddpm
from modules.diffusion.samplers.dpm2 import sample_dpm2, sample_dpm2_ancestral
from modules.diffusion.samplers.dpm_adaptive import sample_dpm_adaptive
from modules.diffusion.samplers.dpm_fast import sample_dpm_fast
from modules.diffusion.samplers.dpmpp_2m import sample_dpmpp_2m
from modules.diffusion.samplers.dpmpp_2m_sde import sample_dpmpp_2m_sde, sample_dpmpp_2m_sde_heun
from modules.diffusion.samplers.dpmpp_2s_ancestral import sample_dpmpp_2s_ancestral
from modules.diffusion.samplers.dpmpp_3m_sde import sample_dpmpp_3m_sde
from modules.diffusion.samplers.dpmpp_sde import sample_dpmpp_sde
from modules.diffusion.samplers.euler import sample_euler
from modules.diffusion.samplers.euler_ancestral import sample_euler_ancestral
from modules.diffusion.samplers.heun import sample_heun
from modules.diffusion.samplers.lcm import sample_lcm
from modules.diffusion.samplers.lms import sample_lms
from modules.diffusion.samplers.plms import sample_plms
from modules.diffusion.samplers.restart import sample_restart
from modules.diffusion.samplers.spec import SamplerSpec
from modules.diffusion.samplers.unipc import sample_unipc
from modules.diffusion.schedulers import SCHEDULERS, Scheduler, find_scheduler
from modules.exceptions import NotFoundError

__all__ = ["SAMPLERS", "find_sampler", "split_sampler_name"]

SAMPLERS = (
    SamplerSpec("DPM++ 2M", sample_dpmpp_2m, ("k_dpmpp_2m",), default_scheduler="karras"),
    SamplerSpec(
        "DPM++ SDE",
        sample_dpmpp_sde,
        ("k_dpmpp_sde",),
        default_scheduler="karras",
        second_order=True,
        brownian=True,
        uses_s_noise=True,
        default_eta=1.0,
    ),
    SamplerSpec(
        "DPM++ 2M SDE",
        sample_dpmpp_2m_sde,
        ("k_dpmpp_2m_sde",),
        default_scheduler="exponential",
        brownian=True,
        uses_s_noise=True,
        default_eta=1.0,
    ),
    SamplerSpec(
        "DPM++ 2M SDE Heun",
        sample_dpmpp_2m_sde_heun,
        ("k_dpmpp_2m_sde_heun",),
        default_scheduler="exponential",
        brownian=True,
        uses_s_noise=True,
        default_eta=1.0,
    ),
    SamplerSpec(
        "DPM++ 2S a",
        sample_dpmpp_2s_ancestral,
        ("k_dpmpp_2s_a",),
        default_scheduler="karras",
        uses_ensd=True,
        second_order=True,
        uses_s_noise=True,
        default_eta=1.0,
    ),
    SamplerSpec(
        "DPM++ 3M SDE",
        sample_dpmpp_3m_sde,
        ("k_dpmpp_3m_sde",),
        default_scheduler="exponential",
        discard_next_to_last_sigma=True,
        brownian=True,
        uses_s_noise=True,
        default_eta=1.0,
    ),
    SamplerSpec(
        "Euler a",
        sample_euler_ancestral,
        ("k_euler_a", "k_euler_ancestral"),
        uses_ensd=True,
        default_eta=1.0,
    ),
    SamplerSpec("Euler", sample_euler, ("k_euler",), uses_churn=True, uses_s_noise=True),
    SamplerSpec("LMS", sample_lms, ("k_lms",)),
    SamplerSpec("Heun", sample_heun, ("k_heun",), second_order=True, uses_churn=True, uses_s_noise=True),
    SamplerSpec(
        "DPM2",
        sample_dpm2,
        ("k_dpm_2",),
        default_scheduler="karras",
        second_order=True,
        discard_next_to_last_sigma=True,
        uses_churn=True,
        uses_s_noise=True,
    ),
    SamplerSpec(
        "DPM2 a",
        sample_dpm2_ancestral,
        ("k_dpm_2_a",),
        default_scheduler="karras",
        uses_ensd=True,
        second_order=True,
        discard_next_to_last_sigma=True,
        uses_s_noise=True,
        default_eta=1.0,
    ),
    SamplerSpec(
        "DPM fast", sample_dpm_fast, ("k_dpm_fast",), uses_ensd=True, uses_s_noise=True, default_eta=1.0
    ),
    SamplerSpec("DPM adaptive", sample_dpm_adaptive, ("k_dpm_ad",), uses_ensd=True, default_eta=1.0),
    SamplerSpec("Restart", sample_restart, ("restart",), default_scheduler="karras", second_order=True),
    SamplerSpec("DDIM", sample_ddim, ("ddim",), kind="timestep", default_eta=0.0),
    SamplerSpec(
        "DDIM CFG++",
        sample_ddim_cfgpp,
        ("ddim_cfgpp",),
        kind="timestep",
        default_eta=0.0,
        cfg_scale_multiplier=1 / 12.5,  # the paper's lambda of 0..1 for the usual scales up to 12.5
    ),
    SamplerSpec("PLMS", sample_plms, ("plms",), kind="timestep"),
    SamplerSpec("UniPC", sample_unipc, ("unipc",), kind="timestep"),
    SamplerSpec("LCM", sample_lcm, ("k_lcm",), consistency=True),
    SamplerSpec("DDPM", sample_ddpm, ("ddpm",), uses_ensd=True, default_eta=1.0),
)


def find_sampler(name: str) -> SamplerSpec:
    """The sampler with this name or alias, in any case.

    Raises:
        NotFoundError: there is none.
    """
    found = _by_name().get(name.lower())
    if found is not None:
        return found
    names = ", ".join(sampler.name for sampler in SAMPLERS)
    raise NotFoundError("sampler_name", f'There is no sampler "{name}"; there are {names}.')


@cache
def _by_name() -> dict[str, SamplerSpec]:
    """Name or alias in small letters -> sampler; where two share one, it is the first one's."""
    return {
        word.lower(): sampler for sampler in reversed(SAMPLERS) for word in (sampler.name, *sampler.aliases)
    }


def split_sampler_name(
    name: str | None, scheduler: str | None = None, *, keep_explicit: bool = False
) -> tuple[SamplerSpec, Scheduler]:
    """Sampler and scheduler of a request, where old pictures have both in one name ("DPM++ 2M Karras").

    A schedule at the end of the name wins over ``scheduler``. A schedule that is the sampler's default
    becomes Automatic, as the page shows it, unless ``keep_explicit``.

    Args:
        name: None or empty is the first sampler.
        scheduler: label, name or alias; None or empty is Automatic.
        keep_explicit: do not turn a default into Automatic.

    Raises:
        NotFoundError: there is no such sampler or scheduler.
    """
    found = find_scheduler(scheduler) if scheduler else SCHEDULERS[0]
    name = name or SAMPLERS[0].name
    for candidate in SCHEDULERS:
        for word in (candidate.label, candidate.name, *candidate.aliases):
            if name.endswith(f" {word}"):
                found, name = candidate, name.removesuffix(f" {word}")
                break
    sampler = find_sampler(name)
    if found.name == sampler.default_scheduler and not keep_explicit:
        found = SCHEDULERS[0]
    return sampler, found
