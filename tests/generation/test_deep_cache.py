"""DeepCache as a user sets it: fewer blocks, a similar picture, and the same bits however it comes about."""

from collections.abc import Iterator

import pytest

from modules.services import Services
from tests.generation.conftest import Studio
from tests.generation.test_step_reuse import STEPS, counted_calls, make

ON = {"override_settings": {"deep_cache_interval": 3}}


@pytest.fixture(scope="module")
def services(studio: Studio, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    with studio(tmp_path_factory.mktemp("deep"), step_cache=64) as opened:
        make(opened)
        yield opened


def deep_calls(services: Services, **asked: object) -> tuple[int, int]:
    """Calls of the U-Net for a picture, and how many of them computed everything."""
    whole: list[int] = []
    middle = services.models.loaded()[-1].unet.middle_block
    services.reuse.clear()
    with counted_calls(services) as calls, middle.register_forward_hook(lambda *_: whole.append(1)):
        make(services, **asked)
        return calls(), len(whole)


@pytest.mark.parametrize(("sampler", "calls", "whole"), [("Euler", STEPS, 2), ("Heun", 2 * STEPS - 1, 3)])
def test_every_third_call_computes_everything(
    services: Services, sampler: str, calls: int, whole: int
) -> None:
    assert deep_calls(services, sampler_name=sampler) == (calls, calls)
    assert deep_calls(services, sampler_name=sampler, **ON) == (calls, whole)


def test_the_picture_says_so_and_one_is_off(services: Services) -> None:
    plain, shared = make(services), make(services, **ON)
    assert plain != shared
    assert make(services, override_settings={"deep_cache_interval": 1}) == plain
    assert b"DeepCache: 3" in shared
    assert b"DeepCache" not in plain


@pytest.mark.parametrize("sampler", ["Euler a", "DPM++ 2M", "Heun"])
@pytest.mark.parametrize("skipped", [{}, {"s_min_uncond": 4.0}, {"skip_early_cond": 0.3}], ids=str)
def test_steps_that_are_reused_give_the_bits_of_a_cold_run(
    services: Services, sampler: str, skipped: dict[str, float]
) -> None:
    settings = {"override_settings": {**ON["override_settings"], **skipped}, "steps": 7}
    asked: dict[str, object] = {"sampler_name": sampler, **settings}
    services.reuse.clear()
    cold = make(services, prompt="[cat:dog:0.7]", **asked)
    services.reuse.clear()
    make(services, prompt="cat", **asked)
    with counted_calls(services) as calls:
        assert make(services, prompt="[cat:dog:0.7]", **asked) == cold
        late = calls()
    with counted_calls(services) as calls:
        services.reuse.clear()
        make(services, prompt="[cat:dog:0.7]", **asked)
        assert 0 < late < calls()


def test_a_batch_shares_calls_and_the_pictures_are_those_of_single_ones(services: Services) -> None:
    batch = make(services, batch_size=2, **ON)
    services.reuse.clear()
    assert batch.endswith(make(services, **ON) + make(services, seed=6, **ON))  # behind the grid
