"""Previews look like the pictures they foretell."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from modules.checkpoints.files import ModelStore
from modules.checkpoints.loader import load_model
from modules.checkpoints.model import LoadedModel
from modules.checkpoints.small_vaes import SmallVaes
from modules.generation.latents import decode_latent
from modules.generation.linear_preview import fit_linear_preview, known_linear_preview
from modules.generation.preview import Previewer, preview_file
from modules.networks.approx_decoder import ApproxDecoder
from modules.networks.taesd import TinyDecoder, TinyEncoder
from modules.networks.vae import AutoencoderKL, VaeConfig
from modules.runtime.device import Runtime
from tests.checkpoints.tiny import checkpoint_file, state_dict, write

CPU = Runtime(torch.device("cpu"))
LATENT = torch.randn(1, 4, 6, 8, generator=torch.Generator().manual_seed(0))


class AverageVae(AutoencoderKL):
    """Its latent is the mean colour of each cell, turned and shifted: linear, so that a fit is exact."""

    def encode(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        cells = torch.nn.functional.avg_pool2d(pixels, self.config.factor)
        latent = torch.cat([cells @ torch.eye(cells.shape[-1]) * 2 + 0.3, cells[:, :1]], dim=1)
        return latent, torch.full_like(latent, -30.0)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    path = write(tmp_path_factory.mktemp("models") / "tiny.safetensors", state_dict("sd1"))
    return load_model(checkpoint_file(path), None, CPU)


@pytest.fixture
def usual(model: LoadedModel) -> LoadedModel:
    """A model whose VAE has the usual shape; it is never run."""
    with torch.device("meta"):
        return model.with_vae(AutoencoderKL(VaeConfig()), None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "VAE-approx").mkdir()
    return tmp_path / "VAE-approx"


@pytest.fixture
def small(folder: Path, tmp_path: Path) -> SmallVaes:
    return SmallVaes((folder,), ModelStore.below(tmp_path / "cache"), CPU)


def test_the_fitted_map_restores_the_colours_of_a_linear_vae(model: LoadedModel) -> None:
    vae = AverageVae(model.vae.config)
    linear = fit_linear_preview(model.with_vae(vae, None))
    colour = torch.tensor([0.8, 0.25, 0.5])
    pixels = colour.reshape(1, 3, 1, 1).expand(1, 3, 16, 16) * 2 - 1
    latent = vae.encode(pixels)[0] * model.latent_scale
    drawn = np.asarray(linear.draw(latent), dtype=np.float32) / 255
    assert np.abs(drawn - colour.numpy()).max() < 0.05


def test_a_vae_that_cannot_encode_is_previewed_in_grey(model: LoadedModel, small: SmallVaes) -> None:
    class BrokenVae(AverageVae):
        def encode(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
            mean, logvar = super().encode(pixels)
            return mean * torch.nan, logvar

    broken = model.with_vae(BrokenVae(model.vae.config), None)
    picture = np.asarray(Previewer(small).draw(broken, LATENT, "Approx cheap").picture)
    assert np.unique(picture).tolist() == [128]


def test_a_known_matrix_gives_a_pixel_a_cell() -> None:
    matrix = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (0.0, 0.0, 0.0))
    latent = torch.tensor([1.0, 0.0, -1.0, 5.0]).reshape(1, 4, 1, 1)
    assert known_linear_preview(matrix).draw(latent).getpixel((0, 0)) == (255, 128, 0)


def test_cheap_previews_have_the_pictures_proportions(model: LoadedModel, small: SmallVaes) -> None:
    preview = Previewer(small).draw(model, LATENT, "Approx cheap")
    assert preview.comment is None
    assert preview.picture.size == (8 * model.latent_factor, 6 * model.latent_factor)


def test_full_previews_are_the_vaes_own(model: LoadedModel, small: SmallVaes) -> None:
    preview = Previewer(small).draw(model, LATENT, "Full")
    assert np.array_equal(np.asarray(preview.picture), decode_latent(model, LATENT))


def test_on_a_small_card_the_vae_is_not_fetched_for_previews(usual: LoadedModel, small: SmallVaes) -> None:
    on_small_card = replace(usual, runtime=replace(usual.runtime, residency="turns"))
    assert "model.pt" in (Previewer(small).draw(on_small_card, LATENT, "Full").comment or "")


@pytest.mark.parametrize(("method", "file"), [("TAESD", "taesd_decoder.pth"), ("Approx NN", "model.pt")])
def test_a_missing_file_is_named_and_the_preview_comes_all_the_same(
    usual: LoadedModel, small: SmallVaes, method: str, file: str
) -> None:
    preview = Previewer(small).draw(usual, LATENT, method)  # type: ignore[arg-type]
    assert preview.picture.size == (64, 48)
    assert file in (preview.comment or "")
    assert "models/VAE-approx" in (preview.comment or "")


def test_a_vae_of_another_kind_is_not_drawn_by_taesd(
    model: LoadedModel, small: SmallVaes, folder: Path
) -> None:
    save_file(TinyDecoder().state_dict(), folder / "taesd_decoder.safetensors")
    assert "another kind" in (Previewer(small).draw(model, LATENT, "TAESD").comment or "")


def test_taesd_and_approx_nn_draw_when_their_files_are_there(
    usual: LoadedModel, small: SmallVaes, folder: Path
) -> None:
    save_file(TinyDecoder().state_dict(), folder / "taesd_decoder.safetensors")
    save_file(ApproxDecoder().state_dict(), folder / "model.safetensors")
    previewer = Previewer(small)
    for method in ("TAESD", "Approx NN"):
        preview = previewer.draw(usual, LATENT, method)
        assert preview.comment is None
        assert preview.picture.size == (64, 48)


def test_sdxl_has_files_of_its_own(usual: LoadedModel, small: SmallVaes) -> None:
    family = replace(usual.family, tiny_vae="taesdxl", approx_decoder="vaeapprox-sdxl.pt")
    other = replace(usual, family=family)
    assert "taesdxl_decoder.pth" in (Previewer(small).draw(other, LATENT, "TAESD").comment or "")
    assert "vaeapprox-sdxl.pt" in (Previewer(small).draw(other, LATENT, "Approx NN").comment or "")


def test_a_file_that_is_no_taesd_is_said_to_be_incomplete(
    usual: LoadedModel, small: SmallVaes, folder: Path
) -> None:
    save_file({"weight": torch.zeros(1)}, folder / "taesd_decoder.safetensors")
    assert "taesd_decoder.safetensors" in (Previewer(small).draw(usual, LATENT, "TAESD").comment or "")


def test_taesd_stands_in_for_the_vae_in_the_latents_of_the_unet(
    usual: LoadedModel, small: SmallVaes, folder: Path
) -> None:
    encoder, decoder = TinyEncoder().eval(), TinyDecoder().eval()
    save_file(encoder.state_dict(), folder / "taesd_encoder.safetensors")
    save_file(decoder.state_dict(), folder / "taesd_decoder.safetensors")
    model = small.attach(usual, encode=True, decode=True)
    assert model.notes == ()
    pixels = torch.rand(1, 3, 16, 24) * 2 - 1
    mean, logvar = model.encode(pixels)
    with torch.no_grad():
        assert torch.allclose(mean * model.latent_scale, encoder(pixels / 2 + 0.5), atol=1e-5)
        assert torch.allclose(model.decode(mean), decoder(mean * model.latent_scale) * 2 - 1, atol=1e-5)
    assert not logvar.exp().any()


def test_what_taesd_cannot_do_is_noted(usual: LoadedModel, small: SmallVaes) -> None:
    model = small.attach(usual, encode=True, decode=True)
    assert (model.tiny_encoder, model.tiny_decoder) == (None, None)
    assert ["taesd_encoder.pth" in model.notes[0], "taesd_decoder.pth" in model.notes[1]] == [True, True]


@pytest.mark.parametrize("format", ["jpeg", "png", "webp"])
def test_previews_of_a_batch_lie_side_by_side_in_the_wanted_format(format: str) -> None:
    pictures = [Image.new("RGB", (40, 30), colour) for colour in ("red", "lime", "blue")]
    sheet = Image.open(io.BytesIO(preview_file(pictures, format)))  # type: ignore[arg-type]
    assert (sheet.format or "").lower() == format
    assert sheet.size == (80, 60)


def test_large_sheets_are_made_small() -> None:
    sheet = Image.open(io.BytesIO(preview_file([Image.new("RGB", (3000, 1500))])))
    assert sheet.size == (1024, 512)
