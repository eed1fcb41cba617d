import base64
import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from safetensors.torch import save_file

from modules.adapters.embedding_files import read_embedding_image
from modules.adapters.textual_inversion import EmbeddingCatalog
from modules.checkpoints.files import ModelStore
from modules.exceptions import AdapterError

GOLDEN = Path(__file__).parents[1] / "golden" / "embeddings"
TREE = {
    "string_to_token": {"*": 265},
    "string_to_param": {"*": {"TORCHTENSOR": [[0.5, -1.25, 3.0], [0.0, 1.0, -2.0]]}},
    "name": "hidden",
    "step": 7,
    "sd_checkpoint_name": "base",
}
VECTORS = torch.tensor([[0.5, -1.25, 3.0], [0.0, 1.0, -2.0]])


def catalog_of(folder: Path) -> EmbeddingCatalog:
    return EmbeddingCatalog((folder,), ModelStore.below(folder.parent / "cache"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder for embeddings."""
    path = tmp_path / "embeddings"
    path.mkdir()
    return path


def steganographic(rows: int = 8) -> Image.Image:
    """Hide an embedding as the reference does: nibbles in the low bits of two blocks beside a picture."""
    raw = zlib.compress(json.dumps(TREE).encode(), 9)
    block = 3 * rows
    raw += bytes(-len(raw) % block)
    values = np.frombuffer(raw, dtype=np.uint8).reshape(rows, -1, 3)
    state, stream = 0, []
    for _ in range(values.size):
        state = (1664525 * state + 1013904223) % 2**32
        stream.append(state % 255 & 0x0F)
    noise = np.array(stream, dtype=np.uint8).reshape(values.shape)
    random = np.random.default_rng(0)

    def decorated(nibbles: np.ndarray) -> np.ndarray:
        return (nibbles ^ noise) | (random.integers(1, 16, nibbles.shape, dtype=np.uint8) << 4)

    black = np.zeros((rows, 1, 3), dtype=np.uint8)
    picture = random.integers(17, 255, (rows, 12, 3), dtype=np.uint8) | 1
    inner = np.hstack([decorated(values & 0x0F), black, picture, black, decorated(values >> 4)])
    return Image.fromarray(np.pad(inner, ((2, 2), (3, 3), (0, 0))))


def test_the_references_files_have_their_shapes_and_hashes(tmp_path: Path) -> None:
    catalog = EmbeddingCatalog((GOLDEN,), ModelStore.below(tmp_path))
    found = {name: catalog.get(name) for name in catalog.names()}
    assert {name: (one.count, one.width, one.shorthash) for name, one in found.items()} == {
        "tinyst": (6, 128, "70edc9d9663f"),
        "tinyti": (3, 128, "1911c0b259d4"),
        "tinyxl": (2, 320, "48fc780e0e9c"),
    }
    assert found["tinyti"].content.step == 100


def test_an_embedding_fits_only_models_with_its_encoders(tmp_path: Path) -> None:
    catalog = EmbeddingCatalog((GOLDEN,), ModelStore.below(tmp_path))
    both = catalog.get("tinyxl").vectors_for(("clip_l", "clip_g"), (128, 192))
    assert both is not None
    assert [tuple(tensor.shape) for tensor in both] == [(2, 128), (2, 192)]
    assert catalog.get("tinyxl").vectors_for(("clip_l",), (128,)) is None
    assert catalog.get("tinyti").vectors_for(("clip_l", "clip_g"), (128, 192)) is None
    assert catalog.get("tinyti").vectors_for(("clip_l",), (768,)) is None


def test_a_single_tensor_of_one_dimension_is_one_vector(folder: Path) -> None:
    save_file({"anything": torch.ones(5)}, folder / "flat.safetensors")
    assert catalog_of(folder).get("flat").content.vectors[""].shape == (1, 5)


def test_a_diffusers_file_is_a_dictionary_of_one_tensor(folder: Path) -> None:
    torch.save({"<word>": torch.ones(5)}, folder / "learned_embeds.bin")
    assert catalog_of(folder).get("learned_embeds").width == 5


def test_text_in_a_picture_is_read_under_its_stored_name(folder: Path) -> None:
    text = PngInfo()
    text.add_text("sd-ti-embedding", base64.b64encode(json.dumps(TREE).encode()).decode())
    Image.new("RGB", (8, 8), "red").save(folder / "card.png", pnginfo=text)
    catalog = catalog_of(folder)
    assert catalog.names() == ("hidden",)
    torch.testing.assert_close(catalog.get("hidden").content.vectors[""], VECTORS)


def test_vectors_hidden_in_pixels_are_found(folder: Path) -> None:
    steganographic().save(folder / "card.png")
    content = read_embedding_image(folder / "card.png")
    assert content is not None
    torch.testing.assert_close(content.vectors[""], VECTORS)
    assert (content.name, content.step, content.checkpoint_name) == ("hidden", 7, "base")


def test_ordinary_pictures_and_previews_are_no_embeddings(folder: Path) -> None:
    Image.new("RGB", (64, 64), "black").save(folder / "black.png")
    noise = np.random.default_rng(1).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    noise[:, 20] = noise[:, 40] = 0
    Image.fromarray(noise).save(folder / "noise.png")
    steganographic().save(folder / "card.preview.png")
    (folder / "broken.png").write_bytes(b"no picture")
    assert catalog_of(folder).names() == ()


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"a": torch.ones(1, 3), "b": torch.ones(1, 3)}, "2 tensors"),
        ({"a": torch.ones(2, 3, 4)}, "shape"),
        ({"a": torch.ones(80, 8193)}, "shape"),
        ({"a": torch.ones(3, dtype=torch.int64)}, "shape"),
    ],
)
def test_files_without_an_embedding_say_what_they_are(
    folder: Path, tensors: dict[str, torch.Tensor], message: str
) -> None:
    save_file(tensors, folder / "odd.safetensors")
    catalog = catalog_of(folder)
    with pytest.raises(AdapterError, match=message):
        catalog.get("odd")
    with pytest.raises(AdapterError, match=message):
        catalog.get("odd")


@pytest.mark.parametrize("name", ["bad.safetensors", "bad.pt"])
def test_damaged_files_raise_an_error_that_names_them(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"nonsense")
    with pytest.raises(AdapterError, match=r"bad\."):
        catalog_of(folder).get("bad")


def test_refreshing_sees_new_changed_and_removed_files(folder: Path) -> None:
    catalog = catalog_of(folder)
    first = catalog.version
    save_file({"a": torch.ones(1, 3)}, folder / "word.safetensors")
    catalog.refresh()
    assert catalog.names() == ("word",)
    assert catalog.version > first
    assert catalog.get("word").width == 3
    save_file({"a": torch.ones(1, 4)}, folder / "word.safetensors")
    catalog.refresh()
    assert catalog.get("word").width == 4
    unchanged = catalog.version
    catalog.refresh()
    assert catalog.version == unchanged
    (folder / "word.safetensors").unlink()
    catalog.refresh()
    assert catalog.names() == ()


def test_empty_files_are_ignored_and_sub_folders_searched(folder: Path) -> None:
    (folder / "put embeddings here.pt").touch()
    (folder / "styles").mkdir()
    save_file({"a": torch.ones(1, 3)}, folder / "styles" / "inner.safetensors")
    assert catalog_of(folder).names() == ("inner",)
