"""Reference cases that wait for a feature which the project does not have yet, with the reason.

Nothing is skipped in silence: a case is either compared or stands here, and a case that stands here but
passes fails the test until its line is removed.
"""

__all__ = ["WAITING", "waits_for"]

# feature of the case -> what it waits for
WAITING = {
    "script:prompt-matrix": "the Prompt matrix script",
    "script:loopback": "the Loopback script",
    "script:sd-upscale": "the SD upscale script",
    "script:poor-mans-outpainting": "the Poor man's outpainting script",
    "script:xyz": "the X/Y/Z plot script",
    "script:img2img-alt": "the img2img alternative test script",
}


def waits_for(feature: str) -> str | None:
    """What a case of this feature waits for; None when it is compared."""
    return WAITING.get(feature)
