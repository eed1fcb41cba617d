"""Extensions: found, kept to what they ask for, and never able to stop a job."""

import inspect
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from modules.domain.request import GenerationRequest
from modules.generation.extending import Extending
from modules.generation.scripts.catalog import BUILT_IN
from modules.plugins import hookspecs
from modules.plugins.hookspecs import HOOKS
from modules.plugins.manager import PluginManager
from modules.settings.options import Settings
from tests.architecture.source import ROOT
from tests.generation.scripts.stage import Stage

REQUEST = GenerationRequest(prompt="a cat", seed=3, width=64, height=64)
IMAGE = Image.new("RGB", (8, 8), "red")

IMPORTS = "from modules.plugins.hookspecs import hookimpl"
LOUD = f"""
{IMPORTS}
from PIL import ImageOps

@hookimpl
def transform_request(request):
    return request.model_copy(update={{"prompt": request.prompt + ", loud"}})

@hookimpl
def transform_image(image):
    return ImageOps.invert(image)
"""
BOTH = 'hooks = ["transform_request", "transform_image"]'


@pytest.fixture
def install(tmp_path: Path) -> Callable[..., PluginManager]:
    """Write an extension; returns a manager over all that were written."""

    def written(
        name: str, code: str, manifest: str = BOTH, settings: Callable[[], Settings] = Settings
    ) -> PluginManager:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "extension.py").write_text(code)
        (folder / "extension.toml").write_text(f'name = "{name.title()}"\nversion = "1.2"\n{manifest}\n')
        return PluginManager(tmp_path, settings)

    return written


def test_a_manager_is_what_the_generation_expects() -> None:
    manager: Extending = PluginManager(Path("nowhere"))
    assert manager.scripts.scripts == BUILT_IN
    assert manager.transform_request(REQUEST) == (REQUEST, ())
    assert manager.transform_image(IMAGE, REQUEST, "") == (IMAGE, ())


def test_hooks_change_requests_and_pictures(install: Callable[..., PluginManager]) -> None:
    manager = install("loud", LOUD)
    request, comments = manager.transform_request(REQUEST)
    assert (request.prompt, comments) == ("a cat, loud", ())
    image, comments = manager.transform_image(IMAGE, REQUEST, "")
    assert (image.getpixel((0, 0)), comments) == ((0, 255, 255), ())
    assert IMAGE.getpixel((0, 0)) == (255, 0, 0)


def test_extensions_are_called_in_the_order_of_their_names(install: Callable[..., PluginManager]) -> None:
    install("b_second", LOUD.replace("loud", "second"))
    manager = install("a_first", LOUD.replace("loud", "first"))
    assert manager.transform_request(REQUEST)[0].prompt == "a cat, first, second"


@pytest.mark.parametrize(
    "body",
    [
        "raise ValueError('no luck')",
        "return 7",
        "return request.model_copy(update={'steps': -1})",
    ],
)
def test_a_mistake_in_a_request_is_a_comment_and_the_others_go_on(
    install: Callable[..., PluginManager], body: str
) -> None:
    install("broken", f"{IMPORTS}\n@hookimpl\ndef transform_request(request):\n    {body}\n")
    manager = install("later", LOUD)
    request, comments = manager.transform_request(REQUEST)
    assert request.prompt == "a cat, loud"
    assert len(comments) == 1
    assert comments[0].startswith("The extension broken failed in transform_request and was left out")


def test_a_mistake_in_a_picture_leaves_the_picture(install: Callable[..., PluginManager]) -> None:
    manager = install("broken", LOUD.replace("ImageOps.invert(image)", "image.no_such_thing()"))
    image, comments = manager.transform_image(IMAGE, REQUEST, "")
    assert image is IMAGE
    assert "AttributeError" in comments[0]


