from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from modules.adapters.hypernetwork import attach_hypernetwork, hypernetwork_of_tree, read_hypernetwork
from modules.adapters.patches import Patch, apply_patches, patch_comments
from modules.checkpoints.files import ModelStore
from modules.checkpoints.model import LoadedModel
from modules.exceptions import AdapterError
from modules.families.sd1 import SD1
from modules.networks.unet import CrossAttention
from tests.adapters.tiny_models import UNET, tiny_model, tiny_sd1

GOLDEN = Path(__file__).parents[1] / "golden" / "models" / "hypernetworks" / "tinyhn.pt"
ATTENTION = "input_blocks.1.1.transformer_blocks.0.attn2"


def pair(width: int, hidden: int = 4) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    def state() -> dict[str, Tensor]:
        layers = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, width))
        return {f"linear.{name}": value for name, value in layers.state_dict().items()}

    return state(), state()


def answer(model: LoadedModel) -> Tensor:
    layer = model.unet.get_submodule(ATTENTION)
    assert isinstance(layer, CrossAttention)
    generator = torch.Generator().manual_seed(1)
    return layer(torch.randn(1, 4, 8, generator=generator), torch.randn(1, 3, 16, generator=generator))


def test_keys_and_values_read_through_their_own_residual_network() -> None:
    torch.manual_seed(3)
    keys, values = pair(16)
    network = hypernetwork_of_tree(
        GOLDEN, {16: (keys, values), "activation_func": "relu", "activate_output": False}
    )
    model = tiny_sd1()
    before = answer(model)
    handles = attach_hypernetwork(model.unet, network, 0.7)
    changed = answer(model)
    for handle in handles:
        handle.remove()
    assert torch.equal(answer(model), before)

    layer = model.unet.get_submodule(ATTENTION)
    assert isinstance(layer, CrossAttention)
    for target, state in ((layer.to_k, keys), (layer.to_v, values)):
        layers = nn.Sequential(nn.Linear(16, 4), nn.ReLU(), nn.Linear(4, 16))
        layers.load_state_dict({name.removeprefix("linear."): value for name, value in state.items()})
        target.register_forward_pre_hook(
            lambda _, inputs, layers=layers: (inputs[0] + layers(inputs[0]) * 0.7,)
        )
    torch.testing.assert_close(changed, answer(model))
    assert not torch.allclose(changed, before)


def test_several_networks_act_in_order() -> None:
    torch.manual_seed(4)
    first, second = (
        hypernetwork_of_tree(GOLDEN, {16: pair(16), "activation_func": "tanh"}) for _ in range(2)
    )
    answers = []
    for order in ((first, second), (second, first)):
        model = tiny_sd1()
        for network in order:
            attach_hypernetwork(model.unet, network, 1.0)
        answers.append(answer(model))
    assert not torch.allclose(answers[0], answers[1])


def test_only_layers_of_a_known_width_change() -> None:
    model = tiny_sd1()
    assert attach_hypernetwork(model.unet, hypernetwork_of_tree(GOLDEN, {999: pair(999)}), 1.0) == []


def test_the_references_file_is_read_and_put_on_and_taken_off(tmp_path: Path) -> None:
    copy = ModelStore.below(tmp_path).gate.tree_file(GOLDEN)
    assert set(read_hypernetwork(copy, GOLDEN).pairs) == {32, 64, 128}
    model = tiny_model(SD1, replace(UNET, context_dim=128))
    layer = model.unet.get_submodule("input_blocks.1.1.transformer_blocks.0.attn2.to_k")
    x = torch.randn(1, 3, 128)
    before = layer(x)
    assert apply_patches(model, (Patch("tinyhn", copy, kind="hypernet"),)) == ()
    assert not torch.allclose(layer(x), before)
    apply_patches(model, ())
    assert torch.equal(layer(x), before)


def test_layer_norms_and_the_oldest_names_are_read() -> None:
    norm = {
        "linear.0.weight": torch.eye(16) * 2,
        "linear.0.bias": torch.zeros(16),
        "linear.1.weight": torch.ones(16),
        "linear.1.bias": torch.zeros(16),
    }
    old = {
        "linear1.weight": torch.eye(16),
        "linear1.bias": torch.zeros(16),
        "linear2.weight": torch.eye(16) * 3,
        "linear2.bias": torch.zeros(16),
    }
    keys, values = hypernetwork_of_tree(GOLDEN, {16: (norm, old)}).pairs[16]
    x = torch.randn(2, 16)
    torch.testing.assert_close(keys(x, 1.0), x + nn.functional.layer_norm(2 * x, (16,)))
    torch.testing.assert_close(values(x, 0.5), x + 1.5 * x)


def test_an_activation_after_the_last_layer_is_the_default() -> None:
    state = {"linear.0.weight": -torch.eye(16), "linear.0.bias": torch.zeros(16)}
    tree: dict[object, object] = {16: (state, state), "activation_func": "relu"}
    active = hypernetwork_of_tree(GOLDEN, tree)
    passive = hypernetwork_of_tree(GOLDEN, {**tree, "activate_output": False})
    x = torch.ones(1, 16)
    assert active.pairs[16][0](x, 1.0).eq(1).all()
    assert passive.pairs[16][0](x, 1.0).eq(0).all()


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"name": "nothing"}, "no layers"),
        ([1, 2], "no dictionary"),
        ({16: ({},)}, "no pair"),
        ({16: ({}, {})}, "missing weights"),
        ({16: ({"linear.0.weight": torch.eye(16)},) * 2}, "missing weights"),
        ({16: ({"other": torch.eye(16)},) * 2}, "entry"),
        ({16: pair(16), "activation_func": "boom"}, "unknown activation"),
        ({16: pair(8)}, "do not fit"),
    ],
)
def test_files_that_are_no_hypernetwork_are_refused_with_the_reason(tree: object, message: str) -> None:
    with pytest.raises(AdapterError, match=message):
        hypernetwork_of_tree(Path("x.pt"), tree)


def test_a_file_that_is_no_hypernetwork_is_left_out_with_a_sentence(tmp_path: Path) -> None:
    torch.save({"name": "nothing"}, tmp_path / "empty.pt")
    copy = ModelStore.below(tmp_path).gate.tree_file(tmp_path / "empty.pt")
    model = tiny_sd1()
    apply_patches(model, (Patch("empty", copy, kind="hypernet"),))
    assert patch_comments(model) == ('"empty" was not used: holds no hypernetwork: it has no layers',)
