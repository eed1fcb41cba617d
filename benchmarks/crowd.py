"""Several users who want a picture each: all at once, and one after another."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.kinds import Kind
from modules.app import create_services
from modules.domain.job import JobState
from modules.domain.principal import Principal
from modules.domain.request import GenerationRequest
from modules.services import Services
from modules.settings.launch import Folders, LaunchOptions
from modules.submission import submit_request

__all__ = ["USERS", "Crowd", "open_services"]

USERS = tuple(Principal(name, "artist") for name in ("ann", "bob", "cleo", "dan"))


def open_services(folder: Path, checkpoint: Path, device: str = "cpu") -> Services:
    """The whole program but its server, in a folder of its own, with one checkpoint, at work."""
    folders = replace(Folders.below(folder), extra_checkpoints=(checkpoint.parent,))
    options = LaunchOptions(
        folders=folders, api=True, device=device, checkpoint=checkpoint.name, hashing=False
    )
    services = create_services(options)
    services.runner.start()
    return services


class Crowd:
    """Queue, engine and networks as in real life, for four users."""

    def __init__(self, device: str = "cpu") -> None:
        self._device = device
        self._folder = tempfile.TemporaryDirectory(prefix="studio-")
        self._seed = 0

    def load(self, checkpoint: Path, kind: Kind) -> None:
        """Start the program and let it make a small picture."""
        self._services = open_services(Path(self._folder.name), checkpoint, self._device)
        self._wait([self._submit(USERS[0], kind.sides[-1], 1)])

    def together(self, side: int, steps: int) -> None:
        """Everybody asks at once; over when all have their pictures."""
        self._wait([self._submit(user, side, steps) for user in USERS])

    def in_turn(self, side: int, steps: int) -> None:
        """Everybody asks when the one before has his picture."""
        for user in USERS:
            self._wait([self._submit(user, side, steps)])

    def _submit(self, user: Principal, side: int, steps: int) -> str:
        self._seed += 1  # steps that are known would not be made again
        request = GenerationRequest(
            prompt="a lighthouse",
            steps=steps,
            width=side,
            height=side,
            seed=self._seed,
            sampler_name="Euler",
            save_images=False,
        )
        return submit_request(self._services, request, user)

    def _wait(self, jobs: Sequence[str]) -> None:
        for job in jobs:
            view = self._services.jobs.wait(job)
            if view.state is not JobState.DONE:
                raise RuntimeError(f"a picture could not be made: {view.error}")
