from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from modules.exceptions import NotFoundError, RequestError
from modules.webui.events.batch import BatchFiles, BatchItem, batch_seed, output_overrides, with_png_info
from modules.webui.form.mask_canvas import PictureReader

INFOTEXT = "a cat\nNegative prompt: a dog\nSteps: 31, Sampler: Euler a, CFG scale: 5.5, Seed: 12, Size: 64x64"


def no_picture(image_id: str, owner: str) -> bytes:
    raise NotFoundError("image", f"{owner} has no {image_id}")


def save(path: Path, infotext: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = PngImagePlugin.PngInfo()
    if infotext:
        text.add_text("parameters", infotext)
    Image.new("RGB", (8, 8)).save(path, "PNG", pnginfo=text)
    return path


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    for name in ("in/b.png", "in/a.png", "in/deep/c.png", "masks/a.png", "masks/c.png"):
        save(tmp_path / "outputs" / name)
    (tmp_path / "outputs/in/notes.txt").write_text("no picture")
    save(tmp_path / "secret/d.png")
    (tmp_path / "outputs/in/link.png").symlink_to(tmp_path / "secret/d.png")
    return tmp_path / "outputs"


@pytest.fixture
def files(outputs: Path, tmp_path: Path) -> BatchFiles:
    return BatchFiles(PictureReader(tmp_path / "uploads", no_picture), outputs)


def folder(name: str, **more: object) -> dict[str, object]:
    return {"batch_source": "directory", "batch_input_dir": name, **more}


def names(items: tuple[BatchItem, ...]) -> list[str]:
    return [item.path.name for item in items]


def test_a_folder_is_walked_in_order_and_links_out_of_it_are_left_out(files: BatchFiles) -> None:
    assert names(files.items(folder("in"), reads_folders=True)) == ["a.png", "b.png", "c.png"]


def test_folders_belong_to_the_administrator(files: BatchFiles) -> None:
    with pytest.raises(RequestError, match="administrator") as caught:
        files.items(folder("in"), reads_folders=False)
    assert caught.value.field == "batch_input_dir"


@pytest.mark.parametrize("name", ["../secret", "/etc", "in/../../secret"])
def test_no_folder_outside_the_outputs_is_looked_into(files: BatchFiles, name: str) -> None:
    with pytest.raises(RequestError, match="inside the outputs folder"):
        files.items(folder(name), reads_folders=True)


@pytest.mark.parametrize("name", ["", "nowhere", "in/a.png"])
def test_a_folder_that_is_not_there_is_one_sentence(files: BatchFiles, name: str) -> None:
    with pytest.raises(NotFoundError, match="no such folder"):
        files.items(folder(name), reads_folders=True)


def test_masks_are_found_by_name_and_pictures_without_one_are_left_out(files: BatchFiles) -> None:
    items = files.items(folder("in", batch_inpaint_mask_dir="masks"), reads_folders=True)
    assert [(item.path.stem, item.mask and item.mask.stem) for item in items] == [("a", "a"), ("c", "c")]


def test_a_single_mask_serves_all(files: BatchFiles, outputs: Path) -> None:
    save(outputs / "one/any.png")
    items = files.items(folder("in", batch_inpaint_mask_dir="one"), reads_folders=True)
    assert [item.mask and item.mask.stem for item in items] == ["any"] * 3


def test_uploads_are_taken_from_the_upload_folder_alone(files: BatchFiles, tmp_path: Path) -> None:
    path = save(tmp_path / "uploads/x.png")
    assert names(files.items({"batch_files": [str(path)]}, reads_folders=False)) == ["x.png"]
    with pytest.raises(RequestError, match="gone"):
        files.items({"batch_files": [str(tmp_path / "secret/d.png")]}, reads_folders=False)
    with pytest.raises(NotFoundError, match="Choose the pictures"):
        files.items({"batch_files": None}, reads_folders=False)


def test_png_info_comes_from_the_picture_or_its_namesake(files: BatchFiles, outputs: Path) -> None:
    item = BatchItem(save(outputs / "in/a.png", INFOTEXT))
    assert files.png_info(item, folder("in")) == INFOTEXT
    save(outputs / "info/a.png", "other\nSteps: 1, Sampler: Euler, Seed: 3")
    assert files.png_info(item, folder("in", batch_png_info_dir="info")).startswith("other")
    assert files.png_info(item, folder("in", batch_png_info_dir="masks")) == ""


def test_the_chosen_parts_of_png_info_go_into_the_form() -> None:
    form: dict[str, object] = {
        "prompt": "soft light",
        "neg_prompt": "",
        "seed": 1,
        "steps": 20,
        "cfg_scale": 7,
        "sampling": "DPM++ 2M",
        "batch_use_png_info": True,
        "batch_png_info_props": ["Prompt", "Negative prompt", "CFG scale", "Steps", "Sampler"],
    }
    filled = with_png_info(form, INFOTEXT)
    assert (filled["prompt"], filled["neg_prompt"]) == ("soft light a cat", "a dog")
    assert (filled["cfg_scale"], filled["steps"], filled["sampling"], filled["seed"]) == (
        5.5,
        31,
        "Euler a",
        1,
    )
    assert with_png_info({**form, "batch_use_png_info": False}, INFOTEXT)["prompt"] == "soft light"
    broken = with_png_info(form, INFOTEXT.replace("Steps: 31", "Steps: many"))
    assert broken["steps"] == 20


def test_one_seed_serves_the_whole_batch() -> None:
    drawn = batch_seed({"seed": -1})
    assert isinstance(drawn, int)
    assert drawn >= 0
    assert batch_seed({"seed": 7}) == 7


def test_the_output_folder_takes_the_names_of_the_files(tmp_path: Path) -> None:
    item = BatchItem(tmp_path / "old [seed].png")
    assert output_overrides(item, None, 1) == {}
    single = output_overrides(item, tmp_path / "out", 1)
    assert single["samples_filename_pattern"] == "old (seed)"
    assert single["outdir_img2img_samples"] == str(tmp_path / "out")
    assert str(output_overrides(item, tmp_path, 2)["samples_filename_pattern"]).endswith(
        "[generation_number]"
    )
