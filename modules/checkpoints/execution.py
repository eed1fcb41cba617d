"""Running the networks of one model: within the memory there is, in numbers that hold the values.

When memory runs out, the same call is tried again in a more modest way (see :class:`Rung`); what was asked
for is only read, so nothing is lost but time. The way that worked is remembered for each shape. When values
overflow, the call is done again in 32-bit floats, once; what is still not finite is an error that names the
network.
"""

import math
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, nn

from modules.exceptions import NumericalError
from modules.networks.deep_features import DeepFeatures
from modules.networks.tiled_vae import decode_in_tiles, encode_in_tiles
from modules.networks.unet import UNet
from modules.networks.vae import AutoencoderKL
from modules.runtime.attention import use_attention
from modules.runtime.compiled import Compiler
from modules.runtime.device import Runtime
from modules.runtime.graphs import Graphs
from modules.runtime.memory import climb_down
from modules.runtime.residence import Residence
from modules.runtime.transfer import Transfer

__all__ = ["PROMPT_IS_LOST", "Execution", "Place", "Rung", "UNetInput", "in_float32", "is_finite"]

Result = TypeVar("Result")

PROMPT_IS_LOST = "the prompt became NaN in the text encoder; lower its weights"
TILES = (64, 32, 16)  # latent cells a side; below that most of a tile is margin


@dataclass(frozen=True)
class Rung:
    """How modestly a network is run.

    Attributes:
        rows: most rows of one call; 1 splits also the pair of classifier-free guidance.
        sliced: compute attention in slices.
        alone: the model's other networks wait in main memory until they are needed.
        layers: the U-Net's weights do, too; each layer is brought while it computes.
        tile: side of the autoencoder's tiles in latent cells; 0 is the whole picture.
    """

    rows: int
    sliced: bool = False
    alone: bool = False
    layers: bool = False
    tile: int = 0


@dataclass(frozen=True)
class UNetInput:
    """The U-Net's arguments, one row a prediction; see :meth:`LoadedModel.predict`."""

    x: Tensor
    timesteps: Tensor
    context: Tensor
    vector: Tensor | None = None
    token_merging: float = 0.0
    deep: DeepFeatures | None = None

    def __len__(self) -> int:
        return len(self.x)

    @property
    def shape(self) -> tuple[Hashable, ...]:
        """What decides how much memory a row needs."""
        return (*self.x.shape[1:], *self.context.shape[1:], self.token_merging, self._is_shallow)

    @property
    def _is_shallow(self) -> bool:
        return self.deep is not None and self.deep.is_known

    def rows(self, which: slice | Tensor) -> "UNetInput":
        """Some of the rows."""
        vector = None if self.vector is None else self.vector[which]
        return replace(
            self,
            x=self.x[which],
            timesteps=self.timesteps[which],
            context=self.context[which],
            vector=vector,
            deep=None if self.deep is None else self.deep.rows(which),
        )


@dataclass(frozen=True, eq=False)
class Place:
    """Where a network runs, and the model's other networks, which take up memory there too."""

    runtime: Runtime
    network: nn.Module
    others: tuple[nn.Module, ...] = ()
    residence: Residence = field(default_factory=Residence)

    def first_rung(self, rows: int) -> Rung:
        """How the network is run as long as the memory suffices."""
        way = self.runtime.residency
        by_layers = way == "layers" and isinstance(self.network, UNet)
        return Rung(rows, alone=way != "all", layers=by_layers)

    @contextmanager
    def on(self, rung: Rung) -> Iterator[None]:
        """Compute as the rung says within the block."""
        network = self.network
        layers = network.layers_in_order() if rung.layers and isinstance(network, UNet) else ()
        lent = self.residence.lend(self.network, self.others, alone=rung.alone, layers=tuple(layers))
        with torch.no_grad(), use_attention("sliced" if rung.sliced else self.runtime.attention), lent:
            yield


