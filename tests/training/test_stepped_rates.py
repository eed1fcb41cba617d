import pytest

from modules.training.stepped_rates import SteppedRates, SteppedSchedule


def test_each_rate_counts_up_to_its_step() -> None:
    rates = SteppedRates.parse("0.005:100, 1e-3:1000, 1e-5")
    assert [rates.at(step) for step in (0, 99, 100, 999, 1000, 10**6)] == [
        0.005, 0.005, 1e-3, 1e-3, 1e-5, 1e-5,
    ]  # fmt: skip
    assert rates.end is None


def test_one_number_counts_for_ever() -> None:
    assert SteppedRates.parse(" 0.01 ").parts == ((0.01, None),)


def test_rates_may_end() -> None:
    assert SteppedRates.parse("1e-2:10,1e-3 : 20,").end == 20


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no learning rate"),
        ("fast", "'fast' is no learning rate"),
        ("1e-3:many", "is no learning rate"),
        ("1e-3:1.5", "is no learning rate"),
        ("1e-3:10:20", "is no learning rate"),
        ("1e-3, 1e-4", "no other can follow"),
        ("1e-3:100, 1e-4:100", "must grow, and 100 comes after 100"),
        ("1e-3:0", "must grow"),
        ("-1", "above 0"),
        ("nan:5", "above 0"),
        ("11", "at most 10"),
    ],
)
def test_what_is_no_schedule_is_refused_with_a_sentence(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        SteppedRates.parse(text)


def test_the_factor_makes_any_base_rate_the_wanted_one() -> None:
    schedule = SteppedSchedule(SteppedRates.parse("0.5:1, 0.25"), base=0.125)
    assert (schedule.factor(0), schedule.factor(1)) == (4.0, 2.0)
