from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from modules.diffusion.noise import NoiseKind, NoiseSource, NoiseSpec, SharedTree, initial_noise, slerp

UNITS = Path(__file__).parents[1] / "golden" / "units" / "rng.npz"
SHAPE = (4, 8, 8)
SEEDS = [0, 1, 42, 4294967295, 4294967296, 9007199254740991, 12345678901234567]
CHANGES: dict[str, dict[str, Any]] = {  # how the reference's four streams were asked for
    "plain": {},
    "var": {"subseed": 7, "subseed_strength": 0.3},
    "resize": {"resize_from": (8, 16)},
    "ensd": {"ensd": 31337},
}


@pytest.fixture(scope="module")
def reference() -> dict[str, Tensor]:
    with np.load(UNITS) as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays}


@pytest.mark.parametrize("kind", ["CPU", "NV"])
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("change", CHANGES)
def test_first_three_draws_equal_the_reference(
    reference: dict[str, Tensor], kind: NoiseKind, seed: int, change: str
) -> None:
    first, source = initial_noise(NoiseSpec(seed, kind=kind, **CHANGES[change]), SHAPE)
    draws = torch.cat([first, source.next(), source.next()])

    if change == "var":  # sines and arc cosines differ between CPUs in the last place
        torch.testing.assert_close(draws, reference[f"{kind}_{seed}_{change}"], rtol=1e-6, atol=1e-6)
    else:
        assert torch.equal(draws, reference[f"{kind}_{seed}_{change}"])


@pytest.mark.parametrize("kind", ["CPU", "NV"])
@pytest.mark.parametrize("seed", [1, 4294967300, 9007199254740991])
def test_brownian_noise_equals_the_reference(
    reference: dict[str, Tensor], kind: NoiseKind, seed: int
) -> None:
    low, high = 0.0292, 14.6146
    brownian = NoiseSource(seed, SHAPE, kind).brownian(low, high)
    steps = [(high, 7.0), (7.0, 3.0), (3.0, 1.0), (1.0, 0.3), (0.3, low), (7.0, 2.0)]
    noise = torch.cat([brownian(torch.tensor(start), torch.tensor(end)) for start, end in steps])

    assert torch.equal(noise, reference[f"brownian_{kind}_{seed}"])


@pytest.mark.parametrize("kind", ["CPU", "GPU", "NV"])
@given(draws=st.integers(0, 12))
def test_a_source_rebuilt_at_a_position_goes_on_with_the_same_numbers(kind: NoiseKind, draws: int) -> None:
    spec = NoiseSpec(11, ensd=3, kind=kind)
    source = spec.source(SHAPE)
    for _ in range(draws):
        source.next()

    assert torch.equal(spec.source(SHAPE, source.draws).next(), source.next())


def test_first_draw_counts_unless_ensd_replaces_the_stream() -> None:
    _, plain = initial_noise(NoiseSpec(1), SHAPE)
    _, replaced = initial_noise(NoiseSpec(1, ensd=5), SHAPE)

    assert (plain.draws, replaced.draws) == (1, 0)
    assert torch.equal(replaced.next(), NoiseSource(6, SHAPE).next())


def test_ensd_does_not_change_the_brownian_path() -> None:
    start, end = torch.tensor(5.0), torch.tensor(2.0)
    _, plain = initial_noise(NoiseSpec(1), SHAPE)
    _, replaced = initial_noise(NoiseSpec(1, ensd=5), SHAPE)

    assert torch.equal(plain.brownian(0.1, 10)(start, end), replaced.brownian(0.1, 10)(start, end))


def test_brownian_noise_changes_sign_with_direction() -> None:
    brownian = NoiseSource(1, SHAPE).brownian(0.1, 10)
    low, high = torch.tensor(1.0), torch.tensor(4.0)

    assert torch.equal(brownian(low, high), -brownian(high, low))


def test_shared_path_of_a_batch_is_cut_into_its_images() -> None:
    start, end = torch.tensor(5.0), torch.tensor(2.0)
    sources = [
        NoiseSource(seed, SHAPE, shared_tree=SharedTree(8, 2, index)) for index, seed in enumerate((7, 8))
    ]
    first, second = (source.brownian(0.1, 10)(start, end) for source in sources)

    assert first.shape == (1, *SHAPE)
    assert not torch.equal(first, second)


def test_global_random_state_does_not_matter() -> None:
    torch.manual_seed(1)
    first, source = initial_noise(NoiseSpec(3, 4, 0.5), SHAPE)
    torch.manual_seed(2)
    again, other = initial_noise(NoiseSpec(3, 4, 0.5), SHAPE)

    assert torch.equal(first, again)
    assert torch.equal(source.next(), other.next())


@given(st.floats(0, 1), st.integers(0, 1000), st.integers(1, 6), st.integers(1, 6))
def test_variations_are_always_numbers(strength: float, subseed: int, height: int, width: int) -> None:
    noise, _ = initial_noise(NoiseSpec(3, subseed, strength), (4, height, width))

    assert noise.isfinite().all()


def test_full_variation_is_the_other_seed() -> None:
    noise, _ = initial_noise(NoiseSpec(3, 4, 1.0), SHAPE)
    other, _ = initial_noise(NoiseSpec(4), SHAPE)

    torch.testing.assert_close(noise, other, atol=1e-5, rtol=1e-5)


def test_mixing_a_noise_with_itself_changes_nothing() -> None:
    low = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))

    torch.testing.assert_close(slerp(0.3, low, low), low)


ALL = slice(None)


@pytest.mark.parametrize(
    ("size", "to", "cut"),
    [
        ((4, 4), (ALL, slice(2, 6), slice(2, 6)), (ALL, ALL, ALL)),
        ((16, 16), (ALL, ALL, ALL), (ALL, slice(4, 12), slice(4, 12))),
        ((4, 16), (ALL, slice(2, 6), ALL), (ALL, ALL, slice(4, 12))),
        ((9, 5), (ALL, slice(0, 7), slice(1, 6)), (ALL, slice(1, 8), ALL)),  # odd: as the reference rounds
    ],
)
def test_resized_composition_keeps_its_middle(
    size: tuple[int, int], to: tuple[slice, ...], cut: tuple[slice, ...]
) -> None:
    resized, _ = initial_noise(NoiseSpec(3, resize_from=size), SHAPE)
    original, _ = initial_noise(NoiseSpec(3), (4, *size))
    full, _ = initial_noise(NoiseSpec(3), SHAPE)
    outside = torch.ones(SHAPE, dtype=torch.bool)
    outside[to] = False

    assert torch.equal(resized[0][to], original[0][cut])
    assert torch.equal(resized[0][outside], full[0][outside])
