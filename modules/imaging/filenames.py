"""File names from patterns such as ``[date]/[seed]-[prompt_words]``.

Everything that comes from a request (prompt, names) passes :func:`sanitize`; what a whole pattern gives
passes :func:`safe_parts`, so that no text whatever names a place outside the folder it is joined to.

Tokens are written in square brackets, arguments in angle brackets behind the name, and case does not
matter. An unknown token stays as it is. A token that has nothing to say takes the text before it along:
``[seed]-[batch_number]`` is ``42`` for a single picture.
"""

import hashlib
import re
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from zoneinfo import ZoneInfo

from PIL import Image

__all__ = ["NameFacts", "TOKENS", "expand_pattern", "safe_parts", "sanitize"]

MAX_PART = 128  # characters that one token may give
MAX_COMPONENT = 200  # UTF-8 bytes of one file or folder name; 255 is the limit of all file systems
MAX_DEPTH = 16  # folders below the output folder

_TOKEN = re.compile(r"\[([^\[\]]+)\]")
_ARGUMENT = re.compile(r"(.*)<([^>]*)>", re.DOTALL)
_INVALID = frozenset('#<>:"/\\|?*\n\r\t') | {chr(code) for code in range(32)} | {"\x7f"}
_BETWEEN_WORDS = re.compile(f"[\\s{re.escape(string.punctuation)}]+")
_RESERVED = frozenset(
    {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}
)


@dataclass(frozen=True)
class NameFacts:
    """What a name may be made of. Absent facts leave their tokens empty or out.

    Attributes:
        now: moment of saving, in local time.
        job_begun: when the job began.
        batch_index: place in the batch, 0-based; None for grids and archives.
        iteration: number of the batch, 0-based.
        n_iter: number of batches.
        prompt_no_styles: the prompt without what styles added; None is the prompt.
        full_prompt: prompt and negative prompt as they were asked for; None joins the two.
        all_seeds: seeds of the whole job.
        image: the picture, for ``[image_hash]``.
    """

    now: datetime
    job_begun: datetime | None = None
    basename: str = ""
    seed: int | None = None
    all_seeds: tuple[int, ...] = ()
    steps: int | None = None
    cfg_scale: float | None = None
    width: int | None = None
    height: int | None = None
    styles: tuple[str, ...] = ()
    sampler: str = ""
    scheduler: str = ""
    model_hash: str = ""
    model_name: str = ""
    prompt: str = ""
    negative_prompt: str = ""
    prompt_no_styles: str | None = None
    full_prompt: str | None = None
    batch_index: int | None = None
    batch_size: int = 1
    iteration: int = 0
    n_iter: int = 1
    clip_skip: int = 1
    denoising_strength: float | None = None
    user: str = ""
    vae_filename: str = "NoneType"
    max_prompt_words: int = 8
    image: Image.Image | None = None


def sanitize(text: str, *, replace_spaces: bool = True) -> str:
    """Text as part of a file name: no separators or control characters, at most 128 characters."""
    if replace_spaces:
        text = text.replace(" ", "_")
    clean = "".join("_" if char in _INVALID else char for char in text[: 4 * MAX_PART])
    return clean.lstrip(" ")[:MAX_PART].rstrip(" .")


def expand_pattern(pattern: str, facts: NameFacts) -> str:
    """Replace the tokens of a pattern. The result may hold separators; see :func:`safe_parts`."""
    result: list[str] = []
    position = 0
    for match in _TOKEN.finditer(pattern):
        text = pattern[position : match.start()]
        position = match.end()
        name, arguments = _arguments(match.group(1))
        token = TOKENS.get(name.lower())
        if token is None:
            result.append(text + match.group())
            continue
        value = token(facts, *arguments)
        if value is not None:
            result.append(text + value)
    return "".join(result) + pattern[position:]


def safe_parts(path: str) -> tuple[str, ...]:
    """Split an expanded pattern into names that lead down and nowhere else.

    Separators of all systems split; ``.``, ``..``, drive letters, leading and trailing dots and spaces,
    control characters and reserved device names are made harmless; names are cut to fit a file system.
    """
    parts: list[str] = []
    for raw in re.split(r"[/\\]+", path):
        name = "".join("_" if char in _INVALID else char for char in raw[: 4 * MAX_COMPONENT])
        name = _cut(name.encode("utf-8", "replace")).strip(" .")
        if name.partition(".")[0].lower() in _RESERVED:
            name = f"_{name}"
        if name:
            parts.append(name)
    return tuple(parts[:MAX_DEPTH])


def _cut(name: bytes) -> str:
    return name[:MAX_COMPONENT].decode("utf-8", "ignore")


def _arguments(token: str) -> tuple[str, list[str]]:
    """``name<a><b>`` as ``("name", ["a", "b"])``."""
    arguments: list[str] = []
    while len(arguments) < 32 and (match := _ARGUMENT.fullmatch(token)) is not None:
        token = match.group(1)
        arguments.insert(0, match.group(2))
    return token, arguments


Token = Callable[..., str | None]
"""Gives the text for one token; None takes the text before it along."""


def _number(value: float | None) -> str:
    return "" if value is None else str(value)


