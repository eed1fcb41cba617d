"""What the Extras tab and its HTTP routes ask for: work on finished pictures, without a checkpoint."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["AutoSizedCrop", "ExtrasRequest", "FlipKind", "FocalCrop", "SplitOversized", "Upscaling"]

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Side = Annotated[int, Field(ge=1, le=16384)]
FlipKind = Literal["Horizontal", "Vertical", "Both"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Upscaling(_Frozen):
    """Enlarge by a factor, or to a size.

    Attributes:
        by: factor; used unless ``to_size``.
        max_side: with a factor, the longer side is limited to so many pixels; 0 is no limit.
        to_size: enlarge until ``width`` x ``height`` is covered.
        crop: with ``to_size``, cut off what is more.
        upscaler_1: name of an upscaler; "None" leaves the picture as it is.
        upscaler_2: a second one, laid over the first one's result.
        upscaler_2_visibility: how much of it shows.
    """

    by: Annotated[float, Field(gt=0, le=16, allow_inf_nan=False)] = 4.0
    max_side: Annotated[int, Field(ge=0, le=16384)] = 0
    to_size: bool = False
    width: Side = 512
    height: Side = 512
    crop: bool = True
    upscaler_1: str = "None"
    upscaler_2: str = "None"
    upscaler_2_visibility: Share = 0.0


class SplitOversized(_Frozen):
    """Cut pictures that are much longer than the target into overlapping pieces of its proportions.

    Attributes:
        threshold: pieces are cut when the proportions differ by more than this ratio.
        overlap: of neighbouring pieces, as a share of a piece.
    """

    threshold: Share = 0.5
    overlap: Annotated[float, Field(ge=0, le=0.9)] = 0.2


class FocalCrop(_Frozen):
    """Cut to the target size around what the eye goes to; the weights say what that is."""

    face_weight: Share = 0.9
    entropy_weight: Share = 0.15
    edges_weight: Share = 0.5


class AutoSizedCrop(_Frozen):
    """Cut to whatever size in steps of 64 pixels fits the picture's proportions best.

    Attributes:
        min_side, max_side: limits of both sides.
        min_area, max_area: limits of the area in pixels.
        objective: the largest size within the error, or the least error.
        threshold: by how much the proportions may differ.
    """

    min_side: Annotated[int, Field(ge=64, le=2048)] = 384
    max_side: Annotated[int, Field(ge=64, le=2048)] = 768
    min_area: Annotated[int, Field(ge=4096, le=4_194_304)] = 4096
    max_area: Annotated[int, Field(ge=4096, le=4_194_304)] = 409_600
    objective: Literal["Maximize area", "Minimize error"] = "Maximize area"
    threshold: Share = 0.1


class ExtrasRequest(_Frozen):
    """All that is to be done to a picture, in this order.

    Attributes:
        upscaling: None leaves the size alone.
        gfpgan_visibility: 0 is off.
        codeformer_visibility: 0 is off.
        codeformer_weight: 0 changes most.
        split: see :class:`SplitOversized`; it and the next go by the size that ``upscaling`` aims at.
        focal_crop: see :class:`FocalCrop`.
        auto_crop: see :class:`AutoSizedCrop`.
        flips: mirrored copies to be added.
    """

    upscaling: Upscaling | None = None
    gfpgan_visibility: Share = 0.0
    codeformer_visibility: Share = 0.0
    codeformer_weight: Share = 0.0
    split: SplitOversized | None = None
    focal_crop: FocalCrop | None = None
    auto_crop: AutoSizedCrop | None = None
    flips: tuple[FlipKind, ...] = ()
