"""``webui.py history rebuild``: the index made again from the files, from the terminal."""

import argparse
import sys
from collections.abc import Collection
from pathlib import Path

from modules.exceptions import WebuiError
from modules.history.index import HistoryIndex
from modules.history.rebuild import known_results, rebuild
from modules.jobs.results import stored_results

__all__ = ["run_history"]


def run_history(arguments: argparse.Namespace, data: Path, outputs: Path, users: Collection[str]) -> int:
    """Carry out ``rebuild``; returns the exit status.

    Args:
        arguments: with ``owner``, who gets the pictures of which nobody knows whose they are.
        data: the private folder.
        outputs: folder of all pictures.
        users: names that a folder may give as the owner.
    """
    try:
        index = HistoryIndex(data / "history.sqlite")
    except WebuiError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    try:
        done = rebuild(
            index,
            outputs,
            known=known_results(stored_results(data / "queue.sqlite"), outputs),
            owners=users,
            default_owner=arguments.owner,
            report=_show_progress,
        )
    finally:
        index.close()
    sys.stdout.write(
        f"Pictures added: {done.added}; found in another place: {done.moved}; gone: {done.gone}; "
        f"not readable: {done.unreadable}\n"
    )
    return 0


def _show_progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{done} of {total}" + ("\n" if done == total else ""))
