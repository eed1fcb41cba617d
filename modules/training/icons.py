"""Icon packages from the npm registry, rendered once as RGBA pictures with a concept's name each."""

import io
import json
import logging
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import resvg_py
from numpy.typing import NDArray
from PIL import Image

from modules.exceptions import TrainingError
from modules.training.icon_sets import EMOJIBASE_PACKAGE, ICON_SETS, IconSet

__all__ = [
    "Icon",
    "IconLibrary",
    "code_point_key",
    "fetch_package",
    "load_icons",
    "read_concepts",
    "render_icons",
    "usable_code_points",
]

_LOG = logging.getLogger(__name__)
_FLAGS_GROUP = 9  # emojibase's group of country flags
_RENDER_SIZE = 256


@dataclass(frozen=True)
class Icon:
    """One drawing: the set it comes from, its code points ("1f34e") and the CLDR name."""

    icon_set: str
    code_points: str
    label: str


@dataclass(frozen=True)
class IconLibrary:
    """All drawings: ``pixels[i]`` (256, 256, 4) uint8 RGBA, straight alpha, belongs to ``icons[i]``."""

    icons: tuple[Icon, ...]
    pixels: NDArray[np.uint8]


def code_point_key(code_points: str) -> str:
    """Write code points in lower case, joined by "-", without the emoji variation selector."""
    parts = code_points.lower().replace("_", "-").split("-")
    return "-".join(part for part in parts if part != "fe0f")


def fetch_package(package: str, cache: Path) -> Path:
    """Return the package's archive in ``cache``, downloading it with ``npm pack`` when it is missing.

    Raises:
        TrainingError: npm is missing or could not get the package.
    """
    name, _, version = package.rpartition("@")
    archive = cache / f"{name.lstrip('@').replace('/', '-')}-{version}.tgz"
    if archive.exists():
        return archive
    cache.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run(
            ["npm", "pack", package, "--silent"], cwd=cache, check=True, capture_output=True, timeout=600
        )
    except FileNotFoundError as error:
        raise TrainingError("npm is needed to fetch the icon packages and was not found.") from error
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise TrainingError(f"npm could not fetch {package}: {error}") from error
    if not archive.exists():
        raise TrainingError(f"npm pack {package} did not leave {archive.name} in {cache}.")
    return archive


def _read_json(archive: Path, member: str) -> object:
    with tarfile.open(archive) as package:
        stream = package.extractfile(f"package/{member}")
        if stream is None:
            raise TrainingError(f"{archive.name} has no {member}.")
        return json.load(stream)


def read_concepts(archive: Path) -> dict[str, str]:
    """Map code points to CLDR names, without country flags and skin-tone variants."""
    entries = _read_json(archive, "en/data.json")
    if not isinstance(entries, list):
        raise TrainingError(f"{archive.name}: en/data.json is not a list.")
    return {
        code_point_key(entry["hexcode"]): entry["label"]
        for entry in entries
        if entry.get("group", _FLAGS_GROUP) != _FLAGS_GROUP
    }


def usable_code_points(icon_set: IconSet, available: Mapping[str, set[str]]) -> set[str]:
    """Return the code points of a set that its licence covers.

    Args:
        icon_set: The set in question.
        available: Per set name, the code points that its package holds.
    """
    own = available[icon_set.name]
    return own if icon_set.only_with is None else own & available[icon_set.only_with]


def _svg_document(icons: Mapping[str, dict[str, object]], collection: Mapping[str, object], name: str) -> str:
    icon = icons[name]
    width = icon.get("width", collection.get("width", 16))
    height = icon.get("height", collection.get("height", 16))
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{icon.get("left", 0)} {icon.get("top", 0)} {width} {height}" '
        f'width="{width}" height="{height}">{icon["body"]}</svg>'
    )


