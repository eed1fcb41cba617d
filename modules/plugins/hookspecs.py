"""Every hook there is. This page is the whole interface of extensions.

An extension is a folder below ``extensions/`` with a manifest ``extension.toml`` and a Python file that
defines functions with the names below, marked ``@hookimpl``. A function may leave out arguments that it does
not need. Whatever it raises is logged and told beside the picture; the job goes on as if the hook were not
there.

Hooks are called in the order of the extensions' folder names; ``@hookimpl(tryfirst=True)`` and ``trylast``
change that.
"""

from collections.abc import Sequence

import pluggy
from PIL import Image

from modules.domain.request import GenerationRequest
from modules.generation.scripts.script import Script

__all__ = ["HOOKS", "PROJECT", "hookimpl", "scripts", "transform_image", "transform_request"]

PROJECT = "studio"
_hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@_hookspec
def transform_request(request: GenerationRequest) -> GenerationRequest | None:
    """Change what is asked for, once for each job, before anything is decided or loaded.

    Called in the engine's thread. Give the same answer for the same request: a job that a crash interrupted
    is prepared again.

    Args:
        request: frozen, seeds drawn; ``request.model_copy(update={...})`` makes a changed one.

    Returns:
        The request to work on; None leaves it as it is.
    """


@_hookspec
def scripts() -> Sequence[Script]:
    """Scripts for the list below the settings, and for clients' ``script_name``.

    Called when lists are built; :mod:`modules.generation.scripts.script` says what a script is.
    """
    return ()


@_hookspec
def transform_image(image: Image.Image, request: GenerationRequest, infotext: str) -> Image.Image | None:
    """Change a finished picture before it is saved and shown; grids are not offered.

    Called in the engine's thread, while no other picture gets on.

    Args:
        image: mode RGB.
        request: what was asked for.
        infotext: the parameters that are written into the file.

    Returns:
        The picture to save; None leaves it as it is.
    """


HOOKS = {
    "transform_request": "Changes what is asked for before a picture is made",
    "scripts": "Adds scripts",
    "transform_image": "Changes finished pictures before they are saved",
}
"""What a hook means to the person who installs an extension."""
