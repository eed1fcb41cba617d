import json
from pathlib import Path

from modules.domain.languages import LanguageCatalog


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), "utf-8")


def test_chinese_is_there_without_any_file() -> None:
    catalog = LanguageCatalog()
    assert "zh-Hans" in catalog.names()
    assert catalog.translations("zh-Hans")["Generate"] == "生成"


def test_files_of_extensions_and_of_the_user_are_merged_and_the_user_wins(tmp_path: Path) -> None:
    write(tmp_path / "extensions/words/localizations/de_DE.json", {"Steps": "Schritte", "Seed": "Saat"})
    write(tmp_path / "localizations/de_DE.json", {"Seed": "Startwert"})
    catalog = LanguageCatalog.of(tmp_path, tmp_path / "extensions")
    assert "de_DE" in catalog.names()
    assert catalog.translations("de_DE") == {"Steps": "Schritte", "Seed": "Startwert"}


def test_a_broken_file_is_no_reason_to_stop(tmp_path: Path) -> None:
    (tmp_path / "xx.json").write_text("{", "utf-8")
    write(tmp_path / "yy.json", ["no", "object"])
    write(tmp_path / "zz.json", {"Seed": 5, "Steps": "", "Width": "W"})
    catalog = LanguageCatalog([tmp_path])
    assert catalog.translations("xx") == catalog.translations("yy") == {}
    assert catalog.translations("zz") == {"Width": "W"}


def test_a_name_is_no_way_out_of_the_folder(tmp_path: Path) -> None:
    write(tmp_path / "secret.json", {"a": "b"})
    assert LanguageCatalog([tmp_path / "localizations"]).translations("../secret") == {}
