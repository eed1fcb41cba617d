"""Calls of a network that are recorded on a GPU and replayed: one launch instead of a thousand from Python.

A recording computes with the very memory it was made with: inputs are copied into its own tensors, and the
network's weights must still lie where they lay. Whatever cannot be recorded is computed plainly.

Source: PyTorch, "CUDA semantics", section "CUDA Graphs".
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from modules.runtime.memory import is_out_of_memory

__all__ = ["CudaRecorder", "Graphs", "Recorder", "Recording", "hook_tables"]

log = logging.getLogger(__name__)

_KEPT = 8  # shapes; more are not in use at a time, and each holds tens of megabytes beside what all share
_WARM_UPS = 3  # calls before a recording, as many as torch's documentation makes: libraries choose algorithms

Inputs = Sequence[Tensor | None]


class Recording(Protocol):
    """A call on the device that can be made again."""

    def replay(self) -> Tensor:
        """Compute from what the input tensors hold now; the next replay of any recording may overwrite it."""
        ...


class Recorder(Protocol):
    """Records calls."""

    def record(self, call: Callable[[], Tensor], device: torch.device, beside: Recording | None) -> Recording:
        """Record a call, which may be made several times for that.

        Args:
            call: must read the same tensors each time.
            device: where it computes.
            beside: another recording of this recorder, never replayed at the same time, with which it may
                share the memory for intermediate results.

        Raises:
            RuntimeError: it cannot be recorded.
        """
        ...


class Graphs:
    """The recorded calls of one network. Used by one thread only.

    Each key is computed plainly at its first call and recorded at its second. Results are those of plain
    calls: as soon as a weight, or how a convolution pads, has changed, all recordings are dropped, and a
    network with hooks (adapters beside its weights) is never recorded.

    Args:
        recorder: the device's.
        keep: how many keys at most; the ones that were not used for longest are dropped.
    """

    def __init__(self, recorder: Recorder | None = None, *, keep: int = _KEPT) -> None:
        self._recorder: Recorder = CudaRecorder() if recorder is None else recorder
        self._keep = keep
        self._known: OrderedDict[Hashable, _Recorded | None] = OrderedDict()  # None: called once
        self._state: _State | None = None

    def run(self, network: nn.Module, call: Callable[..., Tensor], inputs: Inputs, key: Hashable) -> Tensor:
        """Call a network.

        Args:
            network: whose weights the call reads.
            call: takes the inputs, and reads nothing else that may change but what ``key`` tells.
            inputs: on the device.
            key: what the result depends on besides weights and inputs.

        Returns:
            The result, which the next call may overwrite: copy it before.
        """
        if self._keep == 0:
            return call(*inputs)
        state = self._state
        if state is None or not state.is_of(network):
            self.clear()
            state = self._state = _State(network)
        if state.has_hooks():
            return call(*inputs)
        key = (key, *(None if value is None else _form(value) for value in inputs))
        if key not in self._known:
            self._make_room()
            self._known[key] = None
            return call(*inputs)
        self._known.move_to_end(key)
        return self._replayed(key, call, inputs)

    def clear(self) -> bool:
        """Drop all recordings and the memory they hold; whether there were any."""
        had = any(self._known.values())
        self._known.clear()
        self._state = None
        return had

    def shrink(self) -> bool:
        """Memory has run out: drop all recordings and keep half as many from now on, in the end none.

        Returns:
            Whether there were any.
        """
        if not self.clear():
            return False
        self._halve()
        return True

    def _halve(self) -> None:
        self._keep //= 2
        log.info("memory ran out: of %d shapes at most the network is recorded from now on", self._keep)

    def _make_room(self) -> None:
        while len(self._known) >= self._keep:
            self._known.popitem(last=False)

    def _replayed(self, key: Hashable, call: Callable[..., Tensor], inputs: Inputs) -> Tensor:
        try:
            recorded = self._known[key]
            if recorded is None:
                recorded = self._known[key] = self._record(call, inputs)
            return recorded.run(inputs)
        except RuntimeError as error:
            is_full, reason = is_out_of_memory(error), str(error)
        # outside of the except block the traceback is gone, and with it what the attempt has left in memory
        self.clear()
        if is_full:
            self._halve()
        else:
            self._keep = 0
            log.warning("the network is computed without CUDA graphs from now on: %s", reason)
        return call(*inputs)

    def _record(self, call: Callable[..., Tensor], inputs: Inputs) -> "_Recorded":
        with torch.inference_mode(mode=False):  # tensors made within it could not be changed outside
            own = tuple(None if value is None else torch.empty_like(value) for value in inputs)
        _copy(inputs, own)
        device = next(value.device for value in own if value is not None)
        beside = next((other.recording for other in self._known.values() if other is not None), None)
        return _Recorded(self._recorder.record(lambda: call(*own), device, beside), own)


@dataclass(frozen=True, eq=False)
class _Recorded:
    """A recording and the tensors that it reads its inputs from."""

    recording: Recording
    own: Inputs

    def run(self, inputs: Inputs) -> Tensor:
        _copy(inputs, self.own)
        return self.recording.replay()


class _State:
    """What a network computes with besides its inputs.

    Holding the tensors keeps their addresses from being given to others.
    """

    def __init__(self, network: nn.Module) -> None:
        layers = [vars(module) for module in network.modules()]
        self._network = network
        self._tables = [
            table for layer in layers for table in (layer["_parameters"], layer["_buffers"]) if table
        ]
        self._hooks = hook_tables(network)
        self._convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
        self._held = [tensor.detach() for tensor in self._tensors() if tensor is not None]
        self._addresses, self._padding = self._now()

    def is_of(self, network: nn.Module) -> bool:
        """Whether it is still so."""
        return network is self._network and self._now() == (self._addresses, self._padding)

    def has_hooks(self) -> bool:
        """Whether somebody changes what layers are given or return."""
        return any(self._hooks)

    def _tensors(self) -> Iterator[Tensor | None]:
        return (tensor for table in self._tables for tensor in table.values())

    def _now(self) -> tuple[list[int], list[str]]:
        addresses = [0 if tensor is None else tensor.data_ptr() for tensor in self._tensors()]
        return addresses, [layer.padding_mode for layer in self._convolutions]


@dataclass(frozen=True, eq=False)
class _CudaRecording:
    graph: torch.cuda.CUDAGraph
    out: Tensor

    def replay(self) -> Tensor:
        self.graph.replay()
        return self.out


class CudaRecorder:
    """Records CUDA graphs, all on one stream beside the usual one, as sharing of memory wants it."""

    def __init__(self) -> None:
        self._streams: dict[torch.device, torch.cuda.Stream] = {}

    def record(self, call: Callable[[], Tensor], device: torch.device, beside: Recording | None) -> Recording:
        """See :class:`Recorder`."""
        pool = beside.graph.pool() if isinstance(beside, _CudaRecording) else None
        with torch.cuda.device(device):
            usual = torch.cuda.current_stream()
            side = self._streams.get(device) or torch.cuda.Stream()
            self._streams[device] = side
            side.wait_stream(usual)
            graph = torch.cuda.CUDAGraph()
            # torch's block alone does not leave the stream when the recording fails
            with torch.cuda.stream(side):
                for _ in range(_WARM_UPS):
                    call()
                # other threads may allocate meanwhile
                with torch.cuda.graph(graph, pool=pool, stream=side, capture_error_mode="thread_local"):
                    out = call()
            usual.wait_stream(side)
        return _CudaRecording(graph, out)


def hook_tables(network: nn.Module) -> list[Mapping[int, object]]:
    """Where the layers' hooks are, those that change what they are given or return; empty without hooks."""
    names = ("_forward_hooks", "_forward_pre_hooks")
    return [vars(module)[name] for module in network.modules() for name in names]


def _copy(values: Inputs, into: Inputs) -> None:
    for value, own in zip(values, into, strict=True):
        if value is not None and own is not None:
            own.copy_(value)


def _form(value: Tensor) -> tuple[Hashable, ...]:
    """What a recording takes for granted of an input."""
    return tuple(value.shape), value.stride(), value.dtype, value.device
