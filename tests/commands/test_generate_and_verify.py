"""Pictures from the command line, with the included model at a small size."""

import io
from pathlib import Path

import pytest
from PIL import Image

from modules.cli import ROOT, main
from modules.commands.verify import different_parameters
from modules.imaging.metadata import encode_image, read_infotext

SMALL = ["--steps", "2", "--width", "64", "--height", "64", "--seed", "7", "--sampler", "Euler a"]
pytestmark = pytest.mark.skipif(
    not (ROOT / "models" / "Stable-diffusion" / "embedded.safetensors").is_file(), reason="no included model"
)


@pytest.fixture(scope="module")
def flags(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    data = tmp_path_factory.mktemp("studio")
    folders = ["--data-dir", str(data), "--models-dir", str(ROOT / "models")]
    return [*folders, "--device", "cpu", "--precision", "full"]


@pytest.fixture(scope="module")
def picture(flags: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "apple.png"
    words = ["generate", "--prompt", "a red apple", "--out", str(out), *SMALL, *flags]
    assert main([*words, "--set", "CLIP_stop_at_last_layers=2"]) == 0
    return out


def text_of(path: Path) -> str:
    text, _ = read_infotext(path)
    assert text is not None
    return text


def changed(picture: Path, name: str, text: str | None, pixel: int | None = None) -> Path:
    """A copy with another text, or with another pixel."""
    with Image.open(picture) as image:
        copy = image.convert("RGB")
    if pixel is not None:
        copy.putpixel((3, 4), (pixel, pixel, pixel))
    path = picture.with_name(name)
    path.write_bytes(encode_image(copy, path.suffix[1:], text))
    return path


def test_a_picture_is_written_with_its_parameters(picture: Path) -> None:
    with Image.open(io.BytesIO(picture.read_bytes())) as image:
        assert (image.format, image.size) == ("PNG", (64, 64))
    text = text_of(picture)
    assert text.startswith("a red apple\nSteps: 2, Sampler: Euler a, ")
    assert "Seed: 7, Size: 64x64, " in text
    assert "Clip skip: 2" in text


def test_nothing_is_overwritten_and_wrong_arguments_are_named(
    picture: Path, flags: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    before = picture.read_bytes()
    for words, said in (
        (["--out", str(picture)], "exists already"),
        (["--out", "x.gif"], "cannot be written as .gif"),
        (["--out", "x.png", "--set", "nonsense=1"], "nonsense=1"),
    ):
        assert main(["generate", "--prompt", "x", *words, *flags]) == 2
        assert said in caplog.text
    assert picture.read_bytes() == before


def test_several_pictures_like_another_one_go_into_a_folder(
    picture: Path, flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "many"
    assert main(["generate", "--like", str(picture), "--count", "2", "--out", str(folder), *flags]) == 0
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["00000-7.png", "00001-8.png"]
    assert capsys.readouterr().out.split() == [str(folder / name) for name in names]
    assert text_of(folder / names[0]) == text_of(picture)
    assert (folder / names[0]).read_bytes() == picture.read_bytes()


def test_pictures_are_verified(picture: Path, flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    text = text_of(picture)
    digest = text.partition("Model hash: ")[2][:10]
    cases = {
        picture: ("identical", ""),
        changed(picture, "lossy.jpg", text): ("", ""),
        changed(picture, "painted.png", text, pixel=255): ("different: 0.02 %", "made here on cpu in float"),
        changed(picture, "other.png", text.replace(digest, "0123456789"), 9): (
            "different",
            f"not {'0123456789'}",
        ),
        changed(picture, "lora.png", text.replace("apple", "apple <lora:gone:1>"), 9): ("different", "gone"),
        changed(picture, "gone.png", text.replace("embedded", "lost").replace(digest, "0123456789")): (
            "not verified",
            "checkpoint lost [0123456789] is not here",
        ),
        changed(picture, "start.png", text + ", Denoising strength: 0.5"): (
            "not verified",
            "another picture",
        ),
        changed(picture, "mute.png", None): ("not verified", "no generation parameters"),
    }
    assert main(["verify", *map(str, cases), *flags]) == 2
    told = capsys.readouterr().out
    for path, (verdict, reason) in cases.items():
        ours = told.partition(f"{path}: ")[2].partition(f"{picture.parent}/")[0]
        assert ours.startswith(verdict), told
        assert reason in ours
    assert main(["verify", str(picture), *flags]) == 0


def test_a_painted_picture_alone_is_different(picture: Path, flags: list[str]) -> None:
    assert main(["verify", str(changed(picture, "again.png", text_of(picture), 200)), *flags]) == 1


def test_a_file_that_is_no_picture_is_not_verified(flags: list[str], tmp_path: Path) -> None:
    (tmp_path / "x.png").write_text("plain text")
    assert main(["verify", str(tmp_path / "x.png"), str(tmp_path / "absent.png"), *flags]) == 2


def test_what_differs_is_said_but_not_whose_the_picture_is() -> None:
    text = "a cat\nSteps: 2, Sampler: Euler, Seed: 1"
    assert different_parameters(f"{text}, User: ann", text) == []
    assert different_parameters(text, text.replace("Seed: 1", "Seed: 2")) == ["Seed: 1 in the file, 2 here"]