def test_what_is_installed_is_told_without_running_it(install: Callable[..., PluginManager]) -> None:
    manager = install(
        "noisy", "raise SystemExit", 'hooks = ["transform_image"]\ndescription = "Says nothing"'
    )
    (record,) = manager.installed()
    assert (record.id, record.name, record.version) == ("noisy", "Noisy", "1.2")
    assert record.asks_for == (HOOKS["transform_image"],)
    assert record.enabled
    assert record.error is None


@pytest.mark.parametrize("code", ["import no_such_package", "raise SystemExit('no_such_package')"])
def test_an_extension_that_cannot_be_loaded_says_why(
    install: Callable[..., PluginManager], code: str
) -> None:
    manager = install("absent", code)
    assert manager.transform_request(REQUEST) == (REQUEST, ())
    (record,) = manager.installed()
    assert "no_such_package" in (record.error or "")


def test_a_hook_that_was_not_asked_for_is_not_called(install: Callable[..., PluginManager]) -> None:
    manager = install("greedy", LOUD, 'hooks = ["transform_image"]')
    assert manager.transform_request(REQUEST) == (REQUEST, ())
    assert "without asking for it" in (manager.installed()[0].error or "")


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        ('hooks = ["open_the_door"]', "no hook 'open_the_door'"),
        ("enabled = 7", "enabled"),
        ("surprise = true", "surprise"),
        ('module = "../outside.py"', "module"),
        ("= nonsense", "line 3"),
    ],
)
def test_a_manifest_that_is_not_understood_is_told(
    install: Callable[..., PluginManager], manifest: str, words: str
) -> None:
    manager = install("odd", LOUD, manifest)
    assert manager.transform_request(REQUEST) == (REQUEST, ())
    (record,) = manager.installed()
    assert words in (record.error or "")
    assert not record.enabled


def test_the_settings_switch_extensions_off_and_on_at_once(install: Callable[..., PluginManager]) -> None:
    now = [Settings()]
    manager = install("loud", LOUD, settings=lambda: now[0])
    assert manager.transform_request(REQUEST)[0].prompt == "a cat, loud"
    for off in (
        Settings(disabled_extensions=("loud",)),
        Settings(disable_all_extensions="all"),
        Settings(disable_all_extensions="extra"),
    ):
        now[0] = off
        assert manager.transform_request(REQUEST)[0] is REQUEST
        assert not manager.installed()[0].enabled
    now[0] = Settings()
    assert manager.transform_request(REQUEST)[0].prompt == "a cat, loud"


def test_a_manifest_can_keep_an_extension_out(install: Callable[..., PluginManager]) -> None:
    manager = install("loud", LOUD, f"{BOTH}\nenabled = false")
    assert manager.transform_request(REQUEST)[0] is REQUEST


def test_broken_lists_of_scripts_leave_the_built_in_ones(install: Callable[..., PluginManager]) -> None:
    code = f"{IMPORTS}\n@hookimpl\ndef scripts():\n    return ['a script']\n"
    assert install("odd", code, 'hooks = ["scripts"]').scripts.scripts == BUILT_IN


def test_the_example_that_comes_along_works(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "extensions" / "contact_sheet", tmp_path / "all" / "contact_sheet")
    manager = PluginManager(tmp_path / "all")
    script = manager.scripts.find("contact sheet", "txt2img")
    stage = Stage(tmp_path)
    result = stage.perform(script, REQUEST, [3, True])
    assert [request.seed for request in stage.requests] == [3, 4, 5]
    assert result.sheets[0].image.width == 3 * 64
    assert manager.installed()[0].error is None


def test_every_hook_is_explained_to_users_and_developers() -> None:
    declared = {name for name, function in inspect.getmembers(hookspecs, inspect.isfunction)}
    page = (ROOT / "docs" / "extensions.md").read_text(encoding="utf-8")
    assert declared == set(HOOKS)
    assert {name for name in HOOKS if f"`{name}`" not in page} == set()
    assert all(inspect.getdoc(getattr(hookspecs, name)) for name in HOOKS)
