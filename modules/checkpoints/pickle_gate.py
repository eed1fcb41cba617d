"""The process that alone opens pickled weights; it is run as a script.

``python -I pickle_gate.py`` imports torch and waits for requests on a socket, its standard input. Each is a
line of JSON: source, target, mode, memory in bytes, seconds of processor time. A child of its own reads the
source with torch's restricted unpickler and writes its tensors to the target in safetensors format. Mode
"weights" keeps only the tensors of a state dict; mode "tree" keeps nested dicts, lists and plain values
too, as JSON in the metadata. Before the child opens the file, memory and time are limited, and sockets,
processes and all files but the two are refused. The answer is null, or in one line why it failed.
"""

import ctypes
import json
import os
import pickle
import re
import resource
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NoReturn, TypeAlias

import torch
from safetensors.torch import save_file

__all__ = ["Collector", "Refused", "collect_weights", "convert", "serve"]

MAX_DEPTH = 12
MAX_ITEMS = 65536
TREE_KEY = "tree"
IDLE_SECONDS = 30.0  # without a request, then the process ends
_LONGEST_REASON = 4096  # bytes
NESTED_BELOW = ("state_dict", "params_ema", "params-ema", "params", "model")  # of upscalers; of BLIP
KNOWN_DTYPES = frozenset({
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2,
    torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool,
})  # fmt: skip
_REFUSED_EVENTS = (
    "socket.", "subprocess.", "os.exec", "os.posix_spawn", "os.fork", "os.system", "os.remove", "os.rename",
    "os.rmdir", "os.symlink", "os.link", "shutil.", "urllib.", "ctypes.dlopen",
)  # fmt: skip
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000  # of Linux's sched.h

_Request: TypeAlias = tuple[str, str, str, int, int]


class Refused(Exception):
    """The file holds something that is not accepted."""


class Collector:
    """Gathers the tensors of a nested structure under unique names."""

    def __init__(self, limit: int) -> None:
        self.tensors: dict[str, torch.Tensor] = {}
        self._left = limit
        self._items = 0

    def add(self, name: str, tensor: torch.Tensor) -> None:
        """Check and keep one tensor."""
        if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
            raise Refused(f"tensor {name[:100]!r} is not dense")
        if tensor.dtype not in KNOWN_DTYPES:
            raise Refused(f"tensor {name[:100]!r} has the number format {tensor.dtype}")
        if not tensor.is_contiguous():
            raise Refused(f"tensor {name[:100]!r} is not contiguous")
        self._left -= tensor.numel() * tensor.element_size()
        if self._left < 0:
            raise Refused("its tensors are larger than the file")
        if len(self.tensors) >= MAX_ITEMS or name in self.tensors:
            raise Refused("it holds too many tensors or two of the same name")
        self.tensors[name] = tensor.detach().clone()

    def tree(self, node: object, path: tuple[str, ...]) -> object:
        """The node as JSON; tensors are kept aside and replaced by their names."""
        self._items += 1
        if len(path) > MAX_DEPTH or self._items > MAX_ITEMS:
            raise Refused("it is nested too deeply or has too many items")
        if isinstance(node, torch.Tensor):
            name = "/".join(path)
            self.add(name, node)
            return {"tensor": name}
        if isinstance(node, torch.nn.ParameterDict):
            node = {**vars(node).get("_parameters", {})}
        if isinstance(node, Mapping):
            return {
                "dict": [
                    [_plain_key(key), self.tree(value, (*path, str(key)))] for key, value in node.items()
                ]
            }
        if isinstance(node, list | tuple):
            return {"list": [self.tree(value, (*path, str(i))) for i, value in enumerate(node)]}
        if node is None or isinstance(node, bool | int | float | str):
            return {"value": node}
        raise Refused(f"it holds a {type(node).__name__}")


def serve(line: socket.socket) -> None:
    """Answer requests until nobody asks any more."""
    line.settimeout(IDLE_SECONDS)
    with suppress(TimeoutError, ConnectionError), line.makefile("rwb") as talk:
        for request in talk:
            talk.write(json.dumps(_in_a_child(tuple(json.loads(request)))).encode() + b"\n")
            talk.flush()


