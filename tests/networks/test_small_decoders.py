"""TAESD and the "Approx NN" network against references."""

import torch
import torch.nn.functional as F
from diffusers import AutoencoderTiny
from torch import Tensor, nn

from modules.networks.approx_decoder import ApproxDecoder
from modules.networks.taesd import TinyDecoder, TinyEncoder


def randomised(network: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(1)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.08, generator=generator)
    return network.requires_grad_(False).eval()


def close(ours: Tensor, reference: Tensor) -> bool:
    return float((ours - reference).norm() / reference.norm()) < 1e-5


def test_the_tiny_autoencoder_equals_the_reference() -> None:
    reference = AutoencoderTiny()
    randomised(reference)
    encoder, decoder = TinyEncoder().eval(), TinyDecoder().eval()
    encoder.load_state_dict(
        {
            key.removeprefix("encoder.layers."): v
            for key, v in reference.encoder.state_dict(prefix="encoder.").items()
        }
    )
    state = reference.decoder.state_dict()
    shifted = {}
    for key, value in state.items():  # the reference squeezes its input outside the list of layers
        number, _, rest = key.removeprefix("layers.").partition(".")
        shifted[f"{int(number) + 1}.{rest}"] = value
    decoder.load_state_dict(shifted)
    pixels, latent = torch.rand(1, 3, 32, 48), torch.randn(1, 4, 4, 6) * 3
    with torch.no_grad():
        assert close(encoder(pixels), reference.encode(pixels * 2 - 1).latents)
        assert close(decoder(latent) * 2 - 1, reference.decode(latent).sample)


def test_the_published_files_parameter_names_are_ours() -> None:
    assert {"1.weight", "3.conv.0.weight", "7.weight", "19.bias"} <= TinyDecoder().state_dict().keys()
    assert {"0.weight", "1.conv.4.bias", "10.weight", "14.bias"} <= TinyEncoder().state_dict().keys()
    assert sum(p.numel() for p in TinyDecoder().parameters()) == 1_222_531  # of the published file
    assert sum(p.numel() for p in TinyEncoder().parameters()) == 1_222_532


def test_the_approximation_draws_at_twice_the_latents_size() -> None:
    network = randomised(ApproxDecoder())
    latent = torch.randn(1, 4, 5, 7)
    expected = F.pad(latent.repeat_interleave(2, 2).repeat_interleave(2, 3), (11, 11, 11, 11))
    for number in range(1, 9):
        state = network.state_dict()
        expected = F.conv2d(expected, state[f"conv{number}.weight"], state[f"conv{number}.bias"])
        expected = torch.where(expected > 0, expected, expected * 0.1)
    with torch.no_grad():
        drawn = network(latent)
    assert drawn.shape == (1, 3, 10, 14)
    assert close(drawn, expected)
