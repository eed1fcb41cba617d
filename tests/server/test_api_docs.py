"""The page that describes the API is complete, and its examples work as they stand there."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from modules.server.lifecycle import Lifecycle
from tests.server.route_table import PAGE, every_route, full_app, rows_of, table_in
from tests.server.studio import Studio, open_studio
from tests.server.test_run import serving

RENEW = "run `python -m tests.server.route_table` and commit docs/api.md"


def test_every_route_is_in_the_table_with_its_tests(studio: Studio) -> None:
    rows = table_in(PAGE.read_text(encoding="utf-8"))
    listed = [match.groups() for row in rows if (match := re.match(r"\| `([A-Z]+) (\S+)` \| (.+?) \|", row))]
    assert {place[:2] for place in listed} == {place[:2] for place in every_route(full_app(studio))}, RENEW
    assert len(listed) == len(rows) >= 60


def test_every_route_has_a_test_and_a_description(studio: Studio) -> None:
    for row in rows_of(full_app(studio)):
        assert row.tests, f"no test under tests/server asks for {row.path}"
        assert row.description, row.path


@pytest.fixture(scope="module")
def address_and_token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, Path]]:
    root = tmp_path_factory.mktemp("studio")
    with open_studio(root) as studio, serving(studio, Lifecycle()) as url:
        yield url, studio.access.accounts.create_token("reader", "artist"), root


def examples(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_the_python_examples_run(
    address_and_token: tuple[str, str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    url, token, _ = address_and_token
    (example,) = examples("python")
    exec(compile(example.replace("http://127.0.0.1:7860", url), "api.md", "exec"), {"token": token})
    assert "7 b'\\x89PNG" in capsys.readouterr().out


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_the_curl_examples_run(address_and_token: tuple[str, str, Path]) -> None:
    url, token, root = address_and_token
    (ours,) = [text for text in examples("bash") if "/api/v1/jobs" in text]
    script = ours.replace("http://127.0.0.1:7860", url).replace("TOKEN=...", f"TOKEN={token}")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        check=False,
        cwd=root,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert '"state":"done"' in done.stdout
    assert (root / "apple.png").read_bytes().startswith(b"\x89PNG")
