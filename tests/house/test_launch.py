"""``launch.py`` as a user meets it: in a small copy of the project whose needs pip can meet offline."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
CLOSED_PORT = "http://127.0.0.1:9/simple"  # the discard port: nothing answers there


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("launch_under_test", ROOT / "launch.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


launch = _load()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with launch.py, requirement files that ask for nothing, and a webui.py that reports."""
    (tmp_path / "launch.py").write_bytes((ROOT / "launch.py").read_bytes())
    for name in ("requirements.txt", "requirements-dev.txt", "requirements-nvidia.txt", "constraints.txt"):
        (tmp_path / name).write_text("# nothing\n")
    (tmp_path / "webui.py").write_text(
        "import sys\nprint('ARGUMENTS', sys.argv[1:])\nprint('PREFIX', sys.prefix)\nsys.exit(7)\n"
    )
    return tmp_path


@pytest.fixture(scope="session")
def renewed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment that took the place of a broken one; pip takes seconds, so it is made once."""
    environment = launch.Environment(tmp_path_factory.mktemp("renewed"))
    venv.create(environment.folder, with_pip=False)  # runs, but has no pip: as good as broken
    (environment.folder / "left-over").touch()
    environment.create()
    return Path(environment.folder)


@pytest.fixture
def prepared(project: Path, renewed: Path) -> Path:
    """The project with an environment in which nothing was installed yet."""
    shutil.copytree(renewed, project / "venv", symlinks=True)
    return project


def _run(project: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    return subprocess.run(
        [sys.executable, str(project / "launch.py"), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env={
            **kept,
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": CLOSED_PORT,
            "PIP_RETRIES": "1",
            **variables,
        },
        check=False,
    )


def test_first_start_makes_the_environment_and_second_start_does_not_touch_it(project: Path) -> None:
    first = _run(project, "--port", "7861", "--unknown")
    assert "ARGUMENTS ['--port', '7861', '--unknown']" in first.stdout
    assert f"PREFIX {project / 'venv'}" in first.stdout
    assert first.returncode == 7, "the studio's exit status is the launcher's"
    assert "[3/3] ready" in first.stdout

    before = {path: path.stat().st_mtime_ns for path in (project / "venv").iterdir()}
    second = _run(project)
    assert second.stdout.startswith("ARGUMENTS []"), "nothing is said when there is nothing to install"
    assert {path: path.stat().st_mtime_ns for path in (project / "venv").iterdir()} == before

    (project / "constraints.txt").write_text("# something else\n")
    assert "[2/3] installing" in _run(project, "--prepare").stdout


def test_unreachable_index_is_named_in_one_sentence(prepared: Path) -> None:
    (prepared / "requirements.txt").write_text("no-such-package-here==1.0\n")
    run = _run(prepared)
    assert run.returncode == 1
    assert run.stderr.startswith("error: The package index could not be reached; check the network")
    assert "Traceback" not in run.stderr
    assert "ARGUMENTS" not in run.stdout, "the studio does not start half installed"
    assert not (prepared / "venv" / "installed.json").exists()
    assert "no-such-package-here" in (prepared / "venv" / "install.log").read_text()


def test_missing_build_is_named_with_the_package(prepared: Path) -> None:
    (prepared / "requirements.txt").write_text("no-such-package-here==1.0\n")
    run = _run(prepared, PIP_NO_INDEX="1")
    assert run.stderr.startswith("error: No build of no-such-package-here==1.0 fits Python 3.")


def test_help_explains_itself_without_an_environment(project: Path) -> None:
    run = _run(project, "--help")
    assert run.returncode == 0
    assert "python launch.py test" in run.stdout
    assert not (project / "venv").exists()


@pytest.mark.parametrize("version", [(3, 10), (3, 14), (2, 7)])
def test_other_pythons_are_refused_by_name(version: tuple[int, int]) -> None:
    with pytest.raises(launch.LaunchError, match=rf"needed and this is {version[0]}\.{version[1]};"):
        launch.require_python(version)


@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13)])
def test_supported_pythons_are_accepted(version: tuple[int, int]) -> None:
    launch.require_python(version)


def test_too_little_disk_is_said_with_both_numbers(tmp_path: Path) -> None:
    with pytest.raises(launch.LaunchError, match=r"need 1e\+09 GB of disk and .* GB free"):
        launch.require_disk(tmp_path, 1e9)
    launch.require_disk(tmp_path, 0)


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left", "disk is full"),
        ("ERROR: Failed building wheel for torchsde", "package torchsde could not be built"),
        ("pip._vendor.urllib3.exceptions.ReadTimeoutError: Read timed out.", "connection .* broke"),
        ("hm\nERROR: the moon is full\nend", r"pip failed \(ERROR: the moon is full\)"),
        ("", r"pip failed \(no output\)"),
    ],
)
def test_failures_of_pip_are_explained(output: str, sentence: str, tmp_path: Path) -> None:
    assert re.search(sentence, launch.explain_pip(output, tmp_path / "install.log"))


def test_environment_of_another_python_is_made_anew(renewed: Path) -> None:
    assert launch.Environment(renewed.parent).python.exists()
    assert not (renewed / "left-over").exists()


def test_damaged_stamp_counts_as_none(project: Path) -> None:
    environment = launch.Environment(project)
    environment.python.parent.mkdir(parents=True)
    environment.python.touch()
    wanted = environment.wanted(development=False)
    environment.write_stamp(wanted)
    assert environment.has(wanted)
    assert not environment.has(environment.wanted(development=True)), "development packages are missing"
    for damage in ("", "[]", '{"files": 1}', json.dumps({**wanted, "python": "3.1"})):
        environment.stamp.write_text(damage)
        assert not environment.has(wanted)


def test_required_browser_that_is_missing_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STUDIO_CHROMIUM", str(tmp_path / "nothing"))
    monkeypatch.setattr(launch.os, "geteuid", lambda: 1000, raising=False)
    assert launch.provide_browser(required=False) is None
    with pytest.raises(launch.LaunchError, match="CI must run the browser tests"):
        launch.provide_browser(required=True)


@pytest.mark.parametrize("checked_apart", [True, False])
def test_no_folder_of_tests_is_run_twice_or_left_out(checked_apart: bool) -> None:
    pages, others = launch.suite_parts(checked_apart=checked_apart)
    ignored = {word.partition("=")[2] for word in others if word.startswith("--ignore=")}
    apart = {"tests/architecture"} if checked_apart else set()
    assert ignored == {pages[-1]} | apart
    assert all((ROOT / folder).is_dir() for folder in ignored)
    assert "tests/architecture" in (ROOT / "scripts" / "check").read_text(encoding="utf-8")


def _played(project: Path, pytest_does: str, checks_do: str) -> object:
    """The project's environment with a shell script for its Python, and a script for the checks."""
    environment = launch.Environment(project)
    environment.python.parent.mkdir(parents=True)
    environment.python.write_text(f"#!/bin/sh\n{pytest_does}\n", encoding="utf-8")
    environment.python.chmod(0o700)
    (project / "scripts").mkdir()
    (project / "scripts" / "check").write_text(f"{checks_do}\n", encoding="utf-8")
    return environment


