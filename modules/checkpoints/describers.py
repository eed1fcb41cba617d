"""Networks that say what a picture shows, from folders in the layout of the transformers library.

Nothing is fetched. What is missing is said in a sentence. Only safetensors files are read, and A1111's file
of DeepDanbooru through the gate for pickles; no code that a folder or file may hold is run.
"""

import importlib
import importlib.util
import json
import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from tokenizers import Tokenizer
from torch import Tensor, nn

from modules.checkpoints.blip_file import blip_config, blip_state, find_blip
from modules.checkpoints.deepbooru import BooruTagger, find_deepbooru, load_deepbooru
from modules.checkpoints.files import ModelStore
from modules.checkpoints.reader import read_header
from modules.exceptions import CheckpointError, DeviceMemoryError, NotFoundError
from modules.imaging.resize import ResizeMode, resize_image

__all__ = ["CAPTIONER", "RANKER", "TAGGER", "Describer", "Describers"]

log = logging.getLogger(__name__)

WEIGHTS = "model.safetensors"
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
LEAD = "a picture of "  # BLIP was taught to go on from here
ROWS = 64  # texts of one call
BOORU_SIDE = 512  # pixels


@dataclass(frozen=True)
class Describer:
    """One kind of network.

    Attributes:
        name: how messages call it.
        folder: of the models folder.
        files: that must lie there.
        origin: where people find these files.
        architecture: class of transformers.
        instead: what else will do, as the end of a sentence.
    """

    name: str
    folder: str
    files: tuple[str, ...]
    origin: str
    architecture: str
    instead: str = ""


CAPTIONER = Describer(
    "The captioning model BLIP",
    "BLIP",
    ("config.json", WEIGHTS, "tokenizer.json"),
    "Salesforce/blip-image-captioning-base",
    "BlipForConditionalGeneration",
    ", or A1111's model_base_caption_capfilt_large.pth beside that tokenizer.json",
)
RANKER = Describer(
    "The model CLIP", "CLIP", ("config.json", WEIGHTS), "openai/clip-vit-large-patch14", "CLIPModel"
)
TAGGER = Describer(
    "A tagging model",
    "deepdanbooru",
    ("config.json", WEIGHTS),
    "an image classifier whose labels are booru tags",
    "AutoModelForImageClassification",
    ", or A1111's model-resnet_custom_v3.pt into the folder models/torch_deepdanbooru",
)


