import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st

import modules
from modules.exceptions import RequestError
from modules.settings.options import Settings, describe_options, infotext_options


def test_defaults_are_those_a_client_of_the_reference_expects() -> None:
    settings = Settings()

    assert settings.randn_source == "GPU"
    assert settings.CLIP_stop_at_last_layers == 1
    assert settings.samples_format == "png"
    assert settings.jpeg_quality == 80
    assert settings.comma_padding_backtrack == 20
    assert settings.sd_vae == "Automatic"
    assert settings.send_seed is True
    assert settings.directories_filename_pattern == "[date]"


def test_an_override_changes_only_the_copy() -> None:
    settings = Settings()

    changed = settings.overridden({"randn_source": "CPU", "CLIP_stop_at_last_layers": 2.0})

    assert (changed.randn_source, changed.CLIP_stop_at_last_layers) == ("CPU", 2)
    assert (settings.randn_source, settings.CLIP_stop_at_last_layers) == ("GPU", 1)


def test_unknown_keys_are_ignored_and_can_be_listed() -> None:
    changes = {"jpeg_quality": 95, "no_such_option": 1}

    assert Settings().overridden(changes).jpeg_quality == 95
    assert Settings.known(changes) == ({"jpeg_quality": 95}, ("no_such_option",))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("jpeg_quality", 0),
        ("jpeg_quality", "high"),
        ("CLIP_stop_at_last_layers", 1.5),
        ("randn_source", "TPU"),
        ("eta_ddim", float("nan")),
        ("s_churn", float("inf")),
        ("samples_format", "exe"),
        ("grid_background_color", "url(x)"),
        ("font", "x" * 30_000),
        ("hide_samplers", {"a": 1}),
    ],
)
def test_a_wrong_value_is_an_error_that_names_the_option(key: str, value: object) -> None:
    with pytest.raises(RequestError) as caught:
        Settings().overridden({key: value})

    assert caught.value.field == key
    assert key in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_soft_limit_binds_only_the_slider() -> None:
    assert Settings().overridden({"s_noise": 2.0}).s_noise == 2.0


def test_every_option_is_described_once_with_label_and_section() -> None:
    infos = describe_options()

    assert sorted(info.key for info in infos) == sorted(Settings.model_fields)
    assert all(info.label and info.section.id and info.section.title for info in infos)


def test_the_described_component_fits_the_value() -> None:
    by_key = {info.key: info for info in describe_options()}

    assert by_key["samples_save"].component == "checkbox"
    assert by_key["jpeg_quality"].component == "slider"
    assert (by_key["jpeg_quality"].minimum, by_key["jpeg_quality"].maximum) == (1, 100)
    assert by_key["sigma_min"].component == "number"
    assert by_key["sd_model_checkpoint"].component == "dropdown"
    assert by_key["hide_samplers"].component == "multiselect"
    assert by_key["grid_background_color"].component == "color"
    assert by_key["randn_source"].component == "radio"
    assert by_key["randn_source"].choices == ("GPU", "CPU", "NV")
    assert by_key["samples_filename_pattern"].component == "text"


def test_infotext_keys_lead_to_their_options() -> None:
    keys = infotext_options()

    assert keys["Clip skip"] == "CLIP_stop_at_last_layers"
    assert keys["RNG"] == "randn_source"
    assert keys["Beta schedule alpha"] == "beta_dist_alpha"


def test_settings_survive_a_json_round_trip() -> None:
    settings = Settings().overridden({"hide_samplers": ["Euler"], "eta_ddim": 0.25})

    assert Settings().overridden(settings.as_json()) == settings


@profile(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=60)
@given(st.dictionaries(st.sampled_from(sorted(Settings.model_fields)), st.none() | st.booleans() | st.text()))
def test_any_override_either_holds_or_is_a_request_error(changes: dict[str, object]) -> None:
    settings = Settings()
    refused: RequestError | None = None
    try:
        settings = settings.overridden(changes)
    except RequestError as error:
        refused = error

    assert refused is None or refused.field in changes
    assert Settings().overridden(settings.as_json()) == settings


def test_every_option_that_a_page_shows_is_gone_by_somewhere() -> None:
    root = Path(modules.__file__).parent
    sources = [path for path in root.rglob("*") if path.suffix in (".py", ".js")]
    code = "\n".join(path.read_text("utf-8") for path in sources if path.parent.name != "settings")
    used = set(re.findall(r"\w+", code))
    shown = {info.key for info in describe_options() if info.section.category != "hidden" and not info.inert}
    assert sorted(shown - used) == []
