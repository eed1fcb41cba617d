"""Sets of captions that a recipe or a client may name; [name] and [filewords] are filled at each step."""

from collections.abc import Mapping

__all__ = ["TEMPLATES"]

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
