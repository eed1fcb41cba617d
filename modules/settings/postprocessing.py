"""Upscalers, face restoration, interrogation and what runs after a picture."""

from typing import Literal

from modules.settings.option import SettingsModel, option
from modules.settings.sections import (
    FACE_RESTORATION,
    INTERROGATE,
    POSTPROCESSING,
    UPSCALING,
)

__all__ = ["PostprocessingSettings"]


class PostprocessingSettings(SettingsModel):
    """Upscalers, face restoration, interrogation and what runs after a picture."""

    ESRGAN_tile: int = option(
        192, "Tile size for ESRGAN upscalers.", UPSCALING, minimum=0, maximum=512, step=16
    )
    ESRGAN_tile_overlap: int = option(
        8, "Tile overlap for ESRGAN upscalers.", UPSCALING, minimum=0, maximum=48, step=1
    )
    realesrgan_enabled_models: tuple[str, ...] = option(
        (
            "R-ESRGAN 4x+",
            "R-ESRGAN 4x+ Anime6B",
            "R-ESRGAN 2x+",
            "R-ESRGAN General 4xV3",
            "R-ESRGAN General WDN 4xV3",
            "R-ESRGAN AnimeVideo",
        ),
        "Select which Real-ESRGAN models to show in the web UI.",
        UPSCALING,
    )
    dat_enabled_models: tuple[str, ...] = option(
        ("DAT x2", "DAT x3", "DAT x4"), "Select which DAT models to show in the web UI.", UPSCALING
    )
    DAT_tile: int = option(192, "Tile size for DAT upscalers.", UPSCALING, minimum=0, maximum=512, step=16)
    DAT_tile_overlap: int = option(
        8, "Tile overlap for DAT upscalers.", UPSCALING, minimum=0, maximum=48, step=1
    )
    upscaler_for_img2img: str | None = option(None, "Upscaler for img2img", UPSCALING)
    face_restoration: bool = option(False, "Restore faces", FACE_RESTORATION, infotext="Face restoration")
    face_restoration_model: str = option("CodeFormer", "Face restoration model", FACE_RESTORATION)
    code_former_weight: float = option(
        0.5, "CodeFormer weight", FACE_RESTORATION, minimum=0.0, maximum=1.0, step=0.01
    )
    postprocessing_enable_in_main_ui: tuple[str, ...] = option(
        (), "Enable postprocessing operations in txt2img and img2img tabs", POSTPROCESSING, inert=True
    )
    postprocessing_disable_in_extras: tuple[str, ...] = option(
        (), "Disable postprocessing operations in extras tab", POSTPROCESSING, restart=True
    )
    postprocessing_operation_order: tuple[str, ...] = option(
        (), "Postprocessing operation order", POSTPROCESSING
    )
    upscaling_max_images_in_cache: int = option(
        5,
        "Maximum number of images in upscaling cache",
        POSTPROCESSING,
        minimum=0,
        maximum=10,
        step=1,
        inert=True,
    )
    postprocessing_existing_caption_action: Literal["Ignore", "Keep", "Prepend", "Append"] = option(
        "Ignore", "Action for existing captions", POSTPROCESSING, inert=True
    )
    interrogate_keep_models_in_memory: bool = option(False, "Keep models in VRAM", INTERROGATE)
    interrogate_return_ranks: bool = option(
        False, "Include ranks of model tags matches in results.", INTERROGATE
    )
    interrogate_clip_num_beams: int = option(1, "BLIP: num_beams", INTERROGATE, minimum=1, maximum=16, step=1)
    interrogate_clip_min_length: int = option(
        24, "BLIP: minimum description length", INTERROGATE, minimum=1, maximum=128, step=1
    )
    interrogate_clip_max_length: int = option(
        48, "BLIP: maximum description length", INTERROGATE, minimum=1, maximum=256, step=1
    )
    interrogate_clip_dict_limit: int = option(1500, "CLIP: maximum number of lines in text file", INTERROGATE)
    interrogate_clip_skip_categories: tuple[str, ...] = option(
        (), "CLIP: skip inquire categories", INTERROGATE
    )
    interrogate_deepbooru_score_threshold: float = option(
        0.5, "deepbooru: score threshold", INTERROGATE, minimum=0.0, maximum=1.0, step=0.01
    )
    deepbooru_sort_alpha: bool = option(True, "deepbooru: sort tags alphabetically", INTERROGATE)
    deepbooru_use_spaces: bool = option(True, "deepbooru: use spaces in tags", INTERROGATE)
    deepbooru_escape: bool = option(True, "deepbooru: escape (\\) brackets", INTERROGATE)
    deepbooru_filter_tags: str = option("", "deepbooru: filter out those tags", INTERROGATE)
