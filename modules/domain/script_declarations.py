"""The built-in scripts as A1111's users know them: titles, tabs, arguments in A1111's order."""

from modules.domain.script import BOTH_TABS, ArgumentSwap, ScriptArgument, ScriptDeclaration

__all__ = [
    "DIRECTIONS",
    "LOOPBACK",
    "MASKED_CONTENT",
    "NOISE_REVERSAL",
    "OUTPAINTING_MK2",
    "PLOT",
    "POOR_MANS_OUTPAINTING",
    "PROMPTS_FROM_FILE",
    "PROMPT_MATRIX",
    "SD_UPSCALE",
]

DIRECTIONS = ("left", "right", "up", "down")
MASKED_CONTENT = ("fill", "original", "latent noise", "latent nothing")


def _box(key: str, label: str, default: bool = False) -> ScriptArgument:
    return ScriptArgument(key, label, "checkbox", default)


def _slider(
    key: str, label: str, limits: tuple[float, float, float], default: float, *, most: float | None = None
) -> ScriptArgument:
    minimum, maximum, step = limits
    return ScriptArgument(
        key, label, "slider", default, minimum=minimum, maximum=maximum, step=step, most=most
    )


def _radio(key: str, label: str, choices: tuple[str, ...]) -> ScriptArgument:
    return ScriptArgument(key, label, "radio", choices[0], choices=choices)


def _directions() -> ScriptArgument:
    return ScriptArgument(
        "direction", "Outpainting direction", "checkboxes", list(DIRECTIONS), choices=DIRECTIONS
    )


_MARGIN = _slider("margin_size", "Grid margins (px)", (0, 500, 2), 0, most=4096)
_PIXELS = _slider("pixels", "Pixels to expand", (8, 256, 8), 128, most=4096)

PROMPT_MATRIX = ScriptDeclaration(
    "Prompt matrix",
    BOTH_TABS,
    (
        _box("put_at_start", "Put variable parts at start of prompt"),
        _box("different_seeds", "Use different seed for each picture"),
        _radio("prompt_type", "Select prompt", ("positive", "negative")),
        _radio("variations_delimiter", "Select joining char", ("comma", "space")),
        _MARGIN,
    ),
)

PROMPTS_FROM_FILE = ScriptDeclaration(
    "Prompts from file or textbox",
    BOTH_TABS,
    (
        _box("checkbox_iterate", "Iterate seed every line"),
        _box("checkbox_iterate_batch", "Use same random seed for all lines"),
        _radio("prompt_position", "Insert prompts at the", ("start", "end")),
        ScriptArgument(
            "prompt_txt", "List of prompt inputs", "text", "", upload="Upload prompt inputs", lines=5
        ),
    ),
)


def _axis(letter: str, default: str) -> tuple[ScriptArgument, ...]:
    """The three arguments of one axis: what varies, its values as text, its values as a choice."""
    low, values = letter.lower(), f"{letter} values"
    return (
        ScriptArgument(
            f"{low}_type",
            f"{letter} type",
            "dropdown",
            default,
            choices_from="axes",
            by_index=True,
            infotext=f"{letter} Type",
        ),
        ScriptArgument(f"{low}_values", values, "text", "", infotext=f"{letter} Values"),
        ScriptArgument(
            f"{low}_values_dropdown",
            values,
            "multiselect",
            [],
            choices_by=f"{low}_type",
            instead_of=f"{low}_values",
            plain_text="csv_mode",
            fill=f"Fill {letter} with all values",
            infotext=f"{letter} Values",
        ),
    )


def _axis_swap(first: str, second: str) -> ArgumentSwap:
    a, b = first.lower(), second.lower()
    parts = ("type", "values", "values_dropdown")
    return ArgumentSwap(
        f"{a}{b}_grid_swap_axes_button",
        f"Swap {first}/{second} axes",
        tuple((f"{a}_{part}", f"{b}_{part}") for part in parts),
    )


