"""Start scripts written for A1111 start this program."""

import pytest

from modules.cli import build_parser, launch_options
from modules.settings.foreign_flags import familiar_flags

# what A1111's own test server is started with
TEST_SERVER = (
    "--skip-prepare-environment --skip-torch-cuda-test --test-server --do-not-download-clip --no-half "
    "--disable-opt-split-attention --use-cpu all --api-server-stop"
)


def test_a1111s_test_server_can_be_started_with_its_own_words() -> None:
    words, ignored = familiar_flags(TEST_SERVER.split())
    options = launch_options(build_parser().parse_args(words))
    assert (options.api, options.api_server_stop, options.open_browser) == (True, True, False)
    assert (options.device, options.precision, options.port) == ("cpu", "full", 7860)
    assert ignored == [
        "--skip-prepare-environment", "--skip-torch-cuda-test", "--do-not-download-clip",
        "--disable-opt-split-attention",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "own", "ignored"),
    [
        ("--upcast-sampling --xformers --api", "--api", "--upcast-sampling --xformers"),
        ("--gradio-auth ann:secret --port 80", "--port 80", "--gradio-auth"),
        ("--gradio-auth=ann:secret --port=80", "--port=80", "--gradio-auth"),
        ("--use-cpu interrogate gfpgan --api", "--api", "--use-cpu"),
        ("--use-cpu=all", "--device cpu", ""),
        ("--device-id 1 --precision autocast", "--device cuda:1 --precision auto", ""),
        ("--precision full --no-half", "--precision full --precision full", ""),
        ("--styles-file", "", "--styles-file"),
        ("--no-such-flag --ckpt a.safetensors", "--no-such-flag --ckpt a.safetensors", ""),
        ("--lowvram --medvram-sdxl", "--lowvram --medvram-sdxl", ""),
        ("users add ann", "users add ann", ""),
    ],
)
def test_what_has_no_effect_is_left_out_and_named(given: str, own: str, ignored: str) -> None:
    assert familiar_flags(given.split()) == (own.split(), ignored.split())
