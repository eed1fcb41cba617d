"""Tags such as ``<lora:name:0.8>`` inside a prompt."""

import re
from dataclasses import dataclass, field

__all__ = ["ExtraNetwork", "extract_extra_networks"]

_TAG_START = re.compile(r"<(\w+):")


@dataclass(frozen=True)
class ExtraNetwork:
    """One tag. ``name`` is the kind of network (``lora``, ``hypernet``), not the file's name.

    Attributes:
        name: The word before the first colon.
        positional: Arguments without ``=``, in order; the first is the name of the network's file.
        named: Arguments written as ``key=value``.
    """

    name: str
    positional: tuple[str, ...] = ()
    named: dict[str, str] = field(default_factory=dict)

    @property
    def item(self) -> str:
        """Name of the network's file, empty if there is none."""
        return self.positional[0] if self.positional else ""


def _network(name: str, arguments: str) -> ExtraNetwork:
    positional = []
    named = {}
    for argument in arguments.split(":"):
        key, equals, value = argument.partition("=")
        if equals and "=" not in value:
            named[key] = value
        else:
            positional.append(argument)
    return ExtraNetwork(name, tuple(positional), named)


def extract_extra_networks(text: str) -> tuple[str, tuple[ExtraNetwork, ...]]:
    """Take all tags out of a prompt.

    Returns:
        The prompt without its tags, blanks left as they were, and the tags in order.
    """
    kept: list[str] = []
    networks: list[ExtraNetwork] = []
    position = 0
    search_from = 0
    while match := _TAG_START.search(text, search_from):
        end = text.find(">", match.end())
        if end < 0:
            break
        if end == match.end():  # "<lora:>" has no argument and stays
            search_from = end
            continue
        kept.append(text[position : match.start()])
        networks.append(_network(match.group(1), text[match.end() : end]))
        position = search_from = end + 1
    kept.append(text[position:])
    return "".join(kept), tuple(networks)
