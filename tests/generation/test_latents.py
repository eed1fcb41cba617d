"""From what the VAE says to the levels of a picture."""

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor

from modules.checkpoints.model import LoadedModel
from modules.generation.latents import decode_latent


def levels(decoded: Tensor) -> np.ndarray:
    """What a VAE's answer (1, 3, H, W) becomes."""
    model = SimpleNamespace(latent_scale=1.0, decode=lambda _z: decoded)
    return decode_latent(cast("LoadedModel", model), torch.zeros(1, 4, 1, 1))


@pytest.mark.parametrize("size", [(1, 1), (8, 40), (70, 300), (3, 17000)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_every_value_is_cut_and_not_rounded(size: tuple[int, int], layout: torch.memory_format) -> None:
    decoded = 1.2 * torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(1))
    decoded[0, 0, 0, 0], decoded[0, 1, 0, 0], decoded[0, 2, 0, 0] = torch.nan, torch.inf, -torch.inf
    pixels = levels(decoded.contiguous(memory_format=layout))
    share = (((decoded[0] + 1) / 2).clamp(0, 1)).nan_to_num() * 255
    assert np.array_equal(pixels, share.to(torch.uint8).permute(1, 2, 0).numpy())
    assert pixels[0, 0].tolist() == [0, 255, 0]
