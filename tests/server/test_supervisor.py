import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from modules.server.supervisor import Supervisor

ROOT = Path(__file__).resolve().parents[2]

COUNTING = """
import os, sys, pathlib
starts = pathlib.Path(sys.argv[1])
starts.write_text(starts.read_text() + os.environ["STUDIO_SUPERVISED"] if starts.exists() else "0")
"""


def supervise(tmp_path: Path, ending: str, **options: float) -> tuple[int, str]:
    """Run a child that notes its starts and then ends; returns status and starts."""
    starts = tmp_path / "starts"
    command = [sys.executable, "-c", COUNTING + ending, str(starts)]
    status = Supervisor(command, pause=0.0, **options).run()  # type: ignore[arg-type]
    return status, starts.read_text()


def test_a_server_that_ends_on_purpose_stays_ended(tmp_path: Path) -> None:
    assert supervise(tmp_path, "sys.exit(0)") == (0, "0")


def test_a_server_that_refuses_its_options_is_not_tried_again(tmp_path: Path) -> None:
    assert supervise(tmp_path, "sys.exit(2)") == (2, "0")


def test_a_crashed_server_is_started_again(tmp_path: Path) -> None:
    ending = (
        "import signal\nos.kill(os.getpid(), signal.SIGKILL) if os.environ['STUDIO_SUPERVISED'] == '0' else 0"
    )
    assert supervise(tmp_path, ending) == (0, "01")


def test_a_restart_that_was_asked_for_is_no_failure(tmp_path: Path) -> None:
    ending = "sys.exit(3 if os.environ['STUDIO_SUPERVISED'] < '5' else 0)"
    assert supervise(tmp_path, ending) == (0, "012345")


def test_a_server_that_never_starts_is_given_up(tmp_path: Path) -> None:
    assert supervise(tmp_path, "sys.exit(1)", max_quick_failures=3) == (1, "012")


PARENT = """
import sys
from modules.server.supervisor import Supervisor
sys.exit(Supervisor([sys.executable, "-c", sys.argv[1]]).run())
"""
CHILD = """
import os, signal, sys, time
def stop(*_):
    print("stopping", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGINT, stop)
print(os.getpid(), flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_both_cleanly(number: int) -> None:
    command = [sys.executable, "-c", PARENT, CHILD]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.send_signal(number)
        assert parent.stdout.readline().strip() == "stopping"
        assert parent.wait(20) == 0
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


SERVER = """
import os
from modules.server.lifecycle import Lifecycle
from modules.server.run import bind_socket, serve
async def app(scope, receive, send):
    while (message := await receive())["type"] != "lifespan.shutdown":
        await send({"type": "lifespan.startup.complete"})
    await send({"type": "lifespan.shutdown.complete"})
def ready():
    print(os.getpid(), flush=True)
serve(app, bind_socket("127.0.0.1", 0), lifecycle=Lifecycle(), on_ready=ready)
print("tidied up", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_the_server_tidy_up(number: int) -> None:
    command = [sys.executable, "-c", PARENT, SERVER]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        parent.send_signal(number)
        assert parent.stdout.readline().strip() == "tidied up"
        assert parent.wait(20) == 0


def test_the_server_does_not_outlive_a_killed_supervisor() -> None:
    command = [sys.executable, "-c", PARENT, SERVER]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
        parent.wait(10)
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline and Path(f"/proc/{child}").exists():
            time.sleep(0.05)
        assert not Path(f"/proc/{child}/cmdline").exists() or not Path(f"/proc/{child}/cmdline").read_bytes()
