"""``webui.py generate``: pictures from the command line, without a server."""

import argparse
import itertools
import json
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import JsonValue, ValidationError

from modules.commands.workplace import make_pictures, open_workplace
from modules.domain.infotext_request import request_from_infotext
from modules.domain.job import ResultImage
from modules.domain.request import GenerationRequest
from modules.exceptions import RequestError, WebuiError
from modules.imaging.decode import picture_type
from modules.imaging.files import make_folder, write_new
from modules.imaging.metadata import read_infotext
from modules.services import Services
from modules.settings.launch import LaunchOptions
from modules.settings.options import Settings, infotext_options
from modules.webui.form.suggestions import suggestions_for

__all__ = ["add_generate_arguments", "run_generate"]

log = logging.getLogger(__name__)

FORMATS = {".png": "png", ".jpg": "jpg", ".jpeg": "jpeg", ".webp": "webp", ".avif": "avif"}
_DIRECT = ("prompt", "negative_prompt", "seed", "steps", "width", "height", "cfg_scale", "batch_size",
           "n_iter", "sampler_name", "scheduler")  # fmt: skip


def add_generate_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command beside those for folders and device."""
    parser.add_argument("--prompt", help="what to see")
    parser.add_argument("--negative-prompt", help="what not to see")
    parser.add_argument(
        "--out", type=Path, required=True, help="file (.png, .jpg, .webp, .avif), or folder for several"
    )
    parser.add_argument("--like", type=Path, metavar="PICTURE", help="begin with this picture's parameters")
    parser.add_argument("--seed", type=int, help="of the first picture; -1 draws one")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--sampler", dest="sampler_name", help='such as "Euler a"')
    parser.add_argument("--scheduler", help="such as Karras")
    parser.add_argument("--cfg-scale", type=float)
    parser.add_argument("--width", type=int, help="pixels, a multiple of 8")
    parser.add_argument("--height", type=int, help="pixels, a multiple of 8")
    parser.add_argument("--batch-size", type=int, help="pictures at a time")
    parser.add_argument("--count", dest="n_iter", type=int, help="how many times a batch is made")
    parser.add_argument("--style", dest="styles", action="append", default=[], help="name of a style")
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a setting, this once",
    )


def run_generate(arguments: argparse.Namespace, options: LaunchOptions) -> int:
    """Make the pictures, write them, and say where; returns the exit status.

    Returns:
        0 when the pictures are there, 1 when they could not be made, 2 when the arguments make no sense.
    """
    try:
        overrides = _overrides(arguments.settings)
        overrides |= _format(arguments.out)
        with open_workplace(options) as services:
            request = _request(services, arguments, options.checkpoint, overrides)
            view = make_pictures(services, request)
            for comment in view.comments:
                log.warning("%s", comment)
            for path in _write(view.images, arguments.out):
                sys.stdout.write(f"{path}\n")
    except RequestError as error:
        log.error("%s", error)
        return 2
    except WebuiError as error:
        log.error("%s", error)
        return 1
    return 0


def _overrides(settings: Sequence[str]) -> dict[str, JsonValue]:
    """``KEY=VALUE`` as settings; a value that is JSON is taken as that, any other as text."""
    overrides: dict[str, JsonValue] = {}
    for text in settings:
        key, equals, value = text.partition("=")
        if not equals or key not in Settings.model_fields:
            raise RequestError("set", f"--set wants KEY=VALUE with the key of a setting, not {text!r}")
        try:
            overrides[key] = json.loads(value)
        except ValueError:
            overrides[key] = value
    return overrides


def _format(out: Path) -> dict[str, JsonValue]:
    suffix = out.suffix.lower()
    if suffix and suffix not in FORMATS:
        raise RequestError("out", f"pictures cannot be written as {suffix}; there are {', '.join(FORMATS)}")
    if out.exists() and not out.is_dir():
        raise RequestError("out", f"{out} exists already")
    return {"samples_format": FORMATS[suffix]} if suffix else {}


def _request(
    services: Services,
    arguments: argparse.Namespace,
    checkpoint: str | None,
    overrides: Mapping[str, JsonValue],
) -> GenerationRequest:
    begun = _like(services, arguments.like) if arguments.like else _plain(services, checkpoint)
    given = {name: getattr(arguments, name) for name in _DIRECT}
    content = begun.model_dump() | {name: value for name, value in given.items() if value is not None}
    content |= {
        "styles": (*begun.styles, *arguments.styles),
        "checkpoint": checkpoint or begun.checkpoint,
        "override_settings": {**begun.override_settings, **overrides},
        "save_images": False,
    }
    try:
        return GenerationRequest.model_validate(content)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in problem["loc"]) or "size"
        raise RequestError(field, f"{field}: {problem['msg']}") from error


def _plain(services: Services, checkpoint: str | None) -> GenerationRequest:
    """A request of the size and guidance that suit the checkpoint."""
    files = services.catalog.checkpoints()
    wanted = checkpoint or services.settings.current.sd_model_checkpoint or (files[0].title if files else "")
    suits = suggestions_for(services, wanted)
    return GenerationRequest(width=suits.side, height=suits.side, cfg_scale=suits.cfg_scale)


def _like(services: Services, picture: Path) -> GenerationRequest:
    try:
        text, _ = read_infotext(picture)
    except OSError as error:
        raise RequestError("like", f"{picture} cannot be read: {error.strerror}") from error
    if text is None:
        raise RequestError("like", f"{picture.name} holds no generation parameters")
    request, comments = request_from_infotext(
        text,
        settings=services.settings.current.as_json(),
        setting_keys=infotext_options(),
        styles=services.styles.extract,
    )
    for comment in comments:
        log.warning("%s", comment)
    return request


def _write(images: Sequence[ResultImage], out: Path) -> list[Path]:
    """Copy results to where they were wanted; nothing is overwritten."""
    is_folder = out.is_dir() or not out.suffix
    folder = out if is_folder else out.parent
    make_folder(folder)
    if len(images) == 1 and not is_folder:
        if not write_new(out, Path(images[0].path).read_bytes()):
            raise RequestError("out", f"{out} exists already")
        return [out]
    numbers = itertools.count()
    written = []
    for image in images:
        content = Path(image.path).read_bytes()
        names = (
            f"{number:05}-{image.seed}{_suffix(content)}" if is_folder else f"{out.stem}-{number}{out.suffix}"
            for number in numbers
        )
        free = (folder / name for name in names if not (folder / name).exists())
        written.append(next(path for path in free if write_new(path, content)))
    return written


def _suffix(content: bytes) -> str:
    kind = picture_type(content[:12]) or "image/png"
    return "." + kind.removeprefix("image/").replace("jpeg", "jpg")