PLOT = ScriptDeclaration(
    "X/Y/Z plot",
    BOTH_TABS,
    (
        *_axis("X", "Seed"),
        *_axis("Y", "Nothing"),
        *_axis("Z", "Nothing"),
        _box("draw_legend", "Draw legend", default=True),
        _box("include_lone_images", "Include Sub Images"),
        _box("include_sub_grids", "Include Sub Grids"),
        _box("no_fixed_seeds", "Keep -1 for seeds"),
        _box("vary_seeds_x", "Vary seeds for X"),
        _box("vary_seeds_y", "Vary seeds for Y"),
        _box("vary_seeds_z", "Vary seeds for Z"),
        _MARGIN,
        _box("csv_mode", "Use text inputs instead of dropdowns"),
    ),
    (_axis_swap("X", "Y"), _axis_swap("Y", "Z"), _axis_swap("X", "Z")),
)

LOOPBACK = ScriptDeclaration(
    "Loopback",
    ("img2img",),
    (
        _slider("loops", "Loops", (1, 32, 1), 4, most=1000),
        _slider("final_denoising_strength", "Final denoising strength", (0, 1, 0.01), 0.5),
        ScriptArgument(
            "denoising_curve",
            "Denoising strength curve",
            "dropdown",
            "Linear",
            choices=("Aggressive", "Linear", "Lazy"),
        ),
        ScriptArgument(
            "append_interrogation",
            "Append interrogated prompt at each iteration",
            "dropdown",
            "None",
            choices=("None", "CLIP", "DeepBooru"),
        ),
    ),
)

SD_UPSCALE = ScriptDeclaration(
    "SD upscale",
    ("img2img",),
    (
        ScriptArgument(
            "info",
            "The picture is enlarged by the scale factor, then drawn anew tile by tile. "
            "Width and Height are the size of a tile.",
            "note",
            "",
        ),
        _slider("overlap", "Tile overlap", (0, 256, 16), 64, most=4096),
        ScriptArgument("upscaler_index", "Upscaler", "radio", 0, choices_from="upscalers", by_index=True),
        _slider("scale_factor", "Scale Factor", (1, 4, 0.05), 2.0, most=16),
    ),
)

POOR_MANS_OUTPAINTING = ScriptDeclaration(
    "Poor man's outpainting",
    ("img2img",),
    (
        _PIXELS,
        _slider("mask_blur", "Mask blur", (0, 64, 1), 4, most=512),
        ScriptArgument(
            "inpainting_fill", "Masked content", "radio", "fill", choices=MASKED_CONTENT, by_index=True
        ),
        _directions(),
    ),
)

OUTPAINTING_MK2 = ScriptDeclaration(
    "Outpainting mk2",
    ("img2img",),
    (
        ScriptArgument(
            "info",
            "Works best with many steps (80 to 100), the sampler Euler a, a denoising strength of 0.8 and a "
            "prompt that describes the whole picture.",
            "note",
            "",
        ),
        _PIXELS,
        _slider("mask_blur", "Mask blur", (0, 64, 1), 8, most=512),
        _directions(),
        _slider("noise_q", "Fall-off exponent (lower=higher detail)", (0, 4, 0.01), 1.0),
        _slider("color_variation", "Color variation", (0, 1, 0.01), 0.05),
    ),
)

NOISE_REVERSAL = ScriptDeclaration(
    "img2img alternative test",
    ("img2img",),
    (
        ScriptArgument(
            "info",
            "Finds the noise from which the sampler would have made this picture, and starts again there.",
            "note",
            "",
        ),
        _box(
            "override_sampler",
            "Override `Sampling method` to Euler?(this method is built for it)",
            default=True,
        ),
        _box(
            "override_prompt",
            "Override `prompt` to the same value as `original prompt`?(and `negative prompt`)",
            default=True,
        ),
        ScriptArgument("original_prompt", "Original prompt", "text", ""),
        ScriptArgument("original_negative_prompt", "Original negative prompt", "text", ""),
        _box(
            "override_steps",
            "Override `Sampling Steps` to the same value as `Decode steps`?",
            default=True,
        ),
        _slider("st", "Decode steps", (1, 150, 1), 50, most=1000),
        _box("override_strength", "Override `Denoising strength` to 1?", default=True),
        _slider("cfg", "Decode CFG scale", (0, 15, 0.1), 1.0, most=1000),
        _slider("randomness", "Randomness", (0, 1, 0.01), 0.0),
        _box("sigma_adjustment", "Sigma adjustment for finding noise for image"),
    ),
)
