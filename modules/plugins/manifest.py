"""``extension.toml``: what an extension is called and what it asks for."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from modules.exceptions import ExtensionError
from modules.plugins.hookspecs import HOOKS

__all__ = ["FILE_NAME", "InstalledExtension", "Manifest", "read_manifest"]

FILE_NAME = "extension.toml"
_MAX_BYTES = 64 * 1024


class Manifest(BaseModel):
    """The manifest as it is written.

    Attributes:
        module: the Python file with the hooks, beside the manifest.
        hooks: those that the extension may implement; no others are called.
        enabled: false keeps it out until somebody changes the file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=100)
    version: str = Field("", max_length=40)
    description: str = Field("", max_length=1000)
    module: str = Field("extension.py", pattern=r"^[A-Za-z0-9_]+\.py$")
    hooks: tuple[str, ...] = ()
    enabled: bool = True


@dataclass(frozen=True)
class InstalledExtension:
    """What the page shows of an extension.

    Attributes:
        id: name of its folder; the setting ``disabled_extensions`` lists these.
        enabled: whether its hooks are called.
        asks_for: what it may do, one sentence each.
        error: why it does not work; None when it does.
    """

    id: str
    name: str
    version: str
    description: str
    path: Path
    enabled: bool
    asks_for: tuple[str, ...] = ()
    error: str | None = None


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest in a folder.

    Raises:
        ExtensionError: it cannot be read, or says something that is not understood.
    """
    try:
        content = (folder / FILE_NAME).read_bytes()[:_MAX_BYTES]
        manifest = Manifest.model_validate(tomllib.loads(content.decode("utf-8")))
    except ValidationError as error:
        finding = error.errors(include_url=False)[0]
        place = ".".join(map(str, finding["loc"]))
        raise ExtensionError(folder.name, FILE_NAME, f"{place}: {finding['msg']}") from error
    except (OSError, ValueError) as error:
        raise ExtensionError(folder.name, FILE_NAME, str(error)) from error
    unknown = [hook for hook in manifest.hooks if hook not in HOOKS]
    if unknown:
        raise ExtensionError(
            folder.name, FILE_NAME, f"there is no hook {unknown[0]!r}; there are: {', '.join(HOOKS)}"
        )
    return manifest
