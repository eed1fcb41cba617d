"""A compiled network gives the same, and one that cannot be compiled is computed all the same."""

import logging
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from modules.runtime.compiled import Compiler


class Scaled(nn.Module):
    def forward(self, x: Tensor, *, token_merging: float) -> Tensor:
        if len(x) > 4:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
        return x * 2 + token_merging


def test_the_network_is_built_once() -> None:
    built: list[nn.Module] = []

    def build(network: nn.Module) -> Callable[..., Tensor]:
        built.append(network)
        return network

    compiler, network = Compiler(build), Scaled()
    for _ in range(3):
        assert torch.equal(compiler.run(network, torch.ones(2), token_merging=0.5), torch.full((2,), 2.5))
    assert built == [network]
    other = Scaled()
    compiler.run(other, torch.ones(2), token_merging=0.0)
    assert built == [network, other]


def test_without_a_compiler_it_is_said_once_and_computed_plainly(caplog: pytest.LogCaptureFixture) -> None:
    def build(_network: nn.Module) -> Callable[..., Tensor]:
        def fail(*_: object, **__: object) -> Tensor:
            raise RuntimeError("InvalidCxxCompiler: No working C++ compiler found\nand a long trace")

        return fail

    compiler, network = Compiler(build), Scaled()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert torch.equal(compiler.run(network, torch.ones(2), token_merging=0.0), torch.full((2,), 2.0))
    assert [record.message for record in caplog.records] == [
        "the network is not compiled, only slower: InvalidCxxCompiler: No working C++ compiler found"
    ]


def test_too_little_memory_is_no_reason_to_give_up() -> None:
    built: list[nn.Module] = []

    def build(network: nn.Module) -> Callable[..., Tensor]:
        built.append(network)
        return network

    compiler, network = Compiler(build), Scaled()
    with pytest.raises(RuntimeError, match="out of memory"):
        compiler.run(network, torch.ones(5), token_merging=0.0)
    assert torch.equal(compiler.run(network, torch.ones(1), token_merging=0.0), torch.full((1,), 2.0))
    assert built == [network]


def test_a_network_with_hooks_is_not_compiled() -> None:
    def build(_network: nn.Module) -> Callable[..., Tensor]:
        return lambda x, token_merging: x * 2  # what is compiled looks at no hook

    compiler, network = Compiler(build), Scaled()
    assert compiler.run(network, torch.ones(1), token_merging=0.0).item() == 2
    hook = network.register_forward_hook(lambda _layer, _inputs, out: out + 1)
    assert compiler.run(network, torch.ones(1), token_merging=0.0).item() == 3
    hook.remove()
    assert compiler.run(network, torch.ones(1), token_merging=0.0).item() == 2
