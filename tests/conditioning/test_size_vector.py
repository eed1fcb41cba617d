import pytest
import torch

from modules.conditioning.options import EncodingOptions
from modules.conditioning.size_vector import size_vector
from modules.families.family import SizeConditioning
from modules.networks.unet import timestep_embedding

OPTIONS = EncodingOptions(sdxl_crop_top=3, sdxl_crop_left=5)


@pytest.mark.parametrize(
    ("kind", "is_negative", "numbers"),
    [
        ("none", False, []),
        ("sdxl", False, [768, 512, 3, 5, 768, 512]),
        ("sdxl", True, [768, 512, 3, 5, 768, 512]),
        ("refiner", False, [768, 512, 3, 5, 6.0]),
        ("refiner", True, [768, 512, 3, 5, 2.5]),
    ],
)
def test_numbers_are_embedded_one_after_the_other(
    kind: SizeConditioning, is_negative: bool, numbers: list[float]
) -> None:
    vector = size_vector(kind, 512, 768, OPTIONS, is_negative=is_negative)
    assert vector.shape == (256 * len(numbers),)
    if numbers:
        assert torch.equal(vector.reshape(-1, 256), timestep_embedding(torch.tensor(numbers), 256))
