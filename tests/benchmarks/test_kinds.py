"""What is compared is a model that the program knows."""

import pytest

from benchmarks.kinds import KINDS, checkpoint_shapes
from modules.families.detect import detect_family
from tests.families.manifests import header


@pytest.mark.parametrize("name", KINDS)
def test_a_random_checkpoint_is_of_a_known_family(name: str) -> None:
    kind = KINDS[name]
    found = detect_family(header(checkpoint_shapes(kind)), None)
    assert found.unet == kind.unet
    assert [text.config for text in found.texts] == list(kind.texts.values())
