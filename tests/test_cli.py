"""From A1111's flags to the frozen launch options."""

from modules.cli import build_parser, launch_options
from modules.settings.launch import LaunchOptions


def options(*words: str) -> LaunchOptions:
    return launch_options(build_parser().parse_args(words))


def test_without_flags_nothing_is_logged_and_values_are_checked() -> None:
    plain = options()
    assert (plain.api_log, plain.check_values) == (False, True)


def test_the_last_word_about_small_cards_counts() -> None:
    assert options().residency == "all"
    assert options("--medvram").residency == "turns"
    assert options("--medvram-sdxl").residency == "turns for SDXL"
    assert options("--medvram", "--lowvram").residency == "layers"


def test_nothing_is_compiled_unless_it_is_asked_for() -> None:
    assert not options().torch_compile
    assert options("--torch-compile").torch_compile


def test_cuda_graphs_are_used_unless_they_are_refused() -> None:
    assert options().cuda_graphs
    assert not options("--no-cuda-graphs").cuda_graphs


def test_the_flags_of_a1111_are_understood() -> None:
    flagged = options("--api", "--api-log", "--disable-nan-check")
    assert (flagged.api, flagged.api_log, flagged.check_values) == (True, True, False)
