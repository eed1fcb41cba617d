import torch

from modules.conditioning.conditioned import Conditioning, ScheduledConditioning

A, B, C = (Conditioning(torch.zeros(77, 4)) for _ in range(3))


def test_the_first_text_is_used_for_one_call_more_than_its_number_says() -> None:
    scheduled = ScheduledConditioning(((2, A), (5, B)))
    assert [scheduled.at(call) for call in range(6)] == [A, A, A, B, B, B]


def test_alternation_starts_with_the_first_text_twice() -> None:
    scheduled = ScheduledConditioning(((1, A), (2, B), (3, A), (4, B)))
    assert [scheduled.at(call) for call in range(5)] == [A, A, B, A, B]


def test_calls_beyond_the_schedule_use_the_first_text() -> None:
    assert ScheduledConditioning(((2, A), (5, B), (6, C))).at(7) is A
