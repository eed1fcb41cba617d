"""The autoencoder's promises about shapes and ranges."""

import torch

from modules.networks.vae import AutoencoderKL, VaeConfig

SMALL = VaeConfig(channels=16, channel_mult=(1, 2, 3), num_res_blocks=1, groups=8)


def test_sides_shrink_and_grow_by_the_factor() -> None:
    assert SMALL.factor == 4
    assert VaeConfig().factor == 8
    vae = AutoencoderKL(SMALL)
    with torch.no_grad():
        mean, logvar = vae.encode(torch.zeros(2, 3, 24, 40))
        assert mean.shape == logvar.shape == (2, 4, 6, 10)
        assert vae.decode(mean).shape == (2, 3, 24, 40)


def test_log_variance_stays_where_its_exponential_is_finite() -> None:
    vae = AutoencoderKL(SMALL)
    bias = vae.quant_conv.bias
    assert bias is not None
    with torch.no_grad():
        bias[4:6] = 1000
        bias[6:] = -1000
        _, logvar = vae.encode(torch.rand(1, 3, 16, 16))
    assert (float(logvar.max()), float(logvar.min())) == (20.0, -30.0)


def test_it_can_be_trained() -> None:
    vae = AutoencoderKL(SMALL)
    mean, logvar = vae.encode(torch.rand(1, 3, 16, 16))
    (vae.decode(mean + (logvar / 2).exp()).square().mean()).backward()
    assert all(parameter.grad is not None for parameter in vae.parameters())
