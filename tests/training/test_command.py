from pathlib import Path

import pytest

from modules.cli import main
from modules.exceptions import TrainingError
from modules.training.command import STAGES
from modules.training.config import load_recipe

ROOT = Path(__file__).parents[2]


def test_the_shipped_recipe_is_valid() -> None:
    recipe = load_recipe(ROOT / "configs" / "embedded.yaml")
    assert recipe.data.side == 256


def test_the_recipe_with_combinations_kept_apart_differs_in_what_it_shows_and_how_long() -> None:
    shipped, twin = (
        load_recipe(ROOT / "configs" / f"{name}.yaml") for name in ("embedded", "embedded-held-out")
    )
    assert (shipped.data.held_out_styles, shipped.data.two_objects) == (0, 0)
    assert twin.data.held_out_styles > 0
    assert twin.data.two_objects > 0
    assert twin.autoencoder == shipped.autoencoder
    changes = {"steps": twin.denoiser.steps, "two_object_share": twin.denoiser.two_object_share}
    assert shipped.denoiser.model_copy(update=changes) == twin.denoiser


def test_a_recipe_with_an_unknown_word_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("denoiser: {stepps: 3}", encoding="utf-8")
    with pytest.raises(TrainingError, match="stepps"):
        load_recipe(path)


def test_a_missing_recipe_ends_with_status_one_and_a_sentence(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    status = main(
        ["train", "latent-diffusion", "--config", str(tmp_path / "none.yaml"), "--folder", str(tmp_path)]
    )
    assert status == 1
    assert "cannot be used" in caplog.text


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage != "icons"])
def test_a_stage_whose_forerunner_is_missing_says_so(
    stage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = str(ROOT / "configs" / "embedded.yaml")
    assert (
        main(["train", "latent-diffusion", "--config", config, "--folder", str(tmp_path), "--stage", stage])
        == 1
    )
    assert "run the stage" in caplog.text
