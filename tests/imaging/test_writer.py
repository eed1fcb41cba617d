import os
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st
from PIL import Image

from modules.exceptions import StorageError
from modules.imaging.filenames import NameFacts
from modules.imaging.metadata import read_infotext
from modules.imaging.writer import ImageWriter
from modules.settings.options import Settings

PICTURE = Image.new("RGB", (8, 8), (200, 100, 50))
FACTS = NameFacts(now=datetime(2024, 5, 6, tzinfo=UTC), seed=42, prompt="a cat", all_seeds=(42,))
PLAIN = Settings()
TEXT = "a cat\nSteps: 20, Seed: 42, Size: 8x8"


def set_options(**changes: object) -> Settings:
    return PLAIN.overridden(changes)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def writer(tmp_path: Path) -> ImageWriter:
    return ImageWriter(tmp_path / "outputs")


def test_a_picture_is_saved_under_date_number_and_seed(writer: ImageWriter, tmp_path: Path) -> None:
    saved = writer.save(PICTURE, FACTS, PLAIN, kind="txt2img", infotext=TEXT)

    assert saved.path == tmp_path / "outputs" / "txt2img-images" / "2024-05-06" / "00000-42.png"
    assert read_infotext(saved.path)[0] == TEXT
    assert saved.content == saved.path.read_bytes()
    assert names_in(tmp_path) == ["00000-42.png"]


def test_numbers_go_on_where_the_folder_ends(writer: ImageWriter, tmp_path: Path) -> None:
    folder = tmp_path / "outputs" / "txt2img-images" / "2024-05-06"
    folder.mkdir(parents=True)
    for name in ("00041-1.png", "00007-2.jpg", "x-99999.png", "notes.txt"):
        (folder / name).touch()

    names = [writer.save(PICTURE, FACTS, PLAIN, kind="txt2img").path.name for _ in range(3)]

    assert names == ["00042-42.png", "00043-42.png", "00044-42.png"]


def test_grids_have_a_series_and_a_folder_of_their_own(writer: ImageWriter) -> None:
    grid = replace(FACTS, basename="grid")

    first = writer.save(PICTURE, grid, PLAIN, kind="txt2img-grid").path
    second = writer.save(PICTURE, grid, set_options(grid_extended_filename=True), kind="txt2img-grid").path

    assert (first.name, second.name) == ("grid-0000.png", "grid-0001-42.png")
    assert first.parent.parent.name == "txt2img-grids"


@pytest.mark.parametrize(
    ("kind", "folder"),
    [
        ("txt2img", "txt2img-images/2024-05-06"),
        ("img2img", "img2img-images/2024-05-06"),
        ("extras", "extras-images/2024-05-06"),
        ("img2img-grid", "img2img-grids/2024-05-06"),
        ("save", "log/images"),
        ("init", "init-images/2024-05-06"),
    ],
)
def test_each_kind_has_its_folder(writer: ImageWriter, tmp_path: Path, kind: str, folder: str) -> None:
    path = writer.folder(FACTS, PLAIN, kind=kind)  # type: ignore[arg-type]

    assert path.relative_to(tmp_path / "outputs").as_posix() == folder


def test_one_folder_for_all_overrides_the_others(writer: ImageWriter, tmp_path: Path) -> None:
    settings = set_options(outdir_samples="outputs/all", save_to_dirs=False)

    saved = writer.save(PICTURE, FACTS, settings, kind="img2img")

    assert saved.path == tmp_path / "outputs" / "all" / "00000-42-a cat.png"


@pytest.mark.parametrize("format", ["jpg", "webp", "avif"])
def test_the_format_follows_the_setting(writer: ImageWriter, format: str) -> None:
    saved = writer.save(PICTURE, FACTS, set_options(samples_format=format), kind="txt2img", infotext=TEXT)

    assert saved.path.suffix == f".{format}"
    assert read_infotext(saved.path)[0] == TEXT


def test_metadata_can_be_switched_off_and_written_beside(writer: ImageWriter) -> None:
    saved = writer.save(
        PICTURE, FACTS, set_options(enable_pnginfo=False, save_txt=True), kind="txt2img", infotext=TEXT
    )

    assert read_infotext(saved.path)[0] is None
    assert saved.text_path == saved.path.with_suffix(".txt")
    assert saved.text_path.read_text(encoding="utf-8") == TEXT + "\n"


