"""Files that are damaged, mislabelled or hostile: a sentence names the file, and everything else works on."""

import json
import pickle
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from modules.domain.job import JobState, JobView
from modules.domain.request import GenerationRequest
from modules.services import Services
from tests.generation.conftest import Studio
from tests.generation.test_pictures import BASE, make

GOOD = "tiny-sd1.safetensors"


class Hostile:
    """Runs a program when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return eval, ("__import__('pathlib').Path('owned').write_text('x')",)


def _header(path: Path, header: object, data: bytes = b"") -> None:
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def _cut_off(path: Path, good: Path) -> None:
    path.write_bytes(good.read_bytes()[: 2**20])


def _junk(path: Path, good: Path) -> None:
    path.write_bytes(b"<html>404 not found</html>" * 50)


def _empty(path: Path, good: Path) -> None:
    path.write_bytes(b"")


def _lora(path: Path, good: Path) -> None:
    save_file({"lora_unet_x.lora_up.weight": torch.zeros(4, 4)}, path)


def _overlap(path: Path, good: Path) -> None:
    entry = {"dtype": "U8", "shape": [8], "data_offsets": [0, 8]}
    _header(path, {"a": entry, "b": entry}, bytes(8))


def _huge_header(path: Path, good: Path) -> None:
    with path.open("wb") as file:
        file.write(struct.pack("<Q", 2**25))
        file.truncate(2**26)


def _too_large(path: Path, good: Path) -> None:
    shape = [2**31, 2**31]
    entry = {"dtype": "F32", "shape": shape, "data_offsets": [0, 4 * 2**62]}
    _header(path, {"model.diffusion_model.input_blocks.0.0.weight": entry})


def _hostile_pickle(path: Path, good: Path) -> None:
    path.write_bytes(pickle.dumps({"state_dict": Hostile()}))


def _renamed_pickle(path: Path, good: Path) -> None:
    torch.save({"state_dict": {"a": torch.zeros(2)}}, path)


BAD: dict[str, tuple[str, Callable[[Path, Path], None]]] = {
    "cut off": ("cut.safetensors", _cut_off),
    "a web page": ("page.safetensors", _junk),
    "empty": ("empty.safetensors", _empty),
    "a LoRA": ("lora.safetensors", _lora),
    "overlapping tensors": ("overlap.safetensors", _overlap),
    "a header of 32 MB": ("header.safetensors", _huge_header),
    "a tensor larger than the file": ("large.safetensors", _too_large),
    "a program": ("program.ckpt", _hostile_pickle),
    "a pickle under another name": ("renamed.safetensors", _renamed_pickle),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_models: Path) -> Path:
    """Models of one good checkpoint and many bad ones, and a LoRA for another family."""
    models = tmp_path_factory.mktemp("bad") / "models"
    checkpoints, good = models / "Stable-diffusion", tiny_models / "models" / "Stable-diffusion" / GOOD
    checkpoints.mkdir(parents=True)
    (checkpoints / GOOD).symlink_to(good)
    (checkpoints / good.with_suffix(".yaml").name).symlink_to(good.with_suffix(".yaml"))
    for name, write in BAD.values():
        write(checkpoints / name, good)
    (models / "Lora").mkdir()
    for name in ("tinyxllora", "tinylora"):
        (models / "Lora" / f"{name}.safetensors").symlink_to(
            tiny_models / "models" / "Lora" / f"{name}.safetensors"
        )
    (models / "Lora" / "broken.safetensors").write_bytes(b"\x00" * 100)
    return models


@pytest.fixture(scope="module")
def services(folder: Path, studio: Studio, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    with studio(tmp_path_factory.mktemp("studio"), folder) as opened:
        yield opened


def asked(services: Services, **changes: object) -> JobView:
    request = GenerationRequest.model_validate({**BASE, **changes})
    return services.jobs.wait(services.jobs.submit(request, "artist"), 120.0)


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_checkpoint_is_named_and_the_old_model_stays_in_use(
    services: Services, kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    name, _ = BAD[kind]
    before = make(services)
    (old,) = services.models.loaded()
    view = asked(services, checkpoint=name)
    assert view.state is JobState.FAILED
    assert view.error is not None
    assert view.error.startswith(f"{name}: ")
    assert "Traceback" not in view.error
    assert services.models.loaded() == (old,)
    assert make(services) == before
    assert not (tmp_path / "owned").exists()


def test_a_checkpoint_that_goes_away_is_named(services: Services, folder: Path) -> None:
    gone = folder / "Stable-diffusion" / "gone.safetensors"
    gone.write_bytes(b"")
    services.catalog.refresh()
    gone.unlink()
    view = asked(services, checkpoint="gone.safetensors")
    assert (view.state, str(view.error)[:18]) == (JobState.FAILED, "gone.safetensors: ")
    services.catalog.refresh()
    view = asked(services, checkpoint="gone.safetensors")
    assert "there is no checkpoint 'gone.safetensors'" in str(view.error)


@pytest.mark.parametrize(
    ("tag", "sentence"),
    [
        ("<lora:tinyxllora:1>", '"tinyxllora" '),
        ("<lora:broken:1>", '"broken" was not used: '),
        ("<lora:nowhere:1>", "Lora not found: nowhere"),
        ("<hypernet:nowhere:1>", "Hypernetwork not found: nowhere"),
        ("<mystery:x:1>", "Skipping unknown extra network: mystery"),
        ("embedding:nowhere", 'There is no embedding "nowhere"'),
    ],
)
def test_what_cannot_be_used_is_said_beside_the_picture(services: Services, tag: str, sentence: str) -> None:
    view = asked(services, prompt=f"{BASE['prompt']} {tag}")
    assert view.state is JobState.DONE
    assert any(comment.startswith(sentence) for comment in view.comments), view.comments


def test_an_unknown_sampler_is_said_with_the_names_there_are(services: Services) -> None:
    view = asked(services, sampler_name="Magic")
    assert view.state is JobState.FAILED
    assert "Magic" in str(view.error)
    assert "Euler a" in str(view.error)
