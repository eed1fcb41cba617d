"""Programs that are killed in the middle of their work, again and again, and what was left of it.

    python -m tests.acceptance.killed save FOLDER ROUNDS
    python -m tests.acceptance.killed queue FOLDER JOBS KILLS

Each round forks a child of this small process, so that a round costs milliseconds, and kills it with -9.
One JSON object on standard output says what was found.
"""

import io
import json
import os
import random
import select
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path

from PIL import Image

from modules.domain.request import GenerationRequest
from modules.imaging.filenames import NameFacts
from modules.imaging.files import remove_leftovers
from modules.imaging.writer import ImageWriter
from modules.jobs.board import JobBoard
from modules.jobs.queue import JobQueue
from modules.jobs.service import JobService
from modules.settings.options import Settings
from modules.settings.store import SettingsStore
from tests.stub_runner import StubRunner, read_stub_picture

STEPS = 3


def forked(work: Callable[[int], None]) -> tuple[int, int]:
    """Run ``work`` in a child, which writes lines to the pipe it is given; returns its id and our end."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ours)
        try:
            work(theirs)
        finally:
            os._exit(0)
    os.close(theirs)
    return child, ours


def kill(child: int, pipe: int) -> list[str]:
    """Kill the child and return the lines it had written."""
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with os.fdopen(pipe, "rb") as said:
        return [line.decode() for line in said.read().split(b"\n")[:-1]]


# --- saving ----------------------------------------------------------------------------------------


def save_for_ever(folder: Path, pipe: int) -> None:
    """Save pictures and settings until killed, and tell of each what was promised to be on disk."""
    writer, settings = ImageWriter(folder / "outputs"), SettingsStore(folder / "config.json")
    seed = 0
    while True:
        seed += 1
        picture = Image.new("RGB", (96, 64), (seed % 256, os.getpid() % 256, 7))
        facts = NameFacts(now=datetime.now().astimezone(), seed=seed)
        saved = writer.save(picture, facts, Settings(), kind="txt2img", infotext=f"Seed: {seed}")
        os.write(pipe, f"picture {saved.path}\n".encode())
        settings.update({"jpeg_quality": 50 + seed % 50, "img2img_color_correction": True})
        os.write(pipe, b"settings\n")


def save_under_kills(folder: Path, rounds: int) -> dict[str, object]:
    """Kill a saving child ``rounds`` times, then look at the disk."""
    chance = random.Random(7)
    promised: set[str] = set()
    settings_lost = 0
    settings_promised = False
    for _ in range(rounds):
        child, pipe = forked(partial(save_for_ever, folder))
        time.sleep(chance.uniform(0.01, 0.25))
        lines = kill(child, pipe)
        promised |= {line.removeprefix("picture ") for line in lines if line.startswith("picture ")}
        settings_promised |= "settings" in lines
        if settings_promised and not SettingsStore(folder / "config.json").current.img2img_color_correction:
            settings_lost += 1
    leftovers = remove_leftovers(folder, older_than=0)  # as a start of the server does
    on_disk = {str(path) for path in (folder / "outputs").rglob("*.png")}
    return {
        "rounds": rounds,
        "promised": len(promised),
        "lost": len(promised - on_disk),
        "unreadable": sum(not _readable(Path(path)) for path in on_disk),
        "on_disk": len(on_disk),
        "settings_lost": settings_lost,
        "leftovers_removed": leftovers,
        "leftovers": sum(1 for path in folder.rglob("*.tmp")),
    }


def _readable(path: Path) -> bool:
    try:
        content = path.read_bytes()
        with Image.open(io.BytesIO(content)) as image:
            image.verify()
        with Image.open(io.BytesIO(content)) as image:
            image.load()
            return image.text["parameters"].startswith("Seed: ")  # type: ignore[attr-defined]
    except (OSError, SyntaxError, KeyError):
        return False


# --- the queue -------------------------------------------------------------------------------------


def open_jobs(folder: Path) -> JobService:
    """The queue as a start of the server opens it."""
    return JobService(JobQueue(folder / "queue.sqlite"), JobBoard())


def work_for_ever(folder: Path, job_ids: list[str], pipe: int) -> None:
    """Work off the queue until killed or done, and tell which jobs have ended."""
    jobs = open_jobs(folder)
    runner = StubRunner(jobs, folder / "outputs", step_seconds=0.003)
    runner.start()
    for job_id in job_ids:
        if jobs.wait(job_id).state.is_final:
            os.write(pipe, f"{job_id}\n".encode())


def queue_under_kills(folder: Path, count: int, kills: int) -> dict[str, object]:
    """Let ``count`` jobs be worked off through ``kills`` kills, each after some job has got done."""
    chance = random.Random(11)
    jobs = open_jobs(folder)
    ids = [
        jobs.submit(GenerationRequest(prompt=f"job {n}", seed=n, steps=STEPS, width=64, height=64), "ann")
        for n in range(count)
    ]
    jobs.close()
    left, killed, starts = list(ids), 0, 0
    while left:
        starts += 1
        child, pipe = forked(partial(work_for_ever, folder, list(left)))
        if killed < kills:
            select.select([pipe], [], [], 60)
            time.sleep(chance.uniform(0, 0.05))
            lines = kill(child, pipe)
            killed += 1
        else:
            os.waitpid(child, 0)
            with os.fdopen(pipe, "rb") as said:
                lines = said.read().decode().splitlines()
        left = [job_id for job_id in left if job_id not in lines]
    return {"kills": killed, "starts": starts, **_results(folder, ids)}


def _results(folder: Path, ids: list[str]) -> dict[str, object]:
    jobs = open_jobs(folder)
    views = [jobs.view(job_id) for job_id in ids]
    made = Counter(image.id for view in views for image in view.images)
    right = sum(
        len(view.images) == 1 and read_stub_picture(Path(view.images[0].path).read_bytes())[0] == view.id
        for view in views
    )
    ends = [view.finished or 0.0 for view in views]
    jobs.close()
    return {
        "jobs": len(ids),
        "done": sum(view.state.value == "done" for view in views),
        "exactly_once": right,
        "repeated": sum(count > 1 for count in made.values()),
        "in_order": ends == sorted(ends),
    }


def main() -> None:
    """Run one of the programs."""
    kind, folder, *numbers = sys.argv[1:]
    Path(folder).mkdir(parents=True, exist_ok=True)
    if kind == "save":
        found = save_under_kills(Path(folder), int(numbers[0]))
    else:
        found = queue_under_kills(Path(folder), int(numbers[0]), int(numbers[1]))
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