@dataclass(eq=False)
class Execution:
    """Runs networks and remembers what their shapes needed. Used by the engine's thread only."""

    _carried: dict[Hashable, Rung] = field(default_factory=dict)
    _graphs: Graphs = field(default_factory=Graphs)
    _transfer: Transfer = field(default_factory=Transfer)
    _compiler: Compiler = field(default_factory=Compiler)

    def forget_recordings(self) -> None:
        """Let go of recorded calls, and of the weights they compute with, before the weights change."""
        self._graphs.clear()

    def predict(self, unet: nn.Module, asked: UNetInput, place: Place) -> Tensor:
        """Run the U-Net; returns its prediction on the CPU, (B, C, h, w) float32.

        Raises:
            DeviceMemoryError: it does not fit, however it is done.
            NumericalError: the prediction holds NaN or infinity, also in 32-bit floats.
        """
        out = self._predict(unet, asked, place)
        if place.runtime.check_values and not is_finite(out):
            if place.runtime.dtype is not torch.float32 and is_finite(asked.x) and is_finite(asked.context):
                bad = ~torch.isfinite(out).flatten(1).all(dim=1)
                wide = replace(
                    place, runtime=replace(place.runtime, dtype=torch.float32, graphs=False, compiled=False)
                )
                if asked.deep is not None:
                    asked.deep.clear()  # it may be what overflowed
                self.forget_recordings()
                with in_float32(unet):
                    out[bad] = self._predict(unet, replace(asked.rows(bad), deep=None), wide)
            if not is_finite(out):
                raise _numerical_error(asked)
        return out

    def decode(self, vae: AutoencoderKL, z: Tensor, place: Place) -> Tensor:
        """Run the decoder; returns pictures (B, 3, H, W) float32 on the CPU.

        Raises:
            DeviceMemoryError: it does not fit, however it is done.
        """

        def decode(rung: Rung) -> Tensor:
            with place.on(rung):
                inside = _laid_out(z.to(place.runtime.device, _dtype(vae)), place.runtime)
                out = decode_in_tiles(vae, inside, rung.tile) if rung.tile else vae.decode(inside)
                return out.to("cpu", torch.float32)

        return self._carry(("decode", *z.shape), place.first_rung(len(z)), decode, place)

    def encode(self, vae: AutoencoderKL, pixels: Tensor, place: Place) -> tuple[Tensor, Tensor]:
        """Run the encoder; returns mean and log variance, each (B, Z, h, w) float32 on the CPU.

        Raises:
            DeviceMemoryError: it does not fit, however it is done.
            NumericalError: the result holds NaN or infinity, also in 32-bit floats.
        """
        out = self._encode(vae, pixels, place)
        if place.runtime.check_values and not all(map(is_finite, out)):
            if _dtype(vae) is not torch.float32:
                with in_float32(vae):
                    out = self._encode(vae, pixels, place)
            if not all(map(is_finite, out)):
                raise NumericalError("VAE", "the VAE made NaN of the start picture; choose another VAE")
        return out

    def _encode(self, vae: AutoencoderKL, pixels: Tensor, place: Place) -> tuple[Tensor, Tensor]:

        def encode(rung: Rung) -> tuple[Tensor, Tensor]:
            with place.on(rung):
                # on the CPU the channels-last kernel of group norms loses most digits where a picture is flat
                inside = pixels.contiguous().to(place.runtime.device, _dtype(vae))
                mean, logvar = encode_in_tiles(vae, inside, rung.tile) if rung.tile else vae.encode(inside)
                return mean.to("cpu", torch.float32), logvar.to("cpu", torch.float32)

        return self._carry(("encode", *pixels.shape), place.first_rung(len(pixels)), encode, place)

    def _predict(self, unet: nn.Module, asked: UNetInput, place: Place) -> Tensor:
        def predict(rung: Rung) -> Tensor:
            with place.on(rung):
                if rung.rows >= len(asked) and asked.deep is None:
                    return self._run_unet(unet, asked, rung, place.runtime)
                starts = range(0, len(asked), rung.rows)
                parts = [asked.rows(slice(start, start + rung.rows)) for start in starts]
                out = torch.cat([self._run_unet(unet, part, rung, place.runtime) for part in parts])
            if asked.deep is not None:
                asked.deep.fill([part.deep for part in parts if part.deep is not None])
            return out

        first = place.first_rung(len(asked))
        return self._carry(("unet", *asked.shape, place.runtime.dtype), first, predict, place)

    def _run_unet(self, unet: nn.Module, asked: UNetInput, rung: Rung, runtime: Runtime) -> Tensor:
        device, dtype, transfer = runtime.device, runtime.dtype, self._transfer
        vector = None if asked.vector is None else transfer.keep("vector", asked.vector, device, dtype)
        inputs = (
            _laid_out(transfer.send(asked.x, device, dtype), runtime),
            transfer.send(asked.timesteps, device, asked.timesteps.dtype),
            transfer.keep("context", asked.context, device, dtype),
            vector,
        )
        call = partial(unet, token_merging=asked.token_merging, deep=asked.deep)
        # weights that come and go, and reused features, differ from call to call
        is_steady = runtime.residency == "all" and not (rung.alone or rung.layers or asked.deep is not None)
        if runtime.compiled and is_steady and not rung.sliced:
            call = partial(self._compiler.run, unet, token_merging=asked.token_merging)
        if runtime.graphs and is_steady:
            way = (asked.token_merging, runtime.attention, rung.sliced)
            out = self._graphs.run(unet, call, inputs, way)
        else:
            out = call(*inputs)
        return out.to("cpu", torch.float32)

    def _carry(
        self, what: tuple[Hashable, ...], first: Rung, attempt: Callable[[Rung], Result], place: Place
    ) -> Result:
        known = self._carried.get(what)
        start = first if known is None else replace(known, rows=min(known.rows, first.rows))
        device = place.runtime.device
        lower = _lower_unet if what[0] == "unet" else _lower_vae
        moves = place.residence.moves

        def within(rung: Rung) -> Result:
            if rung.alone:  # what is set aside must really leave the device
                self.forget_recordings()
            return attempt(rung)

        def more_modest(rung: Rung) -> Rung | None:
            return rung if self._graphs.shrink() else lower(rung, moves=moves)

        result, rung = climb_down(start, within, more_modest, device)
        if rung != start:
            self._carried[what] = rung
        return result


