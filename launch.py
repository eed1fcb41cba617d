"""Make the environment, install what is needed, start the studio. Standard library only.

Run ``python launch.py --help``. This file is read by whatever Python the user has, so its syntax stays
that of Python 3.7: an old Python must get as far as the sentence that says it is too old.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
OLDEST, NEWEST = (3, 11), (3, 13)
DISK_GB = 3  # torch for CPU, gradio and the rest, unpacked, with room for pip's temporary files
DISK_GB_NVIDIA = 12  # the same with CUDA's libraries

HELP = """\
usage: python launch.py [launch options] [options of webui.py]
       python launch.py test [arguments of pytest]

The first call makes venv/ beside this file and installs the pinned packages into it (a few minutes);
every later call starts the studio at once, without the network. Your browser then opens the page.

launch options:
  --help, -h      show this text, and that of webui.py once it is installed
  --prepare       make the environment and stop before starting; --exit is the same
  --reinstall     throw venv/ away and make it anew
  --no-xformers   do not add xformers where an NVIDIA GPU is found

test: installs the development packages too, runs all checks and the whole test suite, browser tests
included. With arguments it runs pytest with just these, for example: python launch.py test tests/domain

pip's own configuration and environment variables (PIP_INDEX_URL ...) are honoured.
"""


class LaunchError(Exception):
    """The environment cannot be made; the text is one sentence for the user."""


def say(text: str) -> None:
    """Write one line of progress."""
    print(text, flush=True)


# ---------------------------------------------------------------------------------- is it possible?


def require_python(version: tuple[int, ...]) -> None:
    """Refuse a Python for which the pinned packages are not built.

    Raises:
        LaunchError: it is older than 3.11 or newer than 3.13.
    """
    if OLDEST <= tuple(version[:2]) <= NEWEST:
        return
    names = [f"python3.{minor}" for minor in range(NEWEST[1], OLDEST[1] - 1, -1)]
    other = next((name for name in names if shutil.which(name)), None)
    hint = f"run this with the one you have: {other} launch.py" if other else "install one of these"
    raise LaunchError(f"Python 3.11, 3.12 or 3.13 is needed and this is {version[0]}.{version[1]}; {hint}.")


def require_disk(folder: Path, gigabytes: float) -> None:
    """Refuse to start an installation that cannot end well.

    Raises:
        LaunchError: less than ``gigabytes`` are free where ``folder`` lies.
    """
    free = shutil.disk_usage(folder).free / 1e9
    if free < gigabytes:
        raise LaunchError(
            f"The packages need {gigabytes:g} GB of disk and {folder} has {free:.1f} GB free; "
            "make room or move this folder to another disk."
        )


def nvidia_gpus() -> list[str]:
    """Names of the NVIDIA GPUs that the driver's own tool lists; empty without driver or card."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    try:
        listing = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return re.findall(r"^GPU \d+: (.+?) \(", listing.stdout, flags=re.MULTILINE)


# ------------------------------------------------------------------------------------- environment


