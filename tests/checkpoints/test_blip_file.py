"""BLIP's own file, which A1111 keeps in models/BLIP: names, sizes, and a caption."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from modules.checkpoints.blip_file import blip_config, transformers_name
from modules.checkpoints.describers import CAPTIONER, Describers
from modules.checkpoints.files import ModelStore
from tests.checkpoints.describer_manifests import Text, Tower, blip
from tests.checkpoints.tiny_describers import write_captioner

CPU = torch.device("cpu")
# of the published module; one layer stands for all
PUBLISHED = {
    "visual_encoder.cls_token": "vision_model.embeddings.class_embedding",
    "visual_encoder.pos_embed": "vision_model.embeddings.position_embedding",
    "visual_encoder.patch_embed.proj.weight": "vision_model.embeddings.patch_embedding.weight",
    "visual_encoder.blocks.3.norm1.bias": "vision_model.encoder.layers.3.layer_norm1.bias",
    "visual_encoder.blocks.3.attn.qkv.weight": "vision_model.encoder.layers.3.self_attn.qkv.weight",
    "visual_encoder.blocks.3.attn.proj.bias": "vision_model.encoder.layers.3.self_attn.projection.bias",
    "visual_encoder.blocks.3.norm2.weight": "vision_model.encoder.layers.3.layer_norm2.weight",
    "visual_encoder.blocks.3.mlp.fc1.weight": "vision_model.encoder.layers.3.mlp.fc1.weight",
    "visual_encoder.norm.weight": "vision_model.post_layernorm.weight",
    "text_decoder.cls.predictions.bias": "text_decoder.cls.predictions.bias",
}


@pytest.mark.parametrize(("theirs", "ours"), PUBLISHED.items())
def test_weights_get_the_names_of_transformers(theirs: str, ours: str) -> None:
    assert transformers_name(theirs) == ours


def own_name(name: str) -> str:
    """The file's name of a weight that transformers calls ``name``."""
    for theirs, ours in PUBLISHED.items():
        theirs, ours = theirs.replace(".3.", ".0."), ours.replace(".3.", ".0.")
        stem, _, part = theirs.rpartition(".")
        if name == ours:
            return theirs
        if part in {"weight", "bias"} and name.rpartition(".")[0] == ours.rpartition(".")[0]:
            return f"{stem}.{name.rpartition('.')[2]}"
    return name.replace("vision_model.encoder.layers", "visual_encoder.blocks")


def test_sizes_are_read_off_the_published_file() -> None:
    shapes = blip(Tower(768, 3072, 12, 384, 16), Text(768, 3072, 12, 30524, 512))
    state = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    config = blip_config(state, separator=102, padding=0)
    vision, text = config["vision_config"], config["text_config"]
    assert (vision["image_size"], vision["num_hidden_layers"], vision["num_attention_heads"]) == (384, 12, 12)
    assert (text["num_hidden_layers"], text["num_attention_heads"], text["bos_token_id"]) == (12, 12, 30522)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder with the tiny network in BLIP's own file, and the tokens beside it."""
    write_captioner(tmp_path)
    folder = tmp_path / "BLIP"
    state: dict[str, Tensor] = dict(Describers(tmp_path, CPU)._network(CAPTIONER).state_dict())
    content = {own_name(name): value for name, value in state.items()}
    assert sum(name.startswith("visual_encoder.") for name in content) == 18
    torch.save({"model": content, "epoch": 5}, folder / "model_base_caption_capfilt_large.pth")
    for name in ("config.json", "model.safetensors"):
        (folder / name).unlink()
    return tmp_path


def test_its_weights_arrive_and_a_caption_comes_out(models: Path) -> None:
    store = ModelStore.below(models / "data")
    assert Describers(models, CPU).missing(CAPTIONER) is not None  # nobody may read pickles
    describers = Describers(models, CPU, store)
    assert describers.missing(CAPTIONER) is None
    assert describers.caption(Image.new("RGB", (40, 30), "red"), beams=1, least=8, most=12)
    arrived = describers._network(CAPTIONER).state_dict()
    content = torch.load(models / "BLIP" / "model_base_caption_capfilt_large.pth", weights_only=True)["model"]
    assert all(torch.equal(value, content[own_name(name)]) for name, value in arrived.items())


def test_tokens_that_are_missing_are_asked_for(models: Path) -> None:
    (models / "BLIP" / "tokenizer.json").unlink()
    missing = Describers(models, CPU, ModelStore.below(models / "data")).missing(CAPTIONER)
    assert missing is not None
    assert missing.endswith("beside that tokenizer.json.")
