from hypothesis import given
from hypothesis import strategies as st

from modules.jobs.fairness import Waiting, claim_order, entry_charge

OWNERS = st.sampled_from(["ann", "bob", "cid"])


def test_owners_take_turns_in_the_predicted_order() -> None:
    waiting = [Waiting(f"a{i}", "ann") for i in range(3)] + [Waiting("b0", "bob")]
    assert claim_order(waiting, {}, {}) == ("a0", "b0", "a1", "a2")


def test_the_owner_with_less_device_time_goes_first() -> None:
    waiting = [Waiting("a", "ann"), Waiting("b", "bob")]
    assert claim_order(waiting, {}, {"ann": 5.0, "bob": 1.0}) == ("b", "a")


def test_an_owner_on_the_device_yields_to_one_who_is_not() -> None:
    waiting = [Waiting("a", "ann"), Waiting("b", "bob")]
    assert claim_order(waiting, {"bob": 1}, {"ann": 100.0}) == ("a", "b")


@given(st.lists(OWNERS, max_size=12), st.dictionaries(OWNERS, st.floats(0, 1e6)))
def test_each_owners_own_order_is_kept_and_nobody_is_lost(owners: list[str], used: dict[str, float]) -> None:
    waiting = [Waiting(str(i), owner) for i, owner in enumerate(owners)]
    order = claim_order(waiting, {}, used)
    assert sorted(order) == sorted(job.id for job in waiting)
    for owner in set(owners):
        own = [job.id for job in waiting if job.owner == owner]
        assert [job_id for job_id in order if job_id in own] == own


def test_a_newcomer_starts_level_with_the_least_served_who_waits() -> None:
    assert entry_charge("new", frozenset({"ann", "bob"}), {"ann": 7.0, "bob": 3.0}) == 3.0


def test_a_newcomer_to_an_idle_queue_starts_level_with_the_most_served() -> None:
    assert entry_charge("new", frozenset(), {"ann": 7.0, "bob": 3.0}) == 7.0


def test_who_already_waits_is_not_booked_again() -> None:
    assert entry_charge("ann", frozenset({"ann", "bob"}), {"ann": 2.0, "bob": 9.0}) == 2.0
