"""What the model is told about a picture at one step: template, trigger word, order of tags, or nothing."""

import re

import numpy as np

from modules.training.finetuning.recipe import DataChoice

__all__ = ["caption_of", "first_caption", "filled"]


def filled(template: str, name: str, words: str) -> str:
    """A template with the trigger word and the picture's own caption in their places."""
    text = template.replace("[name]", name).replace("[filewords]", words)
    return ", ".join(part for part in (piece.strip() for piece in text.split(",")) if part)


def first_caption(words: str, name: str) -> str:
    """The plain caption: the trigger word goes before a caption that does not have it as a word."""
    has_it = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", words, re.IGNORECASE)
    return words if not name or has_it else filled("[name], [filewords]", name, words)


def caption_of(words: str, name: str, choice: DataChoice, rng: np.random.Generator) -> str:
    """The caption of one step.

    Args:
        words: the picture's own caption.
        name: the trigger word.
        choice: templates, shuffling, and dropout of captions and of tags.
        rng: draws them; the same draws are made whatever is chosen.
    """
    drop, which = rng.random(), rng.random()
    order = rng.permutation(words.count(",") + 1)
    if drop < choice.caption_dropout:
        return ""
    if choice.tag_dropout:
        tags = words.split(",")
        left = [
            *tags[: choice.keep_tags],
            *(tag for tag in tags[choice.keep_tags :] if rng.random() >= choice.tag_dropout),
        ]
        words = ",".join(left)
    if choice.shuffle_tags:
        tags = [tag.strip() for tag in words.split(",")]
        moved = [tags[index] for index in order if choice.keep_tags <= index < len(tags)]
        words = ", ".join([*tags[: choice.keep_tags], *moved])
    if choice.templates:
        return filled(choice.templates[int(which * len(choice.templates))], name, words)
    return first_caption(words, name)
