import json
import threading
from pathlib import Path

import pytest

from modules.exceptions import RequestError, StorageError
from modules.settings.options import Settings
from modules.settings.store import SettingsStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "config.json"


def test_a_new_store_has_the_defaults_and_writes_nothing(path: Path) -> None:
    assert SettingsStore(path).current == Settings()
    assert not path.exists()


def test_a_change_is_there_after_a_restart(path: Path) -> None:
    SettingsStore(path).update({"jpeg_quality": 90})

    assert SettingsStore(path).current.jpeg_quality == 90


def test_a_change_leaves_one_file_and_no_temporary_ones(path: Path) -> None:
    store = SettingsStore(path)
    store.update({"jpeg_quality": 90})
    store.update({"jpeg_quality": 91})

    assert [file.name for file in path.parent.iterdir()] == ["config.json"]


def test_options_of_others_in_the_file_are_kept(path: Path) -> None:
    path.parent.mkdir()
    path.write_text(json.dumps({"some_extension_option": [1], "jpeg_quality": 70}))

    SettingsStore(path).update({"webp_lossless": True})

    stored = json.loads(path.read_text())
    assert stored["some_extension_option"] == [1]
    assert (stored["jpeg_quality"], stored["webp_lossless"]) == (70, True)


def test_one_bad_value_in_the_file_costs_only_that_option(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.parent.mkdir()
    path.write_text(json.dumps({"jpeg_quality": "best", "samples_format": "webp"}))

    current = SettingsStore(path).current

    assert (current.jpeg_quality, current.samples_format) == (80, "webp")
    assert "jpeg_quality" in caplog.text


@pytest.mark.parametrize("content", ["", "{", "[1, 2]", "[" * 100_000, "\x00\xff"])
def test_an_unreadable_file_is_set_aside_and_the_defaults_used(path: Path, content: str) -> None:
    path.parent.mkdir()
    path.write_text(content, encoding="latin-1")

    assert SettingsStore(path).current == Settings()
    assert path.with_name("config.json.bad").exists()


def test_a_wrong_value_changes_nothing(path: Path) -> None:
    store = SettingsStore(path)

    with pytest.raises(RequestError):
        store.update({"jpeg_quality": 90, "randn_source": "dice"})

    assert store.current == Settings()
    assert not path.exists()


def test_a_failed_write_changes_nothing_and_says_so(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SettingsStore(path)
    store.update({"jpeg_quality": 90})
    before = path.read_text()

    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(StorageError, match="No space left on device"):
        store.update({"jpeg_quality": 50})

    assert store.current.jpeg_quality == 90
    assert path.read_text() == before
    assert [file.name for file in path.parent.iterdir()] == ["config.json"]


def test_subscribers_hear_of_real_changes_only(path: Path) -> None:
    store = SettingsStore(path)
    heard: list[tuple[int, int]] = []
    stop = store.subscribe(lambda before, after: heard.append((before.jpeg_quality, after.jpeg_quality)))

    store.update({"jpeg_quality": 90})
    store.update({"jpeg_quality": 90})
    store.update({"unknown": 1})
    stop()
    store.update({"jpeg_quality": 91})

    assert heard == [(80, 90)]


def test_changes_from_many_threads_are_all_kept(path: Path) -> None:
    store = SettingsStore(path)
    keys = ["jpeg_quality", "notification_volume", "directories_max_prompt_words", "comma_padding_backtrack"]
    threads = [threading.Thread(target=store.update, args=({key: 7},)) for key in keys]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    reread = SettingsStore(path).current.as_json()
    assert [reread[key] for key in keys] == [7, 7, 7, 7]
