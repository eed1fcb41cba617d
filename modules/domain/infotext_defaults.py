"""What absent and outdated keys of generation parameters mean.

Texts of every A1111 version since 2022 are in circulation. A key that is missing usually means the
default of its time; some old keys have a newer form; some versions computed differently, and the
matching compatibility setting is switched on.
"""

import math
import re
from collections.abc import Callable, Sequence

from modules.domain.prompt import BREAK, parse_attention

__all__ = ["InfotextValue", "StyleExtractor", "complete_parameters", "parse_version"]

InfotextValue = str | int | bool | list[str]
"""Values read from the text are strings; defaults have A1111's types."""

StyleExtractor = Callable[[str, str], tuple[Sequence[str], str, str]]
"""``(prompt, negative) -> (style names, prompt without them, negative without them)``."""

Version = tuple[int, ...]

_VERSION = re.compile(r"v?(\d{1,9})\.(\d{1,9})\.(\d{1,9})(?:-(\d{1,9}))?(?:-g\w+)?(?:\+[\w.]+)?")
_EMPHASIS_SPAN = 10_000  # characters of a prompt that are looked at; more would only cost time
_OLD_TIMELINES: Version = (1, 6, 0)
_OLD_PADDING: Version = (1, 6, 0)
_DOWNCAST_ALPHAS: Version = (1, 7, 0, 225)
_REFINER_BY_STEPS: Version = (1, 8, 0)
_STYLES_IN_HIRES: Version = (1, 8, 0, 139)
_FIRST_PASS_PIXELS = 512 * 512  # the old hires fix chose a first pass of this area

_DEFAULTS: tuple[tuple[str, InfotextValue], ...] = (
    ("Clip skip", "1"),
    ("Hires resize-1", 0),
    ("Hires resize-2", 0),
    ("Hires sampler", "Use same sampler"),
    ("Hires schedule type", "Use same scheduler"),
    ("Hires checkpoint", "Use same checkpoint"),
    ("Hires prompt", ""),
    ("Hires negative prompt", ""),
    ("Mask mode", "Inpaint masked"),
    ("Masked content", "original"),
    ("Inpaint area", "Whole picture"),
    ("Masked area padding", 32),
    ("RNG", "GPU"),
    ("Schedule type", "Automatic"),
    ("Schedule max sigma", 0),
    ("Schedule min sigma", 0),
    ("Schedule rho", 0),
    ("VAE Encoder", "Full"),
    ("VAE Decoder", "Full"),
    ("FP8 weight", "Disable"),
)


def complete_parameters(
    parameters: dict[str, InfotextValue],
    prompt: str,
    negative: str,
    *,
    styles: StyleExtractor | None,
    style_mode: str,
    backcompat: bool,
) -> None:
    """Write prompts, styles, defaults and what the version implies into ``parameters``."""
    version = parse_version(str(parameters.get("Version", "")))
    if styles is not None:
        prompt, negative = _take_out_styles(
            parameters, prompt, negative, styles=styles, mode=style_mode, version=version
        )
    parameters["Prompt"] = prompt
    parameters["Negative prompt"] = negative
    if "Hypernet" in parameters:
        strength = parameters.get("Hypernet strength", "1.0")
        parameters["Prompt"] = f"{prompt}<hypernet:{parameters['Hypernet']}:{strength}>"
    for key, value in _DEFAULTS:
        parameters.setdefault(key, value)
    _convert_first_pass_size(parameters)
    if parameters["FP8 weight"] != "Disable":
        parameters.setdefault("Cache FP16 weight for LoRA", False)
    if "Emphasis" not in parameters and (_uses_emphasis(prompt) or _uses_emphasis(negative)):
        parameters["Emphasis"] = "Original"
    parameters.setdefault("Refiner switch by sampling steps", False)
    if backcompat and version is not None:
        _restore_old_behaviour(parameters, version)


def parse_version(text: str) -> Version | None:
    """``v1.7.0-225-gabcdef`` as ``(1, 7, 0, 225)``; None for other programs' versions.

    Three numbers sort before the same three with a fourth, as a release before its later commits.
    """
    match = _VERSION.fullmatch(text.strip())
    return None if match is None else tuple(int(part) for part in match.groups() if part is not None)


def _take_out_styles(
    parameters: dict[str, InfotextValue],
    prompt: str,
    negative: str,
    *,
    styles: StyleExtractor,
    mode: str,
    version: Version | None,
) -> tuple[str, str]:
    found, bare_prompt, bare_negative = styles(prompt, negative)
    has_hires_prompt = "Hires prompt" in parameters or "Hires negative prompt" in parameters
    if has_hires_prompt and (version is None or version > _STYLES_IN_HIRES):
        hires_found, hires_prompt, hires_negative = styles(
            str(parameters.get("Hires prompt", prompt)),
            str(parameters.get("Hires negative prompt", negative)),
        )
        if list(found) != list(hires_found):
            return prompt, negative
        parameters["Hires prompt"] = "" if hires_prompt == bare_prompt else hires_prompt
        parameters["Hires negative prompt"] = "" if hires_negative == bare_negative else hires_negative
    if mode == "Apply" or (mode == "Apply if any" and found):
        parameters["Styles array"] = list(found)
    return bare_prompt, bare_negative


def _uses_emphasis(prompt: str) -> bool:
    if not any(mark in prompt for mark in ("(", "[")):
        return False
    pieces = parse_attention(prompt[:_EMPHASIS_SPAN])
    return any(piece[1] != 1.0 for piece in pieces if piece != BREAK)


def _convert_first_pass_size(parameters: dict[str, InfotextValue]) -> None:
    """Before 2023 ``Size`` was the final size and ``First pass size`` that of the first pass."""
    if "First pass size-1" not in parameters or "First pass size-2" not in parameters:
        return
    width, height = _whole(parameters, "Size-1", 512), _whole(parameters, "Size-2", 512)
    first_width = _whole(parameters, "First pass size-1", 0)
    first_height = _whole(parameters, "First pass size-2", 0)
    if (first_width == 0 or first_height == 0) and width > 0 and height > 0:
        scale = math.sqrt(_FIRST_PASS_PIXELS / (width * height))
        first_width = math.ceil(scale * width / 64) * 64
        first_height = math.ceil(scale * height / 64) * 64
    parameters["Size-1"], parameters["Size-2"] = first_width, first_height
    parameters["Hires resize-1"], parameters["Hires resize-2"] = width, height


def _whole(parameters: dict[str, InfotextValue], key: str, default: int) -> int:
    text = str(parameters.get(key, default))
    return int(text) if text.isdecimal() and len(text) <= 9 else default


def _restore_old_behaviour(parameters: dict[str, InfotextValue], version: Version) -> None:
    if version < _OLD_TIMELINES and "[" in str(parameters["Prompt"]):
        parameters["Old prompt editing timelines"] = True
    if version < _OLD_PADDING and parameters.get("Sampler") in {"DDIM", "PLMS"}:
        parameters["Pad conds v0"] = True
    if version < _DOWNCAST_ALPHAS:
        parameters["Downcast alphas_cumprod"] = True
    if version < _REFINER_BY_STEPS and "Refiner" in parameters:
        parameters["Refiner switch by sampling steps"] = True
