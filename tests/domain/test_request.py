"""What a request may ask for at all."""

import json

import pytest
from pydantic import JsonValue, ValidationError

from modules.domain.json_access import is_deeper
from modules.domain.request import MAX_DEPTH, MAX_SIDE, GenerationRequest


def nested(depth: int) -> list[JsonValue]:
    value: list[JsonValue] = []
    for _ in range(depth - 1):
        value = [value]
    return value


@pytest.mark.parametrize("name", ["seed_resize_from_w", "seed_resize_from_h"])
@pytest.mark.parametrize("side", [MAX_SIDE + 1, 10**9, -2])
def test_the_size_of_an_older_seed_is_bounded(name: str, side: int) -> None:
    with pytest.raises(ValidationError, match=name):
        GenerationRequest.model_validate({name: side})


@pytest.mark.parametrize("side", [-1, 0, 511, MAX_SIDE])
def test_an_older_seed_may_have_had_any_size_of_a_picture(side: int) -> None:
    assert GenerationRequest(seed_resize_from_w=side).seed_resize_from_w == side


def test_the_highest_noise_level_may_be_infinite_but_is_a_number() -> None:
    assert GenerationRequest(s_tmax=float("inf")).s_tmax == float("inf")
    with pytest.raises(ValidationError, match="s_tmax"):
        GenerationRequest(s_tmax=float("nan"))


@pytest.mark.parametrize("name", ["script_args", "alwayson_scripts", "override_settings"])
def test_arguments_nested_deeper_than_a_reader_follows_are_refused(name: str) -> None:
    def asking(depth: int) -> dict[str, object]:
        return {name: [nested(depth)] if name == "script_args" else {"x": nested(depth)}}

    with pytest.raises(ValidationError, match=name):
        GenerationRequest.model_validate(asking(200))
    kept = GenerationRequest.model_validate(asking(MAX_DEPTH - 1))
    assert GenerationRequest.model_validate_json(kept.model_dump_json()) == kept


@pytest.mark.parametrize(("text", "depth"), [("1", 0), ("{}", 1), ("[]", 1), ('[1, {"a": [2]}]', 3)])
def test_depth_counts_lists_and_objects(text: str, depth: int) -> None:
    value = json.loads(text)
    assert is_deeper(value, depth - 1) == (depth > 0)
    assert not is_deeper(value, depth)
