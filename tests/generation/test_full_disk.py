"""A disk that is full costs the picture that could not be saved, and nothing else. Who waits for the disk."""

import errno
import os
import threading
from pathlib import Path

import pytest

from modules.domain.job import JobState, JobView
from modules.domain.request import GenerationRequest
from modules.exceptions import StorageError
from modules.imaging import files
from modules.services import Services

REQUEST = GenerationRequest(prompt="a cat", seed=5, steps=1, width=64, height=64, checkpoint="tiny-sd1")


def made(services: Services) -> JobView:
    return services.jobs.wait(services.jobs.submit(REQUEST, "ann"), 120)


def test_the_job_fails_with_one_sentence_and_the_next_one_is_made(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes, *, durable: bool = True) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files, "_temporary", full)
        failed = made(services)
        unsaved = REQUEST.model_copy(update={"save_images": False})
        answered = services.jobs.wait(services.jobs.submit(unsaved, "ann", lasting="nothing"), 120)
        (image,) = answered.images
        with pytest.raises(StorageError, match=r"^The disk is full: "):
            services.jobs.image(image.id, "ann")
    assert failed.state is JobState.FAILED
    assert failed.error_kind == "StorageError"
    assert failed.error is not None
    assert failed.error.startswith("The disk is full: ")
    assert failed.error.count(". ") == 1  # what happened, and what to do
    assert str(services.options.folders.outputs) not in failed.error
    assert not list(services.options.folders.outputs.rglob("*.tmp"))

    view = made(services)
    assert view.state is JobState.DONE
    assert Path(view.images[0].path).read_bytes().startswith(b"\x89PNG")


def test_only_the_pictures_of_a_request_that_keeps_something_wait_for_the_disk(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(handle: int) -> None:
        raise OSError(errno.EIO, "the disk does not answer")

    jobs = services.jobs
    monkeypatch.setattr(os, "fsync", never)
    unsaved = REQUEST.model_copy(update={"save_images": False})
    answered = jobs.wait(jobs.submit(unsaved, "ann", lasting="nothing"), 120)
    assert answered.state is JobState.DONE
    assert services.blobs.read(Path(answered.images[0].path)).startswith(b"\x89PNG")
    for request in (REQUEST, unsaved.model_copy(update={"seed": 6})):
        assert jobs.wait(jobs.submit(request, "ann", lasting="pictures"), 120).error_kind == "StorageError"


def test_a_picture_that_nobody_keeps_is_answered_before_it_is_stored_and_found_by_its_id_after_that(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, may_write = files._temporary, threading.Event()

    def slow(path: Path, content: bytes, *, durable: bool = True) -> Path:
        assert may_write.wait(60)
        return write(path, content, durable=durable)

    monkeypatch.setattr(files, "_temporary", slow)
    two = REQUEST.model_copy(update={"save_images": False, "n_iter": 2, "seed": 7})
    view = services.jobs.wait(services.jobs.submit(two, "ann", lasting="nothing"), 120)
    assert view.state is JobState.DONE
    assert [services.blobs.read(Path(image.path))[:4] for image in view.images] == [b"\x89PNG"] * 2
    assert not any(Path(image.path).exists() for image in view.images)
    may_write.set()
    found = [Path(services.jobs.image(image.id, "ann").image.path) for image in view.images]
    assert [path.read_bytes()[:4] for path in found] == [b"\x89PNG"] * 2
