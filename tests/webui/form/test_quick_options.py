import gradio as gr

from modules.settings.options import Settings
from modules.webui.form.quick_options import quick_options, quick_overrides


def wanted(*keys: str) -> Settings:
    return Settings().overridden({"quicksettings_list": list(keys)})


def test_any_setting_that_a_request_may_carry_can_stand_at_hand() -> None:
    keys = ("eta_ancestral", "tiling", "randn_source", "CLIP_stop_at_last_layers", "hide_samplers")
    with gr.Blocks():
        options = quick_options(wanted(*keys))
    assert list(options) == ["eta_ancestral", "tiling", "randn_source"]
    assert isinstance(options["eta_ancestral"], gr.Slider)
    assert isinstance(options["tiling"], gr.Checkbox)
    assert isinstance(options["randn_source"], gr.Dropdown)
    assert [options[key].elem_id for key in options] == [f"setting_{key}" for key in options]
    assert options["eta_ancestral"].label == "Eta for k-diffusion samplers"


def test_settings_of_the_server_cannot_travel_with_a_request() -> None:
    with gr.Blocks():
        keys = ("samples_filename_pattern", "outdir_samples", "sd_checkpoints_limit", "nothing at all")
        assert quick_options(wanted(*keys)) == {}


def test_values_become_overrides_of_one_request() -> None:
    sent: dict[str, object] = {
        "setting_sd_model_checkpoint": "model",
        "setting_sd_vae": "Automatic",
        "setting_eta_ancestral": 0.5,
        "setting_tiling": False,
        "setting_randn_source": "",
        "steps": 20,
    }
    assert quick_overrides(sent) == {"sd_vae": "Automatic", "eta_ancestral": 0.5, "tiling": False}


def test_every_setting_has_a_component() -> None:
    everything = Settings().overridden({"quicksettings_list": list(Settings.model_fields)})
    with gr.Blocks():
        options = quick_options(everything)
    assert len(options) > 60
    assert all(component.label for component in options.values())
