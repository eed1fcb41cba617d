import pytest
import torch
from torch import Tensor

from modules.adapters.deltas import Delta, delta

torch.manual_seed(0)
WEIGHT = torch.randn(8, 6)
CONV = torch.randn(8, 6, 3, 3)


def change(parts: dict[str, Tensor], weight: Tensor = WEIGHT, multiplier: float = 1.0) -> Tensor:
    result = delta(parts, weight, multiplier)
    assert isinstance(result, Delta)
    assert result.change.shape == weight.shape
    return result.change * result.strength


def test_lora_adds_the_product_scaled_by_alpha_over_rank() -> None:
    up, down = torch.randn(8, 4), torch.randn(4, 6)
    parts = {"lora_up.weight": up, "lora_down.weight": down, "alpha": torch.tensor(2.0)}
    torch.testing.assert_close(change(parts, multiplier=0.6), up @ down * 0.5 * 0.6)


def test_a_stored_scale_wins_over_alpha() -> None:
    parts = {
        "lora_up.weight": torch.ones(8, 4),
        "lora_down.weight": torch.ones(4, 6),
        "alpha": torch.tensor(2.0),
        "scale": torch.tensor(3.0),
    }
    assert change(parts)[0, 0] == 12


def test_dyn_uses_only_the_first_ranks_but_scales_by_all() -> None:
    up, down = torch.randn(8, 4), torch.randn(4, 6)
    parts = {"lora_up.weight": up, "lora_down.weight": down, "alpha": torch.tensor(4.0)}
    result = delta(parts, WEIGHT, 1.0, dyn_dim=2)
    assert result is not None
    torch.testing.assert_close(result.change * result.strength, up[:, :2] @ down[:2])


def test_a_convolutions_lora_is_one_convolution_after_the_other() -> None:
    up, down = torch.randn(8, 4, 1, 1), torch.randn(4, 6, 3, 3)
    x = torch.randn(1, 6, 5, 5)
    conv = torch.nn.functional.conv2d
    merged = change({"lora_up.weight": up, "lora_down.weight": down}, CONV)
    torch.testing.assert_close(conv(x, merged), conv(conv(x, down), up), rtol=1e-4, atol=1e-4)


def test_a_convolutions_lora_with_a_middle_is_three_convolutions() -> None:
    up, mid, down = torch.randn(8, 4, 1, 1), torch.randn(4, 4, 3, 3), torch.randn(4, 6, 1, 1)
    x = torch.randn(1, 6, 5, 5)
    conv = torch.nn.functional.conv2d
    parts = {"lora_up.weight": up, "lora_down.weight": down, "lora_mid.weight": mid}
    expected = conv(conv(conv(x, down), mid), up)
    torch.testing.assert_close(conv(x, change(parts, CONV)), expected, rtol=1e-4, atol=1e-4)


def test_a_linear_layers_lora_stored_as_convolution_fits() -> None:
    parts = {"lora_up.weight": torch.ones(8, 4, 1, 1), "lora_down.weight": torch.ones(4, 6, 1, 1)}
    torch.testing.assert_close(change(parts), torch.full((8, 6), 4.0))


def test_loha_is_the_elementwise_product_of_two_products() -> None:
    a1, b1, a2, b2 = torch.randn(8, 3), torch.randn(3, 6), torch.randn(8, 3), torch.randn(3, 6)
    parts = {"hada_w1_a": a1, "hada_w1_b": b1, "hada_w2_a": a2, "hada_w2_b": b2, "alpha": torch.tensor(1.5)}
    torch.testing.assert_close(change(parts), (a1 @ b1) * (a2 @ b2) * 0.5)


def test_loha_with_cores_contracts_them_first() -> None:
    t1, t2 = torch.randn(3, 3, 3, 3), torch.randn(3, 3, 3, 3)
    a1, b1, a2, b2 = torch.randn(3, 8), torch.randn(3, 6), torch.randn(3, 8), torch.randn(3, 6)
    parts = {"hada_w1_a": a1, "hada_w1_b": b1, "hada_w2_a": a2, "hada_w2_b": b2, "hada_t1": t1, "hada_t2": t2}

    def contract(core: Tensor, a: Tensor, b: Tensor) -> Tensor:
        inner = torch.einsum("ijkl,jr->irkl", core, b)
        return torch.einsum("ijkl,ir->rjkl", inner, a)

    torch.testing.assert_close(change(parts, CONV), contract(t1, a1, b1) * contract(t2, a2, b2))


def test_ia3_scales_rows_or_columns() -> None:
    rows, columns = torch.randn(8), torch.randn(6)
    by_row = change({"weight": rows, "on_input": torch.tensor(False)})
    by_column = change({"weight": columns, "on_input": torch.tensor(True)})
    torch.testing.assert_close(by_row, WEIGHT * rows[:, None])
    torch.testing.assert_close(by_column, WEIGHT * columns)
    torch.testing.assert_close(
        change({"weight": columns, "on_input": torch.tensor(True)}, CONV), CONV * columns[:, None, None]
    )


def test_lokr_is_the_kronecker_product() -> None:
    w1, w2 = torch.randn(2, 3), torch.randn(4, 2)
    torch.testing.assert_close(change({"lokr_w1": w1, "lokr_w2": w2}), torch.kron(w1, w2))
    a, b = torch.randn(4, 1), torch.randn(1, 2)
    factored = {"lokr_w1": w1, "lokr_w2_a": a, "lokr_w2_b": b, "alpha": torch.tensor(3.0)}
    torch.testing.assert_close(change(factored), torch.kron(w1, a @ b) * 3)


