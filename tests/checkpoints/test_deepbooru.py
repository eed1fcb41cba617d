"""DeepDanbooru's file as A1111 fetches it: names, sizes, and what the network makes of a picture."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from modules.checkpoints.deepbooru import find_deepbooru, load_deepbooru
from modules.checkpoints.describers import TAGGER, Describers
from modules.checkpoints.files import ModelStore
from modules.exceptions import CheckpointError
from modules.networks.deepbooru import DeepBooru, DeepBooruConfig, Stage, convolution_names

SMALL = DeepBooruConfig(4, (Stage(2, 2, 8), Stage(1, 4, 12), Stage(2, 4, 12, shortcut_last=True)), 3)
TAGS = ["rating:safe", "1girl", "long_hair"]
CPU = torch.device("cpu")
# number of the convolution: (out, in, side), from the published module
PUBLISHED = {
    0: (64, 3, 7), 1: (256, 64, 1), 2: (64, 64, 1), 3: (64, 64, 3), 4: (256, 64, 1), 5: (64, 256, 1),
    10: (256, 64, 1), 11: (512, 256, 1), 12: (128, 256, 1), 13: (128, 128, 3), 35: (512, 128, 1),
    36: (1024, 512, 1), 37: (256, 512, 1), 96: (1024, 256, 1), 97: (256, 1024, 1), 98: (256, 256, 3),
    99: (1024, 256, 1), 100: (1024, 1024, 1), 101: (256, 1024, 1), 157: (1024, 256, 1),
    158: (2048, 1024, 1), 159: (512, 1024, 1), 160: (512, 512, 3), 167: (2048, 512, 1),
    168: (4096, 2048, 1), 169: (1024, 2048, 1), 170: (1024, 1024, 3), 177: (4096, 1024, 1),
}  # fmt: skip


def file_content(config: DeepBooruConfig) -> dict[str, Tensor | list[str]]:
    """A file of random weights, 1x1 convolutions with their two sides of 1."""
    torch.manual_seed(4)
    state = DeepBooru(config).state_dict()
    names = convolution_names(config)
    content: dict[str, Tensor | list[str]] = {names[ours]: value for ours, value in state.items()}
    content[names["tags.weight"]] = state["tags.weight"][:, :, None, None].clone()
    return {**content, "tags": list(TAGS)}


def test_names_and_sizes_are_those_of_the_published_file() -> None:
    config = DeepBooruConfig()
    with torch.device("meta"):
        state = DeepBooru(config).state_dict()
    names = convolution_names(config)
    assert set(names) == set(state)
    shapes = {names[ours]: tuple(value.shape) for ours, value in state.items()}
    assert len(shapes) == 2 * 179 - 1  # the last one has no bias
    for number, (out, before, side) in PUBLISHED.items():
        assert shapes[f"n_Conv_{number}.weight"] == (out, before, side, side), number
        assert shapes[f"n_Conv_{number}.bias"] == (out,)
    assert shapes["n_Conv_178.weight"] == (9176, 4096)


def by_hand(content: dict[str, Tensor | list[str]], pixels: Tensor) -> Tensor:
    """The small network, convolution by convolution."""

    def conv(number: int, x: Tensor, stride: int = 1) -> Tensor:
        weight, bias = content[f"n_Conv_{number}.weight"], content.get(f"n_Conv_{number}.bias")
        assert isinstance(weight, Tensor)
        assert not isinstance(bias, list)
        return F.conv2d(x, weight, bias, stride)

    def block(x: Tensor, numbers: tuple[int, int, int], beside: Tensor, *, halved: bool = False) -> Tensor:
        h = F.pad(conv(numbers[0], x).relu(), (0, 1, 0, 1) if halved else (1, 1, 1, 1))
        return (conv(numbers[2], conv(numbers[1], h, 1 + halved).relu()) + beside).relu()

    x = conv(0, F.pad(pixels, (2, 3, 2, 3)), 2).relu()
    x = F.max_pool2d(F.pad(x, (0, 1, 0, 1), value=-torch.inf), 3, 2)
    x = block(x, (2, 3, 4), conv(1, x))
    x = block(x, (5, 6, 7), x)
    x = block(x, (9, 10, 11), conv(8, x, 2), halved=True)
    x = block(x, (12, 13, 14), conv(15, x, 2), halved=True)
    x = block(x, (16, 17, 18), x)
    return conv(19, x).mean(dim=(2, 3)).sigmoid()


def test_a_file_is_found_and_gives_chances_of_its_tags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models, store = tmp_path / "models", ModelStore.below(tmp_path / "data")
    describers = Describers(models, CPU, store)
    missing = describers.missing(TAGGER)
    assert missing is not None
    assert "models/torch_deepdanbooru" in missing
    path = models / "torch_deepdanbooru" / "model-resnet_custom_v3.pt"
    path.parent.mkdir(parents=True)
    content = file_content(SMALL)
    torch.save(content, path)
    assert find_deepbooru(models) == path
    assert describers.missing(TAGGER) is None

    monkeypatch.setattr("modules.checkpoints.deepbooru.DeepBooruConfig", lambda: SMALL)
    picture = Image.linear_gradient("L").resize((512, 512)).convert("RGB")
    pixels = torch.from_numpy(np.asarray(picture, np.float32) / 255.0).permute(2, 0, 1)[None]
    chances = describers.tags(picture)
    assert list(chances) == TAGS
    assert torch.allclose(torch.tensor(list(chances.values())), by_hand(content, pixels)[0], atol=1e-5)


def test_a_file_without_names_of_tags_is_refused(tmp_path: Path) -> None:
    torch.save({key: value for key, value in file_content(SMALL).items() if key != "tags"}, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="no list of tags"):
        load_deepbooru(tmp_path / "a.pt", ModelStore.below(tmp_path / "data"), CPU, SMALL)
