"""The networks that a user has set to be in every prompt (``sd_hypernetwork``, ``sd_lora``)."""

from modules.adapters.network_catalog import NetworkCatalog
from modules.domain.extra_networks import extract_extra_networks
from modules.settings.options import Settings

__all__ = ["default_networks"]


def default_networks(
    prompt: str, settings: Settings, networks: NetworkCatalog
) -> tuple[str, tuple[str, ...]]:
    """Tags to append to a prompt.

    Args:
        prompt: what it says already; a network that it names itself is not added.
        settings: options in force.
        networks: what is on disk.

    Returns:
        The tags in A1111's order, "" for none, and a comment for each network that is not there.
    """
    mentioned = {(network.name, network.item) for network in extract_extra_networks(prompt)[1]}
    tags, comments = "", []
    for kind, name in (("hypernet", settings.sd_hypernetwork), ("lora", settings.sd_lora)):
        if name in ("", "None") or (kind, name) in mentioned:
            continue
        if networks.knows(kind, name):
            tags += f"<{kind}:{name}:{settings.extra_networks_default_multiplier}>"
        else:
            comments.append(f'"{name}", which the settings add to every prompt, was not found.')
    return tags, tuple(comments)
