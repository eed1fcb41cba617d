"""Steps that are known are not made again, and the pictures are the same bits."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from modules.commands.workplace import make_pictures
from modules.conditioning.conditioned import Conditioning, ScheduledConditioning
from modules.diffusion.samplers import SAMPLERS
from modules.diffusion.sampling import SamplerState
from modules.domain.request import GenerationRequest
from modules.generation.step_reuse import PassIdentity, StepReuse
from modules.services import Services
from tests.generation.conftest import Studio

STEPS = 5


@pytest.fixture(scope="module")
def studio_open(studio: Studio, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    with studio(tmp_path_factory.mktemp("reuse"), step_cache=64) as services:
        make(services)
        yield services


def make(services: Services, **asked: object) -> bytes:
    request = {"prompt": "a cat", "seed": 5, "steps": STEPS, "width": 64, "height": 64}
    view = make_pictures(services, GenerationRequest.model_validate({**request, **asked}))
    return b"".join(Path(image.path).read_bytes() for image in view.images)


@contextmanager
def counted_calls(services: Services) -> Iterator[Callable[[], int]]:
    """How often the U-Net has been called since."""
    calls: list[int] = []
    unet = services.models.loaded()[-1].unet
    handle = unet.register_forward_hook(lambda *_: calls.append(1))
    yield lambda: len(calls)
    handle.remove()


@pytest.mark.parametrize("sampler", [sampler.name for sampler in SAMPLERS])
def test_a_picture_that_was_made_before_makes_no_step(studio_open: Services, sampler: str) -> None:
    studio_open.reuse.clear()
    cold = make(studio_open, sampler_name=sampler)
    with counted_calls(studio_open) as calls:
        assert make(studio_open, sampler_name=sampler) == cold
        assert calls() == 0


@pytest.mark.parametrize("sampler", ["Euler a", "DPM++ 2M", "Heun", "PLMS"])
def test_a_text_that_changes_late_makes_only_the_late_steps(studio_open: Services, sampler: str) -> None:
    studio_open.reuse.clear()
    cold = make(studio_open, sampler_name=sampler, prompt="[cat:dog:0.6]")
    studio_open.reuse.clear()
    make(studio_open, sampler_name=sampler, prompt="cat")
    with counted_calls(studio_open) as calls:
        assert make(studio_open, sampler_name=sampler, prompt="[cat:dog:0.6]") == cold
        late = calls()
    studio_open.reuse.clear()
    with counted_calls(studio_open) as calls:
        make(studio_open, sampler_name=sampler, prompt="[cat:dog:0.6]")
        assert 0 < late < calls()


def test_another_second_pass_keeps_the_first(studio_open: Services) -> None:
    hires = {"scale": 1.5, "upscaler": "Latent", "denoising_strength": 0.5, "steps": 4}
    larger = {"hires": {**hires, "upscaler": "Latent (nearest)"}}
    studio_open.reuse.clear()
    cold = make(studio_open, **larger)
    studio_open.reuse.clear()
    make(studio_open, hires=hires)
    with counted_calls(studio_open) as calls:
        assert make(studio_open, **larger) == cold
        assert calls() < STEPS


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 6}, {"cfg_scale": 3.0}, {"prompt": "a dog"}, {"negative_prompt": "dog"}, {"width": 72},
        {"steps": STEPS + 1}, {"sampler_name": "Heun"}, {"scheduler": "Karras"}, {"tiling": True},
        {"s_churn": 0.5}, {"subseed_strength": 0.1, "subseed": 3},
        {"override_settings": {"CLIP_stop_at_last_layers": 2}},
        {"override_settings": {"eta_noise_seed_delta": 31337}},
        {"override_settings": {"token_merging_ratio": 0.4}},
        {"override_settings": {"deep_cache_interval": 2}},
    ],
    ids=str,
)  # fmt: skip
def test_whatever_changes_the_picture_is_made_anew(studio_open: Services, change: dict[str, object]) -> None:
    make(studio_open)
    mixed = make(studio_open, **change)
    studio_open.reuse.clear()
    assert make(studio_open, **change) == mixed


def test_any_order_of_requests_gives_the_pictures_of_cold_runs(studio_open: Services) -> None:
    choose = random.Random(1)
    asked = [
        {
            "prompt": choose.choice(["cat", "[cat:dog:0.4]", "[cat:dog:0.8]", "cat AND dog"]),
            "seed": choose.choice([5, 6]),
            "cfg_scale": choose.choice([1.0, 7.0]),
            "sampler_name": choose.choice(["Euler a", "DPM++ 2M", "DDIM"]),
            "override_settings": {"s_min_uncond": choose.choice([0.0, 4.0])},
        }
        for _ in range(12)
    ]
    studio_open.reuse.clear()
    with counted_calls(studio_open) as calls:
        warm = [make(studio_open, **each) for each in asked]
        saved = calls()
    cold = []
    with counted_calls(studio_open) as calls:
        for each in asked:
            studio_open.reuse.clear()
            cold.append(make(studio_open, **each))
        assert saved < calls()
    assert warm == cold


def _identity(name: bytes) -> PassIdentity:
    text = Conditioning(torch.zeros(77, 4))
    return PassIdentity(name, [ScheduledConditioning(((20, text),))])


def test_what_was_used_longest_ago_makes_room() -> None:
    state = SamplerState(torch.zeros(1, 4, 8, 8), step=1)
    store = StepReuse(capacity=2 * state.x.nbytes)
    first, second, third = (_identity(name) for name in (b"1", b"2", b"3"))
    store.keep(first, state, 1)
    store.keep(second, state, 1)
    assert store.find(first) is not None
    store.keep(third, state, 1)
    assert store.find(second) is None
    assert store.find(first) is not None
    assert store.size == 2 * state.x.nbytes
    store.keep(_identity(b"4"), SamplerState(torch.zeros(1, 4, 80, 80), step=1), 1)
    assert store.size == 0


def test_the_last_step_that_read_the_same_texts_is_found() -> None:
    cat, dog, cow = (Conditioning(torch.full((77, 4), value)) for value in (0.0, 1.0, 2.0))
    store = StepReuse(2**20)
    early = PassIdentity(b"", [ScheduledConditioning(((2, cat), (20, dog)))])
    late = PassIdentity(b"", [ScheduledConditioning(((4, cat), (20, cow)))])
    for step in range(1, 11):
        store.keep(early, SamplerState(torch.zeros(1), step=step), step)
    found = store.find(late)
    assert found is not None
    assert found.state.step == 3  # the first text is read by calls 0, 1 and 2
    again = store.find(early)
    assert again is not None
    assert again.state.step == 10
