"""Style sheets, scripts and fixed templates of the page, read from this folder."""

from functools import cache
from pathlib import Path

__all__ = ["asset_path", "asset_text"]


def asset_path(name: str) -> Path:
    """Where an asset lies."""
    return Path(__file__).parent / name


@cache
def asset_text(name: str) -> str:
    """An asset's text."""
    return asset_path(name).read_text(encoding="utf-8")