class Describers:
    """Loads and runs describing networks, one call at a time; safe between threads.

    Args:
        models: the models folder.
        device: where networks run, in 32-bit floats.
        store: reads pickled files; without it they are not looked for.
    """

    def __init__(self, models: Path, device: torch.device, store: ModelStore | None = None) -> None:
        self._models = models
        self._device = device
        self._lock = threading.RLock()
        self._loaded: dict[Describer, nn.Module] = {}
        self._store = store
        self._booru: BooruTagger | None = None

    def missing(self, describer: Describer) -> str | None:
        """What there is to be done before it can be used, as a sentence; None when it can."""
        folder = self._models / describer.folder
        absent = [name for name in describer.files if not (folder / name).is_file()]
        own = self._own_file(describer) if absent else None
        if own is not None and describer is TAGGER:
            return None
        if absent and own is None:
            files = " and ".join(filter(None, (", ".join(absent[:-1]), absent[-1])))
            return (
                f"{describer.name} is not installed: put {files} of {describer.origin} into the folder "
                f"models/{describer.folder}{describer.instead}."
            )
        if importlib.util.find_spec("transformers") is None:
            return (
                f"{describer.name} is not installed completely: it needs one more package in the studio's "
                "environment: venv/bin/pip install transformers"
            )
        return None

    def forget(self) -> None:
        """Drop all networks from memory."""
        with self._lock:
            self._loaded.clear()
            self._booru = None

    def caption(self, image: Image.Image, *, beams: int, least: int, most: int) -> str:
        """One sentence about a picture.

        Args:
            image: any mode.
            beams: how many beginnings are followed at once.
            least: tokens at least, the beginning that is cut off included.
            most: tokens at most.

        Raises:
            NotFoundError: the network is not installed.
            CheckpointError: its files cannot be used.
        """
        with self._in_use(CAPTIONER) as network:
            tokenizer = self._tokenizer()
            side = int(network.config.vision_config.image_size)
            pixels = _pixels(image.convert("RGB").resize((side, side), Image.Resampling.BICUBIC))
            lead = torch.tensor([tokenizer.encode(LEAD).ids], device=self._device)
            tokens = network.generate(
                pixel_values=_normalised(pixels, CLIP_MEAN, CLIP_STD).to(self._device),
                input_ids=lead,
                attention_mask=torch.ones_like(lead),
                do_sample=False,
                num_beams=beams,
                min_length=min(least, most),
                max_length=max(most, lead.shape[1]),  # one word at least
            )
            text: str = tokenizer.decode(tokens[0].tolist(), skip_special_tokens=True)
        return text.removeprefix(LEAD.strip()).strip()

    def image_features(self, image: Image.Image) -> Tensor:
        """CLIP's view of a picture, (1, D) of length one, float32 on the CPU.

        Raises:
            NotFoundError, CheckpointError: as :meth:`caption`.
        """
        with self._in_use(RANKER) as network:
            side = int(network.config.vision_config.image_size)
            square = ImageOps.fit(image.convert("RGB"), (side, side), Image.Resampling.BICUBIC)
            pixels = _normalised(_pixels(square), CLIP_MEAN, CLIP_STD).to(self._device)
            return _unit(network.visual_projection(network.vision_model(pixel_values=pixels).pooler_output))

    def text_features(self, tokens: Tensor) -> Tensor:
        """CLIP's view of texts, (N, D) of length one, float32 on the CPU.

        Args:
            tokens: (N, 77) int64, start and end token included.

        Raises:
            NotFoundError, CheckpointError: as :meth:`caption`.
        """
        with self._in_use(RANKER) as network:
            parts = []
            for rows in tokens.split(ROWS):
                states = network.text_model(input_ids=rows.to(self._device))
                parts.append(_unit(network.text_projection(states.pooler_output)))
            return torch.cat(parts)

    def tags(self, image: Image.Image) -> dict[str, float]:
        """How likely each tag fits a picture, 0 to 1.

        Raises:
            NotFoundError, CheckpointError: as :meth:`caption`.
        """
        path = None if self._has_files(TAGGER) else self._own_file(TAGGER)
        if path is not None and self._store is not None:
            return self._booru_tags(path, self._store, image)
        with self._in_use(TAGGER) as network:
            scaling = self._scaling()
            side = _side(scaling) or int(getattr(network.config, "image_size", 512))
            pixels = _pixels(resize_image(ResizeMode.FILL, image.convert("RGB"), side, side))
            if scaling.get("do_normalize"):
                pixels = _normalised(pixels, _triple(scaling, "image_mean"), _triple(scaling, "image_std"))
            logits = network(pixel_values=pixels.to(self._device)).logits
            chances = torch.sigmoid(logits[0].float()).tolist()
            return {network.config.id2label[place]: chance for place, chance in enumerate(chances)}

    def _has_files(self, describer: Describer) -> bool:
        folder = self._models / describer.folder
        return all((folder / name).is_file() for name in describer.files)

    def _own_file(self, describer: Describer) -> Path | None:
        """The file under which A1111 keeps the network; None where there is none that can be read."""
        if self._store is None:
            return None
        if describer is TAGGER:
            return find_deepbooru(self._models)
        folder = self._models / describer.folder
        has_tokens = describer is CAPTIONER and (folder / "tokenizer.json").is_file()
        return find_blip(folder) if has_tokens else None

    def _booru_tags(self, path: Path, store: ModelStore, image: Image.Image) -> dict[str, float]:
        with self._lock, torch.no_grad():
            if self._booru is None:
                self._booru = load_deepbooru(path, store, self._device)
            pixels = _pixels(resize_image(ResizeMode.FILL, image.convert("RGB"), BOORU_SIDE, BOORU_SIDE))
            chances = self._booru.network(pixels.to(self._device))[0].tolist()
            return dict(zip(self._booru.tags, chances, strict=True))

    @contextmanager
    def _in_use(self, describer: Describer) -> Iterator[Any]:
        """The network, for this thread alone; what it cannot work with is the fault of its folder."""
        with self._lock, torch.no_grad():
            network = self._network(describer)
            try:
                yield network
            except torch.OutOfMemoryError as error:
                raise DeviceMemoryError(f"{describer.name} does not fit into the device's memory.") from error
            except (RuntimeError, ValueError, TypeError, LookupError, AttributeError) as error:
                path = self._models / describer.folder / "config.json"
                raise CheckpointError(path, "does not fit the other files of its folder") from error

    def _network(self, describer: Describer) -> nn.Module:
        missing = self.missing(describer)
        if missing is not None:
            raise NotFoundError("model", missing)
        own = None if self._has_files(describer) else self._own_file(describer)
        if describer not in self._loaded and own is not None and self._store is not None:
            log.info("loading %s", own.name)
            self._loaded[describer] = self._own_captioner(own, self._store)
        if describer not in self._loaded:
            folder = self._models / describer.folder
            log.info("loading %s", folder.name)
            read_header(folder / WEIGHTS)  # refuses what is hostile before anything is allocated
            self._loaded[describer] = _loaded(folder, describer.architecture).to(self._device)
        return self._loaded[describer]

    def _own_captioner(self, path: Path, store: ModelStore) -> nn.Module:
        tokenizer, state = self._tokenizer(), blip_state(path, store)
        ends = [tokenizer.token_to_id(token) or 0 for token in ("[SEP]", "[PAD]")]
        transformers: ModuleType = importlib.import_module("transformers")
        try:
            config = transformers.BlipConfig(**blip_config(state, *ends))
            network: nn.Module = transformers.BlipForConditionalGeneration(config)
            missing = network.load_state_dict(state, strict=False).missing_keys
        except (KeyError, ValueError, RuntimeError) as error:
            raise CheckpointError(path, f"is not BLIP's captioning network: {error}") from error
        if missing:
            raise CheckpointError(path, f"lacks weights, for example {min(missing)}")
        return network.requires_grad_(False).eval().to(self._device)

    def _tokenizer(self) -> Tokenizer:
        path = self._models / CAPTIONER.folder / "tokenizer.json"
        try:
            return Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises no other class
            raise CheckpointError(path, "is no tokenizer") from error

    def _scaling(self) -> Mapping[str, Any]:
        """How the tagging model wants its pictures; empty where its folder does not say."""
        path = self._models / TAGGER.folder / "preprocessor_config.json"
        if not path.is_file():
            return {}
        try:
            tree = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise CheckpointError(path, "is no JSON file") from error
        return tree if isinstance(tree, dict) else {}


