"""Measure, and write what came out as JSON and into the page on performance."""

import argparse
import json
import logging
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.contestant import CONTESTANTS, GPU_CONTESTANTS, Entry
from benchmarks.kinds import KINDS, write_checkpoint
from benchmarks.parts import GPU_PARTS, PARTS, Bench
from benchmarks.report import Report, add_page_options, publish
from benchmarks.results import as_json, this_machine
from modules.exceptions import RequestError
from modules.runtime.device import choose_runtime

__all__ = ["main"]

log = logging.getLogger(__name__)

_CACHE = Path(tempfile.gettempdir()) / "studio-benchmarks"


def main(argv: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    on_gpu = arguments.device == "cuda"
    parts = GPU_PARTS if on_gpu else PARTS
    wanted = arguments.only.split(",") if arguments.only else list(parts)
    unknown = set(wanted) - set(parts)
    if unknown:
        log.error("there is no part %s; there are %s", ", ".join(sorted(unknown)), ", ".join(parts))
        return 2
    try:
        choose_runtime(arguments.device, "full")
    except RequestError as error:
        log.error("%s", error)
        return 2
    known = GPU_CONTESTANTS if on_gpu else CONTESTANTS
    entries = _entries(known, arguments.contestants, arguments.adapter)
    machine = this_machine(arguments.device)
    checkpoint, tiny = (arguments.cache / f"{name}.safetensors" for name in (arguments.kind, "tiny"))
    for name, path in ((arguments.kind, checkpoint), ("tiny", tiny)):
        write_checkpoint(KINDS[name], path)
    with ExitStack() as stack:
        bench = Bench(
            entries,
            arguments.kind,
            arguments.rounds,
            checkpoint,
            tiny,
            stack,
            lambda text: log.info("%s", text),
            arguments.device,
        )
        for name in (part for part in parts if part in wanted):
            parts[name](bench)
    markdown = Report(machine, KINDS[arguments.kind], entries, bench.results).markdown()
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    document = as_json(machine, arguments.kind, bench.results)
    arguments.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    publish(markdown, f"gpu-{arguments.kind}" if on_gpu else "measured", arguments)
    return 0


def _entries(known: Mapping[str, Entry], names: str, adapter: str) -> Mapping[str, Entry]:
    """The contestants that were asked for, and the one of the adapter."""
    entries = {name: known[name] for name in names.split(",") if name} if names else dict(known)
    if adapter:
        label, _, factory = adapter.partition("=")
        entries[label] = Entry(label, factory)
    return entries


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Compare speed and memory with diffusers, in one run."
    )
    parser.add_argument("--only", default="", help=f"parts, by commas: {', '.join(PARTS)}")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="what is measured")
    parser.add_argument(
        "--contestants",
        default="",
        help=f"by commas: {', '.join(CONTESTANTS)}; on a GPU: {', '.join(GPU_CONTESTANTS)}",
    )
    parser.add_argument(
        "--adapter",
        default="",
        metavar="NAME=MODULE:CLASS",
        help="one more contestant; see benchmarks.contestant",
    )
    parser.add_argument("--kind", choices=KINDS, default="sd15", help="shapes of the compared model")
    parser.add_argument("--rounds", type=int, default=3, help="calls of each contestant beside the first")
    parser.add_argument("--cache", type=Path, default=_CACHE, help="folder for the random checkpoints")
    parser.add_argument("--json", type=Path, default=_CACHE / "results.json", help="where the figures go")
    add_page_options(parser)
    return parser
