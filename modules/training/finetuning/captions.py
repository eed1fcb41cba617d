"""What the model is told about a picture at one step: template, trigger word, order of tags, or nothing."""

from collections.abc import Mapping

import numpy as np

from modules.training.finetuning.recipe import DataChoice

__all__ = ["TEMPLATES", "caption_of", "first_caption", "filled"]

TEMPLATES: Mapping[str, tuple[str, ...]] = {
    "none": ("[filewords]",),
    "subject": (
        "a picture of [name]",
        "a photo of [name]",
        "[name] in the picture",
        "a good picture of [name]",
        "a close-up of [name]",
        "[name]",
    ),
    "subject_filewords": ("a picture of [name], [filewords]", "[name], [filewords]"),
    "style": ("a picture in the style of [name]", "art by [name]", "a drawing, [name]", "[name]"),
    "style_filewords": ("a picture of [filewords], art by [name]", "[filewords], [name]"),
}
"""Sets of templates that a recipe or a client may name."""


def filled(template: str, name: str, words: str) -> str:
    """A template with the trigger word and the picture's own caption in their places."""
    text = template.replace("[name]", name).replace("[filewords]", words)
    return ", ".join(part for part in (piece.strip() for piece in text.split(",")) if part)


def first_caption(words: str, name: str) -> str:
    """The plain caption: the trigger word goes before a caption that does not have it."""
    return words if not name or name.lower() in words.lower() else filled("[name], [filewords]", name, words)


def caption_of(words: str, name: str, choice: DataChoice, rng: np.random.Generator) -> str:
    """The caption of one step.

    Args:
        words: the picture's own caption.
        name: the trigger word.
        choice: templates, shuffling and dropout.
        rng: draws them; the same draws are made whatever is chosen.
    """
    drop, which = rng.random(), rng.random()
    order = rng.permutation(words.count(",") + 1)
    if drop < choice.caption_dropout:
        return ""
    if choice.shuffle_tags:
        tags = [tag.strip() for tag in words.split(",")]
        moved = [tags[index] for index in order if index >= choice.keep_tags]
        words = ", ".join([*tags[: choice.keep_tags], *moved])
    if choice.templates:
        return filled(choice.templates[int(which * len(choice.templates))], name, words)
    return first_caption(words, name)
