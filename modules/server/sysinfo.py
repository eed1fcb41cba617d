"""What a report of a fault should say about a machine: no secret, no path, no name of a person."""

import os
import platform
from importlib.metadata import distributions

import torch
from pydantic import JsonValue

from modules.generation.parameters import VERSION
from modules.server.memory import device_memory, machine_memory
from modules.services import Services
from modules.settings.launch import LaunchOptions
from modules.settings.options import Settings, describe_options

__all__ = ["public_flags", "system_report"]

_PRIVATE_SECTIONS = ("saving-paths", "saving-to-dirs")


def public_flags(options: LaunchOptions) -> dict[str, JsonValue]:
    """The command line as far as others may know it, under A1111's names: no secrets, no paths."""
    return {
        "listen": options.listen,
        "port": options.port,
        "api": options.api,
        "api_server_stop": options.api_server_stop,
        "api_log": options.api_log,
        "disable_nan_check": not options.check_values,
        "use_cpu": ["all"] if options.device == "cpu" else [],
        "device_id": None,
        "precision": options.precision,
        "no_half": options.precision == "full",
        "xformers": options.attention == "xformers",
        "no_hashing": not options.hashing,
        "theme": options.theme,
        "autolaunch": options.open_browser,
    }


def system_report(services: Services) -> dict[str, JsonValue]:
    """Versions, device, memory, flags and changed settings."""
    return {
        "Platform": platform.platform(),
        "Python": platform.python_version(),
        "Version": VERSION,
        "Commandline": public_flags(services.options),
        "CPU": {"model": platform.processor() or platform.machine(), "count": os.cpu_count()},
        "RAM": machine_memory(),
        "Torch": {
            "version": torch.__version__,
            "cuda": torch.version.cuda,
            "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
            "threads": torch.get_num_threads(),
            "memory": device_memory(),
        },
        "Models": {
            "checkpoints": len(services.catalog.checkpoints()),
            "vaes": len(services.catalog.vaes()),
            "loras": len(services.networks.loras()),
            "hypernetworks": len(services.networks.hypernetworks()),
            "embeddings": len(services.embeddings.names()),
        },
        "Config": _changed_settings(services.settings.current),
        "Packages": _packages(),
    }


def _changed_settings(settings: Settings) -> dict[str, JsonValue]:
    """Settings that differ from the defaults, but for those that tell how folders are called."""
    plain, current = Settings().as_json(), settings.as_json()
    private = {info.key for info in describe_options() if info.section.id in _PRIVATE_SECTIONS}
    return {key: value for key, value in current.items() if value != plain[key] and key not in private}


def _packages() -> list[JsonValue]:
    names = {f"{found.name}=={found.version}" for found in distributions()}
    return [*sorted(names, key=str.lower)]
