"""What a job will need, foretold."""

from pathlib import Path

import pytest

from modules.domain.request import GenerationRequest, Hires
from modules.generation import estimate as estimate_module
from modules.generation.estimate import Estimate
from modules.generation.resolve import freeze_request, resolve
from modules.generation.speed import SpeedLog
from modules.services import Services, catalogs_of

GIGABYTE = 2**30


def estimated(services: Services, **changes: object) -> Estimate:
    request = GenerationRequest.model_validate(
        {"prompt": "a cat", "seed": 1, "steps": 10, "width": 512, "height": 512, **changes}
    )
    frozen = freeze_request(request, services.settings.current)
    return services.estimator.estimate(resolve(frozen, catalogs_of(services)))


@pytest.mark.parametrize(
    ("free", "fit"), [(64 * GIGABYTE, "fits"), (20 * 2**20, "tiles"), (2**20, "offloads")]
)
def test_less_memory_means_a_more_modest_way(
    services: Services, monkeypatch: pytest.MonkeyPatch, free: int, fit: str
) -> None:
    services.models.use(
        resolve(freeze_request(GenerationRequest(), services.settings.current), catalogs_of(services)).model
    )
    monkeypatch.setattr(estimate_module, "free_memory", lambda device: free)
    assert estimated(services).fit == fit


def test_four_times_the_pixels_need_four_times_the_memory(services: Services) -> None:
    small, large = estimated(services), estimated(services, width=1024, height=1024)
    assert large.bytes_needed == 4 * small.bytes_needed
    assert large.pixels == (1024, 1024)


def test_a_hires_pass_counts_at_its_own_size(services: Services) -> None:
    assert estimated(services, hires=Hires(scale=2.0)).pixels == (1024, 1024)


def test_time_grows_with_steps_and_pictures(services: Services, tmp_path: Path) -> None:
    key = resolve(freeze_request(GenerationRequest(), services.settings.current), catalogs_of(services)).model
    services.estimator.speeds.row(key.checkpoint, 64 * 64, 0.5)
    one = estimated(services).seconds
    assert one is not None
    assert one == pytest.approx(10.0, rel=0.3)
    four = estimated(services, n_iter=4).seconds
    double = estimated(services, steps=20).seconds
    assert four == pytest.approx(4 * one)
    assert double is not None
    assert double > 1.5 * one


def test_an_unknown_checkpoint_has_no_time(tmp_path: Path) -> None:
    assert SpeedLog(tmp_path / "speeds.json").row_seconds("new", 4096) is None


def test_speeds_survive_a_restart_and_scale_from_the_nearest_size(tmp_path: Path) -> None:
    now = [0.0]
    first = SpeedLog(tmp_path / "speeds.json", clock=lambda: now[0])
    now[0] = 100.0
    first.row("a", 4096, 1.0)
    again = SpeedLog(tmp_path / "speeds.json")
    assert again.row_seconds("a", 4096) == 1.0
    assert again.row_seconds("a", 8192) == 2.0


@pytest.mark.parametrize("content", ["", "[]", '{"rows": 3}', '{"rows": {"a": {"x": 1}}, "pictures": {}}'])
def test_a_damaged_file_of_speeds_costs_only_what_it_knew(tmp_path: Path, content: str) -> None:
    (tmp_path / "speeds.json").write_text(content)
    assert SpeedLog(tmp_path / "speeds.json").row_seconds("a", 4096) is None
