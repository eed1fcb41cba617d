"""The 25 acceptance checks of a studio that several artists share, and the table of what they measured.

python -m tests.acceptance            # as in the test suite, in about a minute
python -m tests.acceptance --full     # at full length; writes docs/reliability.md
"""

import argparse
import fcntl
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reliability.md"
TITLES = {
    1: "Every route closed to strangers",
    2: "Hostile pickles",
    3: "The right picture to the right artist",
    4: "Requests from other sites (CSRF)",
    5: "DNS rebinding and CORS",
    6: "Path traversal",
    7: "kill -9 while saving",
    8: "The queue survives kills",
    9: "Nobody reads what is another's",
    10: "Out of memory",
    11: "Parser bombs",
    12: "Damaged model files",
    13: "Hostile pictures",
    14: "Disk full",
    15: "Stored scripts (XSS)",
    16: "Nobody anonymous from the network",
    17: "Settings are the administrator's",
    18: "Fuzzed requests",
    19: "Restart after a crash",
    20: "Misbehaving extensions",
    21: "Slow and dead clients",
    22: "Guessing passwords, sessions",
    23: "A thousand pictures in one job",
    24: "No outbound traffic",
    25: "Versions and forbidden calls",
}
_HEAD = """# Reliability and security, measured

This table is generated: `python -m tests.acceptance --full` runs the 25 checks at full length against real
servers, queues and files, and writes what it found. A shorter run of the same checks is part of the tests.
Where pixels do not matter, a stand-in without a model draws pictures that hold the job's id.

Run on {day}: {machine}; {minutes:.0f} minutes. {verdict}

| # | check | result | length | measured | seconds |
|--:|---|---|---|---|--:|
"""


def main() -> int:
    """Run the checks; returns pytest's exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="full length, and write docs/reliability.md")
    parser.add_argument("-k", default="", help="only checks whose names fit, as pytest's -k")
    parser.add_argument("--rows", type=Path, help="file that gathers the rows of several runs with -k")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.json"
        os.environ["STUDIO_ACCEPTANCE_OUTPUT"] = str(rows)
        if arguments.full:
            os.environ["STUDIO_ACCEPTANCE_FULL"] = "1"
        begun = time.monotonic()
        options = ["-q", "--timeout=3000", str(Path(__file__).parent)]
        status = pytest.main([*options, *(["-k", arguments.k] if arguments.k else [])])
        found = json.loads(rows.read_text(encoding="utf-8"))
    for row in found:
        row["minutes"] = (time.monotonic() - begun) / 60 / max(1, len(found))
    if arguments.rows is not None:
        found = _gathered(arguments.rows, found)
    if arguments.rows is not None or (arguments.full and not arguments.k):
        PAGE.write_text(_page(found), encoding="utf-8")
    return int(status)


def _gathered(path: Path, found: list[dict[str, object]]) -> list[dict[str, object]]:
    """The rows of earlier runs that were not run again, and those of this one."""
    with path.open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        earlier = json.loads(file.read() or "[]")
        at_length = {row["test"] for row in earlier if row["full"] and row["outcome"] == "passed"}
        found = [row for row in found if row["full"] or row["test"] not in at_length]
        again = {row["test"] for row in found}
        rows = [row for row in earlier if row["test"] not in again] + found
        file.truncate(0)
        file.write(json.dumps(rows, indent=1))
    return rows


def _page(rows: list[dict[str, object]]) -> str:
    minutes = sum(float(str(row["minutes"])) for row in rows)
    red = sum(row["outcome"] != "passed" for row in rows)
    absent = [number for number in TITLES if number not in {row["number"] for row in rows}]
    short = sum(not row["full"] for row in rows)
    head = _HEAD.format(
        day=time.strftime("%Y-%m-%d"),
        machine=f"{platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}, no GPU",
        minutes=minutes,
        verdict=f"{red or 'No'} row{'' if red == 1 else 's'} red; {short} at short length; "
        f"{len(absent)} checks not run.",
    )
    rows = rows + [_absent(number) for number in absent]
    lines = [_line(row) for row in sorted(rows, key=lambda row: (int(str(row["number"])), str(row["test"])))]
    return head + "\n".join(lines) + "\n"


def _absent(number: int) -> dict[str, object]:
    """The row of a check that was not run."""
    words = {"number": number, "test": "", "outcome": "skipped", "measured": "", "seconds": "", "full": False}
    return dict(words)


def _line(row: dict[str, object]) -> str:
    result = {"passed": "holds", "skipped": "not run"}.get(str(row["outcome"]), "**RED**")
    title = TITLES[int(str(row["number"]))]
    length = "" if row["outcome"] == "skipped" else "full" if row["full"] else "short"
    return f"| {row['number']} | {title} | {result} | {length} | {row['measured']} | {row['seconds']} |"


if __name__ == "__main__":
    sys.exit(main())
