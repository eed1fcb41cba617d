"""Sidecar files in LDM's and SGM's style."""

from pathlib import Path

import pytest

from modules.exceptions import CheckpointError
from modules.families.hints import ArchitectureHints, hints_from_sidecar


def _hints(folder: Path, text: str) -> ArchitectureHints:
    path = folder / "model.yaml"
    path.write_text(text, encoding="utf-8")
    return hints_from_sidecar(path)


def test_ldm_predicts_noise_unless_it_says_v(tmp_path: Path) -> None:
    assert _hints(tmp_path, "model: {params: {unet_config: {params: {}}}}").prediction == "epsilon"
    assert _hints(tmp_path, "model: {params: {parameterization: v, unet_config: {}}}").prediction == "v"


def test_sgm_says_it_by_its_scaling(tmp_path: Path) -> None:
    text = "model: {{params: {{denoiser_config: {{params: {{scaling_config: {{target: a.b.{0}}}}}}}}}}}"
    assert _hints(tmp_path, text.format("VScaling")).prediction == "v"
    assert _hints(tmp_path, text.format("EpsScaling")).prediction == "epsilon"


def test_heads_scale_and_betas_are_read(tmp_path: Path) -> None:
    hints = _hints(
        tmp_path,
        "model: {params: {scale_factor: 0.5, linear_start: 0.001, linear_end: 0.01, beta_schedule: cosine, "
        "zero_terminal_snr: true, unet_config: {params: {num_heads: 3}}}}",
    )
    assert (hints.latent_scale, hints.beta_start, hints.beta_end) == (0.5, 0.001, 0.01)
    assert (hints.unet_heads, hints.schedule, hints.zero_terminal_snr) == (3, "cosine", True)


def test_a_head_width_wins_over_a_number_of_heads(tmp_path: Path) -> None:
    hints = _hints(
        tmp_path, "model: {params: {unet_config: {params: {num_heads: -1, num_head_channels: 64}}}}"
    )
    assert (hints.unet_heads, hints.unet_head_channels) == (None, 64)


def test_what_ldm_calls_linear_is_scaled_linear(tmp_path: Path) -> None:
    assert _hints(tmp_path, "model: {params: {beta_schedule: linear}}").schedule == "scaled_linear"
    assert _hints(tmp_path, "model: {params: {beta_schedule: sqrt_linear}}").schedule == "linear"


def test_nonsense_values_say_nothing(tmp_path: Path) -> None:
    hints = _hints(tmp_path, "model: {params: {scale_factor: [1], linear_start: -1, unet_config: 7}}")
    assert (hints.latent_scale, hints.beta_start, hints.unet_heads) == (None, None, None)


@pytest.mark.parametrize(
    "text", ["- a list", "just text", "a: [", "!!python/object/apply:os.system ['true']", "a: " + "[" * 5000]
)
def test_a_sidecar_that_is_no_configuration_is_an_error_naming_it(tmp_path: Path, text: str) -> None:
    with pytest.raises(CheckpointError, match=r"model\.yaml"):
        _hints(tmp_path, text)


def test_a_huge_sidecar_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="larger than"):
        _hints(tmp_path, "#" * 300_000)
