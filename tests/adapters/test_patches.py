from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from modules.adapters.deltas import Delta
from modules.adapters.patches import Patch, apply_patches, bundled_embeddings, patch_comments
from modules.checkpoints.model import LoadedModel
from tests.adapters.tiny_models import tiny_sd1, tiny_sd1_inpaint, tiny_sd2

TO_K = "lora_unet_input_blocks_1_1_transformer_blocks_0_attn2_to_k"
MLP = "lora_te_text_model_encoder_layers_0_mlp_fc1"


def lora(folder: Path, tensors: Mapping[str, Tensor], name: str = "x", **options: float) -> Patch:
    path = folder / f"{name}.safetensors"
    save_file(dict(tensors), path)
    return Patch(name, path, **options)  # type: ignore[arg-type]


def parameters(model: LoadedModel) -> dict[str, nn.Parameter]:
    found = {f"unet.{name}": value for name, value in model.unet.named_parameters()}
    for index, encoder in enumerate(model.text_encoders):
        assert isinstance(encoder, nn.Module)
        found |= {f"text.{index}.{name}": value for name, value in encoder.named_parameters()}
    return found


def to_k(model: LoadedModel) -> Tensor:
    return model.unet.get_parameter("input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight")


def fc1(model: LoadedModel) -> Tensor:
    encoder = model.text_encoders[0]
    assert isinstance(encoder, nn.Module)
    return encoder.get_parameter("text_model.encoder.layers.0.mlp.fc1.weight")


def test_taking_adapters_off_gives_back_the_very_tensors_there_were(tmp_path: Path) -> None:
    model = tiny_sd1()
    before = parameters(model)
    values = {name: value.clone() for name, value in before.items()}
    patch = lora(tmp_path, {f"{TO_K}.diff": torch.randn(8, 16), f"{MLP}.diff": torch.randn(32, 16)})
    assert apply_patches(model, (patch,)) == ()
    assert not torch.equal(
        to_k(model), values["unet.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"]
    )
    apply_patches(model, ())
    after = parameters(model)
    assert after.keys() == before.keys()
    assert all(after[name] is before[name] for name in before)
    assert all(torch.equal(after[name], values[name]) for name in before)


def test_changing_strengths_starts_from_the_originals_each_time(tmp_path: Path) -> None:
    model = tiny_sd1()
    diff = torch.randn(8, 16)
    original = to_k(model).clone()
    for strength in (0.3, -2.0, 0.7):
        apply_patches(model, (lora(tmp_path, {f"{TO_K}.diff": diff}, unet_multiplier=strength),))
        assert torch.equal(to_k(model), torch.add(original, diff, alpha=strength))


def test_text_encoder_and_unet_have_strengths_of_their_own(tmp_path: Path) -> None:
    model = tiny_sd1()
    old_unet, old_text = to_k(model).clone(), fc1(model).clone()
    tensors = {f"{TO_K}.diff": torch.ones(8, 16), f"{MLP}.diff": torch.ones(32, 16)}
    apply_patches(model, (lora(tmp_path, tensors, te_multiplier=0.25, unet_multiplier=0.5),))
    torch.testing.assert_close(to_k(model) - old_unet, torch.full((8, 16), 0.5))
    torch.testing.assert_close(fc1(model) - old_text, torch.full((32, 16), 0.25))


def test_adapters_act_one_after_the_other(tmp_path: Path) -> None:
    model = tiny_sd1()
    original = to_k(model).clone()
    add = lora(tmp_path, {f"{TO_K}.diff": torch.ones(8, 16)}, "add")
    double = lora(
        tmp_path, {f"{TO_K}.weight": torch.ones(8), f"{TO_K}.on_input": torch.tensor(False)}, "double"
    )
    apply_patches(model, (add, double))
    torch.testing.assert_close(to_k(model), (original + 1) * 2)
    apply_patches(model, (double, add))
    torch.testing.assert_close(to_k(model), original * 2 + 1)


def test_diffusers_and_kohya_files_give_the_same_weights(tmp_path: Path) -> None:
    up, down = torch.randn(8, 2), torch.randn(2, 16)
    module = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2"
    files = [
        {f"{TO_K}.lora_up.weight": up, f"{TO_K}.lora_down.weight": down},
        {f"{TO_K}.lora_B.weight": up, f"{TO_K}.lora_A.weight": down},
        {f"{module}.to_k.lora_B.weight": up, f"{module}.to_k.lora_A.weight": down},
        {f"{module}.to_k.lora.up.weight": up, f"{module}.to_k.lora.down.weight": down},
        {f"{module}.processor.to_k_lora.up.weight": up, f"{module}.processor.to_k_lora.down.weight": down},
    ]
    results = []
    for index, tensors in enumerate(files):
        model = tiny_sd1()
        assert apply_patches(model, (lora(tmp_path, tensors, f"file{index}"),)) == ()
        results.append(to_k(model).clone())
    assert all(torch.equal(result, results[0]) for result in results)
    assert not torch.equal(results[0], to_k(tiny_sd1()))


def test_separate_projections_change_their_third_of_a_fused_matrix(tmp_path: Path) -> None:
    model = tiny_sd2()
    encoder = model.text_encoders[0]
    assert isinstance(encoder, nn.Module)
    original = encoder.get_parameter("transformer.resblocks.1.attn.in_proj_weight").clone()
    start = "lora_te_text_model_encoder_layers_1_self_attn"
    tensors = {f"{start}_q_proj.diff": torch.ones(24, 24), f"{start}_v_proj.diff": torch.full((24, 24), 2.0)}
    assert apply_patches(model, (lora(tmp_path, tensors),)) == ()
    change = encoder.get_parameter("transformer.resblocks.1.attn.in_proj_weight") - original
    q, k, v = change.chunk(3)
    torch.testing.assert_close(q, torch.ones(24, 24))
    assert k.eq(0).all()
    torch.testing.assert_close(v, torch.full((24, 24), 2.0))


