"""Generation parameters written by other programs, converted to A1111's form.

Known: ComfyUI's node graph, InvokeAI (all generations), NovelAI and Fooocus. Forge and SD.Next write
A1111's own form with more keys and need no conversion. What has no counterpart here is listed.
"""

import logging
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from modules.domain.infotext import format_infotext
from modules.domain.infotext_comfy import read_comfy
from modules.domain.infotext_samplers import COMFY_SAMPLERS, INVOKE_SAMPLERS, NOVELAI_SAMPLERS, name_sampler
from modules.domain.json_access import Record, as_list, as_record, as_text, parse_json

__all__ = ["ForeignInfotext", "convert_foreign"]

log = logging.getLogger(__name__)

MAX_LORAS = 100  # people use a handful
MAX_SKIPPED = 100  # layers; the deepest text encoder has 32

_DREAM_FLAGS = {
    "-s": "steps",
    "-S": "seed",
    "-W": "width",
    "-H": "height",
    "-C": "cfg_scale",
    "-A": "sampler",
}
_NEGATIVE_IN_BRACKETS = re.compile(r"\[([^\[\]]*)\]")


@dataclass(frozen=True)
class ForeignInfotext:
    """Another program's parameters in A1111's form.

    Attributes:
        text: as :func:`~modules.domain.infotext.format_infotext` writes it.
        program: who wrote them.
        lost: one sentence for each thing that has no counterpart here.
    """

    text: str
    program: str
    lost: tuple[str, ...] = ()


def convert_foreign(items: Mapping[str, str], *, width: int = 0, height: int = 0) -> ForeignInfotext | None:
    """Recognise and convert another program's metadata.

    Args:
        items: texts of a picture file by keyword.
        width: of the picture in pixels, where the metadata does not say.
        height: of the picture in pixels.

    Returns:
        None when the texts are A1111's own, or nobody's, or hold what no reader understands.
    """
    try:
        return _converted(items, width, height)
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError) as error:
        log.info("metadata of another program could not be read: %s", error)
        return None


def _converted(items: Mapping[str, str], width: int, height: int) -> ForeignInfotext | None:
    if items.get("Software") == "NovelAI":
        return _novelai(items, width, height)
    if "invokeai_metadata" in items:
        return _invoke(as_record(parse_json(items["invokeai_metadata"])))
    if "sd-metadata" in items:
        return _invoke_2(as_record(parse_json(items["sd-metadata"])))
    parameters = items.get("parameters", "")
    if parameters.lstrip().startswith("{"):
        fooocus = as_record(parse_json(parameters))
        return _fooocus(fooocus) if "full_prompt" in fooocus or "base_model" in fooocus else None
    if parameters:
        return None
    if "Dream" in items:
        return _dream(items["Dream"])
    graph = as_record(parse_json(items["prompt"])) if "prompt" in items else {}
    if graph:
        text, lost = read_comfy(graph, width=width, height=height)
        return ForeignInfotext(text, "ComfyUI", lost)
    return None


def _novelai(items: Mapping[str, str], width: int, height: int) -> ForeignInfotext | None:
    comment = as_record(parse_json(items.get("Comment", "")))
    if not comment:
        return None
    lost: list[str] = []
    sampler = name_sampler(NOVELAI_SAMPLERS, as_text(comment.get("sampler")), "Euler a", lost)
    if as_text(comment.get("strength")):
        lost.append("made from another picture, which the metadata does not contain")
    text = format_infotext(
        items.get("Description", "") or as_text(comment.get("prompt")),
        as_text(comment.get("uc")),
        {
            "Steps": as_text(comment.get("steps")),
            "Sampler": sampler,
            "CFG scale": as_text(comment.get("scale")),
            "Seed": as_text(comment.get("seed")),
            "Size": f"{width}x{height}" if width and height else _size(comment),
            "Clip skip": 2,  # what NovelAI's first model was trained with
            "ENSD": 31337,
        },
    )
    return ForeignInfotext(text, "NovelAI", tuple(lost))


def _invoke(content: Record) -> ForeignInfotext | None:
    if not content:
        return None
    lost: list[str] = []
    prompt = as_text(content.get("positive_prompt"))
    if any(mark in prompt for mark in ("++", "--", ".blend(", ".and(", ".swap(")):
        lost.append("InvokeAI's weights (word++, .blend() ...) are read as plain text")
    model = as_record(content.get("model"))
    for lora in _loras(content, lost):
        entry = as_record(lora)
        inner = as_record(entry.get("model") or entry.get("lora"))
        name = as_text(inner.get("name")) or as_text(inner.get("model_name"))
        prompt += f" <lora:{name}:{as_text(entry.get('weight')) or '1'}>"
    others = ("controlnets", "ipAdapters", "t2iAdapters", "init_image", "refiner_model")
    lost += [f"{key} has no counterpart in the parameters" for key in others if content.get(key)]
    sampler, schedule = _invoke_sampler(as_text(content.get("scheduler")), lost)
    text = format_infotext(
        prompt,
        as_text(content.get("negative_prompt")),
        {
            "Steps": as_text(content.get("steps")),
            "Sampler": sampler,
            "Schedule type": schedule,
            "CFG scale": as_text(content.get("cfg_scale")),
            "Seed": as_text(content.get("seed")),
            "Size": _size(content),
            "Model": (as_text(model.get("name")) or as_text(model.get("model_name"))) or None,
            "Denoising strength": as_text(content.get("strength")) or None,
            "Clip skip": _skipped(content),
            "RNG": "CPU" if content.get("rand_device") == "cpu" else None,
        },
    )
    return ForeignInfotext(text, "InvokeAI", tuple(lost))


