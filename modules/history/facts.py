"""What a picture's generation parameters say, as values that can be searched and compared."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from modules.domain.extra_networks import extract_extra_networks
from modules.domain.infotext import split_infotext

__all__ = ["PictureFacts", "read_facts"]

_NETWORKS = ("lora", "lyco", "hypernet")


@dataclass(frozen=True)
class PictureFacts:
    """Searchable parameters; "" or None where the text does not speak of them.

    Attributes:
        seed: as text, for seeds may exceed SQLite's 64 bits.
        loras: names of the networks that the prompt calls, each once, in order.
    """

    prompt: str = ""
    negative_prompt: str = ""
    seed: str = ""
    model: str = ""
    model_hash: str = ""
    sampler: str = ""
    scheduler: str = ""
    steps: float | None = None
    cfg_scale: float | None = None
    denoising_strength: float | None = None
    loras: tuple[str, ...] = ()


def read_facts(infotext: str) -> PictureFacts:
    """Take a text apart; whatever it holds, nothing is raised."""
    document = split_infotext(infotext)
    found = document.parameters
    return PictureFacts(
        prompt=document.prompt,
        negative_prompt=document.negative_prompt,
        seed=found.get("Seed", "").strip(),
        model=found.get("Model", ""),
        model_hash=found.get("Model hash", ""),
        sampler=found.get("Sampler", ""),
        scheduler=found.get("Schedule type", ""),
        steps=_number(found.get("Steps")),
        cfg_scale=_number(found.get("CFG scale")),
        denoising_strength=_number(found.get("Denoising strength")),
        loras=tuple(dict.fromkeys(_network_names(document.prompt))),
    )


def _network_names(prompt: str) -> Iterator[str]:
    for network in extract_extra_networks(prompt)[1]:
        if network.name in _NETWORKS and network.item:
            yield network.item


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