def test_a_bias_where_there_was_none_comes_and_goes(tmp_path: Path) -> None:
    model = tiny_sd1()
    tensors = {f"{TO_K}.diff": torch.zeros(8, 16), f"{TO_K}.diff_b": torch.ones(8)}
    layer = model.unet.get_submodule("input_blocks.1.1.transformer_blocks.0.attn2.to_k")
    apply_patches(model, (lora(tmp_path, tensors, unet_multiplier=0.5),))
    assert layer.bias.eq(0.5).all()  # type: ignore[operator]
    apply_patches(model, ())
    assert layer.bias is None


def test_a_change_for_four_channels_fits_an_inpainting_model(tmp_path: Path) -> None:
    model = tiny_sd1_inpaint()
    original = model.unet.get_parameter("input_blocks.0.0.weight").clone()
    patch = lora(tmp_path, {"lora_unet_conv_in.diff": torch.ones(8, 4, 3, 3)})
    assert apply_patches(model, (patch,)) == ()
    change = model.unet.get_parameter("input_blocks.0.0.weight") - original
    torch.testing.assert_close(change[:, :4], torch.ones(8, 4, 3, 3))
    assert change[:, 4:].eq(0).all()


def test_half_precision_weights_stay_half(tmp_path: Path) -> None:
    model = tiny_sd1()
    model.unet.to(torch.float16)
    original = to_k(model).float()
    diff = torch.randn(8, 16)
    apply_patches(model, (lora(tmp_path, {f"{TO_K}.diff": diff.half()}),))
    assert torch.equal(to_k(model), (original + diff.half().float()).half())


def test_a_file_for_another_family_is_left_out_with_a_sentence(tmp_path: Path) -> None:
    model = tiny_sd1()
    before = parameters(model)
    patch = lora(tmp_path, {"lora_te2_text_model_encoder_layers_9_mlp_fc1.diff": torch.ones(2, 2)}, "big")
    (comment,) = apply_patches(model, (patch,))
    assert '"big" was not used' in comment
    assert "made for another kind" in comment
    assert patch_comments(model) == (comment,)
    assert all(parameters(model)[name] is value for name, value in before.items())


def test_layers_of_another_shape_are_left_out_with_a_sentence(tmp_path: Path) -> None:
    model = tiny_sd1()
    original = fc1(model).clone()
    tensors = {f"{TO_K}.diff": torch.ones(64, 2048), f"{MLP}.diff": torch.ones(32, 16)}
    (comment,) = apply_patches(model, (lora(tmp_path, tensors, "half"),))
    assert "1 of its 2 layers do not fit" in comment
    torch.testing.assert_close(fc1(model), original + 1)


@pytest.mark.parametrize("content", [b"", b"not a model", b"\xff" * 100])
def test_a_damaged_file_is_left_out_and_the_others_work(tmp_path: Path, content: bytes) -> None:
    model = tiny_sd1()
    original = to_k(model).clone()
    path = tmp_path / "broken.safetensors"
    path.write_bytes(content)
    good = lora(tmp_path, {f"{TO_K}.diff": torch.ones(8, 16)}, "good")
    (comment,) = apply_patches(model, (Patch("broken", path), good))
    assert comment.startswith('"broken" was not used')
    torch.testing.assert_close(to_k(model), original + 1)


def test_modules_of_no_known_kind_are_named(tmp_path: Path) -> None:
    (comment,) = apply_patches(tiny_sd1(), (lora(tmp_path, {f"{TO_K}.mystery": torch.ones(1)}),))
    assert "unknown kind of module with mystery" in comment


def test_embeddings_inside_a_file_are_there_while_it_is_applied(tmp_path: Path) -> None:
    model = tiny_sd1()
    tensors = {f"{TO_K}.diff": torch.ones(8, 16), "bundle_emb.word.string_to_param.*": torch.ones(2, 16)}
    apply_patches(model, (lora(tmp_path, tensors, "pack"),))
    (source,) = bundled_embeddings(model)
    assert source.names() == ("word",)
    assert (source.get("word").count, source.get("word").shorthash) == (2, "pack")
    apply_patches(model, ())
    assert bundled_embeddings(model) == ()


def test_applying_the_same_adapters_again_changes_nothing(tmp_path: Path) -> None:
    model = tiny_sd1()
    patch = lora(tmp_path, {f"{TO_K}.diff": torch.ones(8, 16)})
    apply_patches(model, (patch,))
    once = to_k(model)
    apply_patches(model, (patch,))
    assert to_k(model) is once


def test_a_full_device_leaves_the_model_without_adapters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_sd1()
    before = parameters(model)
    first = lora(tmp_path, {f"{TO_K}.diff": torch.ones(8, 16)}, "first")
    second = lora(tmp_path, {f"{MLP}.diff": torch.ones(32, 16)}, "second")

    def out_of_memory(self: Delta, weight: Tensor) -> Tensor:
        if weight.shape == (32, 16):
            raise torch.OutOfMemoryError("full")
        return weight + self.change

    with monkeypatch.context() as patched:
        patched.setattr(Delta, "added_to", out_of_memory)
        with pytest.raises(torch.OutOfMemoryError):
            apply_patches(model, (first, second))
    assert all(parameters(model)[name] is value for name, value in before.items())
    assert apply_patches(model, (first, second)) == ()
    assert (
        parameters(model)["text.0.text_model.encoder.layers.0.mlp.fc1.weight"]
        is not before["text.0.text_model.encoder.layers.0.mlp.fc1.weight"]
    )
