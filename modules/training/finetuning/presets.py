"""Starting values by model and memory, and how parts of a recipe are put together."""

from collections.abc import Mapping

__all__ = ["PRESETS", "merged"]

Content = Mapping[str, object]

PRESETS: Mapping[str, Content] = {
    "Embedded model, processor": {
        "optimisation": {
            "steps": 550,
            "batch": 4,
            "learning_rate": 3e-3,
            "snr_gamma": 0,
            "schedule": "cosine",
            "bfloat16": True,
        },
        "lora": {"rank": 32, "conv_rank": 16, "text_encoder": True},
        "samples": {"cfg_scale": 4.0},
    },
    "SD 1 or 2, 6 GB": {
        "optimisation": {"steps": 1500, "batch": 1, "checkpointing": True},
        "lora": {"rank": 16, "text_encoder": True},
    },
    "SD 1 or 2, 12 GB": {
        "optimisation": {"steps": 1000, "batch": 2},
        "lora": {"rank": 32, "text_encoder": True},
    },
    "SDXL, 12 GB": {
        "optimisation": {"steps": 1500, "batch": 1, "checkpointing": True},
        "lora": {"rank": 16, "text_encoder": False},
    },
    "SDXL, 24 GB": {
        "optimisation": {"steps": 1500, "batch": 2, "checkpointing": True},
        "lora": {"rank": 32, "text_encoder": True},
    },
}
"""Parts of recipes under the names that people choose them by."""


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
