"""A picture depends on its request alone: not on its batch, on others' jobs, or on what was done before."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modules.domain.request import GenerationRequest, Hires, ImageToImage
from modules.generation.engine import Engine
from modules.services import Services
from tests.generation.conftest import Studio
from tests.generation.test_pictures import BASE, finished, make, pixels, stored_mask, stored_picture

LORAS = ["tinylora", "tinylocon", "tinyloha", "tinylokr", "tinyia3", "tinyfull", "tinydora"]


@pytest.mark.parametrize("name", LORAS)
def test_every_kind_of_lora_is_taken_off_to_the_bit(services: Services, name: str) -> None:
    one: dict[str, Any] = {"steps": 1, "override_settings": {"enable_pnginfo": False}}
    plain = make(services, **one)
    applied = make(services, **one, prompt=f"{BASE['prompt']}<lora:{name}:0.7>")
    assert applied != plain
    assert make(services, **one) == plain


BATCHES: dict[str, dict[str, Any]] = {
    "hires": {"hires": Hires(scale=1.5, denoising_strength=0.6), "sampler_name": "Euler a"},
    "brownian noise": {"sampler_name": "DPM++ SDE"},
    "editing and composition": {
        "prompt": "[cat:dog:0.5] AND a (red:1.3) [hat|coat]",
        "negative_prompt": "sea",
    },
    "lora": {"prompt": "a cat <lora:tinylora:1>", "sampler_name": "DDIM", "steps": 4},
    "merged tokens": {"override_settings": {"token_merging_ratio": 0.5}},
}


@pytest.mark.parametrize("kind", BATCHES)
def test_an_image_of_a_batch_equals_the_single_image(services: Services, kind: str) -> None:
    changes = {"seed": 20, "steps": 2, **BATCHES[kind]}
    batch = make(services, **{**changes, "batch_size": 2})
    assert len(set(batch)) == 2
    assert [make(services, **{**changes, "seed": 20 + i})[0] for i in range(2)] == batch


def test_an_image_of_an_inpainted_batch_equals_the_single_image(services: Services) -> None:
    source = ImageToImage(images=(stored_picture(services),), mask=stored_mask(services), inpainting_fill=2)
    batch = make(services, batch_size=2, image_to_image=source, sampler_name="Euler a")
    singles = [make(services, seed=7 + i, image_to_image=source, sampler_name="Euler a")[0] for i in range(2)]
    assert singles == batch


TOGETHER: list[dict[str, Any]] = [
    {"prompt": "a cat <lora:tinylora:1>", "sampler_name": "Euler a", "steps": 3},
    {"override_settings": {"token_merging_ratio": 0.5}, "sampler_name": "DPM++ 2M SDE", "steps": 3},
    {"tiling": True, "prompt": "sea <hypernet:tinyhn:1>", "steps": 3},
    {"checkpoint": "tiny-sd1-b", "steps": 1},
]


def test_jobs_that_change_the_model_in_turns_equal_the_same_jobs_alone(services: Services) -> None:
    alone = [make(services, **changes) for changes in TOGETHER]
    jobs = [
        services.jobs.submit(GenerationRequest.model_validate({**BASE, **changes}), f"artist {i}")
        for i, changes in enumerate(TOGETHER)
    ]
    together = [
        [Path(image.path).read_bytes() for image in finished(services, job).images if image.index >= 0]
        for job in jobs
    ]
    assert together == alone


@pytest.fixture
def sharing(studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    """A studio whose images share network calls, as on a GPU."""

    def shared(*arguments: Any, batch_invariant: bool, **options: Any) -> Engine:  # noqa: ANN401
        return Engine(*arguments, batch_invariant=False, **options)

    monkeypatch.setattr("modules.app.Engine", shared)
    with studio(tmp_path) as opened:
        yield opened


def test_pictures_of_shared_network_calls_are_off_by_one_at_most(
    services: Services, sharing: Services, tmp_path: Path
) -> None:
    look = partial(pixels, tmp_path=tmp_path)
    alone = [look(one).astype(int) for one in make(services, batch_size=2, steps=4)]
    together = [look(one).astype(int) for one in make(sharing, batch_size=2, steps=4)]
    assert max(int(np.abs(a - b).max()) for a, b in zip(alone, together, strict=True)) <= 1
