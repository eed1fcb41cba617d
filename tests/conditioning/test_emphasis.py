import torch

from modules.conditioning.emphasis import apply_emphasis

torch.manual_seed(0)
STATES = torch.randn(2, 77, 8) + 0.5
WEIGHTS = torch.rand(2, 77) + 0.5
ONCE = torch.ones(2)


def test_ignoring_modes_leave_the_states_alone() -> None:
    assert apply_emphasis(STATES, WEIGHTS, "None", ONCE) is STATES
    assert apply_emphasis(STATES, WEIGHTS, "Ignore", ONCE) is STATES


def test_no_norm_only_multiplies() -> None:
    assert torch.equal(apply_emphasis(STATES, WEIGHTS, "No norm", ONCE), STATES * WEIGHTS[..., None])


def test_original_restores_the_common_mean_of_all_texts() -> None:
    result = apply_emphasis(STATES, WEIGHTS, "Original", ONCE)
    weighted = STATES * WEIGHTS[..., None]
    torch.testing.assert_close(result, weighted * (STATES.mean() / weighted.mean()))
    torch.testing.assert_close(result.mean(), STATES.mean())


def test_a_text_that_occurs_three_times_counts_three_times() -> None:
    rows = torch.tensor([0, 1, 1, 1])
    repeated = apply_emphasis(STATES[rows], WEIGHTS[rows], "Original", torch.ones(4))
    counted = apply_emphasis(STATES, WEIGHTS, "Original", torch.tensor([1.0, 3.0]))
    torch.testing.assert_close(counted, repeated[:2])


def test_weights_of_one_change_not_a_bit() -> None:
    assert torch.equal(apply_emphasis(STATES, torch.ones(2, 77), "Original", ONCE), STATES)


def test_a_mean_near_zero_is_kept_to_the_last_digits() -> None:
    half = torch.randn(1, 77, 256, generator=torch.Generator().manual_seed(1)) * 4
    states = torch.cat([half, -half], dim=-1) + 1e-4
    weights = torch.full((1, 77), 1.1)
    weights[:, ::2] = 1.0
    exact = states.double() * weights[..., None].double()
    expected = exact * (states.double().mean() / exact.mean())
    result = apply_emphasis(states, weights, "Original", torch.ones(1))
    torch.testing.assert_close(result.double(), expected, rtol=5e-6, atol=0)
