"""The results as Markdown: what must be reached, who is how fast, what the program itself costs."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contestant import REFERENCE, Entry
from benchmarks.kinds import Kind
from benchmarks.results import Machine, Result

__all__ = ["Report", "add_page_options", "publish", "put_into_page"]

_PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
BEST, FULL, OURS = "diffusers-best", "ours-full", "ours"
_API_LIMIT = 15e-3
_EVEN = 0.99  # what two runs of the same work differ by
_GPU_PICTURES = {"SD1.5": 0.40, "SDXL": 1.5}  # seconds, from words to pixels
_EXACT = 1e-5  # relative L2 within which two float32 networks are the same


@dataclass(frozen=True)
class Report:
    """Tables of one run."""

    machine: Machine
    kind: Kind
    entries: Mapping[str, Entry]
    results: Sequence[Result]

    def markdown(self) -> str:
        """Everything between the page's marks."""
        parts = (self._machine(), self._targets(), self._times(), self._costs())
        return "\n\n".join(part for part in parts if part)

    def _find(self, part: str, contestant: str) -> Result | None:
        found = (each for each in self.results if (each.part, each.contestant) == (part, contestant))
        return next(found, None)

    def _amount(self, part: str) -> float | None:
        found = self._find(part, "machine")
        return None if found is None else found.amount

    def _machine(self) -> str:
        m = self.machine
        rates = [
            f"{name} {rate / 1e9:.0f} GFLOP/s"
            for name in ("float32", "bfloat16")
            if (rate := self._amount(f"ceiling {name}")) is not None
        ]
        place = f"{m.gpu}, {m.processor}" if m.gpu else m.processor
        highest = f" Highest rates measured in this run: {', '.join(rates)}." if rates else ""
        return (
            f"{m.date}: {place}, {m.cores} cores ({m.matrix_units}), {m.memory_gib} GiB, "
            f"{m.system}, Python {m.python}, torch {m.torch}. "
            f"Load of the machine before the run: {m.load_before}.{highest}"
        )

    def _targets(self) -> str:
        on_gpu = bool(self.machine.gpu)
        speed = self._gpu_targets() if on_gpu else (*self._speed_targets(), *self._cost_targets())
        rows = [row for row in (*speed, *self._users_targets(1.5 if on_gpu else _EVEN)) if row]
        if not rows:
            return ""
        return "\n".join(["| aim | measured | reached |", "|---|---|---|", *rows])

    def _speed_targets(self) -> list[str]:
        unet, decode = f"unet {self.kind.sides[0]}", f"decode {self.kind.sides[0]}"
        step = f"one step with guidance, {self.kind.sides[0]}²"
        rows = [
            self._ratio(f"{step}: 3.0 times diffusers' default", unet, OURS, REFERENCE, 3.0),
            self._ratio(f"{step}: 1.45 times diffusers' fastest", unet, OURS, BEST, 1.45),
            self._ratio(f"{step}, float32: 1.7 times diffusers' default", unet, FULL, REFERENCE, 1.7),
            self._ratio("VAE decode: 3.7 times diffusers' default", decode, OURS, REFERENCE, 3.7),
        ]
        exact = self._find(unet, FULL)
        if exact is not None and exact.distance is not None:
            reached = "yes" if exact.distance <= _EXACT else "no"
            rows.append(
                f"| float32: relative L2 of at most {_EXACT:.0e} | {exact.distance:.1e} | {reached} |"
            )
        return rows

    def _gpu_targets(self) -> list[str]:
        side, steps = self.kind.sides[0], self.kind.steps
        unet, picture = f"unet {side}", f"picture {side}, {steps} steps"
        rows = [
            self._ratio(f"{part}: 1.3 times compiled diffusers", part, OURS, BEST, 1.3)
            for part in (unet, picture)
        ]
        limit = _GPU_PICTURES.get(self.kind.label)
        if limit is not None:
            aim = f"{side}² in {steps} steps, from words to pixels, on one H200: below {limit:.2f} s"
            rows.append(self._below(aim, picture, limit))
        return [
            *rows,
            self._below("text encoding of unchanged prompts: nothing (below 1 ms)", "text, again", 1e-3),
            self._below("engine: below 0.3 ms a step", "overhead: step", 0.3e-3),
        ]

    def _ratio(self, aim: str, part: str, mine: str, other: str, wanted: float) -> str:
        ours, theirs = self._find(part, mine), self._find(part, other)
        if ours is None or theirs is None or not ours.median:
            return ""
        ratio = theirs.median / ours.median
        return f"| {aim} | {ratio:.2f} | {'yes' if ratio >= wanted else 'no'} |"

    def _cost_targets(self) -> list[str]:
        rows = [
            self._below("text encoding of unchanged prompts: nothing (below 1 ms)", "text, again", 1e-3),
            self._api_target(),
            self._below("page ready: below 5 s", "page start", 5.0),
        ]
        step, overhead = self._find("unet 512", OURS), self._find("overhead: step", OURS)
        if step is not None and overhead is not None:
            share = overhead.median / step.median
            rows.append(
                f"| engine: below 2 % of a 512² step | {share:.2%} | {'yes' if share < 0.02 else 'no'} |"
            )
        return rows

    def _api_target(self) -> str:
        whole, inside = self._find("overhead: request", OURS), self._find("overhead: generation", OURS)
        if whole is None or inside is None:
            return ""
        around = whole.median - inside.median
        reached = "yes" if around < _API_LIMIT else "no"
        return f"| API around the generation of a 512² PNG: below 15 ms | {_time(around)} | {reached} |"

    def _users_targets(self, wanted: float) -> list[str]:
        rows = []
        how_fast = "as fast as" if wanted == _EVEN else f"{wanted:g} times as fast as"
        for side in self.kind.sides:
            aim = f"four users' {side}² pictures: together {how_fast} one after another"
            together, in_turn = (self._find(f"users {side}, {how}", OURS) for how in ("together", "in turn"))
            if together is not None and in_turn is not None and together.median:
                ratio = in_turn.median / together.median
                rows.append(f"| {aim} | {ratio:.3f} | {'yes' if ratio >= wanted else 'no'} |")
        return rows

    def _below(self, aim: str, part: str, limit: float) -> str:
        found = self._find(part, OURS)
        if found is None:
            return ""
        return f"| {aim} | {_time(found.median)} | {'yes' if found.median < limit else 'no'} |"

    def _times(self) -> str:
        names = [name for name in self.entries if any(each.contestant == name for each in self.results)]
        parts = list(dict.fromkeys(each.part for each in self.results if each.contestant in self.entries))
        parts = [part for part in parts if not part.startswith(("overhead", "page", "users"))]
        if not parts:
            return ""
        lines = [
            "| median of the rounds | " + " | ".join(self.entries[name].label for name in names) + " |",
            "|---|" + "---|" * len(names),
        ]
        for part in parts:
            cells = [self._cell(part, name) for name in names]
            lines.append(f"| {part} | " + " | ".join(cells) + " |")
        return "\n".join(lines)

    def _cell(self, part: str, name: str) -> str:
        found, reference = self._find(part, name), self._find(part, REFERENCE)
        if found is None:
            return ""
        if found.amount is not None:
            return f"{found.amount / 2**30:.1f} GiB at most"
        words = [_time(found.median)]
        if reference is not None and name != REFERENCE and found.median:
            words.append(f"{reference.median / found.median:.2f}×")
        if (share := self._share(found)) is not None:
            words.append(f"{share:.0%} of the highest rate")
        if found.distance:
            words.append(f"L2 {found.distance:.1e}")
        return ", ".join(words)

    def _share(self, found: Result) -> float | None:
        """How near a network comes to the machine's highest rate in its number format."""
        work = self._amount(f"work {found.part}")
        # only float32 agrees with the reference to so many digits
        dtype = "float32" if (found.distance or 0.0) < 1e-4 else "bfloat16"
        rate = self._amount(f"ceiling {dtype}")
        return None if work is None or rate is None or not found.median else work / found.median / rate

    def _costs(self) -> str:
        names = {
            "overhead: step": "one 512² step without the U-Net (engine, sampler, guidance, queue, progress)",
            "overhead: request": "one 512² picture of one step through `/sdapi/v1/txt2img` without its "
            "networks, as clients ask by default: queue, plan, PNG, file on disk, database, base64",
            "overhead: generation": "of this the generation itself: texts, noise, schedule, sampler, pixels",
            "overhead: request, saved": "the first, saved in the outputs folder and the history",
            "overhead: request, noise": "the first, of a picture of noise, which packs worst",
            "overhead: preview": "drawing and packing one preview of a 512² picture",
            "page start": "from the start of the program to the last byte of the page",
        }
        found = [(text, self._find(part, OURS)) for part, text in names.items()]
        rows = [f"| {text} | {_time(each.median)} |" for text, each in found if each is not None]
        return "\n".join(["| what the program itself costs | median |", "|---|---|", *rows]) if rows else ""


def add_page_options(parser: argparse.ArgumentParser) -> None:
    """Let a command's user say whether its tables go into the page on performance."""
    parser.add_argument("--page", type=Path, default=_PAGE, help="page of --write")
    parser.add_argument("--write", action="store_true", help="put the tables into the page on performance")


def publish(markdown: str, name: str, arguments: argparse.Namespace) -> None:
    """Print tables, and put them into the page if that was asked for; see :func:`add_page_options`."""
    sys.stdout.write(markdown + "\n")
    if arguments.write:
        put_into_page(arguments.page, markdown, name)


def put_into_page(page: Path, markdown: str, name: str = "measured") -> None:
    """Replace what lies between two of the page's marks, ``<!-- name: begin -->`` and ``<!-- name: end -->``.

    Raises:
        ValueError: the page has no marks.
    """
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(f"<!-- {name}: begin -->")
    _, end, after = rest.partition(f"<!-- {name}: end -->")
    if not begin or not end:
        raise ValueError(f"{page.name} lacks the marks of {name!r}")
    page.write_text(f"{before}{begin}\n{markdown}\n{end}{after}", encoding="utf-8")


def _time(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1e3:.1f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f} µs"
