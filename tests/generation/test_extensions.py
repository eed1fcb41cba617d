"""Extensions take part in real jobs, and a mistake in one is told beside the picture."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modules.domain.job import JobState
from modules.domain.request import GenerationRequest
from tests.generation.conftest import Studio

WAIT = 120.0
REQUEST = GenerationRequest(prompt="a cat", seed=7, steps=2, width=64, height=64, checkpoint="tiny-sd1")
CODE = """
from PIL import ImageOps
from modules.plugins.hookspecs import hookimpl

@hookimpl
def transform_request(request):
    return request.model_copy(update={"prompt": request.prompt + ", loud"})

@hookimpl
def transform_image(image, infotext):
    assert ", loud" in infotext
    return ImageOps.invert(image)
"""
MANIFEST = 'name = "Loud"\nhooks = ["transform_request", "transform_image"]\n'


def test_hooks_are_called_for_every_picture_and_their_mistakes_are_comments(
    studio: Studio, tmp_path: Path
) -> None:
    folder = tmp_path / "extensions" / "loud"
    folder.mkdir(parents=True)
    (folder / "extension.toml").write_text(MANIFEST)
    (folder / "extension.py").write_text(CODE)
    with studio(tmp_path) as services:

        def made(**changes: object) -> tuple[np.ndarray, str, tuple[str, ...]]:
            request = REQUEST.model_copy(update=changes)
            view = services.jobs.wait(services.jobs.submit(request, "artist"), WAIT)
            assert view.state is JobState.DONE, view.error
            with Image.open(view.images[0].path) as image:
                return np.asarray(image), view.images[0].infotext, view.comments

        loud, infotext, comments = made()
        assert infotext.startswith("a cat, loud")
        assert comments == ()
        services.settings.update({"disabled_extensions": ["loud"]})
        plain, infotext, _ = made(prompt="a cat, loud")
        assert np.array_equal(loud, 255 - plain)


@pytest.mark.parametrize("broken", ["request.model_copy(", "ImageOps.invert("])
def test_a_mistake_in_a_hook_is_told_and_the_picture_is_made(
    studio: Studio, tmp_path: Path, broken: str
) -> None:
    folder = tmp_path / "extensions" / "loud"
    folder.mkdir(parents=True)
    (folder / "extension.toml").write_text(MANIFEST)
    code = CODE.replace('assert ", loud" in infotext', "pass").replace(broken, f"nowhere.{broken}")
    (folder / "extension.py").write_text(code)
    with studio(tmp_path) as services:
        view = services.jobs.wait(services.jobs.submit(REQUEST, "artist"), WAIT)
    assert view.state is JobState.DONE
    assert len(view.images) == 1
    assert [comment for comment in view.comments if "The extension loud failed in" in comment]
