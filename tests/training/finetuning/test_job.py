import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import cast

import pytest
import torch
from safetensors.torch import load_file

from modules.domain.job import JobState
from modules.domain.request import GenerationRequest
from modules.exceptions import NotFoundError, TrainingError
from modules.jobs.board import JobBoard
from modules.jobs.queue import JobQueue, Outcome
from modules.jobs.service import JobService
from modules.training.finetuning import job
from modules.training.finetuning.job import TrainingJobs, TrainingRun
from modules.training.finetuning.opening import TrainingRoom
from modules.training.finetuning.pictures import PictureSet, read_pictures
from modules.training.finetuning.recipe import FineTuneRecipe, checked_recipe
from modules.training.finetuning.session import FineTuning
from tests.adapters.tiny_models import tiny_sd1
from tests.training.finetuning.folders import subject
from tests.training.finetuning.test_session import trainee_of


class TinyRoom:
    """Opens runs on a model of a few thousand weights; checks only the pictures."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def check(self, recipe: FineTuneRecipe, *, is_new: bool = True, memory: bool = True) -> PictureSet:
        return read_pictures(recipe.data, recipe.word)

    def with_checkpoint(self, recipe: FineTuneRecipe) -> FineTuneRecipe:
        return recipe

    def open(self, recipe: FineTuneRecipe, folder: Path) -> FineTuning:
        model = tiny_sd1()
        trainee = trainee_of(recipe, model)
        result = self._folder / f"{recipe.name}.safetensors"
        return FineTuning(recipe, self.check(recipe), model, trainee, folder=folder, result=result)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[TrainingJobs]:
    jobs = JobService(JobQueue(tmp_path / "jobs.sqlite"), JobBoard())
    room = cast("TrainingRoom", TinyRoom(tmp_path / "Lora"))
    yield TrainingJobs(room, jobs, tmp_path / "training")
    jobs.close()


def _submit(office: TrainingJobs, tmp_path: Path, name: str = "fox", **changes: object) -> str:
    folder = subject(tmp_path / "pictures")
    content: dict[str, object] = {
        "kind": "lora",
        "name": name,
        "data": {"folder": str(folder), "resolution": 32, "bucket_step": 16, "trigger": "fx"},
        "lora": {"rank": 2},
        "optimisation": {"steps": 5, "learning_rate": 1e-3},
        "samples": {"every": 2, "steps": 2},
        **changes,
    }
    return office.submit(checked_recipe(content), "ann")


def _claimed(office: TrainingJobs) -> TrainingRun:
    claimed = office.jobs.claim()
    assert claimed is not None
    return office.run(claimed)


def _until(run: TrainingRun, office: TrainingJobs, step: int) -> None:
    while not run.ended and office.jobs.view(run.job_id).step < step:
        run.steer()


def test_a_training_job_reports_progress_and_leaves_a_file_with_its_tag(
    office: TrainingJobs, tmp_path: Path
) -> None:
    found: list[str] = []
    office.on_result = lambda: found.append("looked again")
    job_id = _submit(office, tmp_path)
    run = _claimed(office)
    _until(run, office, 4)
    view = office.jobs.view(job_id)
    assert (view.step, view.steps, view.progress, view.text) == (4, 5, 0.8, "Training")
    assert view.eta_seconds is not None
    assert view.preview is not None
    while not run.ended:
        run.steer()
    view = office.jobs.view(job_id)
    assert view.state is JobState.DONE
    told = {"result": "fox.safetensors", "steps": 5, "tag": "<lora:fox:1> fx", "is_checkpoint": False}
    assert json.loads(view.info) == told
    assert (tmp_path / "Lora" / "fox.safetensors").is_file()
    assert found == ["looked again"]
    left = {path.name for path in office.folder_of(job_id).iterdir()}
    assert left == {"loss.csv", "loss.png", "run.json", "samples"}


def test_an_interrupted_training_keeps_what_it_has_learnt(office: TrainingJobs, tmp_path: Path) -> None:
    job_id = _submit(office, tmp_path)
    run = _claimed(office)
    _until(run, office, 2)
    office.jobs.interrupt(job_id)
    run.steer()
    view = office.jobs.view(job_id)
    assert (run.ended, view.state) == (True, JobState.DONE)
    assert json.loads(view.info)["steps"] == 2
    assert (tmp_path / "Lora" / "fox.safetensors").is_file()


def _interrupted(office: TrainingJobs, tmp_path: Path, step: int) -> str:
    job_id = _submit(office, tmp_path)
    run = _claimed(office)
    _until(run, office, step)
    office.jobs.interrupt(job_id)
    run.steer()
    return job_id


def test_a_stopped_training_goes_on_and_ends_like_one_that_was_not(
    office: TrainingJobs, tmp_path: Path
) -> None:
    job_id = _interrupted(office, tmp_path, 2)
    assert office.stopped("ann") == [job_id]
    assert office.stopped("bob") == []
    second = office.go_on(job_id, "ann")
    assert not office.can_go_on(job_id), "two jobs must not write into one folder"
    assert office.folder_of(second) == office.folder_of(job_id)
    run = _claimed(office)
    while not run.ended:
        run.steer()
    assert json.loads(office.jobs.view(second).info)["steps"] == 5
    assert office.stopped("ann") == []
    parts = load_file(tmp_path / "Lora" / "fox.safetensors")
    whole_id = _submit(office, tmp_path, "whole")
    run = _claimed(office)
    while not run.ended:
        run.steer()
    assert office.jobs.view(whole_id).state is JobState.DONE
    whole = load_file(tmp_path / "Lora" / "whole.safetensors")
    assert parts.keys() == whole.keys()
    assert all(torch.equal(parts[name], whole[name]) for name in whole)


def test_a_training_that_goes_on_and_is_stopped_before_it_begins_keeps_its_state(
    office: TrainingJobs, tmp_path: Path
) -> None:
    job_id = _interrupted(office, tmp_path, 2)
    second = office.go_on(job_id, "ann")
    run = _claimed(office)
    office.jobs.interrupt(second)
    run.steer()
    assert office.jobs.view(second).state is JobState.CANCELLED
    assert office.stopped("ann") == [second]
    third = office.go_on(second, "ann")
    run = _claimed(office)
    office.jobs.cancel(third)
    run.steer()
    assert office.stopped("ann") == []
    assert not office.folder_of(third).exists()


def test_a_stopped_training_is_found_behind_any_number_of_pictures(
    office: TrainingJobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "_LOOKED_AT", 2)
    job_id = _interrupted(office, tmp_path, 2)
    for _ in range(3):
        office.jobs.submit(GenerationRequest(prompt="a fox"), "ann")
    assert office.stopped("ann") == [job_id]


def test_a_training_that_failed_goes_on_from_its_last_state(office: TrainingJobs, tmp_path: Path) -> None:
    job_id = _submit(office, tmp_path)
    run = _claimed(office)
    _until(run, office, 3)
    run.abandon()
    office.jobs.finish(job_id, Outcome(JobState.FAILED, error="the server was killed"))
    second = office.go_on(job_id, "ann")
    again = _claimed(office)
    again.steer()
    while not again.ended and office.jobs.view(second).text != "Training":
        again.steer()
    assert office.jobs.view(second).step == 4


def test_a_run_is_forgotten_only_when_it_is_over(office: TrainingJobs, tmp_path: Path) -> None:
    job_id = _interrupted(office, tmp_path, 2)
    second = office.go_on(job_id, "ann")
    with pytest.raises(TrainingError, match="not over"):
        office.forget(job_id)
    office.jobs.cancel(second)
    office.forget(job_id)
    assert not office.folder_of(job_id).exists()
    assert (tmp_path / "Lora" / "fox.safetensors").is_file()
    with pytest.raises(TrainingError, match="cannot go on"):
        office.go_on(job_id, "ann")


def test_a_cancelled_training_leaves_nothing(office: TrainingJobs, tmp_path: Path) -> None:
    job_id = _submit(office, tmp_path)
    run = _claimed(office)
    _until(run, office, 2)
    office.jobs.cancel(job_id)
    run.steer()
    assert office.jobs.view(job_id).state is JobState.CANCELLED
    assert not office.folder_of(job_id).exists()
    assert not (tmp_path / "Lora").exists()


def test_a_paused_training_holds_still_with_its_state_on_disk(office: TrainingJobs, tmp_path: Path) -> None:
    job_id = _submit(office, tmp_path)
    run = _claimed(office)
    _until(run, office, 2)
    office.jobs.pause(job_id)
    assert not run.steer()
    assert run.is_paused
    kept = torch.load(office.folder_of(job_id) / "state.pt", weights_only=True)
    assert kept["step"] == 2
    office.jobs.resume(job_id)
    assert run.steer()
    assert office.jobs.view(job_id).step == 3


def test_a_training_goes_on_after_a_restart_and_is_not_blamed_for_the_crash(
    office: TrainingJobs, tmp_path: Path
) -> None:
    job_id = _submit(office, tmp_path)
    run = _claimed(office)
    _until(run, office, 3)
    run.abandon()
    office.jobs.release(job_id)
    with closing(sqlite3.connect(tmp_path / "jobs.sqlite")) as file:
        file.execute("UPDATE jobs SET crashes = 1")
        file.commit()
    again = _claimed(office)
    assert again.is_suspect
    while not again.ended:
        again.steer()
        if office.jobs.view(job_id).text == "Training":
            assert office.jobs.view(job_id).step >= 4
            assert not again.is_suspect
    assert office.jobs.view(job_id).state is JobState.DONE


def test_one_model_is_trained_at_a_time(office: TrainingJobs, tmp_path: Path) -> None:
    _submit(office, tmp_path, "one")
    second = _submit(office, tmp_path, "two")
    first, waiting = _claimed(office), _claimed(office)
    assert first.steer()
    assert not waiting.steer()
    assert office.jobs.view(second).text == "Waiting for another training"
    while not first.ended:
        first.steer()
    assert waiting.steer()


def test_a_training_that_breaks_says_why_and_keeps_its_last_state(
    office: TrainingJobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = _submit(office, tmp_path, optimisation={"steps": 50, "learning_rate": 1e-3}, save_every=2)
    run = _claimed(office)
    _until(run, office, 3)
    monkeypatch.setattr(FineTuning, "_loss", lambda *_: torch.tensor(float("nan"), requires_grad=True))
    run.steer()
    view = office.jobs.view(job_id)
    assert view.state is JobState.FAILED
    assert "loss became nan at step 3" in str(view.error)
    kept = torch.load(office.folder_of(job_id) / "state.pt", weights_only=True)
    assert kept["step"] == 2


def test_what_cannot_be_trained_is_refused_before_it_is_queued(office: TrainingJobs, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no folder"):
        _submit(office, tmp_path, data={"folder": str(tmp_path / "gone")})
    assert office.jobs.claim() is None


def test_a_job_that_makes_pictures_has_no_recipe(office: TrainingJobs) -> None:
    with pytest.raises(NotFoundError):
        office.recipe("0" * 32)
