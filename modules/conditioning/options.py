"""Settings that change how a prompt is encoded."""

from dataclasses import dataclass
from typing import Self

from modules.conditioning.emphasis import Emphasis
from modules.settings.options import Settings

__all__ = ["EncodingOptions"]


@dataclass(frozen=True)
class EncodingOptions:
    """Everything beside the text that the encoding depends on; hashable, so part of a cache's key.

    Attributes:
        emphasis: what token weights do.
        clip_skip: 1 is the last layer, 2 the one before; only where the family allows it.
        comma_padding_backtrack: how far back a chunk may be broken after a comma.
        use_old_emphasis: brackets weigh by tokens and the prompt ends after 75 tokens.
        use_old_scheduling: prompt editing as before A1111 1.6.
        sdxl_clip_l_skip: let CLIP skip act on SDXL's first text encoder.
        sdxl_crop_top: pixels, part of SDXL's size conditioning.
        sdxl_crop_left: pixels, part of SDXL's size conditioning.
        low_aesthetic_score: for the refiner's negative prompt.
        high_aesthetic_score: for the refiner's prompt.
        report_bundled: name embeddings that came inside a LoRA in the infotext.
    """

    emphasis: Emphasis = "Original"
    clip_skip: int = 1
    comma_padding_backtrack: int = 20
    use_old_emphasis: bool = False
    use_old_scheduling: bool = False
    sdxl_clip_l_skip: bool = False
    sdxl_crop_top: int = 0
    sdxl_crop_left: int = 0
    low_aesthetic_score: float = 2.5
    high_aesthetic_score: float = 6.0
    report_bundled: bool = True

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Pick out what matters for prompts."""
        return cls(
            emphasis=settings.emphasis,
            clip_skip=settings.CLIP_stop_at_last_layers,
            comma_padding_backtrack=settings.comma_padding_backtrack,
            use_old_emphasis=settings.use_old_emphasis_implementation,
            use_old_scheduling=settings.use_old_scheduling,
            sdxl_clip_l_skip=settings.sdxl_clip_l_skip,
            sdxl_crop_top=settings.sdxl_crop_top,
            sdxl_crop_left=settings.sdxl_crop_left,
            low_aesthetic_score=settings.sdxl_refiner_low_aesthetic_score,
            high_aesthetic_score=settings.sdxl_refiner_high_aesthetic_score,
            report_bundled=settings.lora_bundled_ti_to_infotext,
        )
