"""img2img alternative test: find the noise that would have made the picture, and start again from it."""

from pydantic import JsonValue

from modules.domain.request import GenerationRequest, NoiseReversal
from modules.domain.script import Arguments
from modules.domain.script_declarations import NOISE_REVERSAL
from modules.generation.scripts.grids import usual_grid
from modules.generation.scripts.script import (
    Render,
    RenderItem,
    Script,
    ScriptCoroutine,
    ScriptResult,
    ScriptRoom,
)
from modules.generation.scripts.start import start_picture

__all__ = ["SCRIPT"]


def _run(request: GenerationRequest, arguments: Arguments, room: ScriptRoom) -> ScriptCoroutine:
    start = start_picture(request)
    reversal = NoiseReversal(
        prompt=arguments.text("original_prompt"),
        negative_prompt=arguments.text("original_negative_prompt"),
        cfg_scale=arguments.number("cfg"),
        steps=arguments.whole("st"),
        randomness=arguments.number("randomness"),
        sigma_adjustment=arguments.flag("sigma_adjustment"),
    )
    image: dict[str, object] = {"noise_reversal": reversal}
    changes: dict[str, object] = {}
    if arguments.flag("override_strength"):
        image["denoising_strength"] = 1.0
    if arguments.flag("override_sampler"):
        changes["sampler_name"] = "Euler"
    if arguments.flag("override_prompt"):
        changes |= {"prompt": reversal.prompt, "negative_prompt": reversal.negative_prompt}
    if arguments.flag("override_steps"):
        changes["steps"] = reversal.steps
    changes["image_to_image"] = start.model_copy(update=image)
    parameters: dict[str, JsonValue] = {
        "Decode prompt": reversal.prompt,
        "Decode negative prompt": reversal.negative_prompt,
        "Decode CFG scale": reversal.cfg_scale,
        "Decode steps": reversal.steps,
        "Randomness": reversal.randomness,
        "Sigma Adjustment": reversal.sigma_adjustment,
    }
    answer = yield Render((RenderItem(request.model_copy(update=changes), parameters, place=0),))
    return ScriptResult(usual_grid(request, answer.all(), room.settings))


SCRIPT = Script(NOISE_REVERSAL, _run)
