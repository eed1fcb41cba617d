"""What other programs call the samplers."""

from collections.abc import Mapping

__all__ = ["COMFY_SAMPLERS", "INVOKE_SAMPLERS", "NOVELAI_SAMPLERS", "name_sampler"]

NOVELAI_SAMPLERS = {
    "k_euler": "Euler",
    "k_euler_ancestral": "Euler a",
    "k_dpm_2": "DPM2",
    "k_dpm_2_ancestral": "DPM2 a",
    "k_lms": "LMS",
    "k_heun": "Heun",
    "k_dpmpp_2m": "DPM++ 2M",
    "k_dpmpp_2m_sde": "DPM++ 2M SDE",
    "k_dpmpp_sde": "DPM++ SDE",
    "k_dpmpp_2s_ancestral": "DPM++ 2S a",
    "k_dpm_fast": "DPM fast",
    "ddim": "DDIM",
    "ddim_v3": "DDIM",
    "plms": "PLMS",
}
INVOKE_SAMPLERS = {
    "ddim": "DDIM",
    "ddpm": "DDPM",
    "plms": "PLMS",
    "pndm": "PLMS",
    "euler": "Euler",
    "euler_a": "Euler a",
    "heun": "Heun",
    "lms": "LMS",
    "kdpm_2": "DPM2",
    "kdpm_2_a": "DPM2 a",
    "dpmpp_2s": "DPM++ 2S a",
    "dpmpp_2m": "DPM++ 2M",
    "dpmpp_2m_sde": "DPM++ 2M SDE",
    "dpmpp_3m": "DPM++ 3M SDE",
    "dpmpp_sde": "DPM++ SDE",
    "unipc": "UniPC",
    "lcm": "LCM",
}
COMFY_SAMPLERS = {  # Fooocus took them over; the names of variants end in _gpu
    "euler": "Euler",
    "euler_ancestral": "Euler a",
    "heun": "Heun",
    "dpm_2": "DPM2",
    "dpm_2_ancestral": "DPM2 a",
    "lms": "LMS",
    "dpm_fast": "DPM fast",
    "dpm_adaptive": "DPM adaptive",
    "dpmpp_2s_ancestral": "DPM++ 2S a",
    "dpmpp_sde": "DPM++ SDE",
    "dpmpp_2m": "DPM++ 2M",
    "dpmpp_2m_sde": "DPM++ 2M SDE",
    "dpmpp_3m_sde": "DPM++ 3M SDE",
    "ddpm": "DDPM",
    "ddim": "DDIM",
    "lcm": "LCM",
    "uni_pc": "UniPC",
    "restart": "Restart",
}


def name_sampler(names: Mapping[str, str], name: str, otherwise: str, lost: list[str]) -> str:
    """A1111's name of another program's sampler.

    Args:
        names: one of this module's tables.
        name: what the program wrote.
        otherwise: what takes the place of a sampler that is not known here.
        lost: gets a sentence if that happens.
    """
    if name not in names:
        lost.append(f"sampler {name[:40]!r} is not known here; {otherwise} takes its place")
    return names.get(name, otherwise)