def _loaded(folder: Path, architecture: str) -> nn.Module:
    transformers: ModuleType = importlib.import_module("transformers")
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()  # what matters is raised below
    try:
        network, report = getattr(transformers, architecture).from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            dtype=torch.float32,
            output_loading_info=True,
        )
    except Exception as error:  # the library's own classes of errors are many
        log.warning("%s cannot be loaded: %s", folder.name, error)
        raise CheckpointError(folder / WEIGHTS, "is not the network that config.json speaks of") from error
    if report["missing_keys"]:
        example = min(report["missing_keys"])
        raise CheckpointError(folder / WEIGHTS, f"lacks weights, for example {example}")
    made: nn.Module = network
    return made.requires_grad_(False).eval()


def _pixels(image: Image.Image) -> Tensor:
    """An RGB picture as (1, 3, H, W) float32 in 0..1."""
    return torch.from_numpy(np.asarray(image, dtype=np.float32) / 255.0).permute(2, 0, 1)[None]


def _normalised(pixels: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    return (pixels - torch.tensor(mean).view(1, 3, 1, 1)) / torch.tensor(std).view(1, 3, 1, 1)


def _unit(features: Tensor) -> Tensor:
    return torch.nn.functional.normalize(features.float(), dim=-1).cpu()


def _triple(scaling: Mapping[str, Any], key: str) -> tuple[float, ...]:
    """One number a colour, as a classifier's folder says; a half where it does not say."""
    values = scaling.get(key)
    if (
        isinstance(values, list)
        and len(values) == 3
        and all(isinstance(each, int | float) for each in values)
    ):
        return tuple(float(each) for each in values)
    return (0.5, 0.5, 0.5)


def _side(scaling: Mapping[str, Any]) -> int:
    """Side of the square that a classifier wants, as its folder says; 0 where it does not say."""
    size = scaling.get("size")
    if isinstance(size, Mapping):
        size = size.get("height", size.get("shortest_edge"))
    return size if isinstance(size, int) and 0 < size <= 2048 else 0
