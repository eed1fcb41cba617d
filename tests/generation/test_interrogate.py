"""From a picture to words, with tiny networks of random weights."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from modules.checkpoints.describers import LEAD, TAGGER, Describers
from modules.exceptions import CheckpointError, NotFoundError
from modules.generation.interrogate import Interrogator
from modules.settings.options import Settings
from tests.checkpoints.tiny_describers import LABELS, write_captioner, write_ranker, write_tagger

PICTURE = Image.linear_gradient("L").resize((70, 40))
SHORT = Settings().overridden({"interrogate_clip_min_length": 8, "interrogate_clip_max_length": 12})


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    models = tmp_path_factory.mktemp("describers")
    for write in (write_captioner, write_ranker, write_tagger):
        write(models)
    return models


def interrogator(models: Path, folder: Path | None = None) -> Interrogator:
    return Interrogator(Describers(models, torch.device("cpu")), folder or models / "no lists")


def word_list(folder: Path, name: str, *words: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("\n".join(words) + "\n\n")


def test_a_picture_gets_a_caption_of_the_wanted_length(models: Path) -> None:
    words = interrogator(models).describe(PICTURE, "CLIP", SHORT)
    assert words == interrogator(models).describe(PICTURE.convert("RGBA"), "clip", SHORT)
    lead = len(LEAD.split())
    assert 8 - 1 - lead <= len(words.split()) <= 12 - 1 - lead  # the start token counts too
    more = SHORT.overridden({"interrogate_clip_max_length": 20, "interrogate_clip_min_length": 20})
    assert len(interrogator(models).describe(PICTURE, "clip", more).split()) >= 20 - 2 - lead


def test_the_best_words_of_each_list_follow_it(models: Path, tmp_path: Path) -> None:
    word_list(tmp_path, "artists.txt", "by ann", "by bob")
    word_list(tmp_path, "flavors.top2.txt", "sea", "sky", "sand")
    word_list(tmp_path, "mediums.txt")
    asked = interrogator(models, tmp_path)
    assert asked.categories() == ("artists", "flavors", "mediums")
    _caption, artist, *flavors = asked.describe(PICTURE, "clip", SHORT).split(", ")
    assert artist in {"by ann", "by bob"}
    assert len(flavors) == 2
    assert set(flavors) < {"sea", "sky", "sand"}
    ranked = SHORT.overridden(
        {"interrogate_return_ranks": True, "interrogate_clip_skip_categories": ["artists"]}
    )
    _caption, first, second = asked.describe(PICTURE, "clip", ranked).split(", ")
    chances = [float(each.strip("()").split(":")[1]) for each in (first, second)]
    assert first.startswith(f"({flavors[0]}:")
    assert 1 > chances[0] >= chances[1] > 0
    assert sum(chances) < 1
    one = SHORT.overridden({"interrogate_clip_dict_limit": 1})
    assert asked.describe(PICTURE, "clip", one).endswith(", by ann, sea")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, r"1girl, long hair, smile \(big\)"),
        ({"deepbooru_sort_alpha": False}, r"smile \(big\), 1girl, long hair"),
        ({"deepbooru_use_spaces": False, "deepbooru_escape": False}, "1girl, long_hair, smile_(big)"),
        ({"deepbooru_filter_tags": "1girl, long hair"}, r"smile \(big\)"),
        ({"interrogate_deepbooru_score_threshold": 0.9}, r"smile \(big\)"),
        (
            {"interrogate_return_ranks": True},
            r"(1girl:0.881), (long hair:0.731), (smile \(big\):0.953)",
        ),
    ],
)
def test_tags_are_written_as_the_settings_want(models: Path, changes: dict[str, object], words: str) -> None:
    settings = Settings().overridden(changes)
    for name in ("deepdanbooru", "DeepBooru"):
        assert interrogator(models).describe(PICTURE, name, settings) == words


@pytest.mark.parametrize(
    ("scaling", "shape"),
    [
        (
            '{"size": {"height": 32, "width": 32}, "do_normalize": true, "image_mean": [0, 0, 0]}',
            (1, 3, 32, 32),
        ),
        ('{"size": 48}', (1, 3, 48, 48)),
        ('{"size": "large", "do_normalize": true, "image_std": "none"}', (1, 3, 32, 32)),
    ],
)
def test_a_tagging_model_gets_pictures_as_its_folder_says(
    tmp_path: Path, scaling: str, shape: tuple[int, ...]
) -> None:
    write_tagger(tmp_path)
    (tmp_path / "deepdanbooru" / "preprocessor_config.json").write_text(scaling)
    seen: list[torch.Size] = []
    describers = Describers(tmp_path, torch.device("cpu"))
    network = describers._network(TAGGER)
    network.register_forward_pre_hook(
        lambda _module, _given, named: seen.append(named["pixel_values"].shape), with_kwargs=True
    )
    if shape[2] == 32:
        assert set(describers.tags(PICTURE)) == set(LABELS)
    else:
        with pytest.raises(CheckpointError, match=r"config\.json"):  # this network takes one size only
            describers.tags(PICTURE)
    assert seen == [shape]


def test_what_is_missing_is_said_with_its_place(tmp_path: Path) -> None:
    nothing = interrogator(tmp_path)
    with pytest.raises(NotFoundError, match=r"config\.json, model\.safetensors and tokenizer\.json .*/BLIP"):
        nothing.describe(PICTURE, "clip", SHORT)
    with pytest.raises(NotFoundError, match="models/deepdanbooru"):
        nothing.describe(PICTURE, "deepdanbooru", SHORT)
    with pytest.raises(NotFoundError, match="Model not found"):
        nothing.describe(PICTURE, "oracle", SHORT)
    assert "not installed" in (nothing.missing("clip") or "")


def test_lists_are_left_out_where_no_network_can_rank_them(tmp_path: Path) -> None:
    write_captioner(tmp_path)
    word_list(tmp_path / "lists", "artists.txt", "by ann")
    assert interrogator(tmp_path).missing("clip") is None
    words = interrogator(tmp_path, tmp_path / "lists").describe(PICTURE, "clip", SHORT)
    assert "by ann" not in words


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("model.safetensors", b"no weights at all"),
        ("config.json", b"{"),
        ("config.json", b'{"model_type": "bert", "vision_config": 3}'),
        ("tokenizer.json", b"{}"),
    ],
)
def test_a_damaged_folder_is_named(tmp_path: Path, file: str, content: bytes) -> None:
    write_captioner(tmp_path)
    (tmp_path / "BLIP" / file).write_bytes(content)
    with pytest.raises(CheckpointError, match=r"^(model\.safetensors|tokenizer\.json): "):
        interrogator(tmp_path).describe(PICTURE, "clip", SHORT)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    write_captioner(tmp_path)
    write_ranker(tmp_path)
    path = tmp_path / "BLIP" / "model.safetensors"
    weights = load_file(path)
    weights.pop(lost := "vision_model.post_layernorm.weight")
    save_file(weights, path, {"format": "pt"})
    with pytest.raises(CheckpointError, match=f"lacks weights, for example {lost}"):
        interrogator(tmp_path).describe(PICTURE, "clip", SHORT)
    (tmp_path / "CLIP" / "model.safetensors").replace(path)
    with pytest.raises(CheckpointError, match=r"^model\.safetensors: "):
        interrogator(tmp_path).describe(PICTURE, "clip", SHORT)