def test_parameters_that_do_not_fit_into_the_picture_lie_beside_it(writer: ImageWriter) -> None:
    saved = writer.save(
        PICTURE, FACTS, set_options(samples_format="jpg"), kind="txt2img", infotext="x" * 60_000
    )

    assert saved.text_path is not None
    assert saved.text_path.stat().st_size == 60_001


def test_without_numbers_nothing_is_overwritten_either(writer: ImageWriter) -> None:
    settings = set_options(save_images_add_number=False)

    names = [writer.save(PICTURE, FACTS, settings, kind="txt2img").path.name for _ in range(3)]

    assert names == ["42.png", "42-1.png", "42-2.png"]


def test_a_second_program_in_the_same_folder_is_not_overwritten(writer: ImageWriter) -> None:
    folder = writer.save(PICTURE, FACTS, PLAIN, kind="txt2img").path.parent
    for number in range(1, 60):
        (folder / f"{number:05}-42.png").write_text("theirs")

    saved = writer.save(PICTURE, FACTS, PLAIN, kind="txt2img")

    assert saved.path.name == "00060-42.png"
    assert (folder / "00001-42.png").read_text() == "theirs"


def test_many_threads_never_take_the_same_name(writer: ImageWriter, tmp_path: Path) -> None:
    other = ImageWriter(tmp_path / "outputs")
    paths: list[Path] = []

    def save(own: ImageWriter) -> None:
        paths.extend(own.save(PICTURE, FACTS, PLAIN, kind="txt2img").path for _ in range(10))

    threads = [threading.Thread(target=save, args=(own,)) for own in (writer, other) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(paths)) == 60
    assert len(names_in(tmp_path)) == 60


def test_the_next_number_costs_the_same_with_fifty_thousand_files(writer: ImageWriter) -> None:
    folder = writer.save(PICTURE, FACTS, PLAIN, kind="txt2img").path.parent
    for number in range(1, 50_000):
        os.mknod(folder / f"{number:05}-1.png")  # touch() takes three times as long
    fresh = ImageWriter(folder.parents[1])

    assert fresh.save(PICTURE, FACTS, PLAIN, kind="txt2img").path.name == "50000-42.png"
    start = time.process_time()
    for _ in range(20):
        fresh.save(PICTURE, FACTS, PLAIN, kind="txt2img")
    assert time.process_time() - start < 0.4  # listing the folder each time would take seconds


def test_large_pictures_get_a_smaller_copy(writer: ImageWriter) -> None:
    settings = set_options(target_side_length=100, img_downscale_threshold=100)

    saved = writer.save(Image.new("RGB", (400, 200)), FACTS, settings, kind="txt2img", infotext=TEXT)

    assert saved.copy_path is not None
    with Image.open(saved.copy_path) as copy:
        assert copy.size == (100, 50)
    assert read_infotext(saved.copy_path)[0] == TEXT
    assert writer.save(PICTURE, FACTS, settings, kind="txt2img").copy_path is None


def test_a_picture_too_large_for_webp_is_saved_as_png(writer: ImageWriter) -> None:
    saved = writer.save(
        Image.new("RGB", (16_390, 1)),
        FACTS,
        set_options(samples_format="webp", export_for_4chan=False),
        kind="txt2img",
    )

    assert saved.path.suffix == ".png"


@pytest.mark.parametrize("failing", [0, 1])
@pytest.mark.parametrize("code", [28, 13])
def test_a_failed_write_leaves_nothing_behind_and_says_why(
    writer: ImageWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int, code: int
) -> None:
    calls = 0

    def fails(handle: int) -> None:
        nonlocal calls
        calls += 1
        if calls > failing:
            raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(StorageError) as caught:
        writer.save(PICTURE, FACTS, PLAIN, kind="txt2img", infotext=TEXT)

    assert "could not be saved" in str(caught.value) or "was not saved" in str(caught.value)
    assert str(tmp_path) not in str(caught.value)
    monkeypatch.undo()
    assert [name for name in names_in(tmp_path) if name.endswith(".tmp")] == []
    assert writer.save(PICTURE, FACTS, PLAIN, kind="txt2img").path.exists()


