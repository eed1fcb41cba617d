import logging

import pytest

from modules.exceptions import DeviceMemoryError, RequestError
from modules.webui.messages import explain


def test_a_refusal_keeps_its_field_and_becomes_a_sentence() -> None:
    notice = explain(RequestError("width", "width must be a multiple of 8"))
    assert (notice.text, notice.field) == ("Width must be a multiple of 8.", "width")


def test_an_error_raised_on_purpose_shows_its_own_text() -> None:
    assert explain(DeviceMemoryError("The card is full; use a smaller size.")).text == (
        "The card is full; use a smaller size."
    )


def test_an_unexpected_error_shows_no_inside_and_goes_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        notice = explain(KeyError("secret/path"))
    assert "secret" not in notice.text
    assert "KeyError" in notice.text
    assert "secret/path" in caplog.text
