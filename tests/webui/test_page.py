import re
from pathlib import Path

import gradio as gr
import pytest

from modules.webui import assets

ASSETS = sorted(
    path for path in Path(assets.__file__).parent.iterdir() if path.suffix in {".js", ".css", ".html"}
)

A1111_IDS = {
    "setting_sd_model_checkpoint", "refresh_sd_model_checkpoint", "setting_sd_vae", "tabs", "quicksettings",
    "txt2img_prompt", "txt2img_neg_prompt", "txt2img_generate", "txt2img_interrupt", "txt2img_skip",
    "txt2img_styles", "txt2img_style_apply", "txt2img_clear_prompt", "txt2img_token_counter",
    "txt2img_negative_token_counter", "txt2img_sampling", "txt2img_scheduler", "txt2img_steps", "txt2img_hr",
    "txt2img_hr_upscaler", "txt2img_hires_steps", "txt2img_denoising_strength", "txt2img_hr_scale",
    "txt2img_hr_resize_x", "txt2img_hr_resize_y", "txt2img_enable", "txt2img_checkpoint", "txt2img_switch_at",
    "txt2img_width", "txt2img_height", "txt2img_res_switch_btn", "txt2img_batch_count", "txt2img_batch_size",
    "txt2img_cfg_scale", "txt2img_seed", "txt2img_random_seed", "txt2img_reuse_seed", "txt2img_subseed_show",
    "txt2img_subseed", "txt2img_subseed_strength", "txt2img_seed_resize_from_w", "txt2img_seed_resize_from_h",
    "txt2img_override_settings", "txt2img_gallery", "txt2img_prompt_image", "img2img_prompt", "img2img_image",
    "img2img_resize_mode", "img2img_denoising_strength", "img2img_generate", "img2img_gallery",
    "inpaint_image", "inpaint_mask_blur", "inpaint_mask_mode", "inpaint_inpainting_fill",
    "inpaint_inpaint_full_res", "inpaint_inpaint_full_res_padding", "inpaint_generate",
}  # fmt: skip


@pytest.fixture
def page(standing_page: gr.Blocks) -> gr.Blocks:
    return standing_page


def ids(page: gr.Blocks) -> list[str]:
    return [str(block.elem_id) for block in page.blocks.values() if getattr(block, "elem_id", None)]


def test_the_element_ids_are_those_that_a1111_users_scripts_know(page: gr.Blocks) -> None:
    assert A1111_IDS - set(ids(page)) == set()


def test_no_element_id_is_used_twice(page: gr.Blocks) -> None:
    found = ids(page)
    assert sorted(found) == sorted(set(found))


def test_every_input_has_a_label_for_screen_readers(page: gr.Blocks) -> None:
    inputs = (gr.Textbox, gr.Dropdown, gr.Slider, gr.Number, gr.Checkbox, gr.Radio)
    assert all(block.label for block in page.blocks.values() if isinstance(block, inputs))
    assert all(block.value for block in page.blocks.values() if isinstance(block, gr.Button))


def test_no_event_is_offered_as_an_api(page: gr.Blocks) -> None:
    assert {function.api_visibility for function in page.fns.values()} == {"private"}


def test_stopping_and_watching_never_wait_in_a_queue(page: gr.Blocks) -> None:
    by_id = {block._id: str(getattr(block, "elem_id", "")) for block in page.blocks.values()}
    for function in page.fns.values():
        sources = {by_id.get(block or 0, "") for block, _ in function.targets}
        if any(source.endswith(("_interrupt", "_skip")) for source in sources):
            assert function.queue is False
        if any(source.endswith("_generate") for source in sources):
            assert function.concurrency_limit is None


def test_defaults_are_those_of_a1111(page: gr.Blocks) -> None:
    values = {
        str(block.elem_id): block.value
        for block in page.blocks.values()
        if getattr(block, "elem_id", None) and hasattr(block, "value")
    }
    assert values["txt2img_sampling"] == "DPM++ 2M"
    assert values["txt2img_scheduler"] == "Automatic"
    expected = {"txt2img_steps": 20, "txt2img_cfg_scale": 7, "txt2img_seed": -1, "txt2img_hr_scale": 2,
                "txt2img_denoising_strength": 0.7, "inpaint_denoising_strength": 0.75, "inpaint_mask_blur": 4,
                "inpaint_inpainting_fill": "original"}  # fmt: skip
    assert {key: values[key] for key in expected} == expected


@pytest.mark.parametrize("asset", ASSETS, ids=lambda path: path.name)
def test_no_asset_asks_another_machine(asset: Path) -> None:
    addresses = re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s'\")]*", asset.read_text(encoding="utf-8"))
    assert [address for address in addresses if "www.w3.org/2000/svg" not in address] == []


def test_motion_can_be_switched_off_by_the_visitor() -> None:
    assert "prefers-reduced-motion" in assets.asset_text("page/base.css")
