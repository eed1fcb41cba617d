"""LoRA-like files and hypernetworks on disk, found by the names that prompts use."""

import json
import logging
import math
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from modules.adapters.patches import Patch
from modules.checkpoints.files import ModelStore
from modules.checkpoints.reader import read_header
from modules.domain.extra_networks import ExtraNetwork
from modules.exceptions import CheckpointError, NotFoundError

__all__ = ["NetworkCatalog", "NetworkFile", "lora_hashes"]

log = logging.getLogger(__name__)

LORA_SUFFIXES = (".safetensors", ".pt", ".ckpt")
HYPERNETWORK_SUFFIXES = (".pt",)
LORA_TAGS = ("lora", "lyco")
_TAG_START = re.compile(r"<lora:([^:<>]+):")
RESERVED_ALIASES = ("none", "addams")  # too often left in files by trainers to mean anything


@dataclass(frozen=True)
class NetworkFile:
    """One file.

    Attributes:
        path: where it is.
        name: its stem, by which prompts call it.
        metadata: what its header says.
        store: reads pickled files and remembers hashes.
    """

    path: Path
    name: str
    metadata: Mapping[str, str] = field(compare=False)
    store: ModelStore = field(repr=False, compare=False)

    @property
    def alias(self) -> str:
        """Name that its trainer gave it; its own name where there is none."""
        return self.metadata.get("ss_output_name") or self.name

    @property
    def version(self) -> str:
        """Family it was trained on: "sdxl", "sd2", "sd1", or "" if it does not say."""
        if self.metadata.get("ss_base_model_version", "").startswith("sdxl_"):
            return "sdxl"
        if self.metadata.get("ss_v2") == "True":
            return "sd2"
        return "sd1" if self.metadata else ""

    @property
    def shorthash(self) -> str:
        """First 12 digits of its hash; "" if files are not hashed.

        Raises:
            CheckpointError: the file cannot be read.
        """
        stored = self.metadata.get("sshs_model_hash")
        if stored:
            return stored[:12]
        if self.path.suffix.lower() == ".safetensors":
            return self.store.hashes.addnet(self.path)[:12] if self.store.hashing else ""
        return (self.store.sha256(self.path) or "")[:12]

    @property
    def known_shorthash(self) -> str:
        """:attr:`shorthash` if it is known without reading the whole file, else ""."""
        hashes = self.store.hashes
        known = hashes.known_addnet if self.path.suffix.lower() == ".safetensors" else hashes.known_sha256
        return (self.metadata.get("sshs_model_hash") or known(self.path) or "")[:12]

    @property
    def user_metadata(self) -> Mapping[str, object]:
        """What the user wrote into the ``.json`` file beside it (activation text, preferred weight ...)."""
        try:
            tree = json.loads(self.path.with_suffix(".json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return tree if isinstance(tree, dict) else {}


@dataclass(frozen=True)
class _Listing:
    """What the folders held when they were last looked at."""

    loras: Mapping[str, NetworkFile] = field(default_factory=dict)
    by_alias: Mapping[str, NetworkFile] = field(default_factory=dict)
    ambiguous: frozenset[str] = frozenset()
    hypernetworks: Mapping[str, NetworkFile] = field(default_factory=dict)


class NetworkCatalog:
    """Finds LoRA-like files and hypernetworks.

    Args:
        loras: folders of LoRA-like files, searched with their sub-folders.
        hypernetworks: folders of hypernetworks.
        store: reads pickled files and remembers hashes.
    """

    def __init__(self, loras: Sequence[Path], hypernetworks: Sequence[Path], store: ModelStore) -> None:
        self._lora_folders = tuple(loras)
        self._hypernetwork_folders = tuple(hypernetworks)
        self._store = store
        self._metadata: dict[Path, tuple[int, Mapping[str, str]]] = {}
        self._lock = threading.Lock()
        self._listing = _Listing()
        self.refresh()

    def refresh(self) -> None:
        """Look at the folders again; only new and changed files are opened."""
        with self._lock:
            loras: dict[str, NetworkFile] = {}
            by_alias: dict[str, NetworkFile] = {}
            ambiguous = set(RESERVED_ALIASES)
            for path in _files(self._lora_folders, LORA_SUFFIXES):
                file = NetworkFile(path, path.stem, self._metadata_of(path), self._store)
                if file.alias in by_alias:
                    ambiguous.add(file.alias.lower())
                loras[file.name] = by_alias[file.name] = by_alias[file.alias] = file
            hypernetworks = {
                path.stem: NetworkFile(path, path.stem, {}, self._store)
                for path in _files(self._hypernetwork_folders, HYPERNETWORK_SUFFIXES)
            }
            self._listing = _Listing(loras, by_alias, frozenset(ambiguous), hypernetworks)

    def loras(self) -> tuple[NetworkFile, ...]:
        """All LoRA-like files, by name."""
        return tuple(sorted(self._listing.loras.values(), key=lambda file: file.name.lower()))

    def hypernetworks(self) -> tuple[NetworkFile, ...]:
        """All hypernetworks, by name."""
        return tuple(sorted(self._listing.hypernetworks.values(), key=lambda file: file.name.lower()))

    def knows(self, kind: str, name: str) -> bool:
        """Whether a tag of a prompt names a file that was there at the last look at the folders."""
        find = self._known_hypernetwork if kind == "hypernet" else self._known_lora
        return kind in (*LORA_TAGS, "hypernet") and find(name) is not None

    def prompt_name(self, file: NetworkFile, *, prefer_alias: bool) -> str:
        """What to call a LoRA-like file in a prompt: its alias if it is wanted and belongs to it alone."""
        alias = file.alias
        is_its_own = prefer_alias and alias.lower() not in self._listing.ambiguous
        return alias if is_its_own and self._known_lora(alias) == file else file.name

    def with_names_here(self, prompt: str, hashes: str, *, prefer_alias: bool) -> str:
        """A prompt in which LoRA-like files have the names that they have here.

        Args:
            prompt: of a picture that may have been made elsewhere.
            hashes: the picture's ``Lora hashes``, as :func:`lora_hashes` writes them.
            prefer_alias: see :meth:`prompt_name`.
        """
        pairs = (pair.rpartition(":") for pair in hashes.split(","))
        told = {name.strip(): digest.strip() for name, colon, digest in pairs if colon}
        here = {file.known_shorthash: file for file in self.loras()} if told else {}
        here.pop("", None)

        def renamed(tag: re.Match[str]) -> str:
            file = here.get(told.get(tag[1], ""))
            return tag[0] if file is None else f"<lora:{self.prompt_name(file, prefer_alias=prefer_alias)}:"

        return _TAG_START.sub(renamed, prompt)

    @property
    def folders(self) -> tuple[Path, ...]:
        """Where LoRA-like files and hypernetworks are looked for."""
        return (*self._lora_folders, *self._hypernetwork_folders)

    def find_lora(self, name: str) -> NetworkFile:
        """Find a LoRA-like file by its name or alias; an alias shared by several files finds none.

        Raises:
            NotFoundError: there is none.
        """
        return self._find(name, self._known_lora, "lora")

    def find_hypernetwork(self, name: str) -> NetworkFile:
        """Find a hypernetwork by its name.

        Raises:
            NotFoundError: there is none.
        """
        return self._find(name, self._known_hypernetwork, "hypernetwork")

    def patches_for(
        self, networks: Iterable[ExtraNetwork], *, functional: bool = False
    ) -> tuple[tuple[Patch, ...], tuple[str, ...]]:
        """Turn the tags of a prompt into patches.

        Args:
            networks: the tags.
            functional: let LoRA-like files act beside the weights (``lora_functional``).

        Returns:
            Patches in order, and a comment for each tag that was left out.
        """
        patches: list[Patch] = []
        comments: list[str] = []
        missing: list[str] = []
        for network in networks:
            try:
                if network.name in LORA_TAGS:
                    patches.append(replace(self._lora_patch(network), functional=functional))
                elif network.name == "hypernet":
                    patches.append(self._hypernetwork_patch(network))
                else:
                    comments.append(f"Skipping unknown extra network: {network.name}")
            except NotFoundError as error:
                if error.field == "lora":
                    missing.append(network.item)
                else:
                    comments.append(str(error))
            except ValueError as error:
                comments.append(f"<{network.name}:{network.item}> was not used: {error}")
            except CheckpointError as error:
                reason = str(error).removeprefix(f"{error.path.name}: ")
                comments.append(f'"{network.item}" was not used: {reason}')
        if missing:
            comments.append(f"Lora not found: {', '.join(missing)}")
        return tuple(patches), tuple(comments)

    def _known_lora(self, name: str) -> NetworkFile | None:
        listing = self._listing
        known = listing.loras if name.lower() in listing.ambiguous else listing.by_alias
        return known.get(name)

    def _known_hypernetwork(self, name: str) -> NetworkFile | None:
        return self._listing.hypernetworks.get(name)

    def _find(self, name: str, known: Callable[[str], NetworkFile | None], kind: str) -> NetworkFile:
        file = known(name)
        if file is None:
            self.refresh()  # it may have been added since
            file = known(name)
        if file is None:
            raise NotFoundError(kind, f"{kind.capitalize()} not found: {name}")
        return file

    def _metadata_of(self, path: Path) -> Mapping[str, str]:
        if path.suffix.lower() != ".safetensors":
            return {}
        changed = path.stat().st_mtime_ns
        known = self._metadata.get(path)
        if known is None or known[0] != changed:
            try:
                known = (changed, read_header(path).metadata)
            except CheckpointError as error:
                log.warning("%s", error)
                known = (changed, {})
            self._metadata[path] = known
        return known[1]

    def _lora_patch(self, network: ExtraNetwork) -> Patch:
        file = self.find_lora(network.item)
        positional, named = network.positional, network.named
        te = _number(named.get("te") or (positional[1] if len(positional) > 1 else "1"))
        unet = _number(named.get("unet") or (positional[2] if len(positional) > 2 else str(te)))
        dyn = named.get("dyn") or (positional[3] if len(positional) > 3 else None)
        return Patch(
            name=network.item,
            path=self._store.readable(file.path),
            te_multiplier=te,
            unet_multiplier=unet,
            dyn_dim=None if dyn is None else int(dyn),
            shorthash=file.shorthash,
        )

    def _hypernetwork_patch(self, network: ExtraNetwork) -> Patch:
        file = self.find_hypernetwork(network.item)
        strength = _number(network.positional[1] if len(network.positional) > 1 else "1")
        copy = self._store.gate.tree_file(file.path)
        return Patch(network.item, copy, unet_multiplier=strength, kind="hypernet", shorthash=file.shorthash)


def _files(folders: Iterable[Path], suffixes: tuple[str, ...]) -> Iterator[Path]:
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in suffixes and path.is_file():
                yield path


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no strength")
    return value


def lora_hashes(patches: Iterable[Patch]) -> str:
    """Names and hashes of the LoRA-like files among some patches, as the infotext has them."""
    return ", ".join(
        f"{patch.name.replace(':', '').replace(',', '')}: {patch.shorthash}"
        for patch in patches
        if patch.kind == "lora" and patch.shorthash
    )
