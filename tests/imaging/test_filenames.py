from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st
from PIL import Image

from modules.imaging.filenames import TOKENS, NameFacts, expand_pattern, safe_parts, sanitize

FACTS = NameFacts(
    now=datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC),
    job_begun=datetime(2024, 5, 6, 7, 0, 0, tzinfo=UTC),
    basename="grid",
    seed=42,
    all_seeds=(42, 43, 44, 45),
    steps=20,
    cfg_scale=7.5,
    width=512,
    height=768,
    styles=("ink", "soft"),
    sampler="DPM++ 2M",
    scheduler="Karras",
    model_hash="6ce0161689",
    model_name="v1-5: pruned",
    prompt='a cat, "sitting" on/in a Box',
    negative_prompt="blurry",
    prompt_no_styles="a cat",
    batch_index=1,
    batch_size=2,
    iteration=1,
    n_iter=2,
    clip_skip=2,
    denoising_strength=0.75,
    user="anna",
    vae_filename="vae.pt",
    image=Image.new("RGB", (1, 1)),
)
ALONE = NameFacts(now=FACTS.now, seed=7, all_seeds=(7,), batch_index=0)


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("[seed]", "42"),
        ("[SEED]-[Steps]", "42-20"),
        ("[seed_first]-[seed_last]", "42-45"),
        ("[cfg]", "7.5"),
        ("[width]x[height]", "512x768"),
        ("[styles]", "ink, soft"),
        ("[sampler]", "DPM++ 2M"),
        ("[scheduler]", "Karras"),
        ("[sampler_scheduler]", "DPM++ 2M Karras"),
        ("[model_hash]", "6ce0161689"),
        ("[model_name]", "v1-5_ pruned"),
        ("[date]", "2024-05-06"),
        ("[datetime]", "20240506070809"),
        ("[datetime<%H.%M>]", "07.08"),
        ("[datetime<%H:%M><Asia/Tokyo>]", "16_08"),
        ("[job_timestamp]", "20240506070000"),
        ("[prompt]", "a_cat,__sitting__on_in_a_Box"),
        ("[prompt_spaces]", "a cat, _sitting_ on_in a Box"),
        ("[prompt_no_styles]", "a cat"),
        ("[prompt_words]", "a cat sitting on in a Box"),
        ("[batch_number]", "2"),
        ("[batch_size]", "2"),
        ("[generation_number]", "4"),
        ("[hasprompt<CAT><dog|nodog><bird>]", "catnodog"),
        ("[clip_skip]", "2"),
        ("[denoising]", "0.75"),
        ("[user]", "anna"),
        ("[vae_filename]", "vae.pt"),
        ("[none]", ""),
        ("[basename]-[img]", "grid-grid"),
        ("[image_hash<12>]", "709e80c88487"),
        ("x[unknown]y[]z[", "x[unknown]y[]z["),
        ("[[model_name]]", "[v1-5_ pruned]"),
        ("plain", "plain"),
    ],
)
def test_every_token_gives_what_the_reference_gives(pattern: str, name: str) -> None:
    assert expand_pattern(pattern, FACTS) == name


def test_hashes_have_the_length_that_is_asked_for() -> None:
    assert len(expand_pattern("[prompt_hash<20>]", FACTS)) == 20
    assert len(expand_pattern("[negative_prompt_hash]", FACTS)) == 8
    assert len(expand_pattern("[full_prompt_hash<many>]", FACTS)) == 8
    assert len(expand_pattern("[image_hash]", FACTS)) == 64


@pytest.mark.parametrize(
    "token", ["seed_last", "batch_number", "generation_number", "image_hash", "user", "sampler"]
)
def test_a_token_without_content_takes_the_text_before_it_along(token: str) -> None:
    assert expand_pattern(f"[seed]-[{token}]+[batch_size]", ALONE) == "7+1"


def test_a_prompt_without_words_is_called_empty() -> None:
    assert expand_pattern("[prompt_words]", ALONE) == "empty"


def test_words_are_counted_by_the_setting() -> None:
    facts = NameFacts(now=FACTS.now, prompt="one two three four", max_prompt_words=2)

    assert expand_pattern("[prompt_words]", facts) == "one two"


def test_every_token_of_the_specification_exists() -> None:
    names = """
        basename img seed seed_first seed_last steps cfg width height styles sampler sampler_scheduler
        scheduler model_hash model_name date datetime job_timestamp prompt_hash negative_prompt_hash
        full_prompt_hash prompt prompt_no_styles prompt_spaces prompt_words batch_number batch_size
        generation_number hasprompt clip_skip denoising user vae_filename none image_hash
    """

    assert set(TOKENS) == set(names.split())


def test_parts_of_names_are_cleaned() -> None:
    assert sanitize(' a<b>:"c/d\\e|f?g*h#\n\r\t.') == "_a_b___c_d_e_f_g_h____"
    assert sanitize("  two words. ", replace_spaces=False) == "two words"
    assert len(sanitize("x" * 1000)) == 128


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("a/b", ("a", "b")),
        ("../../etc/passwd", ("etc", "passwd")),
        ("/etc/passwd", ("etc", "passwd")),
        ("C:\\Windows\\x", ("C_", "Windows", "x")),
        ("a//b/./..", ("a", "b")),
        ("con/nul.txt/lpt1", ("_con", "_nul.txt", "_lpt1")),
        ("  . ..  / x . ", ("x",)),
        ("a\0b", ("a_b",)),
        ("", ()),
    ],
)
def test_a_path_leads_down_and_nowhere_else(path: str, parts: tuple[str, ...]) -> None:
    assert safe_parts(path) == parts


@profile(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(), st.text())
def test_whatever_is_written_gives_harmless_names(pattern: str, prompt: str) -> None:
    facts = NameFacts(now=FACTS.now, prompt=prompt, user=prompt, seed=1)

    for part in safe_parts(expand_pattern(f"{pattern}[prompt_spaces]/[user]", facts)):
        assert part not in {"", ".", ".."}
        assert len(part.encode()) <= 201
        assert not set(part) & set('/\\\0\n:*?"<>|')


def test_long_names_in_any_script_fit_a_file_system() -> None:
    (name,) = safe_parts("猫" * 500)

    assert name == "猫" * 66
