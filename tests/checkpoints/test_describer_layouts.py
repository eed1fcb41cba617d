"""Files of describing networks load under the names they are published with, and have the published sizes."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import (
    BlipConfig,
    BlipForConditionalGeneration,
    CLIPConfig,
    CLIPModel,
    ViTConfig,
    ViTForImageClassification,
)

from modules.checkpoints.describers import CAPTIONER, RANKER, TAGGER, Describer, Describers
from modules.exceptions import CheckpointError
from tests.checkpoints.describer_manifests import Manifest, Text, Tower, blip, clip, vit_classifier

EYE, TONGUE, JOINT, LABELS = Tower(16, 24, 2, 32, 16), Text(16, 24, 2, 40, 32), 8, 5
NUMBERED = "position_ids"  # counted, not learned; older files hold them


def _vision(tower: Tower) -> dict[str, Any]:
    return {
        "hidden_size": tower.width,
        "intermediate_size": tower.inner,
        "num_hidden_layers": tower.layers,
        "num_attention_heads": max(2, tower.width // 64),
        "image_size": tower.side,
        "patch_size": tower.patch,
    }


def _text(text: Text) -> dict[str, Any]:
    return {
        "hidden_size": text.width,
        "intermediate_size": text.inner,
        "num_hidden_layers": text.layers,
        "num_attention_heads": max(2, text.width // 64),
        "vocab_size": text.words,
        "max_position_embeddings": text.places,
    }


def _clip_config(vision: Tower, text: Text, joint: int) -> dict[str, Any]:
    return {
        "model_type": "clip",
        "text_config": _text(text),
        "vision_config": _vision(vision),
        "projection_dim": joint,
    }


def _blip_config(vision: Tower, text: Text) -> dict[str, Any]:
    seen = {"encoder_hidden_size": vision.width, "bos_token_id": 3, "eos_token_id": 2, "sep_token_id": 2}
    return {"model_type": "blip", "text_config": {**_text(text), **seen}, "vision_config": _vision(vision)}


def _vit_config(vision: Tower, labels: int) -> dict[str, Any]:
    named = {"id2label": {str(place): f"tag{place}" for place in range(labels)}}
    return {
        "model_type": "vit",
        "architectures": ["ViTForImageClassification"],
        **_vision(vision),
        **named,
        "label2id": {f"tag{place}": place for place in range(labels)},
    }


def _values(manifest: Manifest) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.arange(shape[1])[None]
        if name.endswith(NUMBERED)
        else torch.rand(shape, generator=generator)
        for name, shape in manifest.items()
    }


SMALL: dict[Describer, tuple[dict[str, Any], Manifest]] = {
    RANKER: (_clip_config(EYE, TONGUE, JOINT), clip(EYE, TONGUE, JOINT)),
    CAPTIONER: (_blip_config(EYE, TONGUE), blip(EYE, TONGUE)),
    TAGGER: (_vit_config(EYE, LABELS), vit_classifier(EYE, LABELS)),
}


def _write(models: Path, describer: Describer, values: dict[str, Tensor]) -> None:
    folder = models / describer.folder
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(SMALL[describer][0]), encoding="utf-8")
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    save_file(values, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize("describer", SMALL, ids=lambda describer: describer.folder)
def test_every_published_weight_arrives(describer: Describer, tmp_path: Path) -> None:
    values = _values(SMALL[describer][1])
    _write(tmp_path, describer, values)
    network = Describers(tmp_path, torch.device("cpu"))._network(describer)
    learned = {name: value for name, value in values.items() if not name.endswith(NUMBERED)}
    arrived = [value.detach() for value in network.parameters()]
    assert sum(value.numel() for value in arrived) <= sum(value.numel() for value in learned.values())
    for value in arrived:
        assert any(value.shape == each.shape and torch.equal(value, each) for each in learned.values())


@pytest.mark.parametrize("describer", SMALL, ids=lambda describer: describer.folder)
def test_a_file_that_lacks_a_weight_is_refused(describer: Describer, tmp_path: Path) -> None:
    values = _values(SMALL[describer][1])
    del values[next(name for name in values if name.endswith("mlp.fc1.weight") or ".intermediate." in name)]
    _write(tmp_path, describer, values)
    with pytest.raises(CheckpointError, match="lacks weights"):
        Describers(tmp_path, torch.device("cpu"))._network(describer)


LARGE_CLIP = (Tower(1024, 4096, 24, 224, 14), Text(768, 3072, 12, 49408, 77), 768)
BASE_BLIP = (Tower(768, 3072, 12, 384, 16), Text(768, 3072, 12, 30524, 512))
BASE_VIT = (Tower(768, 3072, 12, 224, 16), 1000)


def _numbers(manifest: Manifest) -> int:
    return sum(math.prod(shape) for name, shape in manifest.items() if not name.endswith(NUMBERED))


def _learned(network: nn.Module) -> int:
    return sum(value.numel() for value in network.parameters())


def test_the_networks_have_the_published_sizes() -> None:
    with torch.device("meta"):
        large = CLIPModel(CLIPConfig(**_clip_config(*LARGE_CLIP)))
        classifier = ViTForImageClassification(ViTConfig(**_vit_config(*BASE_VIT)))
        captioner = BlipForConditionalGeneration(BlipConfig(**_blip_config(*BASE_BLIP)))
    assert _learned(large) == _numbers(clip(*LARGE_CLIP)) == 427_616_513
    assert _learned(classifier) == _numbers(vit_classifier(*BASE_VIT)) == 86_567_656
    tied = 30524 * 768 + 30524  # the words' embedding and the last bias are in the file twice
    assert _learned(captioner) in {_numbers(blip(*BASE_BLIP)), _numbers(blip(*BASE_BLIP)) - tied}