def _in_a_child(request: _Request) -> str | None:
    """Convert a file in a fork of this process; why it failed, or None."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _convert_and_end(writing, request)
    os.close(writing)
    with open(reading, "rb") as said:  # noqa: PTH123 - a pipe
        reason = said.read(_LONGEST_REASON).decode("utf-8", "replace").strip()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status == 0:
        return None
    return reason.splitlines()[-1] if reason else f"the process that opened it ended with status {status}"


def _convert_and_end(said: int, request: _Request) -> NoReturn:
    """What the child does: its only line to the world is the one on which it says why it failed."""
    status = 1
    try:
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream, place in ((nothing, 0), (nothing, 1), (said, 2)):
            os.dup2(stream, place)
        _convert_or_say_why(request)
        status = 0
    finally:
        os._exit(status)


def _convert_or_say_why(request: _Request) -> None:
    try:
        convert(*request)
    finally:
        error = sys.exception()
        if error is not None:
            os.write(2, f"{_reason(error)}\n".encode())


def convert(source: str, target: str, mode: str, memory: int, seconds: int) -> None:
    """Convert one file; from now on this process can do nothing else."""
    _limit(memory, seconds, {os.path.realpath(source), os.path.realpath(target)})
    with torch.serialization.safe_globals([torch.nn.ParameterDict]):
        content = _load(source)
    collector = Collector(limit=4096 + 2 * Path(source).stat().st_size)
    metadata = {"format": "pt"}
    if mode == "tree":
        metadata[TREE_KEY] = json.dumps(collector.tree(content, ()))
    else:
        collect_weights(content, collector)
    save_file(collector.tensors, target, metadata)


def _load(source: str) -> object:
    try:
        return torch.load(source, map_location="cpu", weights_only=True, mmap=True)
    except RuntimeError as error:
        if "mmap" not in str(error):
            raise
        return torch.load(source, map_location="cpu", weights_only=True)  # the format before torch 1.6


def collect_weights(content: object, collector: Collector) -> None:
    """Keep the tensors of a state dict, which may lie below a key such as "state_dict"."""
    while isinstance(content, Mapping):
        inner = next((content[key] for key in NESTED_BELOW if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            break
        content = inner
    if not isinstance(content, Mapping):
        raise Refused(f"it holds a {type(content).__name__}, not named tensors")
    for name, value in content.items():
        if isinstance(name, str) and isinstance(value, torch.Tensor):
            collector.add(name, value)
    if not collector.tensors:
        raise Refused("it holds no named tensors")


def _limit(memory: int, seconds: int, allowed: set[str]) -> None:
    ctypes.CDLL(None).unshare(_CLONE_NEWUSER | _CLONE_NEWNET)  # a net of its own, where the system permits it
    in_use = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (in_use + memory, in_use + memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def refuse(event: str, arguments: tuple[object, ...]) -> None:
        if event.startswith(_REFUSED_EVENTS):
            raise PermissionError(f"{event} is not allowed")
        if event == "open" and _writes(arguments) and os.path.realpath(str(arguments[0])) not in allowed:
            raise PermissionError(f"writing {arguments[0]} is not allowed")

    sys.addaudithook(refuse)


def _writes(arguments: tuple[object, ...]) -> bool:
    mode, flags = arguments[1], arguments[2]
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def _plain_key(key: object) -> str | int:
    if isinstance(key, str) or (isinstance(key, int) and not isinstance(key, bool)):
        return key
    raise Refused(f"it has a key of type {type(key).__name__}")


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, Refused):
        return text
    if isinstance(error, MemoryError) or "allocate memory" in text:
        return "it needs more memory than a file of its size may"
    if isinstance(error, pickle.UnpicklingError) and (found := re.search(r"GLOBAL (\S+)", text)):
        return f"it wants to run {found[1][:100]} when it is opened"
    return f"it is cut off or holds no tensors ({type(error).__name__}: {text[:100]})"


if __name__ == "__main__":
    with socket.socket(fileno=0) as own_line:
        serve(own_line)
