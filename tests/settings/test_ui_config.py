import json
from pathlib import Path

from modules.settings.ui_config import UiConfig


def config_of(folder: Path, content: object) -> UiConfig:
    path = folder / "ui-config.json"
    path.write_text(json.dumps(content), "utf-8")
    return UiConfig(path)


def test_a_missing_or_damaged_file_changes_nothing(tmp_path: Path) -> None:
    assert UiConfig(tmp_path / "none.json").changes("txt2img") == {}
    (tmp_path / "bad.json").write_text("{", "utf-8")
    assert UiConfig(tmp_path / "bad.json").changes("txt2img") == {}
    assert config_of(tmp_path, [1]).changes("txt2img") == {}


def test_fields_are_read_by_tab_and_label_also_with_a_slash_in_it(tmp_path: Path) -> None:
    config = config_of(
        tmp_path,
        {
            "txt2img/Sampling steps/value": 30,
            "txt2img/Sampling steps/maximum": 200,
            "txt2img/Mask/blur/value": 3,
            "img2img/Sampling steps/value": 9,
            "txt2img/Tabs@x/selected": "a",
        },
    )
    assert config.changes("txt2img") == {
        "Sampling steps": {"value": 30, "maximum": 200},
        "Mask/blur": {"value": 3},
    }


def test_new_values_keep_what_else_the_file_holds(tmp_path: Path) -> None:
    config = config_of(tmp_path, {"extras/Resize/value": 4, "txt2img/Width/maximum": 4096})
    written = json.loads(config.with_values("txt2img", {"Width": 768}))
    assert written == {
        "extras/Resize/value": 4,
        "txt2img/Width/maximum": 4096,
        "txt2img/Width/value": 768,
    }
    config.path.write_text(json.dumps(written), "utf-8")
    assert json.loads(config.without_values("txt2img")) == {
        "extras/Resize/value": 4,
        "txt2img/Width/maximum": 4096,
    }