def _sha256(content: bytes, length: str, default: int | None) -> str:
    digest = hashlib.sha256(content).hexdigest()
    return digest[: int(length)] if length.isdecimal() and len(length) < 4 else digest[:default]


def _hash_of(text: str, length: str) -> str:
    return _sha256(text.encode("utf-8", "replace"), length, 8)


def _datetime(facts: NameFacts, format: str = "", zone: str = "", *_: str) -> str:
    moment = facts.now.astimezone(_zone(zone)) if zone else facts.now
    try:
        text = moment.strftime((format or "%Y%m%d%H%M%S")[:200])
    except ValueError:
        text = moment.strftime("%Y%m%d%H%M%S")
    return sanitize(text, replace_spaces=False)


def _zone(name: str) -> tzinfo | None:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None  # the local time zone


def _prompt_words(facts: NameFacts, *_: str) -> str:
    words = [word for word in _BETWEEN_WORDS.split(facts.prompt[:10_000]) if word] or ["empty"]
    return sanitize(" ".join(words[: facts.max_prompt_words]), replace_spaces=False)


def _hasprompt(facts: NameFacts, *arguments: str) -> str:
    prompt = facts.prompt.lower()
    words = (argument.partition("|") for argument in arguments if argument)
    return sanitize("".join(word.lower() if word.lower() in prompt else other for word, _, other in words))


def _prompt_no_styles(facts: NameFacts, *_: str) -> str:
    text = facts.prompt if facts.prompt_no_styles is None else facts.prompt_no_styles
    return sanitize(text, replace_spaces=False)


def _full_prompt_hash(facts: NameFacts, length: str = "", *_: str) -> str:
    joined = f"{facts.prompt} {facts.negative_prompt}"
    return _hash_of(joined if facts.full_prompt is None else facts.full_prompt, length)


def _batch_number(facts: NameFacts, *_: str) -> str | None:
    return None if facts.batch_size == 1 or facts.batch_index is None else str(facts.batch_index + 1)


def _generation_number(facts: NameFacts, *_: str) -> str | None:
    if facts.batch_index is None or (facts.n_iter == 1 and facts.batch_size == 1):
        return None
    return str(facts.iteration * facts.batch_size + facts.batch_index + 1)


def _seed_last(facts: NameFacts, *_: str) -> str | None:
    return str(facts.all_seeds[-1]) if len(facts.all_seeds) > 1 else None


def _image_hash(facts: NameFacts, length: str = "", *_: str) -> str | None:
    return None if facts.image is None else _sha256(facts.image.tobytes(), length, None)


def _plain(value: Callable[[NameFacts], str]) -> Token:
    return lambda facts, *_: value(facts)


def _name(value: Callable[[NameFacts], str]) -> Token:
    return lambda facts, *_: sanitize(value(facts), replace_spaces=False) or None


TOKENS: Mapping[str, Token] = {
    "basename": _name(lambda facts: facts.basename),
    "img": _name(lambda facts: facts.basename),
    "seed": _plain(lambda facts: _number(facts.seed)),
    "seed_first": _plain(lambda facts: _number(facts.all_seeds[0] if facts.all_seeds else facts.seed)),
    "seed_last": _seed_last,
    "steps": _plain(lambda facts: _number(facts.steps)),
    "cfg": _plain(lambda facts: _number(facts.cfg_scale)),
    "width": _plain(lambda facts: _number(facts.width)),
    "height": _plain(lambda facts: _number(facts.height)),
    "styles": _plain(lambda facts: sanitize(", ".join(facts.styles) or "None", replace_spaces=False)),
    "sampler": _name(lambda facts: facts.sampler),
    "sampler_scheduler": _name(lambda facts: f"{facts.sampler} {facts.scheduler}".strip()),
    "scheduler": _name(lambda facts: facts.scheduler),
    "model_hash": _plain(lambda facts: sanitize(facts.model_hash)),
    "model_name": _plain(lambda facts: sanitize(facts.model_name, replace_spaces=False)),
    "date": _plain(lambda facts: facts.now.strftime("%Y-%m-%d")),
    "datetime": _datetime,
    "job_timestamp": _plain(lambda facts: (facts.job_begun or facts.now).strftime("%Y%m%d%H%M%S")),
    "prompt_hash": lambda facts, length="", *_: _hash_of(facts.prompt, length),
    "negative_prompt_hash": lambda facts, length="", *_: _hash_of(facts.negative_prompt, length),
    "full_prompt_hash": _full_prompt_hash,
    "prompt": _plain(lambda facts: sanitize(facts.prompt)),
    "prompt_no_styles": _prompt_no_styles,
    "prompt_spaces": _plain(lambda facts: sanitize(facts.prompt, replace_spaces=False)),
    "prompt_words": _prompt_words,
    "batch_number": _batch_number,
    "batch_size": _plain(lambda facts: str(facts.batch_size)),
    "generation_number": _generation_number,
    "hasprompt": _hasprompt,
    "clip_skip": _plain(lambda facts: str(facts.clip_skip)),
    "denoising": _plain(lambda facts: _number(facts.denoising_strength or None)),
    "user": _name(lambda facts: facts.user),
    "vae_filename": _plain(lambda facts: sanitize(facts.vae_filename)),
    "none": _plain(lambda _: ""),
    "image_hash": _image_hash,
}
"""Every token by its lower-case name."""
