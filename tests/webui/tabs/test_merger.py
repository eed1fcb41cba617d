from pathlib import Path
from types import SimpleNamespace
from typing import cast

import gradio as gr
import pytest

from modules.checkpoints.catalog import ModelCatalog
from modules.exceptions import RequestError
from modules.services import Services
from modules.settings.launch import Folders
from modules.webui.tabs.merger import recipe_of
from tests.checkpoints.tiny import state_dict, write

FILLED: dict[str, object] = {
    "primary_model_name": "a",
    "secondary_model_name": "b",
    "tertiary_model_name": None,
    "custom_name": " mine ",
    "interp_amount": 0.4,
    "interp_method": "Weighted sum",
    "save_as_half": True,
    "config_method": "Don't",
    "bake_in_vae": "None",
    "discard_weights": "",
    "save_metadata": True,
    "add_merge_recipe": True,
    "copy_metadata_fields": False,
    "metadata_json": '{"note": "x"}',
}


@pytest.fixture
def studio(tmp_path: Path) -> Services:
    folders = Folders.below(tmp_path)
    for name in "ab":
        write(folders.models / f"Stable-diffusion/{name}.safetensors", state_dict("sd1"))
    catalog = ModelCatalog(folders)
    catalog.refresh()
    return cast("Services", SimpleNamespace(catalog=catalog))


def test_the_form_describes_a_recipe(studio: Services) -> None:
    recipe = recipe_of(FILLED, studio)
    assert (recipe.primary.stem, recipe.name, recipe.multiplier, recipe.half) == ("a", "mine", 0.4, True)
    assert recipe.secondary is not None
    assert (recipe.config_source, recipe.copy_metadata, recipe.vae) == ("Don't", False, None)
    assert recipe.extra_metadata == {"note": "x"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("primary_model_name", None),
        ("metadata_json", "{"),
        ("metadata_json", "[]"),
        ("bake_in_vae", "gone.pt"),
    ],
)
def test_a_wrong_field_is_named(studio: Services, field: str, value: object) -> None:
    with pytest.raises(RequestError) as refused:
        recipe_of({**FILLED, field: value}, studio)
    assert refused.value.field == field


def test_the_tab_has_the_fields_that_a1111_users_know(standing_page: gr.Blocks) -> None:
    labels = {getattr(block, "label", None) for block in standing_page.blocks.values()}
    assert {"Primary model (A)", "Multiplier (M) - set to 0 to get model A", "Save as float16"} <= labels
