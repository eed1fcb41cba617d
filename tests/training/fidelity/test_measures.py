import pytest

from modules.training.fidelity.measures import Share, wilson_interval


def test_interval_of_half_of_a_hundred() -> None:
    assert wilson_interval(50, 100) == pytest.approx((0.4038, 0.5962), abs=1e-4)


def test_interval_stays_within_zero_and_one() -> None:
    assert wilson_interval(0, 10)[0] == 0
    assert wilson_interval(10, 10)[1] == pytest.approx(1)
    assert wilson_interval(0, 0) == (0, 1)


def test_a_share_counts_what_is_right() -> None:
    share = Share.of("seen", "concept", [True, False, True, True])
    assert (share.right, share.total) == (3, 4)
