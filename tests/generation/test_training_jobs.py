"""Training in the engine's thread: pictures are made meanwhile, and the result is used by its tag."""

import json
from pathlib import Path

from modules.domain.job import JobState
from modules.domain.request import GenerationRequest
from modules.training.finetuning.recipe import checked_recipe
from tests.generation.conftest import Studio
from tests.training.finetuning.folders import subject

PATIENCE = 120  # seconds on a busy machine


def _models(folder: Path, original: Path) -> Path:
    """The reference's models with a folder of its own for LoRAs."""
    for path in (original / "models").iterdir():
        (folder / path.name).mkdir(parents=True)
        if path.name == "Stable-diffusion":
            for file in path.iterdir():
                (folder / path.name / file.name).symlink_to(file)
    return folder


def test_pictures_are_made_while_a_model_is_taught_and_use_what_it_learnt(
    studio: Studio, tiny_models: Path, tmp_path: Path
) -> None:
    recipe = checked_recipe(
        {
            "kind": "lora",
            "name": "fox",
            "checkpoint": "tiny-sd1",
            "data": {"folder": str(subject(tmp_path / "foxes", 2)), "resolution": 64, "trigger": "fx"},
            "optimisation": {"steps": 30, "learning_rate": 0.01},
            "lora": {"rank": 2},
        }
    )
    request = GenerationRequest(prompt="a fox", steps=2, width=64, height=64, seed=1, checkpoint="tiny-sd1")
    with studio(tmp_path, _models(tmp_path / "models", tiny_models)) as services:
        taught = services.training.submit(recipe, "ann")
        before = services.jobs.submit(request, "ann")
        other = services.jobs.submit(request, "bob")
        pictures = [services.jobs.wait(job_id, PATIENCE) for job_id in (before, other)]
        assert [view.state for view in pictures] == [JobState.DONE, JobState.DONE]
        view = services.jobs.wait(taught, PATIENCE)
        assert view.state is JobState.DONE, view.error
        tag = json.loads(view.info)["tag"]
        after = services.jobs.submit(request.model_copy(update={"prompt": f"a fox {tag}"}), "ann")
        used = services.jobs.wait(after, PATIENCE)
        assert (used.state, used.comments) == (JobState.DONE, ())
        assert 'Lora hashes: "fox:' in used.images[0].infotext
        assert Path(used.images[0].path).read_bytes() != Path(pictures[0].images[0].path).read_bytes()
