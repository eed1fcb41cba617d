"""A runner without a model: real queue, real files, pictures that prove whose they are.

Each picture's first row holds the job's id and its second row the seed, byte by byte in the red channel,
so that a test can tell from pixels alone whether the right picture reached the right person.
"""

import io
import json
import secrets
import threading
from pathlib import Path

from PIL import Image

from modules.domain.job import JobState, ResultImage
from modules.domain.request import GenerationRequest
from modules.exceptions import RequestError
from modules.generation.failures import failed
from modules.imaging.metadata import encode_image
from modules.jobs.queue import Job, Outcome
from modules.jobs.service import JobService

__all__ = ["StubRunner", "read_stub_picture"]

_MAX_SIDE = 512  # larger ones only cost time
_MARK = 16  # bytes of the job's id and of the seed


class StubRunner:
    """Finishes jobs in a thread of its own, one at a time, obeying their owners' wishes.

    Args:
        folder: where pictures are written.
        step_seconds: pause of each sampling step.
    """

    def __init__(self, jobs: JobService, folder: Path, *, step_seconds: float = 0.0) -> None:
        self.step_seconds = step_seconds
        self.steps_taken: list[str] = []  # id of the job at each step, in order
        self._jobs = jobs
        self._folder = folder
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="stub runner", daemon=True)

    def start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._jobs.recover()
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._jobs.blame_nobody()
        if self._thread.is_alive():
            self._thread.join(10)

    def _work(self) -> None:
        while not self._stopping.is_set():
            job = self._jobs.claim(timeout=0.05)
            if job is not None:
                self._run(job)

    def _run(self, job: Job) -> None:
        request = GenerationRequest.model_validate_json(job.payload)
        self._jobs.hold((job.id,))
        if "fail" in request.prompt:
            self._jobs.finish(job.id, Outcome(JobState.FAILED, error="the prompt asked for failure"))
            return
        if "refuse" in request.prompt:
            self._jobs.finish(job.id, failed(RequestError("script_args", "the prompt asked for refusal")))
            return
        done = {image.index for image in self._jobs.finished_images(job.id)}
        state: JobState = JobState.DONE
        for index in range(request.image_count):
            if index in done:
                continue
            ending = self._sample(job, request, index)
            if ending == "released":
                self._jobs.release(job.id)
                return
            if ending is not None:
                state = JobState.CANCELLED if ending == "cancel" else JobState.DONE
                break
            self._jobs.add_images(job.id, self._picture(job, request, index))
        self._jobs.charge(job.id, self.step_seconds * request.steps)
        outcome = (
            Outcome(JobState.CANCELLED)
            if state is JobState.CANCELLED
            else Outcome(JobState.DONE, info=_info(request), comments=("made by the stub",))
        )
        self._jobs.finish(job.id, outcome)

    def _sample(self, job: Job, request: GenerationRequest, index: int) -> str | None:
        """Take the steps of one picture; returns how it was stopped, None when it was not."""
        for step in range(request.steps):
            wanted = self._jobs.wants(job.id)
            while wanted.pause and not (wanted.cancel or wanted.interrupt):
                if self._stopping.wait(0.005):
                    return "released"
                wanted = self._jobs.wants(job.id)
            if wanted.cancel or wanted.interrupt:
                return "cancel" if wanted.cancel else "interrupt"
            if wanted.skip:
                self._jobs.acknowledge_skip(job.id)
                return None
            if self._stopping.wait(self.step_seconds) if self.step_seconds else self._stopping.is_set():
                return "released"
            self.steps_taken.append(job.id)
            total = request.steps * request.image_count
            self._jobs.report(
                job.id,
                step=step + 1,
                steps=request.steps,
                progress=(index * request.steps + step + 1) / total,
                preview=_preview(step),
            )
        return None

    def _picture(self, job: Job, request: GenerationRequest, index: int) -> ResultImage:
        seed = request.seed + index
        width, height = (min(max(side, 2 * _MARK), _MAX_SIDE) for side in (request.width, request.height))
        picture = Image.new("RGB", (width, height))
        for row, mark in enumerate((bytes.fromhex(job.id), seed.to_bytes(_MARK, "big"))):
            for column, value in enumerate(mark):
                picture.putpixel((column, row), (value, 0, 0))
        text = f"{request.prompt}\nSteps: {request.steps}, Sampler: Euler, CFG scale: 7, Seed: {seed}"
        image_id = secrets.token_urlsafe(16)
        path = self._folder / f"{image_id}.png"
        path.write_bytes(encode_image(picture, "png", text))
        return ResultImage(image_id, str(path), index, width, height, seed, text)


def read_stub_picture(content: bytes) -> tuple[str, int]:
    """Job id and seed that a stub picture's pixels hold."""
    with Image.open(io.BytesIO(content)) as picture:
        rows = [bytes(picture.getpixel((x, y))[0] for x in range(_MARK)) for y in (0, 1)]  # type: ignore[index]
    return rows[0].hex(), int.from_bytes(rows[1], "big")


def _preview(step: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (step % 256, 0, 0)).save(buffer, "JPEG")
    return buffer.getvalue()


def _info(request: GenerationRequest) -> str:
    seeds = [request.seed + index for index in range(request.image_count)]
    return json.dumps({"prompt": request.prompt, "seed": request.seed, "all_seeds": seeds})