class Environment:
    """The virtual environment beside this file, and the stamp that says what is in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "venv"
        self.stamp = self.folder / "installed.json"
        self.log = self.folder / "install.log"
        inside = "Scripts/python.exe" if os.name == "nt" else "bin/python"
        self.python = self.folder / inside

    def wanted(self, *, development: bool) -> dict[str, object]:
        """What the stamp has to say for nothing to be left to install."""
        names = ["requirements.txt", "constraints.txt"]
        names += ["requirements-dev.txt"] if development else []
        hashes = {name: hashlib.sha256((self.root / name).read_bytes()).hexdigest() for name in names}
        return {"python": "{}.{}".format(*sys.version_info[:2]), "files": hashes}

    def installed(self) -> dict[str, object]:
        """The stamp; empty when there is none or it cannot be read."""
        try:
            stamp = json.loads(self.stamp.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return stamp if isinstance(stamp, dict) and self.python.exists() else {}

    def has(self, wanted: dict[str, object]) -> bool:
        """Whether everything in ``wanted`` was installed, by the same Python. More may have been."""
        stamp = self.installed()
        files, needed = stamp.get("files"), wanted["files"]
        if stamp.get("python") != wanted["python"] or not isinstance(files, dict):
            return False
        return isinstance(needed, dict) and all(files.get(name) == digest for name, digest in needed.items())

    def write_stamp(self, wanted: dict[str, object]) -> None:
        """Note what has been installed; written whole or not at all."""
        half = self.stamp.with_suffix(".tmp")
        half.write_text(json.dumps(wanted, indent=1), encoding="utf-8")
        half.replace(self.stamp)

    def remove(self) -> None:
        """Throw the environment away."""
        if self.folder.exists():
            shutil.rmtree(self.folder)

    def create(self) -> None:
        """Make the virtual environment unless a working one of this Python's version is there.

        Raises:
            LaunchError: the system's Python lacks its venv module, or the folder cannot be written.
        """
        if self._works():
            return
        self.remove()
        try:
            made = subprocess.run(
                [sys.executable, "-m", "venv", str(self.folder)], capture_output=True, text=True, check=False
            )
        except OSError as error:
            raise LaunchError(f"{self.folder} could not be made: {error}.") from error
        if made.returncode == 0:
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        output = made.stdout + made.stderr
        if "ensurepip" in output:
            raise LaunchError(
                "This Python has no complete venv module; on Debian and Ubuntu install it with: "
                "apt install python3-venv"
            )
        raise LaunchError(f"{self.folder} could not be made: {last_line(output)}")

    def _works(self) -> bool:
        """Whether the environment's Python runs, is of this version and has pip."""
        if not self.python.exists():
            return False
        code = "import sys, pip; sys.stdout.write('%d.%d' % sys.version_info[:2])"
        try:
            asked = subprocess.run(
                [str(self.python), "-c", code], capture_output=True, text=True, check=False
            )
        except OSError:
            return False
        return asked.stdout == "{}.{}".format(*sys.version_info[:2])


# -------------------------------------------------------------------------------------------- pip


class PipProgress:
    """Turns pip's output into a few lines that say how far it is."""

    def __init__(self, environment: Environment) -> None:
        self.lines: list[str] = []
        self.total = 0
        self._packages = self._package_folder(environment)
        self._before = self._count()
        self._started = time.monotonic()
        self._done = threading.Event()

    @staticmethod
    def _package_folder(environment: Environment) -> Path:
        pattern = "Lib/site-packages" if os.name == "nt" else "lib/python3*/site-packages"
        return next(iter(environment.folder.glob(pattern)), environment.folder)

    def _count(self) -> int:
        return sum(1 for _ in self._packages.glob("*.dist-info"))

    def read(self, line: str) -> None:
        """Take one line of pip's output; say it when it tells the user something."""
        self.lines.append(line)
        download = re.match(r"\s*Downloading (\S+?)-(\d[^-]*)-?\S* \((.+)\)", line)
        install = re.match(r"Installing collected packages: (.+)", line)
        if download and re.search(r"\d{2,}(\.\d+)? MB|GB", download[3]):
            say(f"      downloading {download[1]} {download[2]} ({download[3]})")
        elif "Retrying (Retry" in line and not any("Retrying (Retry" in seen for seen in self.lines[:-1]):
            say("      the package index does not answer, trying again ...")
        elif install:
            self.total = install[1].count(",") + 1
            say(f"      installing {self.total} packages")
            threading.Thread(target=self._report, daemon=True).start()

    def _report(self) -> None:
        while not self._done.wait(10):
            ready = min(self._count() - self._before, self.total)
            say(f"      {ready} of {self.total} installed, {time.monotonic() - self._started:.0f} s")

    def end(self) -> None:
        """Stop reporting."""
        self._done.set()


