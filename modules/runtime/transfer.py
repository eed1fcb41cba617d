"""From main memory to the device without waiting: by pinned memory, and only what is not there yet."""

import logging
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Transfer"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class _Sent:
    source: Tensor
    device: torch.device
    dtype: torch.dtype
    copy: Tensor


class Transfer:
    """Sends tensors to a device. Used by one thread only."""

    def __init__(self) -> None:
        self._kept: dict[str, _Sent] = {}
        self._pins = True

    def send(self, value: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
        """The tensor on the device; the copy may still be under way, and what the device does next waits."""
        if device.type in {"cpu", "mps"} or value.device.type != "cpu":
            return value.to(device, dtype)
        return self._pinned(value).to(device, non_blocking=True).to(dtype)

    def keep(self, name: str, value: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
        """Like :meth:`send`, for what stays the same for many calls.

        Args:
            name: what it is; the last one of each name is kept on the device.
            value: never changed in place.
            device: where to.
            dtype: in which format.
        """
        known = self._kept.get(name)
        if known is not None and known.source is value and (known.device, known.dtype) == (device, dtype):
            return known.copy
        copy = self.send(value, device, dtype)
        if copy.device.type != "cpu":
            self._kept[name] = _Sent(value, device, dtype, copy)
        return copy

    def forget(self) -> None:
        """Let go of what is kept."""
        self._kept.clear()

    def _pinned(self, value: Tensor) -> Tensor:
        if self._pins:
            try:
                return value.contiguous().pin_memory()
            except RuntimeError as error:
                self._pins = False
                log.warning("memory cannot be pinned, inputs go to the device the slower way: %s", error)
        return value
