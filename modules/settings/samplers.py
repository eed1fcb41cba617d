"""Noise levels, noise and solver options."""

from typing import Literal

from modules.settings.option import SettingsModel, option
from modules.settings.sections import (
    SAMPLER_PARAMETERS,
)

__all__ = ["SamplerSettings"]


class SamplerSettings(SettingsModel):
    """Noise levels, noise and solver options."""

    hide_samplers: tuple[str, ...] = option(
        (), "Hide samplers in user interface", SAMPLER_PARAMETERS, restart=True
    )
    eta_ddim: float = option(
        0.0,
        "Eta for DDIM",
        SAMPLER_PARAMETERS,
        minimum=0.0,
        maximum=1.0,
        step=0.01,
        soft=True,
        infotext="Eta DDIM",
    )
    eta_ancestral: float = option(
        1.0,
        "Eta for k-diffusion samplers",
        SAMPLER_PARAMETERS,
        minimum=0.0,
        maximum=1.0,
        step=0.01,
        soft=True,
        infotext="Eta",
    )
    ddim_discretize: Literal["uniform", "quad"] = option(
        "uniform", "img2img DDIM discretize", SAMPLER_PARAMETERS, inert=True
    )
    s_churn: float = option(
        0.0,
        "sigma churn",
        SAMPLER_PARAMETERS,
        minimum=0.0,
        maximum=100.0,
        step=0.01,
        soft=True,
        infotext="Sigma churn",
    )
    s_tmin: float = option(
        0.0,
        "sigma tmin",
        SAMPLER_PARAMETERS,
        minimum=0.0,
        maximum=10.0,
        step=0.01,
        soft=True,
        infotext="Sigma tmin",
    )
    s_tmax: float = option(
        0.0,
        "sigma tmax",
        SAMPLER_PARAMETERS,
        minimum=0.0,
        maximum=999.0,
        step=0.01,
        soft=True,
        infotext="Sigma tmax",
    )
    s_noise: float = option(
        1.0,
        "sigma noise",
        SAMPLER_PARAMETERS,
        minimum=0.0,
        maximum=1.1,
        step=0.001,
        soft=True,
        infotext="Sigma noise",
    )
    sigma_min: float = option(0.0, "sigma min", SAMPLER_PARAMETERS, infotext="Schedule min sigma")
    sigma_max: float = option(0.0, "sigma max", SAMPLER_PARAMETERS, infotext="Schedule max sigma")
    rho: float = option(0.0, "rho", SAMPLER_PARAMETERS, infotext="Schedule rho")
    eta_noise_seed_delta: int = option(0, "Eta noise seed delta", SAMPLER_PARAMETERS, infotext="ENSD")
    always_discard_next_to_last_sigma: bool = option(
        False, "Always discard next-to-last sigma", SAMPLER_PARAMETERS, infotext="Discard penultimate sigma"
    )
    sgm_noise_multiplier: bool = option(
        False, "SGM noise multiplier", SAMPLER_PARAMETERS, infotext="SGM noise multiplier"
    )
    uni_pc_variant: Literal["bh1", "bh2", "vary_coeff"] = option(
        "bh1", "UniPC variant", SAMPLER_PARAMETERS, infotext="UniPC variant"
    )
    uni_pc_skip_type: Literal["time_uniform", "time_quadratic", "logSNR"] = option(
        "time_uniform", "UniPC skip type", SAMPLER_PARAMETERS, infotext="UniPC skip type"
    )
    uni_pc_order: int = option(
        3, "UniPC order", SAMPLER_PARAMETERS, minimum=1, maximum=50, step=1, infotext="UniPC order"
    )
    uni_pc_lower_order_final: bool = option(
        True, "UniPC lower order final", SAMPLER_PARAMETERS, infotext="UniPC lower order final"
    )
    sd_noise_schedule: Literal["Default", "Zero Terminal SNR"] = option(
        "Default", "Noise schedule for sampling", SAMPLER_PARAMETERS, infotext="Noise Schedule"
    )
    sd_prediction_type: Literal["Automatic", "epsilon", "v"] = option(
        "Automatic", "What the network predicts", SAMPLER_PARAMETERS, infotext="Prediction type"
    )
    skip_early_cond: float = option(
        0.0,
        "Ignore negative prompt during early sampling",
        SAMPLER_PARAMETERS,
        minimum=0.0,
        maximum=1.0,
        step=0.01,
        infotext="Skip Early CFG",
    )
    beta_dist_alpha: float = option(
        0.6,
        "Beta scheduler - alpha",
        SAMPLER_PARAMETERS,
        minimum=0.01,
        maximum=1.0,
        step=0.01,
        infotext="Beta schedule alpha",
    )
    beta_dist_beta: float = option(
        0.6,
        "Beta scheduler - beta",
        SAMPLER_PARAMETERS,
        minimum=0.01,
        maximum=1.0,
        step=0.01,
        infotext="Beta schedule beta",
    )