def last_line(output: str) -> str:
    """The last line of ``output`` that says something, preferring one that names an error."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"(ERROR|error|OSError)\b", line)]
    return (errors or lines or ["no output"])[-1]


def explain_pip(output: str, log: Path) -> str:
    """One sentence that says why pip failed and what to do.

    Args:
        output: everything pip wrote.
        log: where the user finds it.
    """
    if re.search(r"No space left on device|Errno 28|not enough space", output):
        return "The disk is full; make room and run the same command again, it goes on where it stopped."
    missing = re.search(r"No matching distribution found for (\S+)", output)
    if missing:
        # the links of a network failure come before the word that nothing was found
        if re.search(r"Retrying \(Retry|Could not fetch URL|ConnectionError|NameResolution", output):
            return (
                "The package index could not be reached; check the network (or pip's index and proxy "
                "settings) and run the same command again."
            )
        return (
            f"No build of {missing[1]} fits Python {sys.version_info[0]}.{sys.version_info[1]} on this "
            f"system; the full output is in {log}."
        )
    broken = re.search(r"Failed (?:building wheel for|to build) (\S+)", output)
    if broken:
        return f"The package {broken[1]} could not be built on this system; the full output is in {log}."
    if re.search(r"ReadTimeout|ConnectionError|ConnectTimeout|IncompleteRead|ProtocolError|SSLError", output):
        return (
            "The connection to the package index broke; run the same command again, finished downloads "
            "are kept."
        )
    return f"pip failed ({last_line(output)}); the full output is in {log}."


def pip_install(environment: Environment, arguments: list[str]) -> None:
    """Run pip in the environment and show how far it is.

    Raises:
        LaunchError: pip failed; the text says why.
    """
    command = [str(environment.python), "-m", "pip", "install", "--progress-bar", "off", "--no-input"]
    command += ["--disable-pip-version-check", "--prefer-binary", *arguments]
    progress = PipProgress(environment)
    pip = subprocess.Popen(
        command,
        cwd=str(environment.root),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, "PYTHONUTF8": "1"},
    )
    try:
        for line in pip.stdout or ():
            progress.read(line.rstrip("\n"))
        code = pip.wait()
    except KeyboardInterrupt:
        pip.terminate()
        pip.wait()
        raise
    finally:
        progress.end()
    output = "\n".join(progress.lines)
    with environment.log.open("a", encoding="utf-8") as log:
        log.write(f"$ {' '.join(command)}\n{output}\n")
    if code != 0:
        raise LaunchError(explain_pip(output, environment.log))


def prepare(environment: Environment, *, development: bool, allow_xformers: bool) -> None:
    """Bring the environment to what the requirement files say; at once when it is there already.

    Raises:
        LaunchError: it cannot be done; the text says why.
    """
    wanted = environment.wanted(development=development)
    if environment.has(wanted):
        return
    gpus = nvidia_gpus()
    xformers = bool(gpus) and allow_xformers and sys.platform in ("linux", "win32")
    started = time.monotonic()
    graphics = ", ".join(gpus) or "no NVIDIA GPU, using the CPU"
    say(f"[1/3] Python {sys.version.split()[0]}; graphics: {graphics}")
    if not environment.installed():
        require_disk(environment.root, DISK_GB_NVIDIA if gpus else DISK_GB)
    environment.create()
    if environment.stamp.exists():
        environment.stamp.unlink()
    say(f"[2/3] installing packages into {environment.folder} (only now; this can take a few minutes)")
    requirements = ["-r", "requirements.txt", "-c", "constraints.txt"]
    requirements += ["-r", "requirements-dev.txt"] if development else []
    pip_install(environment, requirements)
    if xformers:
        add_xformers(environment)
    environment.write_stamp(wanted)
    say(f"[3/3] ready after {time.monotonic() - started:.0f} s")


def add_xformers(environment: Environment) -> None:
    """Install xformers, which is welcome but not needed: a failure is said and no more."""
    try:
        pip_install(environment, ["--no-deps", "-r", "requirements-nvidia.txt"])
    except LaunchError as error:
        say(f"      going on without xformers, PyTorch's own attention is used: {error}")


# ------------------------------------------------------------------------------------------- tests


def find_browser() -> str | None:
    """Path of a Chromium or Chrome that the browser tests can drive, or None."""
    chosen = os.environ.get("STUDIO_CHROMIUM")
    names = [chosen] if chosen else ["chromium", "chromium-browser", "google-chrome", "chrome"]
    return next((path for path in map(shutil.which, names) if path), None)


def provide_browser(*, required: bool) -> str | None:
    """Find a browser; on Debian as root, in CI, install one.

    Raises:
        LaunchError: ``required`` and none can be had.
    """
    browser = find_browser()
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    if browser is None and required and is_root and shutil.which("apt-get"):
        say("      installing chromium with apt-get")
        install = ["apt-get", "install", "-y", "--no-install-recommends", "chromium", "fonts-dejavu-core"]
        for command in (["apt-get", "update"], install):
            variables = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            subprocess.run(command, env=variables, capture_output=True, check=False)
        browser = find_browser()
    if browser is None and required:
        raise LaunchError(
            "CI must run the browser tests, but there is no Chromium and none can be installed."
        )
    return browser


def run_tests(environment: Environment, arguments: list[str]) -> int:
    """Run the checks and the whole suite, or pytest with ``arguments``. Returns the exit status."""
    in_ci = os.environ.get("CI", "").lower() in ("1", "true", "yes")
    variables = dict(os.environ)
    variables.pop("PYTHONDONTWRITEBYTECODE", None)  # or each of many processes compiles everything anew
    browser = provide_browser(required=in_ci)
    if browser is None:
        say("SKIPPED: the browser tests, because no Chromium or Chrome was found; install one or set")
        say("         STUDIO_CHROMIUM to its path.")
        without = ["-m", "not browser"]
    else:
        variables["STUDIO_CHROMIUM"] = browser
        without = []
    pytest = [str(environment.python), "-m", "pytest"]
    if arguments:
        return subprocess.call([*pytest, *arguments, *without], cwd=str(environment.root), env=variables)
    variables.setdefault("OMP_NUM_THREADS", "1")
    return run_whole_suite(environment, variables, browser=browser is not None)


def run_whole_suite(environment: Environment, variables: dict[str, str], *, browser: bool) -> int:
    """Run the checks and the browser tests at the same time, then all other tests. Returns the exit status.

    Browser tests wait a good part of their time, for pages, servers and previews: the checks take what they
    leave of the processor, and tell at the end.
    """
    pytest, bash = [str(environment.python), "-m", "pytest"], shutil.which("bash")
    variables = {**variables, "PYTHON": str(environment.python)}
    pages, others = suite_parts(checked_apart=bash is not None)

    def run(arguments: list[str]) -> int:
        return subprocess.call([*pytest, *arguments], cwd=str(environment.root), env=variables)

    with tempfile.TemporaryFile() as report:
        checks = None
        if bash is None:
            say("SKIPPED: the checks of format, lint, types and layers, because there is no bash here.")
        else:
            behind = ["nice", "-n", "5"] if shutil.which("nice") else []
            checks = subprocess.Popen(
                [*behind, bash, "scripts/check"],
                cwd=str(environment.root),
                env=variables,
                stdout=report,
                stderr=subprocess.STDOUT,
            )
        ends = [run(pages)] if browser else []
        ends.append(run(others))
        if checks is not None:
            ends.append(checks.wait())
            report.seek(0)
            say(report.read().decode("utf-8", "replace"))
    return max(map(abs, ends))  # one that was killed has a negative status


def suite_parts(*, checked_apart: bool) -> tuple[list[str], list[str]]:
    """Arguments of the two calls of pytest that together run the whole suite; each collects its folders only.

    Browser tests run two at a time, each worker with one server of a kind whichever tests it takes from the
    other. The other tests have a worker for each core; none needs threads of its own.

    Args:
        checked_apart: whether scripts/check runs tests/architecture.

    Returns:
        For the tests with a browser, and for those without.
    """
    cores = min(os.cpu_count() or 1, 8)
    others = ["-n", str(cores), "--dist", "worksteal", "--ignore=tests/browser"]
    if checked_apart:
        others.append("--ignore=tests/architecture")
    return ["-n", str(min(cores, 2)), "--dist", "worksteal", "tests/browser"], others


# -------------------------------------------------------------------------------------------- main


def start(environment: Environment, arguments: list[str]) -> int:
    """Become the studio: webui.py in the environment, with this terminal, its signals, its exit status."""
    command = [str(environment.python), str(environment.root / "webui.py"), *arguments]
    if os.name != "nt":
        sys.stdout.flush()
        os.execv(command[0], command)  # noqa: S606
    process = subprocess.Popen(command)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # the console sent Ctrl+C to the studio too; it ends by itself


def main(arguments: list[str]) -> int:
    """Do what the command line says. Returns the exit status."""
    own = {"--help", "-h", "--prepare", "--exit", "--reinstall", "--no-xformers"}
    testing = arguments[:1] == ["test"]
    chosen = set() if testing else own.intersection(arguments)
    passed_on = arguments[1:] if testing else [word for word in arguments if word not in own]
    environment = Environment(ROOT)
    try:
        if chosen & {"--help", "-h"}:
            say(HELP)
            return start(environment, ["--help"]) if environment.installed() else 0
        require_python((sys.version_info[0], sys.version_info[1]))
        if "--reinstall" in chosen:
            environment.remove()
        prepare(environment, development=testing, allow_xformers="--no-xformers" not in chosen)
        if testing:
            return run_tests(environment, passed_on)
        return 0 if chosen & {"--prepare", "--exit"} else start(environment, passed_on)
    except LaunchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; run the same command again to go on", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
