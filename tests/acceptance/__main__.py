"""The 25 acceptance checks of a studio that several artists share.

python -m tests.acceptance                    # as in the test suite, in about a minute
python -m tests.acceptance --full             # at full length, half an hour; renews docs/reliability.md
python -m tests.acceptance --full --missing   # only what has not passed at full length yet
python -m tests.acceptance --full -k _12_     # only checks whose names hold this

At full length each check is a process of its own, and its row is written when it ends: a run that is broken
off loses one row at most.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.acceptance.table import PAGE, Row, add_row, all_tests, number_of, page_of, read_rows, this_machine

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LONGEST = 3000  # seconds of a check


def main() -> int:
    """Run the checks; 0 if all hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--full", action="store_true", help="full length, one process each; renews the page")
    parser.add_argument("--missing", action="store_true", help="with --full: leave out what has passed")
    parser.add_argument("-k", default="", metavar="TEXT", help="only checks whose names hold this")
    arguments = parser.parse_args()
    if not arguments.full:
        chosen = ["-k", arguments.k] if arguments.k else []
        return int(pytest.main(["-q", f"--timeout={LONGEST}", str(HERE), *chosen]))
    passed = {row.test for row in read_rows() if row.holds} if arguments.missing else set()
    red = 0
    tests = all_tests()
    for test, file in tests.items():
        if arguments.k in test and test not in passed:
            row = _measured(test, file)
            red += not row.holds
            PAGE.write_text(page_of(add_row(row), tests), encoding="utf-8")
            sys.stdout.write(f"{test}: {row.outcome} in {row.seconds:.0f} s: {row.measured}\n")
            sys.stdout.flush()
    return 1 if red else 0


def _measured(test: str, file: Path) -> Row:
    """Run one check at full length in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "rows.json"
        command = [sys.executable, "-m", "pytest", "-q", f"--timeout={LONGEST}", f"{file}::{test}"]
        told = {"STUDIO_ACCEPTANCE_FULL": "1", "STUDIO_ACCEPTANCE_OUTPUT": str(output)}
        done = subprocess.run(
            command, cwd=ROOT, env=os.environ | told, capture_output=True, text=True, check=False
        )
        found = json.loads(output.read_text(encoding="utf-8")) if output.exists() else []
    if done.returncode:
        sys.stderr.write(done.stdout[-6000:] + done.stderr[-2000:])
    row = found[-1] if found else {"outcome": "failed", "measured": "", "seconds": 0.0, "foreign": 0}
    row |= {"number": number_of(test), "test": test, "machine": this_machine()}
    return Row(**row, day=time.strftime("%Y-%m-%d"), commit=_commit())


def _commit() -> str:
    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    changed = git("status", "--porcelain", "--", "modules", "tests/acceptance/*.py")
    return git("rev-parse", "--short", "HEAD") + ("+" if changed else "")


if __name__ == "__main__":
    sys.exit(main())
