"""How the weights of a checkpoint are kept in memory (setting ``fp8_storage``)."""

from modules.checkpoints.files import CheckpointFile
from modules.checkpoints.loader import detect_checkpoint
from modules.exceptions import CheckpointError
from modules.runtime.device import WeightStorage
from modules.settings.options import Settings

__all__ = ["weight_storage"]


def weight_storage(checkpoint: CheckpointFile, settings: Settings) -> WeightStorage:
    """What the settings say for this checkpoint."""
    wanted = settings.fp8_storage
    if wanted == "Disable" or (wanted == "Enable for SDXL" and not _is_sdxl(checkpoint)):
        return "as computed"
    return "fp8 and exact" if settings.cache_fp16_weight else "fp8"


def _is_sdxl(checkpoint: CheckpointFile) -> bool:
    try:
        return detect_checkpoint(checkpoint).family.is_sdxl
    except CheckpointError:  # said when it is loaded, in the same words
        return False