def test_an_unfactored_lokr_ignores_alpha() -> None:
    w1, w2 = torch.randn(2, 3), torch.randn(4, 2)
    parts = {"lokr_w1": w1, "lokr_w2": w2, "alpha": torch.tensor(5.0)}
    torch.testing.assert_close(change(parts), torch.kron(w1, w2))


def test_lokr_of_a_convolution_repeats_the_second_factors_kernel() -> None:
    a1, b1, w2 = torch.randn(2, 1), torch.randn(1, 3), torch.randn(4, 2, 3, 3)
    result = change({"lokr_w1_a": a1, "lokr_w1_b": b1, "lokr_w2": w2}, CONV)
    torch.testing.assert_close(result[:4, :2], (a1 @ b1)[0, 0] * w2)
    torch.testing.assert_close(result[4:, 4:], (a1 @ b1)[1, 2] * w2)


def test_full_and_norm_add_weights_and_biases() -> None:
    full = delta({"diff": WEIGHT, "diff_b": torch.ones(8)}, WEIGHT, 0.5)
    norm = delta({"w_norm": torch.ones(8), "b_norm": torch.ones(8)}, torch.zeros(8), 2.0)
    assert full is not None
    assert norm is not None
    assert full.bias is not None
    assert norm.bias is not None
    torch.testing.assert_close(full.added_to(WEIGHT), WEIGHT * 1.5)
    torch.testing.assert_close(full.bias, torch.full((8,), 0.5))
    torch.testing.assert_close(norm.added_to(torch.zeros(8)), torch.full((8,), 2.0))
    torch.testing.assert_close(norm.bias, torch.full((8,), 2.0))


def test_glora_depends_on_the_weight() -> None:
    a1, a2, b1, b2 = torch.randn(2, 6), torch.randn(6, 2), torch.randn(2, 6), torch.randn(8, 2)
    parts = {"a1.weight": a1, "a2.weight": a2, "b1.weight": b1, "b2.weight": b2, "alpha": torch.tensor(1.0)}
    torch.testing.assert_close(change(parts), b2 @ b1 + WEIGHT @ a2 @ a1)


def test_oft_rotates_blocks_of_rows_and_keeps_their_length() -> None:
    merged = WEIGHT + change({"oft_blocks": torch.randn(2, 4, 4)})
    for rows in (slice(0, 4), slice(4, 8)):
        torch.testing.assert_close(merged[rows].norm(dim=0), WEIGHT[rows].norm(dim=0))
    assert not torch.allclose(merged, WEIGHT)


def test_oft_blocks_of_zero_change_nothing_and_a_tight_constraint_little() -> None:
    assert change({"oft_blocks": torch.zeros(2, 4, 4)}).abs().max() < 1e-6
    free = change({"oft_blocks": torch.randn(2, 4, 4)}, CONV).norm()
    bound = change({"oft_blocks": torch.randn(2, 4, 4), "alpha": torch.tensor(1e-4)}, CONV).norm()
    assert bound < free / 100


def test_old_oft_stores_the_rotations_themselves() -> None:
    rotation = torch.eye(4).flip(0).expand(2, 4, 4)
    merged = WEIGHT + change({"oft_diag": rotation})
    torch.testing.assert_close(merged, torch.cat([WEIGHT[:4].flip(0), WEIGHT[4:].flip(0)]))


def test_oft_rescales_rows() -> None:
    scale = torch.arange(1.0, 9.0)
    parts = {"oft_blocks": torch.zeros(2, 4, 4), "rescale": scale.reshape(8, 1)}
    torch.testing.assert_close(WEIGHT + change(parts), WEIGHT * scale[:, None])


def test_boft_mixes_all_rows_and_keeps_the_length_of_columns() -> None:
    merged = WEIGHT + change({"oft_blocks": torch.randn(2, 2, 4, 4)})
    torch.testing.assert_close(merged.norm(dim=0), WEIGHT.norm(dim=0))
    one_stage = WEIGHT + change({"oft_blocks": torch.randn(1, 2, 4, 4)})
    torch.testing.assert_close(one_stage.norm(dim=0), WEIGHT.norm(dim=0))


def test_dora_gives_the_changed_weights_columns_the_trained_length() -> None:
    parts = {
        "lora_up.weight": torch.randn(8, 4),
        "lora_down.weight": torch.randn(4, 6),
        "dora_scale": torch.arange(1.0, 7.0)[None],
    }
    merged = WEIGHT + change(parts)
    torch.testing.assert_close(merged.norm(dim=0), torch.arange(1.0, 7.0))
    direction = WEIGHT + parts["lora_up.weight"] @ parts["lora_down.weight"]
    torch.testing.assert_close(merged / merged.norm(dim=0), direction / direction.norm(dim=0))


def test_a_static_part_is_added_before_scaling() -> None:
    parts = {"diff": torch.ones(8, 6), "bias": torch.ones(8, 6), "scale": torch.tensor(0.5)}
    torch.testing.assert_close(change(parts), torch.ones(8, 6))


def test_an_inpainting_models_first_layer_keeps_its_extra_channels() -> None:
    result = change({"diff": torch.ones(8, 4, 3, 3)}, torch.zeros(8, 9, 3, 3))
    assert result[:, :4].eq(1).all()
    assert result[:, 4:].eq(0).all()


def test_unknown_parts_are_told_from_parts_that_do_not_fit() -> None:
    assert delta({"something": torch.ones(1)}, WEIGHT, 1.0) is None
    with pytest.raises(ValueError, match="does not fit"):
        delta({"diff": torch.ones(3, 3)}, WEIGHT, 1.0)
