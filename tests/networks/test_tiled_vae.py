"""An autoencoder run in tiles: no seams, and the same picture as in one piece."""

import pytest
import torch
from torch import Tensor

from modules.networks.tiled_vae import decode_in_tiles, encode_in_tiles, measured_statistics
from modules.networks.vae import AutoencoderKL, VaeConfig

FULL = VaeConfig(channels=8, groups=4)  # four levels and two blocks, as in Stable Diffusion
SMALL = VaeConfig(channels=8, channel_mult=(1, 2), num_res_blocks=1, groups=4)


def autoencoder(config: VaeConfig) -> AutoencoderKL:
    torch.manual_seed(0)
    return AutoencoderKL(config).requires_grad_(requires_grad=False)


def smooth(*shape: int) -> Tensor:
    """Random at a few points, smooth between them: with a contrast that differs from place to place."""
    torch.manual_seed(1)
    coarse = torch.randn(shape[0], shape[1], 5, 4) * torch.linspace(0.1, 2, 4)
    return torch.nn.functional.interpolate(coarse, size=shape[2:], mode="bicubic")


@pytest.mark.parametrize("config", [FULL, SMALL])
@pytest.mark.parametrize("tile", [8, 11, 64])
def test_tiles_meet_without_a_seam(config: VaeConfig, tile: int) -> None:
    vae, z = autoencoder(config), smooth(1, 4, 40, 29)
    tiled = decode_in_tiles(vae, z, tile)
    h = vae.decoder.coarse(vae.post_quant_conv(z))
    side = tile + 2 * (2 * config.num_res_blocks + 2)
    statistics = measured_statistics(vae.decoder.fine, h, side * (h.shape[2] // z.shape[2]))
    with statistics.in_force():
        undivided = vae.decoder.fine(h)
    assert (tiled - undivided).abs().max() < 1e-4 * undivided.abs().max()


def test_a_seam_would_be_seen_without_shared_statistics() -> None:
    vae, z = autoencoder(FULL), smooth(1, 4, 40, 29)
    apart = torch.cat([vae.decode(z[:, :, :20]), vae.decode(z[:, :, 20:])], dim=2)
    whole = vae.decode(z)
    step = (apart[:, :, 160] - apart[:, :, 159]) - (whole[:, :, 160] - whole[:, :, 159])
    assert step.abs().mean() > 0.02 * whole.std()  # what the tests of this file are sensitive to


def test_one_tile_is_the_whole_picture() -> None:
    vae, z = autoencoder(FULL), smooth(2, 4, 12, 20)
    assert torch.allclose(decode_in_tiles(vae, z, 64), vae.decode(z), atol=1e-4)


@pytest.mark.parametrize("config", [FULL, SMALL])
def test_encoding_in_tiles_meets_without_a_seam(config: VaeConfig) -> None:
    vae = autoencoder(config)
    pixels = smooth(1, 3, 30 * config.factor, 21 * config.factor).clamp(-1, 1)
    mean, logvar = encode_in_tiles(vae, pixels, 6)
    side = (6 + 2 * (2 * config.num_res_blocks + 2)) * config.factor
    statistics = measured_statistics(vae.encoder.fine, pixels, side)
    with statistics.in_force():
        h = vae.encoder.fine(pixels)
    expected = vae.moments(vae.encoder.coarse(h))
    assert torch.allclose(mean, expected[0], atol=1e-4 * float(expected[0].abs().max()) + 1e-5)
    assert torch.allclose(logvar, expected[1], atol=1e-4 * float(expected[1].abs().max()) + 1e-5)
