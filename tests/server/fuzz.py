"""Random requests, right and wrong, made from the server's own OpenAPI document.

    python -m tests.server.fuzz --requests 10000

A server without a model answers them. No answer may be a 5xx, take longer than five seconds (twice, so that
a busy machine is no fault), or be a 422 that names no field; the exit status says whether all held. Ten
thousand requests take about eight minutes beside other work on two cores, two thirds of it waiting.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import SearchStrategy
from schemathesis import Case, GenerationMode
from schemathesis.core.result import Ok

from modules.server.lifecycle import Lifecycle
from tests.server.studio import open_studio
from tests.server.test_run import serving

__all__ = ["FuzzReport", "fuzz", "fuzz_studio", "main"]

PATIENCE = 5.0  # seconds
BOT = ("bot", "a password of the bot")
_FEWER = {"steps": 3, "n_iter": 1, "batch_size": 2, "width": 64, "height": 64}  # larger ones only take time


@dataclass
class FuzzReport:
    """What was seen.

    Attributes:
        statuses: how often each route answered with each status.
        slowest: seconds of the slowest answer, and its route.
        problems: one line for each answer that must not be.
    """

    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    slowest: tuple[float, str] = (0.0, "")
    problems: list[str] = field(default_factory=list)

    @property
    def sent(self) -> int:
        return sum(self.statuses.values())

    def by_status(self) -> Mapping[int, int]:
        found: Counter[int] = Counter()
        for (_, status), count in self.statuses.items():
            found[status] += count
        return dict(sorted(found.items()))

    def note(self, route: str, answer: requests.Response, seconds: float, sent: str) -> None:
        """Remember an answer, and what is wrong with it."""
        self.statuses[route, answer.status_code] += 1
        self.slowest = max(self.slowest, (seconds, route))
        problem = _problem(answer, seconds)
        if problem:
            self.problems.append(f"{route}: {problem}: {sent[:300]} -> {answer.text[:300]}")


def _problem(answer: requests.Response, seconds: float) -> str:
    if answer.status_code >= 500:
        return f"status {answer.status_code}"
    if seconds > PATIENCE:
        return f"took {seconds:.1f} s"
    if answer.status_code == 422:
        body = answer.json()
        places = [problem["loc"] for problem in body["detail"]] if isinstance(body["detail"], list) else []
        if not body.get("field") and not all(places or [""]):
            return "names no field"
    return ""


def fuzz(url: str, document: Mapping[str, Any], count: int, *, seed: int = 0) -> FuzzReport:
    """Send about ``count`` requests to a server, spread evenly over its routes."""
    report = FuzzReport()
    schema = schemathesis.openapi.from_dict(dict(document))
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    modes = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    turns = [(one, modes[(n + turn) % 2]) for turn in range(2) for n, one in enumerate(operations)]
    with requests.Session() as session:
        session.auth = BOT
        while report.sent < count:
            share = -(-(count - report.sent) // len(turns))
            for operation, mode in turns:  # a short run sends each route something right or something wrong
                if report.sent >= count:
                    break
                with suppress(Unsatisfiable):  # a request in which nothing could be wrong
                    cases = operation.as_strategy(generation_mode=mode)
                    _send_cases(cases, session, url, report, share, seed)
            seed += 1
    return report


def _send_cases(
    cases: SearchStrategy[Case],
    session: requests.Session,
    url: str,
    report: FuzzReport,
    count: int,
    seed: int,
) -> None:
    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(cases)
    def send(case: Case) -> None:
        _make_small(case.body)
        arguments = case.as_transport_kwargs(base_url=url)
        arguments.pop("auth", None)
        route = f"{case.method} {case.operation.path}"
        answer, seconds = _asked(session, arguments)
        if seconds > PATIENCE:  # a busy machine is slow once, a hang always
            again, seconds = _asked(session, arguments)
            answer = max(answer, again, key=lambda each: each.status_code)
        report.note(route, answer, seconds, _shown(arguments))

    send()


def _asked(session: requests.Session, arguments: Mapping[str, Any]) -> tuple[requests.Response, float]:
    started = time.perf_counter()
    answer = session.request(**arguments, timeout=60)
    return answer, time.perf_counter() - started


def _shown(arguments: Mapping[str, Any]) -> str:
    return json.dumps({key: arguments.get(key) for key in ("url", "params", "json")}, default=repr)


def _make_small(body: object) -> None:
    """Keep allowed but long work short."""
    if isinstance(body, dict):
        for name, most in _FEWER.items():
            value = body.get(name)
            if isinstance(value, int | float) and not isinstance(value, bool) and most < value <= 10_000:
                body[name] = most


def fuzz_studio(root: Path, count: int, *, seed: int = 0) -> FuzzReport:
    """Open a server without a model in a folder and send it requests."""
    with open_studio(root, basic=dict([BOT])) as studio:
        document = studio.app.openapi()
        with serving(studio, Lifecycle()) as url:
            return fuzz(url, document, count, seed=seed)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        report = fuzz_studio(Path(folder), arguments.requests, seed=arguments.seed)
    routes, seconds = len({route for route, _ in report.statuses}), time.perf_counter() - started
    lines = [
        f"{report.sent} requests to {routes} routes in {seconds:.0f} s: {report.by_status()}",
        f"slowest: {report.slowest[0]:.2f} s, {report.slowest[1]}",
        *report.problems[:50],
        f"{len(report.problems)} problems",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main())
