"""Which openly licensed icon sets the embedded model learns from, and under which terms."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["ATTRIBUTION", "EMOJIBASE_PACKAGE", "ICON_SETS", "IconSet", "find_icon_set"]

EMOJIBASE_PACKAGE = "emojibase-data@17.0.0"


@dataclass(frozen=True)
class IconSet:
    """One set of drawings in an npm package.

    Attributes:
        name: Short name used in files and tests.
        package: npm package with its pinned version.
        style: Words that a caption uses for the look of this set.
        licence: SPDX name of the licence of the drawings.
        owner: Who holds the copyright of the drawings.
        kind: "svg" for Iconify packages (``icons.json``), "raster" for a folder of pictures.
        single_colour: The drawings use ``currentColor`` only, so they can take any colour.
        only_with: Name of a set that must hold the same code point for a drawing to be used.
    """

    name: str
    package: str
    style: str
    licence: str
    owner: str
    kind: Literal["svg", "raster"] = "svg"
    single_colour: bool = False
    only_with: str | None = None


ICON_SETS: tuple[IconSet, ...] = (
    IconSet("noto", "@iconify-json/noto@1.2.9", "cartoon", "Apache-2.0", "Google Inc."),
    IconSet("fluent-flat", "@iconify-json/fluent-emoji-flat@1.2.6", "flat", "MIT", "Microsoft Corporation"),
    IconSet(
        "fluent-high-contrast",
        "@iconify-json/fluent-emoji-high-contrast@1.2.6",
        "line art",
        "MIT",
        "Microsoft Corporation",
        single_colour=True,
    ),
    IconSet(
        "fluent-3d",
        "@lobehub/fluent-emoji-3d@1.1.0",
        "3d",
        "MIT",
        "Microsoft Corporation",
        kind="raster",
        # The package also holds flags and families that Microsoft never released under a licence.
        only_with="fluent-flat",
    ),
)

ATTRIBUTION = (
    "Trained on renderings of Noto Emoji, (c) Google Inc., Apache-2.0, "
    "https://github.com/googlefonts/noto-emoji; and Fluent Emoji, (c) Microsoft Corporation, MIT, "
    "https://github.com/microsoft/fluentui-emoji (3D renderings packaged by LobeHub, MIT). Names of the "
    "concepts: emojibase-data, (c) Miles Johnson, MIT, derived from Unicode CLDR, (c) Unicode, Inc., Unicode "
    "License v3. Text tokens: CLIP byte-pair vocabulary, (c) OpenAI, MIT. The drawings were re-rendered, "
    "recoloured and placed on coloured backgrounds."
)


def find_icon_set(name: str) -> IconSet:
    """Return the set called ``name``.

    Raises:
        KeyError: No such set.
    """
    for icon_set in ICON_SETS:
        if icon_set.name == name:
            return icon_set
    raise KeyError(name)
