"""``torch.compile`` for a network: whoever asks for it waits a minute or more once, and then computes faster.

What the compiler made is kept on disk for the next start. Where it cannot work, because no C++ compiler or
no Triton is installed or for any other reason, the network is computed plainly.
"""

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from modules.runtime.graphs import hook_tables
from modules.runtime.memory import is_out_of_memory

__all__ = ["Compiler", "keep_compiled_below"]

log = logging.getLogger(__name__)


def keep_compiled_below(folder: Path) -> None:
    """Let this process find there what it or another has compiled; to be called before anything is."""
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder))


class Compiler:
    """Compiles one network at its first call, and again for what it was not compiled for. Used by one thread.

    Networks with hooks (adapters beside their weights) are computed plainly: the compiler looks at hooks only
    once.

    Args:
        build: makes the compiled network.
    """

    def __init__(self, build: Callable[[nn.Module], Callable[..., Tensor]] = torch.compile) -> None:
        self._build = build
        self._network: nn.Module | None = None
        self._hooks: list[Mapping[int, object]] = []
        self._compiled: Callable[..., Tensor] | None = None
        self._gave_up = False

    def run(self, network: nn.Module, *inputs: Tensor | None, token_merging: float) -> Tensor:
        """Call the network, see :class:`~modules.networks.unet.UNet`; plainly after a failure to compile.

        Raises:
            RuntimeError: as the network itself raises it, too little memory among them.
        """
        if not self._gave_up:
            try:
                return self._made_for(network)(*inputs, token_merging=token_merging)
            except (RuntimeError, OSError, ImportError) as error:
                if is_out_of_memory(error):
                    raise
                reason = str(error).strip().partition("\n")[0]
            self._gave_up, self._network, self._compiled = True, None, None
            log.warning("the network is not compiled, only slower: %s", reason)
        out: Tensor = network(*inputs, token_merging=token_merging)
        return out

    def _made_for(self, network: nn.Module) -> Callable[..., Tensor]:
        if network is not self._network:
            self._network, self._hooks, self._compiled = network, hook_tables(network), None
        if any(self._hooks):
            return network
        if self._compiled is None:
            log.info("compiling the network; this may take a minute or more")
            self._compiled = self._build(network)
        return self._compiled