@pytest.mark.skipif(os.name == "nt", reason="the Python that is played is a shell script")
def test_checks_beside_the_tests_are_told_and_count(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    environment = _played(project, 'echo "pytest was called with $*"', "echo FAILED types; exit 3")
    monkeypatch.setenv("STUDIO_CHROMIUM", sys.executable)
    assert launch.run_tests(environment, []) == 3
    said = capfd.readouterr().out
    assert said.count("pytest was called with -m pytest -n") == 2
    assert said.rstrip().endswith("FAILED types"), "what the checks found stands at the end"


@pytest.mark.skipif(os.name == "nt", reason="the Python that is played is a shell script")
@pytest.mark.parametrize("ends", ["exit 1", "kill -9 $$"])
@pytest.mark.parametrize("part", ["--ignore=tests/browser", "worksteal tests/browser"])
def test_no_part_of_the_suite_fails_unseen(
    project: Path, monkeypatch: pytest.MonkeyPatch, part: str, ends: str
) -> None:
    environment = _played(project, f'case "$*" in *"{part}"*) {ends};; esac', "exit 0")
    monkeypatch.setenv("STUDIO_CHROMIUM", sys.executable)
    assert launch.run_tests(environment, []) > 0


def test_pip_output_becomes_few_lines(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    progress = launch.PipProgress(launch.Environment(project))
    for line in (
        "Collecting torch==2.13.0",
        "  Downloading torch-2.13.0-cp311-cp311-manylinux_2_28_x86_64.whl (183.2 MB)",
        "  Downloading zipp-4.1.2-py3-none-any.whl (9 kB)",
        "Installing collected packages: mpmath, torch, gradio",
    ):
        progress.read(line)
    progress.end()
    assert capsys.readouterr().out.splitlines() == [
        "      downloading torch 2.13.0 (183.2 MB)",
        "      installing 3 packages",
    ]
