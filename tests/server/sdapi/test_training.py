import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from modules.domain.job import JobState
from modules.domain.principal import Principal
from modules.jobs.queue import Outcome
from modules.training.finetuning.recipe import FineTuneRecipe
from tests.checkpoints.tiny import state_dict, write
from tests.conditioning.test_initial_vectors import TABLES
from tests.server.studio import Studio, open_studio
from tests.training.finetuning.folders import subject

EMBEDDING, HYPERNETWORK = "/sdapi/v1/train/embedding", "/sdapi/v1/train/hypernetwork"


@pytest.fixture
def trained(tmp_path: Path) -> Iterator[tuple[Studio, Callable[[], FineTuneRecipe]]]:
    """A studio whose training jobs end at once, and the recipe of the last one."""
    state = {**state_dict("sd1"), TABLES["sd1"][""]: torch.randn(49408, 64)}
    write(tmp_path / "models" / "Stable-diffusion" / "a.safetensors", state)
    recipes: list[FineTuneRecipe] = []
    over = threading.Event()
    with open_studio(tmp_path, start=False) as studio:
        studio.services.settings.update({"sd_model_checkpoint": "a.safetensors"})
        studio.post("/sdapi/v1/create/embedding", {"name": "my-cat"})
        studio.post("/sdapi/v1/create/hypernetwork", {"name": "ink", "enable_sizes": ["320"]})

        def work() -> None:
            while not over.is_set():
                job = studio.services.jobs.claim(timeout=0.02)
                if job is not None:
                    recipes.append(studio.services.training.recipe(job.id))
                    studio.services.jobs.finish(job.id, Outcome(JobState.DONE))

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        yield studio, lambda: recipes[-1]
        over.set()
        thread.join(10)


def test_an_embedding_is_trained_with_a1111s_arguments(
    trained: tuple[Studio, Callable[[], FineTuneRecipe]], tmp_path: Path
) -> None:
    studio, recipe = trained
    asked = {
        "embedding_name": "my-cat", "learn_rate": "0.004", "batch_size": 2, "gradient_step": 3, "steps": 70,
        "data_root": str(subject(tmp_path / "cats")), "template_filename": "style_filewords.txt",
        "training_width": 64, "training_height": 64, "tag_drop_out": 0.1,
        "latent_sampling_method": "deterministic", "clip_grad_mode": "value", "clip_grad_value": "0.1",
        "create_image_every": 10, "preview_prompt": "a cat", "save_embedding_every": 20,
        "log_directory": "ignored",
    }  # fmt: skip
    answer = studio.post(EMBEDDING, asked)
    assert answer.status_code == 200, answer.text
    assert answer.json()["info"].startswith("train embedding complete: filename: ")
    made = recipe()
    learning = made.optimisation
    assert (learning.learning_rate, learning.batch, learning.accumulation) == (0.004, 2, 3)
    assert (made.kind, made.name, made.embedding.go_on) == ("textual-inversion", "my-cat", True)
    assert (learning.gradient_clipping, learning.max_gradient_norm) == ("value", 0.1)
    assert (made.data.tag_dropout, made.data.latent_sampling) == (0.1, "deterministic")
    assert made.data.templates[1] == "[filewords], [name]"
    assert (made.samples.prompts, made.samples.every, made.save_every) == (("a cat",), 10, 20)


def test_a_hypernetwork_goes_on_with_the_one_that_was_made(
    trained: tuple[Studio, Callable[[], FineTuneRecipe]], tmp_path: Path
) -> None:
    studio, recipe = trained
    asked = {"hypernetwork_name": "ink", "data_root": str(subject(tmp_path / "cats")), "learn_rate": 1e-5}
    assert studio.post(HYPERNETWORK, asked).status_code == 200
    assert (recipe().kind, recipe().hypernetwork.start_from) == ("hypernetwork", "ink")


def test_learning_rates_may_change_at_steps_and_the_training_ends_where_they_do(
    trained: tuple[Studio, Callable[[], FineTuneRecipe]], tmp_path: Path
) -> None:
    studio, recipe = trained
    asked = {"embedding_name": "my-cat", "data_root": str(subject(tmp_path / "cats")), "steps": 5000}
    assert studio.post(EMBEDDING, {**asked, "learn_rate": "0.005:100, 1e-3:1000"}).status_code == 200
    assert (recipe().optimisation.rates, recipe().optimisation.steps) == ("0.005:100, 1e-3:1000", 1000)
    assert studio.post(EMBEDDING, {**asked, "learn_rate": "0.005:100, 1e-3:1000, 1e-5"}).status_code == 200
    assert recipe().optimisation.steps == 5000


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({"embedding_name": "gone"}, 404, "create it first"),
        ({"learn_rate": "0.005:100, fast"}, 422, "'fast' is no learning rate"),
        ({"learn_rate": "0.005:100, 1e-3:50"}, 422, "must grow"),
        ({"learn_rate": "0"}, 422, "above 0"),
        ({"clip_grad_mode": "often"}, 422, "clip_grad_mode"),
        ({"template_filename": "gone.txt"}, 404, "no template"),
        ({"data_root": "/gone"}, 422, "no folder"),
        ({"batch_size": 0}, 422, "batch_size"),
    ],
)
def test_what_cannot_be_trained_is_refused_at_once(
    trained: tuple[Studio, Callable[[], FineTuneRecipe]],
    tmp_path: Path,
    changes: dict[str, object],
    status: int,
    said: str,
) -> None:
    asked = {"embedding_name": "my-cat", "data_root": str(subject(tmp_path / "cats")), **changes}
    answer = trained[0].post(EMBEDDING, asked)
    assert answer.status_code == status
    assert said in answer.text


def test_artists_train_nothing(trained: tuple[Studio, Callable[[], FineTuneRecipe]]) -> None:
    studio, _ = trained
    session = studio.access.accounts.open_session(Principal("ann", "artist"))
    artist = {"cookie": f"{studio.access.cookie}={session}"}
    asked = {"embedding_name": "my-cat", "hypernetwork_name": "ink", "data_root": "x"}
    for path in (EMBEDDING, HYPERNETWORK):
        assert studio.post(path, asked, headers=artist).status_code == 403
