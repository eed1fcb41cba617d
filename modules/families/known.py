"""All families, most specific first."""

from modules.families.family import Family
from modules.families.sd1 import SD1, SD1_EDIT, SD1_INPAINT
from modules.families.sd2 import SD2, SD2_DEPTH, SD2_INPAINT
from modules.families.sdxl import SDXL, SDXL_EDIT, SDXL_INPAINT, SDXL_REFINER

__all__ = ["FAMILIES"]

FAMILIES: tuple[Family, ...] = (
    SDXL,
    SDXL_INPAINT,
    SDXL_EDIT,
    SDXL_REFINER,
    SD2,
    SD2_INPAINT,
    SD2_DEPTH,
    SD1,
    SD1_INPAINT,
    SD1_EDIT,
)
