"""Recognising checkpoints by their shapes and by what is said beside them."""

import json
from pathlib import Path

import pytest

from modules.exceptions import CheckpointError
from modules.families.detect import detect_family
from modules.families.hints import ARCHITECTURE_KEY, ArchitectureHints, hints_from_sidecar
from modules.families.known import FAMILIES
from tests.families.manifests import MANIFESTS, header, manifest

GOLDEN = Path(__file__).parents[1] / "golden"
UNET = "model.diffusion_model."


def _golden(name: str) -> dict[str, tuple[int, ...]]:
    shapes = json.loads((GOLDEN / "keys" / f"{name}.json").read_text())
    return {key: tuple(shape) for key, shape in shapes.items()}


@pytest.mark.parametrize("name", [name for name in MANIFESTS if name != "sdxl-ssd-1b"])
def test_each_real_layout_is_recognised(name: str) -> None:
    assert detect_family(header(manifest(name))).family.name == name


def test_a_cut_down_sdxl_keeps_its_own_depth() -> None:
    detected = detect_family(header(manifest("sdxl-ssd-1b")))
    assert detected.family.name == "sdxl"
    assert detected.unet.middle_depth is None
    assert detected.unet.depths_down() == (0, 0, 2, 2, 4, 4)
    assert detected.unet.depths_up() == (4, 4, 10, 2, 1, 1, 0, 0, 0)


def test_sd1_has_eight_heads_and_the_others_have_heads_of_64_channels() -> None:
    assert [detect_family(header(manifest("sd1"))).unet.heads(width) for width in (320, 1280)] == [8, 8]
    assert [detect_family(header(manifest("sd2"))).unet.heads(width) for width in (320, 1280)] == [5, 20]
    assert [detect_family(header(manifest("sdxl"))).unet.heads(width) for width in (640, 1280)] == [10, 20]


def test_only_plain_sd2_must_be_asked_what_it_predicts() -> None:
    asked = [name for name in MANIFESTS if detect_family(header(manifest(name))).prediction is None]
    assert asked == ["sd2"]


@pytest.mark.parametrize(
    ("name", "family", "prediction"),
    [
        ("tiny-sd1", "sd1", "epsilon"),
        ("tiny-sd1-inpainting", "sd1-inpaint", "epsilon"),
        ("tiny-sd2-v", "sd2", "v"),
        ("tiny-sdxl", "sdxl", "epsilon"),
    ],
)
def test_reference_models_are_recognised_with_their_sidecars(name: str, family: str, prediction: str) -> None:
    sidecar = hints_from_sidecar(GOLDEN / "models" / "Stable-diffusion" / f"{name}.yaml")
    detected = detect_family(header(_golden(name)), sidecar)
    assert (detected.family.name, detected.prediction) == (family, prediction)


def test_old_files_without_text_model_in_their_names_are_sd1() -> None:
    old = {key.replace(".text_model.", "."): shape for key, shape in manifest("sd1").items()}
    assert (
        detect_family(header(old)).texts[0].config == detect_family(header(manifest("sd1"))).texts[0].config
    )


def test_turbo_files_with_the_text_encoder_in_sgm_layout_are_sd2() -> None:
    turbo = {
        key.replace("cond_stage_model.", "conditioner.embedders.0."): shape
        for key, shape in manifest("sd2").items()
    }
    assert detect_family(header(turbo)).family.name == "sd2"


def test_sd2_without_its_last_text_layer_uses_the_last_one_there_is() -> None:
    cut = {key: shape for key, shape in manifest("sd2").items() if ".resblocks.23." not in key}
    assert detect_family(header(cut)).texts[0].role.hidden_layer == -1
    assert detect_family(header(manifest("sd2"))).texts[0].role.hidden_layer == -2


def test_metadata_says_what_shapes_cannot() -> None:
    said = {"unet_heads": 4, "unet_groups": 16, "vae_groups": 8, "text_heads": 6, "native_size": 256,
            "prediction": "v", "latent_scale": 0.5, "zero_terminal_snr": True, "invented": 1}  # fmt: skip
    detected = detect_family(header(manifest("sd1"), {ARCHITECTURE_KEY: json.dumps(said)}))
    assert detected.unet.heads(640) == 4
    assert detected.unet.groups == 16
    assert detected.vae is not None
    assert detected.vae.groups == 8
    assert detected.texts[0].config.heads == 6
    assert detected.prediction == "v"
    assert (detected.family.native_size, detected.family.latent_scale) == (256, 0.5)
    assert detected.hints.zero_terminal_snr is True


def test_the_sidecar_wins_over_metadata_and_metadata_over_markers() -> None:
    shapes = {**manifest("sdxl"), "v_pred": (0,), "ztsnr": (0,)}
    assert detect_family(header(shapes)).prediction == "v"
    assert detect_family(header(shapes)).hints.zero_terminal_snr is True
    spoken = header(shapes, {"modelspec.prediction_type": "epsilon"})
    assert detect_family(spoken).prediction == "epsilon"
    assert detect_family(spoken, ArchitectureHints(prediction="v")).prediction == "v"


@pytest.mark.parametrize(
    "text",
    ["no json", "[1]", '{"unet_heads": 0}', '{"unet_heads": true}', '{"prediction": "x0"}',
     '{"latent_scale": -1}', '{"unet_groups": "16"}', "[" * 100_000],
)  # fmt: skip
def test_metadata_that_cannot_be_is_an_error_naming_the_file(text: str) -> None:
    with pytest.raises(CheckpointError, match=r"model\.safetensors.*studio\.architecture"):
        detect_family(header(manifest("sd1"), {ARCHITECTURE_KEY: text}))


def test_an_unknown_file_is_told_for_each_family_what_did_not_fit() -> None:
    with pytest.raises(CheckpointError) as caught:
        detect_family(header({"lora_unet_x.lora_up.weight": (4, 4)}))
    message = str(caught.value)
    assert message.startswith("model.safetensors: ")
    assert all(family.label in message for family in FAMILIES)
    assert "input_blocks.0.0.weight is missing" in message


@pytest.mark.parametrize(
    ("key", "shape"),
    [
        ("input_blocks.0.0.weight", (320, 7, 3, 3)),
        ("input_blocks.0.0.weight", (320,)),
        ("input_blocks.0.0.weight", (0, 4, 3, 3)),
        ("input_blocks.4.0.in_layers.2.weight", (333, 320, 3, 3)),
        ("out.2.weight", (4,)),
    ],
)
def test_impossible_shapes_are_no_family(key: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(CheckpointError, match="did not fit"):
        detect_family(header({**manifest("sd1"), UNET + key: shape}))


def test_text_of_another_width_is_no_family() -> None:
    wide = {
        key: (shape[0], 1024) if key.endswith(("attn2.to_k.weight", "attn2.to_v.weight")) else shape
        for key, shape in manifest("sd1").items()
    }
    with pytest.raises(CheckpointError, match="wants text of width 1024, the text encoders give 768"):
        detect_family(header(wide))


def test_a_checkpoint_without_vae_is_recognised() -> None:
    bare = {key: shape for key, shape in manifest("sd1").items() if not key.startswith("first_stage_model.")}
    assert detect_family(header(bare)).vae is None