def _square(picture: Image.Image) -> NDArray[np.uint8]:
    if picture.size == (_RENDER_SIZE, _RENDER_SIZE):
        return np.asarray(picture)
    canvas = Image.new("RGBA", (_RENDER_SIZE, _RENDER_SIZE))
    picture.thumbnail((_RENDER_SIZE, _RENDER_SIZE), Image.Resampling.LANCZOS)
    canvas.paste(picture, ((_RENDER_SIZE - picture.width) // 2, (_RENDER_SIZE - picture.height) // 2))
    return np.asarray(canvas)


def _svg_names(archive: Path) -> dict[str, str]:
    characters = _read_json(archive, "chars.json")
    if not isinstance(characters, dict):
        raise TrainingError(f"{archive.name}: chars.json is not an object.")
    names: dict[str, str] = {}
    for code_points, name in characters.items():
        names.setdefault(code_point_key(code_points), name)
    return names


def _render_svg_set(archive: Path, wanted: set[str]) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    collection = _read_json(archive, "icons.json")
    if not isinstance(collection, dict):
        raise TrainingError(f"{archive.name}: icons.json is not an object.")
    icons, aliases = collection["icons"], collection.get("aliases", {})
    for code_points, name in _svg_names(archive).items():
        if code_points not in wanted:
            continue
        while name not in icons and name in aliases:
            name = aliases[name]["parent"]
        if name not in icons:
            continue
        document = _svg_document(icons, collection, name)
        png = resvg_py.svg_to_bytes(svg_string=document, width=_RENDER_SIZE, height=_RENDER_SIZE)
        yield code_points, _square(Image.open(io.BytesIO(bytes(png))).convert("RGBA"))


def _raster_code_points(archive: Path) -> set[str]:
    with tarfile.open(archive) as package:
        paths = [PurePosixPath(name) for name in package.getnames()]
    return {code_point_key(path.stem) for path in paths if path.suffix == ".webp"}


def _render_raster_set(archive: Path, wanted: set[str]) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    with tarfile.open(archive) as package:
        for member in package:
            code_points = code_point_key(PurePosixPath(member.name).stem)
            stream = package.extractfile(member) if member.name.endswith(".webp") else None
            if stream is not None and code_points in wanted:
                yield code_points, _square(Image.open(io.BytesIO(stream.read())).convert("RGBA"))


def render_icons(cache: Path, folder: Path) -> IconLibrary:
    """Fetch every set into ``cache`` and write ``icons.npy`` and ``icons.json`` into ``folder``.

    Raises:
        TrainingError: A package could not be fetched or read.
    """
    labels = read_concepts(fetch_package(EMOJIBASE_PACKAGE, cache))
    archives = {icon_set.name: fetch_package(icon_set.package, cache) for icon_set in ICON_SETS}
    available = {
        icon_set.name: set(_svg_names(archives[icon_set.name]))
        if icon_set.kind == "svg"
        else _raster_code_points(archives[icon_set.name])
        for icon_set in ICON_SETS
    }
    icons: list[Icon] = []
    pictures: list[NDArray[np.uint8]] = []
    for icon_set in ICON_SETS:
        wanted = usable_code_points(icon_set, available) & set(labels)
        render = _render_svg_set if icon_set.kind == "svg" else _render_raster_set
        for code_points, picture in render(archives[icon_set.name], wanted):
            if picture[..., 3].any():
                icons.append(Icon(icon_set.name, code_points, labels[code_points]))
                pictures.append(picture)
        _LOG.info("%s: %d drawings so far", icon_set.name, len(icons))
    library = IconLibrary(tuple(icons), np.stack(pictures))
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "icons.npy", library.pixels)
    (folder / "icons.json").write_text(json.dumps([asdict(icon) for icon in icons]), encoding="utf-8")
    return library


def load_icons(folder: Path) -> IconLibrary:
    """Open what :func:`render_icons` wrote; pixels stay on disk until they are read.

    Raises:
        TrainingError: The folder holds no rendered icons.
    """
    try:
        entries = json.loads((folder / "icons.json").read_text(encoding="utf-8"))
        pixels = np.load(folder / "icons.npy", mmap_mode="r")
    except FileNotFoundError as error:
        raise TrainingError(
            f"There are no rendered icons in {folder}: run the stage 'icons' first."
        ) from error
    return IconLibrary(tuple(Icon(**entry) for entry in entries), pixels)
