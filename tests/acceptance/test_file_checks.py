"""Checks 2, 6, 7, 12, 13, 14: hostile files, hostile names, kills and full disks."""

import errno
import io
import itertools
import os
import pickle
import random
import struct
import time
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

import pytest
import torch
import torch.utils.collect_env
from PIL import Image, PngImagePlugin
from safetensors.torch import save

from modules.checkpoints.pickles import PickleGate
from modules.checkpoints.reader import MappedWeights
from modules.domain.styles import StyleCatalog
from modules.exceptions import CheckpointError, NotFoundError, StorageError, WebuiError
from modules.imaging.decode import load_image
from modules.imaging.filenames import NameFacts
from modules.imaging.files import write_replacing
from modules.imaging.writer import ImageWriter
from modules.settings.options import Settings
from modules.settings.store import SettingsStore
from tests.acceptance.conftest import Check
from tests.acceptance.test_queue_checks import program, resident
from tests.server.studio import open_studio

ANN = ("ann", "ann password")


class Runs:
    """A pickle of this calls a function when it is opened."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self._call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self._call


def hostile_pickles(canary: Path) -> Iterator[bytes]:
    """Files that would write the canary, or worse, if they were simply opened."""
    deeds = [
        Runs(os.mkdir, str(canary)),
        Runs(os.system, f"touch {canary}"),
        Runs(eval, f"open({str(canary)!r}, 'w')"),
        Runs(exec, f"open({str(canary)!r}, 'w')"),
        Runs(getattr, "", "format"),
        Runs(torch.utils.collect_env.run, f"touch {canary}"),
        Runs(Path.touch, canary),
        Runs(pickle.loads, pickle.dumps(Runs(os.mkdir, str(canary)))),
    ]
    for deed in deeds:
        for wrapped in ({"state_dict": {"a": deed}}, {"a": torch.zeros(2), "b": [deed]}):
            for zipped in (True, False):
                buffer = io.BytesIO()
                torch.save(wrapped, buffer, _use_new_zipfile_serialization=zipped)
                yield buffer.getvalue()
        yield pickle.dumps({"a": deed})
    yield _with_two_pickles(pickle.dumps(Runs(os.mkdir, str(canary))))
    yield b""
    yield b"PK\x03\x04" + b"\0" * 200
    yield b"junk" * 1000
    buffer = io.BytesIO()
    with warnings.catch_warnings(action="ignore"):  # torch calls them a beta feature
        torch.save({"a": torch.eye(3).to_sparse_csr()}, buffer)
    yield buffer.getvalue()


def _with_two_pickles(second: bytes) -> bytes:
    buffer = io.BytesIO()
    torch.save({"a": torch.zeros(2)}, buffer)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("other/data.pkl", second)
    return buffer.getvalue()


def test_02_hostile_pickles_do_nothing(check: Check, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    files = list(hostile_pickles(canary))
    chosen = files if check.full else random.Random(1).sample(files, 2)
    gate = PickleGate(tmp_path / "cache")
    refused = named = 0
    for number, content in enumerate(chosen):
        path = tmp_path / f"hostile-{number}.ckpt"
        path.write_bytes(content)
        try:
            gate.as_safetensors(path)
        except CheckpointError as error:
            refused += 1
            named += path.name in str(error)
    good = tmp_path / "good.ckpt"
    torch.save({"a": torch.ones(2)}, good)
    read = MappedWeights(gate.as_safetensors(good)).tensor("a").tolist()
    check.measured = f"{refused} of {len(chosen)} refused, {named} name the file; canary: {canary.exists()}"
    assert not canary.exists()
    assert refused == named == len(chosen)
    assert read == [1.0, 1.0]


PARTS = ("..", ".", "/", "\\", "etc", "passwd", "%2e%2e", "%252e", "%2f", "~", "\0", "con", "C:", "con.txt",
         "🎨" * 40, "\u202e", "a" * 300, "x. ", "__../../etc/passwd__", "\ud800", "$HOME", "`id`", "\n",
         "[seed]")  # fmt: skip


def hostile_names(count: int) -> Iterator[str]:
    """Names made of what leads out of a folder, in any order."""
    chance = random.Random(3)
    fixed = ("../../../etc/passwd", "/etc/passwd", "..\\..\\windows", "....//....//", "../" * 40, "a/../../b")
    yield from fixed
    for _ in range(count - len(fixed)):
        parts = chance.choices(PARTS, k=chance.randint(1, 6))
        yield chance.choice(("/", "", "\\", "/../")).join(parts)


def everything_below(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def test_06_names_never_lead_out(check: Check, tmp_path: Path) -> None:
    count = check.count(400, 10_000)
    outer = tmp_path / "outer"
    root = outer / "studio"
    root.mkdir(parents=True)
    (outer / "secret.txt").write_text("the marker")
    outside = {path for path in everything_below(outer) if root not in path.parents}
    writer, picture = ImageWriter(root / "outputs"), Image.new("RGB", (8, 8))
    read = 0
    with open_studio(root, basic=dict([ANN])) as studio:
        token = studio.access.accounts.create_token("ann", "admin")
        styles = StyleCatalog((root / "styles.csv",), write_replacing)
        for number, name in enumerate(hostile_names(count)):
            for find in (studio.services.catalog.find_checkpoint, studio.services.catalog.find_vae):
                with suppress(NotFoundError):  # a part of a name may find the one file there is
                    found = find(name)
                    assert root in found.path.parents
            if number % 20 == 0:  # writing to disk takes time
                facts = NameFacts(now=datetime.now().astimezone(), prompt=name, seed=number)
                settings = Settings().overridden({"samples_filename_pattern": name.replace("\ud800", "?")})
                _ = [writer.save(picture, facts, each, kind="txt2img") for each in (settings, Settings())]
            assert styles.find(name) is None
            if number % 10 == 0:
                read += _asked(studio.get, name, token)
    new = {path for path in everything_below(outer) if root not in path.parents} - outside
    long = [path for path in everything_below(root) if len(path.name.encode("utf-8", "replace")) > 255]
    check.measured = (
        f"{count} names: {len(new)} files outside, {read} foreign files read, {len(long)} names too long"
    )
    assert (new, read, long) == (set(), 0, [])


def _asked(get: Callable[..., object], name: str, token: str) -> int:
    """Ask for a file by such an id; returns whether it came."""
    found = 0
    for path in (
        f"/files/{quote(name, safe='', errors='replace')}",
        f"/files/{quote(quote(name, safe='', errors='replace'))}",
    ):
        answer = get(path, headers={"authorization": f"Bearer {token}"})
        found += answer.status_code == 200 or b"the marker" in answer.content  # type: ignore[attr-defined]
    return found


def test_07_kills_while_saving_lose_nothing(check: Check, tmp_path: Path) -> None:
    rounds = check.count(12, 500)
    found = program("save", str(tmp_path / "studio"), str(rounds))
    check.measured = (
        f"{rounds} kills: of {found['promised']} pictures promised {found['lost']} lost, "
        f"{found['unreadable']} of {found['on_disk']} unreadable, settings lost "
        f"{found['settings_lost']} times, {found['leftovers']} leftovers after start"
    )
    assert found["promised"]
    assert (found["lost"], found["unreadable"], found["settings_lost"], found["leftovers"]) == (0, 0, 0, 0)


def mutations(content: bytes, count: int) -> Iterator[bytes]:
    """Flipped bits, cut ends, wrong lengths, doubled and zeroed pieces."""
    chance = random.Random(5)
    for _ in range(count):
        changed = bytearray(content)
        kind = chance.randrange(6)
        place = chance.randrange(len(changed))
        if kind == 0:
            changed[place] ^= 1 << chance.randrange(8)
        elif kind == 1:
            del changed[place:]
        elif kind == 2:
            changed[:8] = struct.pack("<Q", chance.choice((2**63, 2**64 - 1, 0, 7, len(content), 2**31)))
        elif kind == 3:
            changed[place:place] = changed[place : place + 50]
        elif kind == 4:
            changed[place : place + 20] = bytes(20)
        else:
            header = chance.randrange(8, 120)
            changed[header] = chance.randrange(256)
        yield bytes(changed)


def test_12_damaged_model_files_are_named(check: Check, tmp_path: Path) -> None:
    count, pickles = check.count(300, 1000), check.count(1, 40)
    tensors = {f"layer.{n}.weight": torch.randn(4, 5) for n in range(8)}
    path = tmp_path / "damaged.safetensors"
    loaded = named = failed = 0
    before = resident()
    for content in mutations(save(tensors, {"format": "pt"}), count):
        path.write_bytes(content)
        try:
            weights = MappedWeights(path)
            _ = [weights.tensor(name).sum() for name in weights]
            loaded += 1
        except CheckpointError as error:
            failed += 1
            named += path.name in str(error)
    grown = resident() - before
    gate = PickleGate(tmp_path / "cache")
    buffer = io.BytesIO()
    torch.save(tensors, buffer)
    for number, content in enumerate(mutations(buffer.getvalue(), pickles)):
        damaged = tmp_path / f"damaged-{number}.pt"
        damaged.write_bytes(content)
        try:
            gate.as_safetensors(damaged)
            loaded += 1
        except CheckpointError as error:
            failed += 1
            named += damaged.name in str(error)
    check.measured = (
        f"{count} safetensors and {pickles} pickles: {failed} refused, {named} name the file, {loaded} still "
        f"sound, 0 crashes; memory +{max(0.0, grown):.0f} MB"
    )
    assert named == failed
    assert loaded + failed == count + pickles
    assert grown < 300


def png_of(width: int, height: int) -> bytes:
    """A tiny file whose header promises a large picture, and whose data would fill it."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((min(width, 20_000) + 7) // 8 + 1) * min(height, 2000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def bombs() -> Iterator[tuple[str, bytes]]:
    """Pictures that are too large, or none."""
    for side in (9_600, 12_800, 16_000, 19_200, 65_535, 2**31 - 1):
        yield f"png {side}", png_of(side, side)
    buffer = io.BytesIO()
    Image.new("L", (16, 16)).save(buffer, "JPEG")
    jpeg = bytearray(buffer.getvalue())
    frame = jpeg.find(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = b"\xff\xff\xff\xff"
    yield "jpeg 65535", bytes(jpeg)
    for kind in ("PPM", "TGA", "ICO", "PCX", "SGI", "IM", "EPS", "PDF"):
        buffer = io.BytesIO()
        Image.new("RGB", (16, 16)).save(buffer, kind)
        yield kind, buffer.getvalue()
    yield "svg", b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
    yield "psd", b"8BPS" + bytes(100)
    yield "fits", b"SIMPLE  =                    T" + b" " * 3000
    yield "junk", b"\x89PNG\r\n\x1a\n" + b"junk" * 100
    yield "empty", b""
    yield "html", b"<!doctype html><script>alert(1)</script>"


def test_13_hostile_pictures_are_refused_in_time(check: Check, tmp_path: Path) -> None:
    before, slowest, refused, total = resident(), 0.0, 0, 0
    for name, content in bombs():
        total += 1
        begun = time.process_time()
        try:
            load_image(content, field="picture")
        except WebuiError:
            refused += 1
        else:
            raise AssertionError(f"{name} was accepted")
        slowest = max(slowest, time.process_time() - begun)
    text = PngImagePlugin.PngInfo()
    text.add_text("parameters", "x" * 5_000_000, zip=True)
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, "PNG", pnginfo=text)
    try:
        load_image(buffer.getvalue(), field="picture")
    except WebuiError:
        refused += 1
        total += 1
    grown = resident() - before
    decoded = 0
    for kind in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"):
        buffer = io.BytesIO()
        Image.new("RGB", (16, 16), (9, 9, 9)).save(buffer, kind)
        decoded += load_image(buffer.getvalue(), field="picture").size == (16, 16)
    check.measured = (
        f"{refused} of {total} refused, the slowest in {1000 * slowest:.0f} ms; "
        f"memory +{max(0.0, grown):.0f} MB; {decoded} of 7 allowed formats decoded"
    )
    assert refused == total
    assert slowest < 0.3
    assert grown < 100
    assert decoded == 7


