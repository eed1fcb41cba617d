"""From a checkpoint file to networks that can be run.

Networks are built without memory (on torch's meta device) and get the file's tensors assigned, each copied
or converted once out of the mapped file. Nothing stays mapped: a file that is overwritten or cut off while
its model is in use must change neither pictures nor the life of the process.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from modules.checkpoints.depth import load_depth
from modules.checkpoints.execution import Execution
from modules.checkpoints.files import CheckpointFile, VaeFile
from modules.checkpoints.filling import fill_network, keep_exact_weights
from modules.checkpoints.model import LoadedModel
from modules.checkpoints.weights import Weights, open_checkpoint, open_vae
from modules.diffusion.schedule import NoiseSchedule
from modules.exceptions import CheckpointError, DeviceMemoryError
from modules.families.detect import UNET_PREFIX, VAE_PREFIX, DetectedModel, DetectedText, detect_family
from modules.families.family import Prediction
from modules.families.hints import ArchitectureHints, hints_from_header, hints_from_sidecar
from modules.families.shapes import vae_config
from modules.networks.clip_text import ClipTextConfig, ClipTextEncoder
from modules.networks.float8 import in_float8
from modules.networks.open_clip_text import OpenClipTextEncoder
from modules.networks.prepacked import prepack
from modules.networks.unet import UNet
from modules.networks.vae import AutoencoderKL
from modules.runtime.device import Runtime, free_memory
from modules.runtime.memory import is_out_of_memory, release_cached_memory
from modules.runtime.residence import Residence, carrier_for

__all__ = ["detect_checkpoint", "file_stamp", "load_model", "load_vae"]

_logger = logging.getLogger(__name__)

_PROBE_TIMESTEP = 999
_PLENTY = 4  # times a network's size: for its packed weights, and for what it computes with
_PROBE_LIMIT = -1.0  # a v network answers about -x to pure noise, a noise network about x


@dataclass(frozen=True, eq=False)
class _Files:
    """What a model is loaded from."""

    checkpoint: CheckpointFile
    vae: VaeFile | None
    weights: Weights
    detected: DetectedModel
    depth_folder: Path | None


def detect_checkpoint(file: CheckpointFile) -> DetectedModel:
    """Family and network shapes of a checkpoint; reads no weights.

    Raises:
        CheckpointError: the file is missing, corrupt, refused or of no known family.
    """
    return _detect(file, open_checkpoint(file))


def load_model(
    file: CheckpointFile, vae: VaeFile | None, runtime: Runtime, *, depth_folder: Path | None = None
) -> LoadedModel:
    """Load a checkpoint.

    Args:
        file: the checkpoint.
        vae: a VAE to use instead of the baked-in one, None for that one.
        runtime: device and number formats.
        depth_folder: where a depth estimator may lie, for depth checkpoints that hold none.

    Raises:
        CheckpointError: a file is missing, corrupt, refused, of no known family, or incomplete.
        DeviceMemoryError: neither the device nor main memory can hold the weights.
    """
    stamp = file_stamp(file.path)
    weights = open_checkpoint(file)
    detected = _detect(file, weights)
    files = _Files(file, vae, weights, detected, depth_folder)
    runtime = _runtime_for(detected, runtime)
    try:
        loaded = _load(files, runtime)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        loaded = None
    # outside of the except block the traceback is gone, and with it what was loaded
    if loaded is None:
        loaded = _load_in_turns(files, runtime)
    return replace(loaded, stamp=stamp)


def _runtime_for(detected: DetectedModel, runtime: Runtime) -> Runtime:
    if runtime.residency != "turns for SDXL":
        return runtime
    return replace(runtime, residency="turns" if detected.family.is_sdxl else "all")


def _load_in_turns(files: _Files, runtime: Runtime) -> LoadedModel:
    """Load into main memory what the device cannot hold at once."""
    release_cached_memory(runtime.device)
    try:
        if runtime.home.type != "cpu":
            _logger.warning(
                "%s cannot hold all of %s at once: its parts take turns there, as with --medvram",
                runtime.device,
                files.checkpoint.name,
            )
            runtime = replace(runtime, residency="turns")
            return _load(files, runtime)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    raise DeviceMemoryError(
        f"{runtime.device} has too little free memory for {files.checkpoint.name}; "
        "close other programs or use half precision"
    )


def _load(files: _Files, runtime: Runtime) -> LoadedModel:
    weights, detected, vae = files.weights, files.detected, files.vae
    unet = _build_unet(weights, detected, runtime)
    texts = tuple(_build_text(weights, text, runtime) for text in detected.texts)
    autoencoder = _baked_in_vae(weights, detected, runtime) if vae is None else load_vae(vae, runtime)
    needs_depth = detected.family.extra_channels == "depth"
    depth = load_depth(weights, files.depth_folder, files.checkpoint.store, runtime) if needs_depth else None
    if autoencoder.config.latent_channels != detected.unet.out_channels:
        raise CheckpointError(
            files.checkpoint.path if vae is None else vae.path,
            f"its VAE has {autoencoder.config.latent_channels} latent channels, the model wants "
            f"{detected.unet.out_channels}; choose another VAE",
        )
    at_home = () if runtime.residency == "all" else (unet, *texts, autoencoder, *((depth,) if depth else ()))
    execution = Execution()
    carrier = carrier_for(runtime.device)
    residence = Residence(carrier, at_home, before_leaving=execution.forget_recordings)
    prediction = detected.prediction or _probed_prediction(unet, runtime, residence)
    return LoadedModel(
        file=files.checkpoint,
        family=detected.family,
        unet=unet,
        vae=autoencoder,
        text_encoders=texts,
        schedule=_schedule(weights, detected.hints),
        prediction=prediction,
        runtime=runtime,
        vae_file=vae,
        depth=depth,
        execution=execution,
        residence=residence,
    )


def file_stamp(path: Path) -> tuple[str, ...]:
    """What tells a file, or the files of a folder, from what had or will have the same name."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    facts = ((each, each.stat()) for each in files if each.exists())
    return tuple(f"{each} {fact.st_size} {fact.st_mtime_ns}" for each, fact in facts)


