import io
import json
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from modules.exceptions import TrainingError
from modules.training.icon_sets import EMOJIBASE_PACKAGE, ICON_SETS, find_icon_set
from modules.training.icons import (
    code_point_key,
    fetch_package,
    load_icons,
    read_concepts,
    render_icons,
    usable_code_points,
)

_SQUARE = '<path fill="#e00" d="M2 2h12v12H2z"/>'
_APPLE, _FLAG, _HAND = "1f34e", "1f1fa-1f1f8", "1faf5"


def _pack(cache: Path, package: str, files: dict[str, bytes]) -> None:
    name, _, version = package.rpartition("@")
    archive = cache / f"{name.lstrip('@').replace('/', '-')}-{version}.tgz"
    with tarfile.open(archive, "w:gz") as target:
        for path, content in files.items():
            member = tarfile.TarInfo(f"package/{path}")
            member.size = len(content)
            target.addfile(member, io.BytesIO(content))


def _webp() -> bytes:
    stream = io.BytesIO()
    Image.new("RGBA", (256, 256), (200, 0, 0, 255)).save(stream, "WEBP", lossless=True)
    return stream.getvalue()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    names = [
        {"hexcode": "1F34E", "label": "red apple", "group": 4},
        {"hexcode": "1FAF5", "label": "index pointing at the viewer", "group": 1},
        {"hexcode": "1F1FA-1F1F8", "label": "flag: United States", "group": 9},
    ]
    _pack(tmp_path, EMOJIBASE_PACKAGE, {"en/data.json": json.dumps(names).encode()})
    svg = {
        "icons.json": json.dumps({"icons": {"apple": {"body": _SQUARE}}, "height": 16, "width": 16}).encode(),
        "chars.json": json.dumps({_APPLE: "apple"}).encode(),
    }
    for icon_set in ICON_SETS:
        pictures = {f"assets/{name}.webp": _webp() for name in (_APPLE, _FLAG, _HAND)}
        _pack(tmp_path, icon_set.package, svg if icon_set.kind == "svg" else pictures)
    return tmp_path


def test_three_dimensional_drawings_that_microsoft_did_not_release_are_left_out(cache: Path) -> None:
    library = render_icons(cache, cache / "run")
    kept = {icon.code_points for icon in library.icons if icon.icon_set == "fluent-3d"}
    assert kept == {_APPLE}


def test_a_restricted_set_keeps_only_code_points_of_the_licensed_set() -> None:
    available = {"fluent-3d": {_APPLE, _HAND}, "fluent-flat": {_APPLE}}
    assert usable_code_points(find_icon_set("fluent-3d"), available) == {_APPLE}
    assert usable_code_points(find_icon_set("fluent-flat"), available) == {_APPLE}


def test_only_sets_with_permissive_licences_are_used() -> None:
    assert {icon_set.licence for icon_set in ICON_SETS} <= {"Apache-2.0", "MIT"}


def test_every_set_is_rendered_and_read_back(cache: Path) -> None:
    rendered = render_icons(cache, cache / "run")
    library = load_icons(cache / "run")
    assert [icon.icon_set for icon in library.icons] == [icon_set.name for icon_set in ICON_SETS]
    assert library.icons == rendered.icons
    assert library.pixels.shape == (4, 256, 256, 4)
    assert library.pixels[0, 128, 128].tolist() == [0xEE, 0, 0, 255]
    assert library.pixels[0, 4, 4, 3] == 0


def test_flags_are_no_concepts(cache: Path) -> None:
    assert set(read_concepts(fetch_package(EMOJIBASE_PACKAGE, cache)).values()) == {
        "red apple",
        "index pointing at the viewer",
    }


def test_code_points_are_written_in_one_way() -> None:
    assert code_point_key("2764-FE0F") == "2764"
    assert code_point_key("1F468_200D_1F373") == "1f468-200d-1f373"


def test_missing_icons_are_reported_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="run the stage 'icons' first"):
        load_icons(tmp_path)


def test_a_missing_npm_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TrainingError, match="npm is needed"):
        fetch_package("left@1.0.0", tmp_path)
