import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from modules.diffusion.guidance import classifier_free_guidance, edit_guidance

COND, OTHER, UNCOND = torch.randn(3, 2, 4, 8, 8, generator=torch.Generator().manual_seed(0))


def test_scale_one_equals_positive_only() -> None:
    torch.testing.assert_close(classifier_free_guidance([COND], [1.0], UNCOND, 1.0), COND)


def test_scale_zero_equals_negative_only() -> None:
    assert torch.equal(classifier_free_guidance([COND], [1.0], UNCOND, 0.0), UNCOND)


@given(st.floats(-5, 30))
def test_equal_prompts_make_guidance_do_nothing(scale: float) -> None:
    assert torch.equal(classifier_free_guidance([UNCOND], [1.0], UNCOND, scale), UNCOND)


@given(st.floats(-2, 2), st.floats(-2, 2), st.floats(0, 20))
def test_parts_of_a_prompt_add_up(first: float, second: float, scale: float) -> None:
    together = classifier_free_guidance([COND, OTHER], [first, second], UNCOND, scale)
    expected = UNCOND + first * scale * (COND - UNCOND) + second * scale * (OTHER - UNCOND)

    torch.testing.assert_close(together, expected, atol=1e-4, rtol=1e-4)


def test_a_part_without_weight_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        classifier_free_guidance([COND, OTHER], [1.0], UNCOND, 7.0)


def test_guidance_leaves_its_inputs_alone() -> None:
    before = UNCOND.clone()
    classifier_free_guidance([COND], [1.0], UNCOND, 7.0)

    assert torch.equal(UNCOND, before)


def test_edit_with_both_scales_one_is_the_instruction_alone() -> None:
    torch.testing.assert_close(edit_guidance(COND, OTHER, UNCOND, scale=1, image_scale=1), COND)


def test_edit_without_instruction_is_guided_by_the_picture() -> None:
    expected = classifier_free_guidance([OTHER], [1.0], UNCOND, 1.5)

    torch.testing.assert_close(edit_guidance(COND, OTHER, UNCOND, scale=0, image_scale=1.5), expected)