def load_vae(file: VaeFile, runtime: Runtime) -> AutoencoderKL:
    """Load a VAE file; every parameter must be there.

    Raises:
        CheckpointError: the file is missing, corrupt, refused or no VAE.
    """
    weights = open_vae(file.path, file.store)
    shapes = weights.header.below(VAE_PREFIX)
    try:
        config = vae_config(shapes, groups=hints_from_header(weights.header).vae_groups or 32)
    except ValueError as reason:
        raise CheckpointError(file.path, f"is no Stable Diffusion VAE: {reason}") from reason
    with torch.device("meta"):
        vae = AutoencoderKL(config)
    names = {name: VAE_PREFIX + name for name in shapes}
    return _filled_vae(vae, weights, names, runtime)


def _detect(file: CheckpointFile, weights: Weights) -> DetectedModel:
    sidecar = hints_from_sidecar(file.sidecar) if file.sidecar else None
    return detect_family(weights.header, sidecar)


def _build_unet(weights: Weights, detected: DetectedModel, runtime: Runtime) -> UNet:
    with torch.device("meta"):
        unet = UNet(detected.unet)
    names = {name: UNET_PREFIX + name for name in weights.header.below(UNET_PREFIX)}
    _fill(unet, weights, names, runtime)
    return unet


def _fill(network: nn.Module, weights: Weights, names: Mapping[str, str], runtime: Runtime) -> None:
    """Give U-Net or text encoder its weights in the format in which they are to be kept."""
    if runtime.weights != "as computed":
        in_float8(network, runtime.dtype)
    fill_network(network, weights, names, runtime.home, runtime.dtype)
    if runtime.weights == "fp8 and exact":
        keep_exact_weights(network, weights, names)
    if runtime.weights == "as computed":
        _pack(network, runtime)


