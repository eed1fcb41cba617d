"""Log records name the jobs they are about."""

import json
import logging
import threading
from collections.abc import Iterator

import pytest

from modules.jobs.log_context import JobFilter, JsonFormatter, note_jobs

JOB = "0123456789abcdef" * 2


@pytest.fixture(autouse=True)
def _nothing_at_work() -> Iterator[None]:
    yield
    note_jobs(())


def record(message: str = "hello") -> logging.LogRecord:
    made = logging.LogRecord("modules.x", logging.WARNING, "x.py", 1, message, (), None)
    JobFilter().filter(made)
    return made


def test_a_record_names_the_jobs_of_its_thread() -> None:
    note_jobs([JOB])
    assert logging.Formatter("%(job_text)s%(message)s").format(record()) == "[job 01234567] hello"


def test_other_threads_are_about_nothing() -> None:
    note_jobs([JOB])
    seen: list[str] = []
    thread = threading.Thread(target=lambda: seen.append(record().__dict__["job_text"]))
    thread.start()
    thread.join()
    assert seen == [""]


def test_json_is_one_line_with_the_jobs() -> None:
    note_jobs([JOB])
    line = JsonFormatter().format(record("two\nlines"))
    assert "\n" not in line
    content = json.loads(line)
    assert (content["message"], content["level"], content["jobs"]) == ("two\nlines", "WARNING", [JOB])
    assert content["time"].endswith("Z")


def test_json_holds_the_traceback() -> None:
    try:
        raise ValueError("broken")
    except ValueError as error:
        made = logging.LogRecord("x", 40, "x.py", 1, "m", (), (ValueError, error, error.__traceback__))
    assert "ValueError: broken" in json.loads(JsonFormatter().format(made))["traceback"]