def test_without_hard_links_the_name_is_reserved_first(
    writer: ImageWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(source: Path, target: Path) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", no_links)
    settings = set_options(save_images_add_number=False)
    first = writer.save(PICTURE, FACTS, settings, kind="txt2img")
    second = writer.save(PICTURE, FACTS, settings, kind="txt2img")

    assert (first.path.name, second.path.name) == ("42.png", "42-1.png")
    assert first.path.read_bytes() == first.content


@profile(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(max_size=80), st.text(max_size=80), st.text(max_size=80), st.text(max_size=80))
def test_whatever_is_asked_for_lands_inside_the_outputs(
    tmp_path_factory: pytest.TempPathFactory, pattern: str, folder: str, out: str, prompt: str
) -> None:
    base = tmp_path_factory.mktemp("w")
    facts = replace(FACTS, prompt=prompt, user=folder, basename=pattern, model_name=f"../{out}")
    settings = set_options(
        samples_filename_pattern=f"../{pattern}/[prompt_spaces]/[model_name]",
        directories_filename_pattern=f"../../{folder}/[user]",
        outdir_txt2img_samples=f"../../{out}/../..",
    )

    saved = ImageWriter(base / "outputs").save(PICTURE, facts, settings, kind="txt2img", suffix=f"/{folder}")

    assert saved.path.resolve().is_relative_to((base / "outputs").resolve())


def test_names_too_long_for_a_file_system_are_cut(writer: ImageWriter) -> None:
    facts = replace(FACTS, basename="b" * 300)

    saved = writer.save(
        PICTURE,
        facts,
        set_options(samples_filename_pattern="猫" * 300),
        kind="txt2img",
        suffix="-" + "s" * 300,
    )

    assert saved.path.exists()


def test_an_absolute_folder_counts_only_inside_the_outputs(writer: ImageWriter, tmp_path: Path) -> None:
    inside = set_options(outdir_txt2img_samples=str(tmp_path / "outputs" / "mine"), save_to_dirs=False)
    outside = set_options(outdir_txt2img_samples="/etc", save_to_dirs=False)

    assert writer.folder(FACTS, inside, kind="txt2img") == tmp_path / "outputs" / "mine"
    assert writer.folder(FACTS, outside, kind="txt2img") == tmp_path / "outputs" / "etc"


def test_a_folder_below_the_outputs_cannot_climb_out_again(writer: ImageWriter, tmp_path: Path) -> None:
    climbing = set_options(outdir_txt2img_samples=str(tmp_path / "outputs/../../X"), save_to_dirs=False)

    saved = writer.save(PICTURE, FACTS, climbing, kind="txt2img")

    assert saved.path.parent == tmp_path / "outputs" / "X"


def test_a_link_that_leads_out_of_the_outputs_is_refused(writer: ImageWriter, tmp_path: Path) -> None:
    (tmp_path / "outputs").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "outputs" / "link").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(StorageError, match="link leads out of the outputs folder"):
        writer.save(PICTURE, FACTS, set_options(outdir_samples="link", save_to_dirs=False), kind="txt2img")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_the_outputs_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "large-disk").mkdir()
    (tmp_path / "outputs").symlink_to(tmp_path / "large-disk")

    saved = ImageWriter(tmp_path / "outputs").save(PICTURE, FACTS, PLAIN, kind="txt2img")

    assert saved.path.is_relative_to(tmp_path / "outputs")
    assert names_in(tmp_path / "large-disk") == [saved.path.name]


@pytest.mark.parametrize("other", [".jpg", ".jpeg", ".webp", ".avif", ".txt"])
def test_no_two_pictures_share_a_stem(writer: ImageWriter, tmp_path: Path, other: str) -> None:
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs" / f"42{other}").touch()
    settings = set_options(
        outdir_samples="outputs",
        save_to_dirs=False,
        save_images_add_number=False,
        samples_filename_pattern="[seed]",
    )

    assert writer.save(PICTURE, FACTS, settings, kind="txt2img").path.name == "42-1.png"
