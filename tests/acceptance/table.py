"""The table of what the acceptance checks measured at full length: kept row by row, published as a page.

Each row tells the day and the commit it was measured at, so that checks can be run again one at a time.
"""

import fcntl
import json
import os
import platform
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = [
    "all_tests",
    "number_of",
    "MEASURED",
    "PAGE",
    "TITLES",
    "Row",
    "add_row",
    "page_of",
    "read_rows",
    "this_machine",
]

MEASURED = Path(__file__).with_name("measured.json")
PAGE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
OUTBOUND = 24  # its number is the sum over all checks, each of which is a process of its own
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
servers, queues and files, one after the other, and writes what it found after each. A shorter run of the
same checks is part of the tests. Where pixels do not matter, a stand-in without a model draws pictures that
hold the job's id.

{verdict} Measured on {machine}.

| # | check | result | measured | seconds | on | at commit |
|--:|---|---|---|--:|---|---|
"""


@dataclass(frozen=True)
class Row:
    """What one check found.

    Attributes:
        number: of the specification; two tests may share one.
        test: name of the test.
        outcome: pytest's word.
        measured: what was found, in a few words with numbers.
        seconds: how long it took.
        foreign: how often its process asked for a foreign address.
        day: when, as 2026-11-21.
        commit: of what; a plus for changes that were not committed.
        machine: where.
    """

    number: int
    test: str
    outcome: str
    measured: str
    seconds: float
    foreign: int
    day: str
    commit: str
    machine: str

    @property
    def holds(self) -> bool:
        """Whether the promise is kept."""
        return self.outcome == "passed" and not self.foreign


def number_of(test: str) -> int:
    """Number of the specification's check that a test belongs to."""
    return int(test.split("_")[1])


def this_machine() -> str:
    """What the numbers depend on."""
    return f"{platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}, no GPU"


def read_rows(path: Path = MEASURED) -> tuple[Row, ...]:
    """All rows measured so far, by number."""
    if not path.exists():
        return ()
    return tuple(Row(**row) for row in json.loads(path.read_text(encoding="utf-8")))


def add_row(row: Row, path: Path = MEASURED) -> tuple[Row, ...]:
    """Put a row in the place of the same test's earlier one; returns all rows. Safe between processes."""
    with path.open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        others = [Row(**each) for each in json.loads(file.read() or "[]") if each["test"] != row.test]
        rows = tuple(sorted([*others, row], key=lambda each: (each.number, each.test)))
        file.truncate(0)
        file.write(json.dumps([asdict(each) for each in rows], indent=1, ensure_ascii=False) + "\n")
    return rows


def all_tests() -> Mapping[str, Path]:
    """Every check's name and file, by number."""
    found = {
        name: file
        for file in MEASURED.parent.glob("test_*.py")
        for name in re.findall(r"^def (test_\d\d_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    }
    return dict(sorted(found.items()))


def page_of(rows: Iterable[Row], tests: Collection[str]) -> str:
    """The page: a row for each of the tests, and for those that were not run."""
    rows = tuple(row for row in rows if row.test in tests)
    red, absent = sum(not row.holds for row in rows), set(tests) - {row.test for row in rows}
    checks = f"{len(absent)} check{'' if len(absent) == 1 else 's'} not run"
    head = _HEAD.format(
        verdict=f"{red or 'No'} row{'' if red == 1 else 's'} red; {checks}.",
        machine="; ".join(sorted({row.machine for row in rows})) or this_machine(),
    )
    foreign = sum(row.foreign for row in rows)
    lines = {(row.number, row.test): _line(row, foreign) for row in rows}
    for test in absent:
        number = number_of(test)
        lines[number, test] = f"| {number} | {TITLES[number]} | not run | | | | |"
    return head + "\n".join(line for _, line in sorted(lines.items())) + "\n"


def _line(row: Row, foreign: int) -> str:
    measured, holds = row.measured, row.holds
    if row.number == OUTBOUND:
        measured, holds = f"{foreign} foreign addresses asked for during all checks", holds and not foreign
    result = "holds" if holds else "**RED**"
    cells = (row.number, TITLES[row.number], result, measured, row.seconds, row.day, row.commit)
    return f"| {' | '.join(map(str, cells))} |"
