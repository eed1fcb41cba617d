"""Samplers: one resumable generator for each method; see :mod:`modules.diffusion.sampling`."""

from modules.diffusion.samplers.registry import SAMPLERS, find_sampler, split_sampler_name
from modules.diffusion.samplers.spec import (
    SampleFunction,
    SamplerOptions,
    SamplerSpec,
    UniPcOptions,
    UniPcSkipType,
    UniPcVariant,
)

__all__ = [
    "SAMPLERS",
    "SampleFunction",
    "SamplerOptions",
    "SamplerSpec",
    "UniPcOptions",
    "UniPcSkipType",
    "UniPcVariant",
    "find_sampler",
    "split_sampler_name",
]
