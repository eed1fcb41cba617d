"""Settings that name a file: refused while nothing has that name, so that no later picture has to fail."""

from collections.abc import Callable, Mapping

from modules.checkpoints.catalog import AUTOMATIC_VAE, BAKED_IN_VAE, ModelCatalog
from modules.exceptions import NotFoundError
from modules.settings.options import Settings

__all__ = ["checked_changes"]


def checked_changes(
    changes: Mapping[str, object], current: Settings, models: ModelCatalog
) -> dict[str, object]:
    """The changes with the names of models spelled as the lists spell them.

    A setting that stays as it is is not looked at: who sends all settings back must not fail over a file
    that was removed meanwhile.

    Raises:
        NotFoundError: a checkpoint or VAE of that name does not exist; ``field`` is the setting.
    """
    spelled = dict(changes)
    for key, spell in _SPELLING.items():
        wanted = changes.get(key)
        if isinstance(wanted, str) and wanted != getattr(current, key):
            spelled[key] = spell(models, wanted)
    return spelled


def _checkpoint(models: ModelCatalog, wanted: str) -> str:
    return models.find_checkpoint(wanted).title if wanted else wanted


def _vae(models: ModelCatalog, wanted: str) -> str:
    if wanted in {AUTOMATIC_VAE, BAKED_IN_VAE, ""}:
        return wanted or AUTOMATIC_VAE
    return models.find_vae(wanted).name


def _unet(_: ModelCatalog, wanted: str) -> str:
    if wanted not in {"Automatic", "None", ""}:
        raise NotFoundError("sd_unet", f"there is no SD Unet {wanted!r}; there are: Automatic, None")
    return wanted or "Automatic"


_SPELLING: Mapping[str, Callable[[ModelCatalog, str], str]] = {
    "sd_model_checkpoint": _checkpoint,
    "sd_vae": _vae,
    "sd_unet": _unet,
}