def _build_text(
    weights: Weights, text: DetectedText, runtime: Runtime
) -> ClipTextEncoder | OpenClipTextEncoder:
    encoder: ClipTextEncoder | OpenClipTextEncoder
    with torch.device("meta"):
        if isinstance(text.config, ClipTextConfig):
            encoder = ClipTextEncoder(text.config)
        else:
            encoder = OpenClipTextEncoder(text.config)
    names = {}
    for name in weights.header.below(text.prefix):
        # files from the first months leave out this part of the names
        known = (
            name
            if not isinstance(encoder, ClipTextEncoder)
            else f"text_model.{name.removeprefix('text_model.')}"
        )
        names[known] = text.prefix + name
    _fill(encoder, weights, names, runtime)
    return encoder


def _baked_in_vae(weights: Weights, detected: DetectedModel, runtime: Runtime) -> AutoencoderKL:
    if detected.vae is None:
        raise CheckpointError(weights.header.path, "holds no VAE; choose one in the settings (SD VAE)")
    with torch.device("meta"):
        vae = AutoencoderKL(detected.vae)
    names = {name: VAE_PREFIX + name for name in weights.header.below(VAE_PREFIX)}
    return _filled_vae(vae, weights, names, runtime)


def _filled_vae(
    vae: AutoencoderKL, weights: Weights, names: Mapping[str, str], runtime: Runtime
) -> AutoencoderKL:
    vae = fill_network(vae, weights, names, runtime.home, runtime.vae_dtype)
    if runtime.vae_dtype is torch.bfloat16:
        vae.decoder.conv_out.float()  # colours in bfloat16 are a grey level apart
    _pack(vae.decoder, runtime)
    return vae


def _pack(network: nn.Module, runtime: Runtime) -> None:
    """Let a network trade memory for speed, where there is plenty of it."""
    size = sum(parameter.nbytes for parameter in network.parameters())
    if runtime.prepacked and free_memory(runtime.device) > _PLENTY * size:
        prepack(network)


def _schedule(weights: Weights, hints: ArchitectureHints) -> NoiseSchedule:
    schedule = _stored_schedule(weights) or _said_schedule(hints)
    return schedule.zero_terminal_snr() if hints.zero_terminal_snr else schedule


def _stored_schedule(weights: Weights) -> NoiseSchedule | None:
    """The schedule whose table lies in the file, as in most SD1 and SD2 files."""
    shape = weights.header.shape("alphas_cumprod")
    if shape is None or len(shape) != 1 or shape[0] < 2:
        return None
    table = weights.tensor("alphas_cumprod").double()
    falls = bool((table.diff() < 0).all()) and float(table[-1]) > 0 and float(table[0]) < 1
    if not falls:
        _logger.warning(
            "%s: its alphas_cumprod is no noise schedule and is not used", weights.header.path.name
        )
        return None
    return NoiseSchedule.from_alphas_cumprod(table)


def _said_schedule(hints: ArchitectureHints) -> NoiseSchedule:
    if hints.schedule == "cosine":
        return NoiseSchedule.cosine()
    if hints.schedule == "linear":
        return NoiseSchedule.linear(beta_start=hints.beta_start or 1e-4, beta_end=hints.beta_end or 0.02)
    return NoiseSchedule.scaled_linear(
        beta_start=hints.beta_start or 0.00085, beta_end=hints.beta_end or 0.0120
    )


def _probed_prediction(unet: UNet, runtime: Runtime, residence: Residence) -> Prediction:
    """Ask the network: given noise at the last timestep, a v network's answer lies far below its input."""
    x = torch.full((1, unet.config.in_channels, 8, 8), 0.5, device=runtime.device, dtype=runtime.dtype)
    layers = tuple(unet.layers_in_order()) if runtime.residency != "all" else ()
    context = torch.full((1, 2, unet.config.context_dim), 0.5, device=runtime.device, dtype=runtime.dtype)
    with torch.no_grad(), residence.lend(unet, layers=layers):
        out = unet(x, torch.tensor([float(_PROBE_TIMESTEP)], device=runtime.device), context)
    return "v" if float((out - x).float().mean()) < _PROBE_LIMIT else "epsilon"
