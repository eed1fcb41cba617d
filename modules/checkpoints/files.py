"""Files that hold models, as the catalog lists them."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from modules.checkpoints.hashes import HashCache, legacy_hash
from modules.checkpoints.pickles import PICKLE_SUFFIXES, PickleGate
from modules.checkpoints.reader import read_header
from modules.exceptions import CheckpointError

__all__ = ["CheckpointFile", "ModelStore", "VaeFile"]

SHORT = 10  # digits of a hash that people see
_MAX_USER_METADATA = 2**20
_LEGACY_ID = re.compile(r"(^|\[)[0-9a-f]{8}\]?$")


@dataclass(frozen=True)
class ModelStore:
    """What is remembered about model files.

    Attributes:
        hashes: hashes by file.
        gate: safetensors copies of pickled files.
        hashing: whether files may be hashed; hashes that are known already are used in any case.
    """

    hashes: HashCache
    gate: PickleGate
    hashing: bool = True

    @classmethod
    def below(cls, folder: Path, *, hashing: bool = True) -> "ModelStore":
        """A store in a cache folder, made when first written to."""
        return cls(HashCache(folder / "hashes.json"), PickleGate(folder / "converted"), hashing)

    def sha256(self, path: Path) -> str | None:
        """SHA-256 of the file; None if it is not known and may not be computed."""
        return self.hashes.sha256(path) if self.hashing else self.hashes.known_sha256(path)

    def readable(self, path: Path) -> Path:
        """The file itself, or the safetensors copy of a pickled one."""
        return self.gate.as_safetensors(path) if path.suffix.lower() in PICKLE_SUFFIXES else path


@dataclass(frozen=True)
class CheckpointFile:
    """One checkpoint: a single file, or a folder in diffusers' layout.

    Attributes:
        path: absolute path.
        name: path below the folder it was found in, with "/" between parts.
        store: where hashes and converted copies are kept.
    """

    path: Path
    name: str
    store: ModelStore = field(repr=False, compare=False)

    @cached_property
    def is_folder(self) -> bool:
        """Whether it was a diffusers folder when this was first asked."""
        return self.path.is_dir()

    @property
    def stem(self) -> str:
        """File name without extension; infotexts call it "Model"."""
        return self.path.name if self.is_folder else self.path.stem

    @property
    def model_name(self) -> str:
        """Name in one word: without extension, folders joined by "_"."""
        name = self.name if self.is_folder else self.name.removesuffix(self.path.suffix)
        return name.replace("/", "_").replace("\\", "_")

    @property
    def sha256(self) -> str | None:
        """SHA-256 of the file (of a folder's U-Net), computed when first asked for."""
        return self.store.sha256(self._hashed_path)

    @property
    def known_sha256(self) -> str | None:
        """SHA-256 if it was computed before; never reads the file."""
        return self.store.hashes.known_sha256(self._hashed_path)

    @property
    def shorthash(self) -> str | None:
        """First ten digits of :attr:`sha256`; infotexts call it "Model hash"."""
        digest = self.sha256
        return digest[:SHORT] if digest else None

    @property
    def title(self) -> str:
        """``name [shorthash]``, or just the name while the hash is not known."""
        return _titled(self.name, self.known_sha256)

    @property
    def short_title(self) -> str:
        """``stem [shorthash]``, or just the stem while the hash is not known."""
        return _titled(self.stem, self.known_sha256)

    @property
    def metadata(self) -> Mapping[str, str]:
        """Metadata of a safetensors file; empty for other files and for files that cannot be read."""
        if self.path.suffix.lower() != ".safetensors" or self.is_folder:
            return {}
        try:
            return read_header(self.path).metadata
        except CheckpointError:
            return {}  # loading the file reports what is wrong; a list of files must not fail

    @property
    def user_metadata(self) -> Mapping[str, object]:
        """What the user noted in the ``.json`` file beside it; empty if there is none."""
        return _read_json(self.path.with_suffix(".json"))

    @property
    def sidecar(self) -> Path | None:
        """The LDM-style ``.yaml`` file beside it, if there is one."""
        path = self.path.with_suffix(".yaml")
        return path if not self.is_folder and path.is_file() else None

    def is_called(self, wanted: str) -> bool:
        """Whether a request, an infotext or a setting that says ``wanted`` means exactly this checkpoint.

        Names and titles count, and the modern hash once it is known, in full or short, also in brackets
        behind a name. The legacy hash, which has to be read from the file, is tried last.
        """
        if wanted in {self.title, self.name, self.stem, self.model_name}:
            return True
        digest = self.known_sha256
        if digest:
            short = digest[:SHORT]
            if wanted in {digest, short, f"{self.name} [{short}]", f"{self.stem} [{short}]"}:
                return True
        if self.is_folder or not _LEGACY_ID.search(wanted):
            return False
        legacy = legacy_hash(self.path)
        return wanted in {legacy, f"{self.name} [{legacy}]"}

    @property
    def _hashed_path(self) -> Path:
        if not self.is_folder:
            return self.path
        weights = sorted((self.path / "unet").glob("*.safetensors")) or sorted(
            (self.path / "unet").glob("*.bin")
        )
        return weights[0] if weights else self.path / "model_index.json"


@dataclass(frozen=True)
class VaeFile:
    """A VAE that is not part of a checkpoint.

    Attributes:
        path: absolute path.
        store: where hashes and converted copies are kept.
    """

    path: Path
    store: ModelStore = field(repr=False, compare=False)

    @property
    def name(self) -> str:
        """File name with extension; settings and infotexts use it."""
        return self.path.name

    @property
    def shorthash(self) -> str | None:
        """First ten digits of the file's SHA-256; infotexts call it "VAE hash"."""
        digest = self.store.sha256(self.path)
        return digest[:SHORT] if digest else None


def _titled(name: str, digest: str | None) -> str:
    return f"{name} [{digest[:SHORT]}]" if digest else name


def _read_json(path: Path) -> Mapping[str, object]:
    try:
        if path.stat().st_size > _MAX_USER_METADATA:
            return {}
        tree = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return tree if isinstance(tree, dict) else {}