def is_finite(values: Tensor) -> bool:
    """Whether no value is NaN or infinite."""
    least, greatest = values.aminmax()  # both NaN if one value is; ten times as fast as looking at each
    return math.isfinite(least) and math.isfinite(greatest)


def _lower_unet(rung: Rung, *, moves: bool) -> Rung | None:
    if rung.rows > 1:
        return replace(rung, rows=(rung.rows + 1) // 2)
    if not rung.sliced:
        return replace(rung, sliced=True)
    if not rung.alone and moves:
        return replace(rung, alone=True)
    if not rung.layers and moves:
        return replace(rung, layers=True)
    return None


def _lower_vae(rung: Rung, *, moves: bool) -> Rung | None:
    if not rung.sliced:
        return replace(rung, sliced=True)
    if not rung.alone and moves:
        return replace(rung, alone=True)
    smaller = [tile for tile in TILES if tile < (rung.tile or TILES[0] + 1)]
    return replace(rung, tile=smaller[0]) if smaller else None


def _laid_out(x: Tensor, runtime: Runtime) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last) if runtime.channels_last else x


@contextmanager
def in_float32(network: nn.Module) -> Iterator[None]:
    """Compute in 32-bit floats within the block; the weights come back bit for bit."""
    formats = [(parameter, parameter.dtype) for parameter in network.parameters()]
    network.float()
    try:
        yield
    finally:
        for parameter, dtype in formats:
            parameter.data = parameter.data.to(dtype)


def _dtype(network: nn.Module) -> torch.dtype:
    return next(network.parameters()).dtype


def _numerical_error(asked: UNetInput) -> NumericalError:
    if not is_finite(asked.context):
        return NumericalError("text encoder", PROMPT_IS_LOST)
    if not is_finite(asked.x):
        return NumericalError(
            "sampler", "the sampler left the range of numbers; lower the CFG scale or the noise"
        )
    return NumericalError(
        "U-Net", "the U-Net produced NaN, also in 32-bit floats; the checkpoint or a LoRA is damaged"
    )
