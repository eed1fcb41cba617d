import pytest

from modules.diffusion.samplers import SAMPLERS, SamplerSpec, find_sampler, split_sampler_name
from modules.exceptions import NotFoundError


def test_samplers_have_the_order_of_the_page() -> None:
    assert [sampler.name for sampler in SAMPLERS] == [
        "DPM++ 2M", "DPM++ SDE", "DPM++ 2M SDE", "DPM++ 2M SDE Heun", "DPM++ 2S a", "DPM++ 3M SDE", "Euler a",
        "Euler", "LMS", "Heun", "DPM2", "DPM2 a", "DPM fast", "DPM adaptive", "Restart", "DDIM", "DDIM CFG++",
        "PLMS", "UniPC", "LCM", "DDPM",
    ]  # fmt: skip


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda s: s.name)
def test_samplers_are_found_by_all_their_names(sampler: SamplerSpec) -> None:
    for name in (sampler.name, sampler.name.upper(), *sampler.aliases):
        assert find_sampler(name) is sampler


@pytest.mark.parametrize(
    ("name", "scheduler", "expected"),
    [
        ("DPM++ 2M Karras", None, ("DPM++ 2M", "Automatic")),
        ("Euler Karras", None, ("Euler", "Karras")),
        ("Euler a SGMUniform", None, ("Euler a", "SGM Uniform")),
        ("Euler sgm_uniform", "Karras", ("Euler", "SGM Uniform")),
        ("DPM++ 2M SDE Exponential", "Automatic", ("DPM++ 2M SDE", "Automatic")),
        ("DPM++ 2M SDE Heun Karras", None, ("DPM++ 2M SDE Heun", "Karras")),
        ("DPM++ 2M", "Karras", ("DPM++ 2M", "Automatic")),
        ("DPM++ 2M", "uniform", ("DPM++ 2M", "Uniform")),
        ("DDIM", "DDIM", ("DDIM", "DDIM")),
        ("Heun DDIM", None, ("Heun", "DDIM")),
        (None, None, ("DPM++ 2M", "Automatic")),
        ("", "", ("DPM++ 2M", "Automatic")),
    ],
)
def test_old_names_are_split(name: str | None, scheduler: str | None, expected: tuple[str, str]) -> None:
    sampler, found = split_sampler_name(name, scheduler)

    assert (sampler.name, found.label) == expected


def test_explicit_default_can_be_kept() -> None:
    _, scheduler = split_sampler_name("DPM++ 2M Karras", keep_explicit=True)

    assert scheduler.label == "Karras"


@pytest.mark.parametrize("name", ["Nonsense", "Nonsense Karras", "Euler Nonsense"])
def test_unknown_sampler_is_named_in_the_message(name: str) -> None:
    with pytest.raises(NotFoundError, match="Nonsense") as error:
        split_sampler_name(name)

    assert error.value.field == "sampler_name"


def test_unknown_scheduler_is_not_passed_over_in_silence() -> None:
    with pytest.raises(NotFoundError, match="Turbo"):
        split_sampler_name("Euler", "Turbo")
