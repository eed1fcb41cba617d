"""Token merging as a user sets it: which ratio is in force, what the parameters say, what it changes."""

from pathlib import Path

import pytest

from modules.domain.request import GenerationRequest, Hires, ImageToImage
from modules.generation.resolve import Catalogs, freeze_request, resolve
from modules.imaging.metadata import read_infotext
from modules.services import Services
from modules.settings.options import Settings
from tests.generation.test_pictures import BASE, make, stored_picture


@pytest.fixture(scope="module")
def catalogs(services: Services) -> Catalogs:
    return Catalogs(services.catalog, services.networks, services.styles, services.upscalers, services.faces)


def ratios(catalogs: Catalogs, settings: dict[str, object], **asked: object) -> tuple[float, float | None]:
    """Ratios of the first pass and of the second, None without one."""
    request = GenerationRequest.model_validate({**BASE, **asked})
    plan = resolve(freeze_request(request, Settings().overridden(settings)), catalogs)
    return plan.first.token_merging, plan.hires.sampling.token_merging if plan.hires else None


HIRES = Hires(scale=1.5, denoising_strength=0.5)
SOURCE = ImageToImage(images=("0" * 64,))


@pytest.mark.parametrize(
    ("settings", "asked", "expected"),
    [
        ({}, {}, (0.0, None)),
        ({"token_merging_ratio": 0.5}, {}, (0.5, None)),
        ({"token_merging_ratio": 0.5}, {"hires": HIRES}, (0.5, 0.5)),
        ({"token_merging_ratio": 0.5, "token_merging_ratio_hr": 0.3}, {"hires": HIRES}, (0.5, 0.3)),
        ({"token_merging_ratio_hr": 0.3}, {"hires": HIRES}, (0.0, 0.3)),
        ({"token_merging_ratio_img2img": 0.4}, {}, (0.0, None)),
        ({"token_merging_ratio_img2img": 0.4}, {"image_to_image": SOURCE}, (0.4, None)),
        ({"token_merging_ratio": 0.5}, {"image_to_image": SOURCE}, (0.5, None)),
        (
            {"token_merging_ratio": 0.5, "token_merging_ratio_img2img": 0.4},
            {"image_to_image": SOURCE},
            (0.4, None),
        ),
        (
            {"token_merging_ratio_img2img": 0.4},
            {"image_to_image": SOURCE, "override_settings": {"token_merging_ratio": 0.2}},
            (0.2, None),
        ),
    ],
)
def test_the_ratio_in_force(
    catalogs: Catalogs,
    settings: dict[str, object],
    asked: dict[str, object],
    expected: tuple[float, float | None],
) -> None:
    assert ratios(catalogs, settings, **asked) == expected


def infotext(services: Services, **changes: object) -> str:
    request = GenerationRequest.model_validate({**BASE, **changes})
    view = services.jobs.wait(services.jobs.submit(request, "artist"), 120.0)
    text, _ = read_infotext(Path(view.images[0].path))
    assert text is not None, view.error
    return text


def test_the_parameters_name_both_ratios(services: Services) -> None:
    overrides = {"token_merging_ratio": 0.5, "token_merging_ratio_hr": 0.3}
    text = infotext(services, override_settings=overrides, hires=HIRES)
    assert "Token merging ratio: 0.5, Token merging ratio hr: 0.3" in text
    assert "Token merging" not in infotext(services)


def test_merging_changes_the_picture_and_zero_does_not(services: Services) -> None:
    plain = make(services)
    assert make(services, override_settings={"token_merging_ratio": 0.0}) == plain
    assert make(services, override_settings={"token_merging_ratio": 0.5}) != plain
    assert make(services) == plain


def test_image_to_image_merges_too(services: Services) -> None:
    source = ImageToImage(images=(stored_picture(services),), denoising_strength=0.6)
    plain = make(services, image_to_image=source)
    assert (
        make(services, image_to_image=source, override_settings={"token_merging_ratio_img2img": 0.5}) != plain
    )
