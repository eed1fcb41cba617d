"""Pictures whose server is killed with -9 while they are drawn.

    python -m tests.acceptance.killed_picture FOLDER MODELS CASES

Each case is drawn once in peace, and once by a server that is killed at a step and started again; the two
files must be equal to the byte. One JSON object on standard output says what was found.
"""

import json
import os
import random
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from modules.app import create_services
from modules.diffusion.samplers import SAMPLERS
from modules.domain.request import GenerationRequest
from modules.generation import job_run
from modules.generation.effects import StepEnd
from modules.generation.step_store import StepStore
from modules.imaging.metadata import encode_image
from modules.services import Services
from modules.settings.launch import Folders, LaunchOptions
from tests.acceptance.killed import forked, kill

BASE: dict[str, Any] = {"prompt": "a photo of a cat", "seed": 7, "steps": 8, "width": 64, "height": 64}


def cases() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every kind of picture, then every sampler."""
    yield "hires", {"hires": {"scale": 1.5, "steps": 6, "denoising_strength": 0.6}}
    yield "img2img", {"image_to_image": {"images": ["@picture"], "denoising_strength": 0.8}}
    yield "inpaint", {"image_to_image": {"images": ["@picture"], "mask": "@mask", "denoising_strength": 0.8}}
    for sampler in SAMPLERS:
        yield sampler.name, {"sampler_name": sampler.name}


def services_on(folder: Path, models: Path) -> Services:
    """The studio on tiny models; every step is stored."""
    torch.set_num_threads(1)
    job_run.STORE_EVERY = 0.0
    folders = Folders(
        data=folder / "data",
        models=models / "models",
        outputs=folder / "outputs",
        embeddings=models / "embeddings",
        extensions=folder / "extensions",
    )
    options = LaunchOptions(folders=folders, device="cpu", precision="full", checkpoint="tiny-sd1")
    return create_services(options)


def request_for(services: Services, changes: dict[str, Any]) -> GenerationRequest:
    """The case's request, with its pictures in the store."""
    ramp = np.tile(np.linspace(0, 255, 64, dtype=np.uint8), (64, 1))
    stored = {
        "@picture": services.blobs.put(encode_image(Image.fromarray(ramp).convert("RGB"), "png")),
        "@mask": services.blobs.put(
            encode_image(Image.fromarray((ramp > 128).astype(np.uint8) * 255), "png")
        ),
    }
    text = json.dumps({**BASE, **changes})
    for name, blob in stored.items():
        text = text.replace(f'"{name}"', f'"{blob}"')
    fields = json.loads(text)
    if "image_to_image" in fields:
        fields["image_to_image"]["images"] = tuple(fields["image_to_image"]["images"])
    return GenerationRequest.model_validate_json(json.dumps({**fields, "checkpoint": "tiny-sd1"}))


def draw(folder: Path, models: Path, changes: dict[str, Any], pipe: int) -> None:
    """Go on with the job that is there, or submit it; tell of each stored step and of the picture."""
    services = services_on(folder, models)
    save = StepStore.save_step

    def told(store: StepStore, job: str, index: int, step: StepEnd) -> None:
        save(store, job, index, step)
        os.write(pipe, b"step\n")

    setattr(StepStore, "save_step", told)  # noqa: B010 - mypy takes the plain form for a mistake
    services.runner.start()
    active = services.jobs.active("ann")
    job = active[0].id if active else services.jobs.submit(request_for(services, changes), "ann")
    view = services.jobs.wait(job, 300)
    path = view.images[0].path if view.images else f"failed: {view.error}"
    os.write(pipe, f"done {path}\n".encode())


def until(child: int, pipe: int, steps: int) -> list[str]:
    """Read what the child says; kill it after so many steps, or wait for its end."""
    heard: list[str] = []
    rest = b""
    while heard.count("step") < steps and (said := os.read(pipe, 4096)):
        *lines, rest = (rest + said).split(b"\n")
        heard += [line.decode() for line in lines]
    return heard + kill(child, pipe)


def main() -> None:
    """Draw the cases."""
    folder, models, count = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    chance = random.Random(5)
    chosen = list(cases())
    chosen = chosen if count >= len(chosen) else chance.sample(chosen, count)
    equal, killed, wrong = 0, 0, []
    for number, (name, changes) in enumerate(chosen):
        contents = []
        for kind in ("peace", "killed"):
            place = folder / f"{number}-{kind}"
            heard: list[str] = []
            if kind == "killed":
                heard = until(*forked(partial(draw, place, models, changes)), chance.randint(1, 5))
                killed += not any(line.startswith("done") for line in heard)
            if not any(line.startswith("done") for line in heard):
                heard = until(*forked(partial(draw, place, models, changes)), 10**6)
            done = next((line for line in heard if line.startswith("done ")), "done nothing")
            path = Path(done.removeprefix("done "))
            contents.append(path.read_bytes() if path.is_file() else done.encode())
        same = contents[0] == contents[1] and contents[0].startswith(b"\x89PNG")
        equal += same
        wrong += [] if same else [f"{name}: {contents[0][:80]!r} {contents[1][:80]!r}"]
    sys.stdout.write(
        json.dumps({"cases": len(chosen), "killed": killed, "equal": equal, "wrong": wrong}) + "\n"
    )


if __name__ == "__main__":
    main()
