"""Put a request into the queue, whoever brings it: complete it, check all of it, only then accept it."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path, PurePath, PureWindowsPath

from pydantic import JsonValue

from modules.domain.job import Lasting
from modules.domain.principal import Principal
from modules.domain.request import GenerationRequest
from modules.exceptions import ForbiddenError, NotFoundError
from modules.generation.resolve import freeze_request, resolve
from modules.services import Services, catalogs_of
from modules.settings.options import describe_options

__all__ = [
    "check_settings_allowed",
    "server_settings",
    "settings_seen_by",
    "submit_request",
    "without_server_settings",
]

_ADMIN_CATEGORIES = ("system", "hidden")
_ADMIN_SECTIONS = ("saving-paths", "saving-to-dirs")
_ADMIN_KEYS = (
    "samples_filename_pattern",
    "grid_filename_pattern",
    "sd_checkpoints_limit",
    "disabled_extensions",
)


def submit_request(
    services: Services, request: GenerationRequest, caller: Principal, *, lasting: Lasting = "job"
) -> str:
    """Freeze a request, resolve it once so that mistakes come back now, and queue it.

    Args:
        services: the owners.
        request: what to make.
        caller: who wants it.
        lasting: see :meth:`modules.jobs.service.JobService.submit`.

    Returns:
        The job's id.

    Raises:
        RequestError: something asked for cannot be done; ``field`` names it.
        ForbiddenError: an artist overrides a setting of the server.
        QueueFullError: too many jobs are waiting.
    """
    check_settings_allowed(request.override_settings, caller)
    image = request.image_to_image
    if image is not None:
        for blob in filter(None, (*image.images, image.mask, image.latent_mask)):
            if blob not in services.blobs:
                raise NotFoundError("image_to_image", f"picture {blob[:16]!r} is not in the store")
    frozen = freeze_request(request, services.settings.current)
    catalogs = catalogs_of(services)
    plan = resolve(frozen, catalogs)
    if frozen.script_name:
        services.plugins.scripts.prepare(frozen, catalogs, services.settings.current)
    seconds = services.estimator.seconds(plan)
    return services.jobs.submit(frozen, caller.name, seconds=seconds, lasting=lasting)


def check_settings_allowed(changes: Mapping[str, object], caller: Principal) -> None:
    """Refuse an artist the settings that are the server's: where files go and what they are called.

    Raises:
        ForbiddenError: naming the first such setting.
    """
    if not caller.is_admin:
        for key in changes:
            if key in server_settings():
                raise ForbiddenError(f"the setting {key} belongs to the administrator")


def without_server_settings(request: GenerationRequest) -> GenerationRequest:
    """A frozen request as an artist may see it and submit it again: the server's settings apply anew."""
    kept = {key: value for key, value in request.override_settings.items() if key not in server_settings()}
    return request.model_copy(update={"override_settings": kept})


def settings_seen_by(services: Services, caller: Principal) -> dict[str, JsonValue]:
    """All settings by key. An artist learns of a folder what it is called, not where on the machine it is."""
    values = services.settings.current.as_json()
    if caller.is_admin:
        return values
    outputs = services.options.folders.outputs
    return {
        key: _placeless(value, outputs) if key in server_settings() and isinstance(value, str) else value
        for key, value in values.items()
    }


def _placeless(text: str, outputs: Path) -> str:
    """An absolute path as what of it lies below the outputs folder, or as its last name."""
    path: PurePath = Path(text)
    if not path.is_absolute():
        path = PureWindowsPath(text)
    if not path.is_absolute():
        return text
    if path.is_relative_to(outputs) and ".." not in path.parts:
        return "/".join(path.relative_to(outputs).parts)
    return path.name


@cache
def server_settings() -> frozenset[str]:
    """Keys of the settings that no artist's request may carry."""
    return frozenset(
        info.key
        for info in describe_options()
        if info.section.category in _ADMIN_CATEGORIES
        or info.section.id in _ADMIN_SECTIONS
        or info.key in _ADMIN_KEYS
    )
