"""What the U-Net must do beyond equalling other implementations."""

import pytest
import torch
from torch import Tensor, nn

from modules.networks.tiling import set_tiling
from modules.networks.unet import UNet, UNetConfig, timestep_embedding
from modules.networks.vae import AutoencoderKL, VaeConfig

SMALL = UNetConfig(
    model_channels=32, channel_mult=(1, 2), num_res_blocks=1, transformer_depth=(0, 1), context_dim=24,
    num_heads=2, groups=8,
)  # fmt: skip


def _network(config: UNetConfig = SMALL) -> UNet:
    torch.manual_seed(0)
    network = UNet(config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(std=0.05)
    return network


def _inputs(batch: int, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(batch, 4, height, width, generator=generator)
    return x, torch.linspace(1, 999, batch), torch.randn(batch, 77, 24, generator=generator)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (9, 13), (1, 1), (5, 8)])
def test_any_latent_size_comes_out_as_it_went_in(height: int, width: int) -> None:
    with torch.no_grad():
        assert _network()(*_inputs(1, height, width)).shape == (1, 4, height, width)


def test_each_row_has_its_own_timestep_and_text() -> None:
    network, (x, timesteps, context) = _network(), _inputs(3, 8, 8)
    with torch.no_grad():
        together = network(x, timesteps, context)
        alone = torch.cat([network(x[i : i + 1], timesteps[i : i + 1], context[i : i + 1]) for i in range(3)])
    assert torch.allclose(together, alone, atol=1e-5)
    assert not torch.allclose(together[0], together[1], atol=1e-2)


def test_texts_of_another_length_than_77_are_fine() -> None:
    x, timesteps, _ = _inputs(1, 8, 8)
    with torch.no_grad():
        assert _network()(x, timesteps, torch.zeros(1, 231, 24)).shape == x.shape


def test_every_parameter_gets_a_gradient() -> None:
    network = _network().train()
    network(*_inputs(2, 8, 8)).square().mean().backward()
    without = [name for name, parameter in network.named_parameters() if parameter.grad is None]
    assert without == []


def test_a_new_network_predicts_nothing_at_all() -> None:
    with torch.no_grad():
        assert not UNet(SMALL)(*_inputs(1, 8, 8)).any()


def test_timestep_embedding_is_cosines_then_sines() -> None:
    embedded = timestep_embedding(torch.tensor([0.0, 2.5]), 8)
    assert embedded[0].tolist() == [1, 1, 1, 1, 0, 0, 0, 0]
    frequencies = torch.tensor([10000 ** (-i / 4) for i in range(4)])
    assert torch.allclose(embedded[1], torch.cat([(2.5 * frequencies).cos(), (2.5 * frequencies).sin()]))


@pytest.mark.parametrize("levels", [(0, 1), (1, 1), (1, 0)])
def test_attention_may_be_at_any_levels(levels: tuple[int, int]) -> None:
    config = UNetConfig(
        model_channels=32, channel_mult=(1, 2), num_res_blocks=1, transformer_depth=levels, context_dim=24,
        num_heads=2, groups=16,
    )  # fmt: skip
    with torch.no_grad():
        assert _network(config)(*_inputs(1, 8, 8)).shape == (1, 4, 8, 8)


def _moved(x: Tensor) -> Tensor:
    return x.roll(shifts=(4, 4), dims=(2, 3))


def test_tiling_makes_the_picture_a_torus_and_can_be_undone() -> None:
    network, (x, timesteps, context) = _network(), _inputs(1, 8, 8)
    with torch.no_grad():
        before = network(x, timesteps, context)
        set_tiling(network, True)
        tiled = network(x, timesteps, context)
        assert torch.allclose(_moved(tiled), network(_moved(x), timesteps, context), atol=1e-5)
        set_tiling(network, False)
        assert torch.equal(network(x, timesteps, context), before)
    assert not torch.allclose(before, tiled, atol=1e-3)


def test_a_tiled_vae_decodes_a_torus() -> None:
    torch.manual_seed(0)
    vae: nn.Module = AutoencoderKL(
        VaeConfig(channels=16, channel_mult=(1, 2), num_res_blocks=1, groups=8)
    ).eval()
    assert isinstance(vae, AutoencoderKL)
    z = torch.randn(1, 4, 8, 8)
    set_tiling(vae, True)
    with torch.no_grad():
        assert torch.allclose(vae.decode(z).roll((8, 8), (2, 3)), vae.decode(_moved(z)), atol=1e-5)
