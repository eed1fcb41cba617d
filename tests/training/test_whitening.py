import torch

from modules.networks.vae import AutoencoderKL, VaeConfig
from modules.training.whitening import Whitening

_SCALE = 0.18215


def _latents() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    mixing = torch.randn(4, 4, generator=generator)
    return torch.einsum("ij,bjhw->bihw", mixing, torch.randn(16, 4, 8, 8, generator=generator)) + 3


def _autoencoder() -> AutoencoderKL:
    torch.manual_seed(1)
    return AutoencoderKL(VaeConfig(channels=8, channel_mult=(1, 2), num_res_blocks=1, groups=4)).eval()


def test_whitened_latents_are_uncorrelated_with_zero_mean_and_unit_variance() -> None:
    latents = _latents()
    white = Whitening.of(latents).apply(latents).transpose(0, 1).flatten(1)
    assert torch.allclose(white.mean(1), torch.zeros(4), atol=1e-5)
    assert torch.allclose(torch.cov(white), torch.eye(4), atol=1e-4)


def test_inverting_gives_the_latents_back() -> None:
    latents = _latents()
    whitening = Whitening.of(latents)
    assert torch.allclose(whitening.invert(whitening.apply(latents)), latents, atol=1e-4)


@torch.no_grad()
def test_folded_autoencoder_encodes_to_the_whitened_latent_over_the_scale() -> None:
    pixels = torch.rand(2, 3, 16, 16) * 2 - 1
    plain, folded = _autoencoder(), _autoencoder()
    whitening = Whitening.of(_latents())
    whitening.fold_into(folded, _SCALE)
    expected = whitening.apply(plain.encode(pixels)[0])
    assert torch.allclose(folded.encode(pixels)[0] * _SCALE, expected, atol=1e-4)


@torch.no_grad()
def test_folded_autoencoder_decodes_the_same_picture() -> None:
    pixels = torch.rand(2, 3, 16, 16) * 2 - 1
    plain, folded = _autoencoder(), _autoencoder()
    Whitening.of(_latents()).fold_into(folded, _SCALE)
    expected = plain.decode(plain.encode(pixels)[0])
    assert torch.allclose(folded.decode(folded.encode(pixels)[0]), expected, atol=1e-4)


@torch.no_grad()
def test_equal_variances_are_scaled_exactly_by_the_fold() -> None:
    pixels = torch.rand(1, 3, 16, 16) * 2 - 1
    plain, folded = _autoencoder(), _autoencoder()
    for network in (plain, folded):
        network.quant_conv.weight[4:] = 0
        assert network.quant_conv.bias is not None
        network.quant_conv.bias[4:] = -2.0
    whitening = Whitening.of(_latents())
    whitening.fold_into(folded, _SCALE)
    expected = (whitening.matrix / _SCALE).square().sum(1).log() - 2.0
    assert torch.allclose(folded.encode(pixels)[1][0, :, 0, 0], expected, atol=1e-4)
