"""Files, training and the settings that no page shows."""

from typing import Literal

from modules.settings.option import SettingsModel, option
from modules.settings.sections import (
    HIDDEN_OPTIONS,
    SYSTEM,
    TRAINING,
)

__all__ = ["SystemSettings"]


class SystemSettings(SettingsModel):
    """Files, training and the settings that no page shows."""

    list_hidden_files: bool = option(True, "Load models/files in hidden directories", SYSTEM, inert=True)
    save_optimizer_state: bool = option(
        False,
        "Saves Optimizer state as separate *.optim file. "
        "Training of embedding or HN can be resumed with the matching optim file.",
        TRAINING,
        inert=True,
    )
    dataset_filename_word_regex: str = option("", "Filename word regex", TRAINING, inert=True)
    dataset_filename_join_string: str = option(" ", "Filename join string", TRAINING, inert=True)
    disabled_extensions: tuple[str, ...] = option((), "Disable these extensions", HIDDEN_OPTIONS)
    disable_all_extensions: Literal["none", "extra", "all"] = option(
        "none", "Disable all extensions (preserves the list of disabled extensions)", HIDDEN_OPTIONS
    )
    sd_checkpoint_hash: str = option("", "SHA256 hash of the current checkpoint", HIDDEN_OPTIONS)
