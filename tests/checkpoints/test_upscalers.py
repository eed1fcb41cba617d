"""Upscalers from files in real layouts, with random weights."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from modules.checkpoints.files import ModelStore
from modules.checkpoints.upscaler_network import Tiling, load_upscaler, run_upscaler
from modules.checkpoints.upscalers import UpscalerCatalog
from modules.exceptions import CheckpointError, DeviceMemoryError, JobInterrupted, NotFoundError
from modules.networks.upscalers.compact import CompactNet
from modules.networks.upscalers.rrdb import RrdbConfig, RrdbNet
from modules.runtime.device import Runtime
from modules.settings.options import Settings
from tests.networks.test_upscalers import old_name

CPU = Runtime(torch.device("cpu"))
SETTINGS = Settings()
SMALL = RrdbConfig(channels=4, blocks=1, growth=2)


def weights(network: nn.Module) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(t.shape, generator=generator) * 0.1 for name, t in network.state_dict().items()}


@pytest.fixture
def models(tmp_path: Path) -> Path:
    for folder in ("ESRGAN", "RealESRGAN", "SwinIR"):
        (tmp_path / "models" / folder).mkdir(parents=True)
    return tmp_path / "models"


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore.below(tmp_path / "cache")


@pytest.fixture
def catalog(models: Path, store: ModelStore) -> UpscalerCatalog:
    return UpscalerCatalog(models, store, CPU)


def test_files_that_come_later_are_found_and_enlarge(models: Path, catalog: UpscalerCatalog) -> None:
    state = weights(RrdbNet(SMALL))
    renamed = {old_name(name, 1, 2): value for name, value in state.items()}
    save_file(renamed, models / "ESRGAN" / "4x_Old.safetensors")
    torch.save({"params_ema": state}, models / "RealESRGAN" / "RealESRGAN_x4plus.pth")
    save_file(weights(CompactNet(4, 1, 2)), models / "ESRGAN" / "2x_Compact.safetensors")
    save_file(state, models / "ESRGAN" / "new.safetensors")
    picture = Image.new("RGB", (10, 6), "teal")
    for name, scale in (("4x_Old", 4), ("R-ESRGAN 4x+", 4), ("2x_compact", 2), ("new", 4)):
        assert catalog.find(name, SETTINGS)(picture, 0, 0).size == (10 * scale, 6 * scale)
    old, new = (catalog.find(name, SETTINGS)(picture, 0, 0) for name in ("4x_Old", "new"))
    assert np.array_equal(np.asarray(old), np.asarray(new))  # the same network in two layouts


def test_the_list_is_a1111s(models: Path, catalog: UpscalerCatalog) -> None:
    for name in ("ESRGAN/b_x2.pth", "ESRGAN/A.pth", "RealESRGAN/RealESRGAN_x4plus_anime_6B.pth"):
        (models / name).write_bytes(b"")
    catalog.refresh()
    names = ["None", "Lanczos", "Nearest", "A", "b_x2", "R-ESRGAN 4x+ Anime6B"]
    assert list(catalog.names(SETTINGS)) == list(catalog) == names
    assert [file.scale for file in catalog.listed(SETTINGS)] == [4, 4, 4, 4, 2, 4]
    hidden = Settings().overridden({"realesrgan_enabled_models": ["R-ESRGAN 4x+"]})
    assert "R-ESRGAN 4x+ Anime6B" not in catalog.names(hidden)


def test_an_unknown_name_says_what_there_is_and_a_known_one_where_its_file_belongs(
    catalog: UpscalerCatalog,
) -> None:
    with pytest.raises(NotFoundError, match="Lanczos"):
        catalog.find("Dreams", SETTINGS)
    with pytest.raises(NotFoundError, match=r"RealESRGAN_x4plus\.pth into the folder models/RealESRGAN"):
        catalog.find("R-ESRGAN 4x+", SETTINGS)


def test_a_file_of_another_architecture_asks_for_the_package_that_knows_it(
    models: Path, store: ModelStore
) -> None:
    path = models / "SwinIR" / "SwinIR_4x.safetensors"
    save_file({"layers.0.residual_group.blocks.0.attn.qkv.weight": torch.zeros(3, 1)}, path)
    with pytest.raises(CheckpointError, match="spandrel"):
        load_upscaler(path, store, CPU)


@pytest.mark.parametrize(
    ("suffix", "content"),
    [("safetensors", b"no model at all"), ("pth", b"\x80\x04cos\nsystem\n(S'true'\ntR.")],
)
def test_broken_and_hostile_files_are_refused_by_name(
    models: Path, catalog: UpscalerCatalog, suffix: str, content: bytes
) -> None:
    (models / "ESRGAN" / f"bad.{suffix}").write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"bad\.{suffix}"):
        catalog.find("bad", SETTINGS)(Image.new("RGB", (8, 8)), 0, 0)


class Average(nn.Module):
    """Enlarges without looking at neighbours, so that tiles cannot be seen."""

    scale = 2

    def forward(self, x: Tensor) -> Tensor:
        return x.repeat_interleave(2, 2).repeat_interleave(2, 3) * 0.5


@pytest.mark.parametrize("size", [(50, 40), (16, 100), (7, 5), (32, 32)])
@pytest.mark.parametrize("tiling", [Tiling(0, 8), Tiling(16, 4), Tiling(16, 0)])
def test_tiles_are_not_seen(size: tuple[int, int], tiling: Tiling) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    larger = np.asarray(run_upscaler(Average(), Image.fromarray(noise), tiling, CPU)).astype(int)
    expected = np.round(noise.repeat(2, 0).repeat(2, 1) * 0.5)
    assert larger.shape == expected.shape
    assert np.abs(larger - expected).max() <= 1


def test_channels_go_in_in_a1111s_order() -> None:
    class OnlyFirst(Average):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) * torch.tensor([2.0, 0, 0]).reshape(1, 3, 1, 1)

    larger = run_upscaler(OnlyFirst(), Image.new("RGB", (4, 4), (10, 20, 30)), Tiling(), CPU)
    assert larger.getpixel((0, 0)) == (0, 0, 30)


def test_transparency_is_kept() -> None:
    picture = Image.new("RGBA", (8, 8), (200, 100, 0, 0))
    picture.paste((200, 100, 0, 255), (0, 0, 4, 8))
    larger = run_upscaler(Average(), picture, Tiling(), CPU)
    assert larger.mode == "RGBA"
    assert [larger.getpixel((x, 8))[3] for x in (1, 14)] == [255, 0]  # type: ignore[index]


def test_work_ends_between_two_tiles_when_it_is_stopped() -> None:
    with pytest.raises(JobInterrupted):
        run_upscaler(Average(), Image.new("RGB", (64, 64)), Tiling(16, 4), CPU, stop=lambda: True)


def test_results_that_no_memory_holds_are_refused() -> None:
    class Huge(Average):
        scale = 1000

    with pytest.raises(DeviceMemoryError, match="smaller picture"):
        run_upscaler(Huge(), Image.new("RGB", (64, 64)), Tiling(), CPU)
