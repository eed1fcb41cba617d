"""The command ``verify-golden``: run reference cases through our own API and print how they compare."""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

from tests.golden.cases import Case, load_cases
from tests.golden.compare import Verdict
from tests.golden.studio import golden_studio, run_case
from tests.golden.waiting import waits_for
from tests.golden.weights import GOLDEN, write_embeddings_and_models

__all__ = ["verify_golden"]

CACHE = GOLDEN.parent / ".weights" / "golden"


def verify_golden(argv: Sequence[str]) -> int:
    """Compare and print a table; returns the exit status, 0 when every compared case passes."""
    arguments = _parser().parse_args(argv)
    cases = [case for case in load_cases(arguments.folder) if _chosen(case, arguments.match)]
    compared = [case for case in cases if arguments.waiting or waits_for(case.feature) is None]
    if not compared:
        sys.stdout.write("no case is to be compared\n")
        return 1
    write_embeddings_and_models(CACHE)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as data, golden_studio(CACHE, Path(data)) as client:
        verdicts = [_told(run_case(client, case)) for case in compared]
    sys.stdout.write(report(verdicts, [case for case in cases if case not in compared]))
    sys.stdout.write(f"{time.monotonic() - started:.0f} s\n")
    return 0 if all(verdict.passed for verdict in verdicts) else 1


def report(verdicts: Iterable[Verdict], waiting: Iterable[Case]) -> str:
    """The table by feature, then what failed and why, then what waits."""
    ordered = sorted(verdicts, key=lambda verdict: verdict.case.feature)
    lines = [f"{'feature':<38}{'pass':>9}{'largest':>9}{'changed':>11}"]
    for feature, group in groupby(ordered, key=lambda verdict: verdict.case.feature):
        rows = list(group)
        passed = sum(row.passed for row in rows)
        largest, share = max(row.largest for row in rows), max(row.share for row in rows)
        mark = "" if passed == len(rows) else "  FAIL"
        lines.append(f"{feature:<38}{f'{passed}/{len(rows)}':>9}{largest:>9}{share:>10.4%} {mark}".rstrip())
    lines += [f"\n{_reasons(row)}" for row in ordered if not row.passed]
    lines += [f"\nwaiting: {case.id}: {waits_for(case.feature)}" for case in waiting]
    passed = sum(row.passed for row in ordered)
    lines.append(f"\n{passed} of {len(ordered)} compared cases pass\n")
    return "\n".join(lines)


def _reasons(verdict: Verdict) -> str:
    return f"{verdict.case.id}: {'; '.join(verdict.reasons)}"


def _told(verdict: Verdict) -> Verdict:
    """The verdict, after a failure was said at once: a whole run takes minutes."""
    if not verdict.passed:
        sys.stdout.write(f"{_reasons(verdict)}\n")
        sys.stdout.flush()
    return verdict


def _chosen(case: Case, pattern: str) -> bool:
    return pattern.lower() in f"{case.id} {case.feature}".lower()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="webui.py verify-golden",
        description="Compare with pictures made by A1111 1.10.1; docs/golden.md explains.",
    )
    parser.add_argument("--folder", type=Path, default=GOLDEN, help="another set of the same layout")
    parser.add_argument("--match", default="", help="only cases whose feature or name contains this")
    parser.add_argument("--waiting", action="store_true", help="also run the cases that wait for a feature")
    return parser
