"""Starting values by model and memory, and how parts of a recipe are put together."""

from collections.abc import Mapping
from types import MappingProxyType

from modules.families.detect import DetectedModel

__all__ = ["PRESETS", "fitting_preset", "merged", "preset_kinds", "preset_values"]

Content = Mapping[str, object]

_EMBEDDED = "Embedded model, processor"
_SD_SMALL, _SD_LARGE = "SD 1 or 2, 6 GB", "SD 1 or 2, 12 GB"
_XL_SMALL, _XL_LARGE = "SDXL, 12 GB", "SDXL, 24 GB"

PRESETS: Mapping[str, Content] = {
    _EMBEDDED: {
        "optimisation": {
            "steps": 900,
            "batch": 4,
            "learning_rate": 3e-3,
            "snr_gamma": 0,
            "schedule": "cosine",
            "timestep_shift": 2.0,
            "bfloat16": True,
        },
        "lora": {"rank": 32, "conv_rank": 16, "text_encoder": True},
        "samples": {"cfg_scale": 4.0},
    },
    _SD_SMALL: {
        "optimisation": {"steps": 1500, "batch": 1, "checkpointing": True},
        "lora": {"rank": 16, "text_encoder": True},
    },
    _SD_LARGE: {
        "optimisation": {"steps": 1000, "batch": 2},
        "lora": {"rank": 32, "text_encoder": True},
    },
    _XL_SMALL: {
        "optimisation": {"steps": 1500, "batch": 1, "checkpointing": True},
        "lora": {"rank": 16, "text_encoder": False},
    },
    _XL_LARGE: {
        "optimisation": {"steps": 1500, "batch": 2, "checkpointing": True},
        "lora": {"rank": 32, "text_encoder": True},
    },
}
"""Parts of recipes, of a LoRA where nothing else is said, under the names that people choose them by."""

_RATES: Mapping[str, float] = {"textual-inversion": 5e-3, "hypernetwork": 1e-5, "checkpoint": 2e-6}
_EMBEDDED_KINDS: Mapping[str, Content] = {
    "textual-inversion": {"optimisation": {"steps": 400, "learning_rate": 2e-2}},
    "hypernetwork": {"optimisation": {"learning_rate": 1e-4}},
    "checkpoint": {"optimisation": {"steps": 400, "learning_rate": 3e-4}},
}
_GIB = 2**30
_LARGE_SIDE = 1024  # pixels that SDXL's family was trained at
_SMALL_CHANNELS = 128  # a U-Net with fewer than SD1's 320 by far is a small one


def preset_kinds(name: str) -> Mapping[str, Content]:
    """What a preset says otherwise where no LoRA is made.

    Args:
        name: of the preset.

    Returns:
        Parts of recipes by what is made: textual-inversion, hypernetwork, or checkpoint for a DreamBooth
        that leaves one.
    """
    if name == _EMBEDDED:
        return _EMBEDDED_KINDS
    return {made: {"optimisation": {"learning_rate": rate}} for made, rate in _RATES.items()}


def preset_values(name: str | None, kind: object, result: object = None) -> Content:
    """A preset's part of a recipe.

    Args:
        name: of the preset; None has no values.
        kind: of the training.
        result: what DreamBooth leaves, "checkpoint" or a LoRA.
    """
    if name is None:
        return MappingProxyType({})
    made = result if kind == "dreambooth" else kind
    return merged(PRESETS[name], preset_kinds(name).get(str(made), {}))


def fitting_preset(detected: DetectedModel, memory: int) -> str:
    """The name of the preset for a model.

    Args:
        detected: what kind of model it is.
        memory: free bytes on the device.
    """
    if detected.unet.model_channels < _SMALL_CHANNELS:
        return _EMBEDDED
    if detected.family.native_size >= _LARGE_SIDE:
        return _XL_LARGE if memory > 20 * _GIB else _XL_SMALL
    return _SD_LARGE if memory > 10 * _GIB else _SD_SMALL


def merged(*parts: Content) -> dict[str, object]:
    """Parts of a recipe as one; later ones win, value by value. None says nothing."""
    whole: dict[str, object] = {}
    for part in parts:
        for key, value in part.items():
            known = whole.get(key)
            if isinstance(value, Mapping):
                whole[key] = merged(known if isinstance(known, Mapping) else {}, value)
            elif value is not None:
                whole[key] = value
    return whole