def test_14_a_full_disk_leaves_nothing_half_written(
    check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = check.count(12, 50)
    real = {name: getattr(os, name) for name in ("fsync", "link")}
    picture, facts = Image.new("RGB", (32, 32)), NameFacts(now=datetime.now().astimezone(), seed=1)
    store = SettingsStore(tmp_path / "config.json")
    store.update({"jpeg_quality": 71})
    partial = lost = failures = 0
    for number, code in itertools.product(
        range(1, calls + 1), (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS)
    ):
        root = tmp_path / f"{number}-{code}"
        count = itertools.count(1)

        def faulty(name: str, nth: int = number, error: int = code, count: Iterator[int] = count) -> object:
            def call(*arguments: object, **options: object) -> object:
                if next(count) == nth:
                    raise OSError(error, os.strerror(error))
                return real[name](*arguments, **options)

            return call

        for name in real:
            monkeypatch.setattr(os, name, faulty(name))
        writer, saved = ImageWriter(root), 0
        for _ in range(max(1, calls // 4)):
            try:
                writer.save(picture, facts, Settings(), kind="txt2img")
                saved += 1
            except StorageError:
                failures += 1
        monkeypatch.undo()
        files = list(root.rglob("*.png"))
        for file in files:
            with Image.open(file) as image:
                partial += image.size != (32, 32)
        lost += len(files) < saved
        partial += sum(1 for _ in root.rglob("*.tmp"))
        writer.save(picture, facts, Settings(), kind="txt2img")  # there is room again
    settings = SettingsStore(tmp_path / "config.json").current.jpeg_quality
    check.measured = (
        f"{4 * calls} faults at the n-th write: {failures} told, {partial} partial files, "
        f"{lost} pictures lost; settings intact: {settings == 71}"
    )
    assert failures
    assert (partial, lost, settings) == (0, 0, 71)