def _skipped(content: Record) -> int | None:
    """InvokeAI counts the layers left out, A1111 counts from the last: 0 there is 1 here."""
    skipped = content.get("skipped_layers") or content.get("clip_skip")
    return skipped + 1 if isinstance(skipped, int) and 0 < skipped < MAX_SKIPPED else None


def _invoke_2(content: Record) -> ForeignInfotext | None:
    image = as_record(content.get("image"))
    if not image:
        return None
    parts = image.get("prompt")
    if isinstance(parts, str):
        prompt = parts
    else:
        prompt = ", ".join(as_text(as_record(part).get("prompt")) for part in as_list(parts))
    return _invoke_old(prompt, image, as_text(content.get("model_weights")))


def _dream(command: str) -> ForeignInfotext | None:
    """The command line of the first InvokeAI: ``"a prompt" -s 50 -S 42 -W 512 ...``."""
    try:
        words = shlex.split(command[:20_000])
    except ValueError:
        return None
    values: dict[str, str] = {}
    prompt: list[str] = []
    for index, word in enumerate(words):
        flag = next((name for name in _DREAM_FLAGS if word.startswith(name)), None)
        if flag is None:
            if index == 0 or not words[index - 1].startswith("-"):
                prompt.append(word)
        else:
            values[_DREAM_FLAGS[flag]] = word[2:] or (words[index + 1] if index + 1 < len(words) else "")
    return _invoke_old(" ".join(prompt), dict(values), "")


def _invoke_old(prompt: str, image: Record, model: str) -> ForeignInfotext:
    lost: list[str] = []
    negative = ", ".join(_NEGATIVE_IN_BRACKETS.findall(prompt))
    sampler, schedule = _invoke_sampler(as_text(image.get("sampler")).removeprefix("k_"), lost)
    text = format_infotext(
        _NEGATIVE_IN_BRACKETS.sub("", prompt).strip(),
        negative,
        {
            "Steps": as_text(image.get("steps")),
            "Sampler": sampler,
            "Schedule type": schedule,
            "CFG scale": as_text(image.get("cfg_scale")),
            "Seed": as_text(image.get("seed")),
            "Size": _size(image),
            "Model": model or None,
        },
    )
    return ForeignInfotext(text, "InvokeAI", tuple(lost))


def _fooocus(content: Record) -> ForeignInfotext:
    lost = [
        f"{key} {as_text(content[key])}: not used here"
        for key in ("performance", "sharpness", "adm_guidance")
        if as_text(content.get(key))
    ]
    full = [as_text(part) for part in as_list(content.get("full_prompt"))]
    prompt = ", ".join(full) or as_text(content.get("full_prompt")) or as_text(content.get("prompt"))
    full = [as_text(part) for part in as_list(content.get("full_negative_prompt"))]
    negative = ", ".join(part for part in full if part) or as_text(content.get("negative_prompt"))
    for lora in _loras(content, lost):
        entry = [as_text(part) for part in as_list(lora)]
        if len(entry) >= 2:
            prompt += f" <lora:{_stem(entry[0])}:{entry[1]}>"
    scheduler = as_text(content.get("scheduler"))
    refiner = as_text(content.get("refiner_model"))
    sampler = as_text(content.get("sampler")).removesuffix("_gpu")
    text = format_infotext(
        prompt,
        negative,
        {
            "Steps": as_text(content.get("steps")),
            "Sampler": name_sampler(COMFY_SAMPLERS, sampler, "DPM++ 2M SDE", lost),
            "Schedule type": "Karras" if scheduler == "karras" else None,
            "CFG scale": as_text(content.get("guidance_scale")),
            "Seed": as_text(content.get("seed")),
            "Size": "x".join(re.findall(r"\d+", as_text(content.get("resolution")))[:2]) or None,
            "Model hash": as_text(content.get("base_model_hash")) or None,
            "Model": _stem(as_text(content.get("base_model"))) or None,
            "Clip skip": as_text(content.get("clip_skip")) or None,
            "Refiner": refiner if refiner not in {"", "None"} else None,
            "Refiner switch at": as_text(content.get("refiner_switch")) or None,
        },
    )
    return ForeignInfotext(text, "Fooocus", tuple(lost))


def _loras(content: Record, lost: list[str]) -> list[JsonValue]:
    loras = as_list(content.get("loras"))
    if len(loras) > MAX_LORAS:
        lost.append(f"only {MAX_LORAS} of {len(loras):,} loras were read")
    return loras[:MAX_LORAS]


def _invoke_sampler(name: str, lost: list[str]) -> tuple[str, str | None]:
    base = name.removesuffix("_k")
    return name_sampler(INVOKE_SAMPLERS, base, "Euler", lost), "Karras" if base != name else None


def _size(content: Record) -> str | None:
    width, height = as_text(content.get("width")), as_text(content.get("height"))
    return f"{width}x{height}" if width and height else None


def _stem(name: str) -> str:
    return name.replace("\\", "/").rpartition("/")[2].rpartition(".")[0] or name
