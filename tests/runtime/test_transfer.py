"""Inputs reach the device; what is there already is not sent again. The meta device stands for a GPU."""

import logging
from unittest.mock import patch

import pytest
import torch
from torch import Tensor

from modules.runtime.transfer import Transfer

CPU, FAR = torch.device("cpu"), torch.device("meta")


def pinned(value: Tensor) -> Tensor:
    return value.clone()


def test_on_the_cpu_only_the_format_changes() -> None:
    x, transfer = torch.randn(3), Transfer()
    assert transfer.send(x, CPU, torch.float32) is x
    assert torch.equal(transfer.keep("x", x, CPU, torch.bfloat16), x.bfloat16())
    x.add_(1)
    assert torch.equal(transfer.keep("x", x, CPU, torch.bfloat16), x.bfloat16())


def test_the_same_tensor_is_sent_once() -> None:
    x, transfer = torch.randn(3), Transfer()
    with patch.object(Tensor, "pin_memory", pinned):
        first = transfer.keep("context", x, FAR, torch.float16)
        assert (first.device.type, first.dtype) == ("meta", torch.float16)
        assert transfer.keep("context", x, FAR, torch.float16) is first
        assert transfer.keep("vector", x, FAR, torch.float16) is not first
        assert transfer.keep("context", x, FAR, torch.float32) is not first
        assert transfer.keep("context", x.clone(), FAR, torch.float32) is not first
        transfer.forget()
        assert transfer.keep("vector", x, FAR, torch.float16) is not first


def test_memory_that_cannot_be_pinned_is_sent_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    def refuse(_value: Tensor) -> Tensor:
        raise RuntimeError("no memory can be locked")

    transfer = Transfer()
    with patch.object(Tensor, "pin_memory", refuse), caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert transfer.send(torch.randn(3), FAR, torch.float32).device == FAR
    assert len(caplog.records) == 1
