import json
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from modules.domain.infotext import Infotext, format_infotext, parse_infotext, split_infotext
from modules.domain.styles import StyleCatalog
from modules.imaging.files import write_replacing

GOLDEN = Path(__file__).parents[1] / "golden"
LINE = "Steps: 20, Sampler: Euler, Size: 512x768"
steady = profile(deadline=None, suppress_health_check=[HealthCheck.too_slow])

line_text = st.text(st.characters(exclude_characters="\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"), max_size=40)
plain_line = line_text.map(str.strip).filter(lambda line: not line.startswith("Negative prompt:"))
prompts = st.lists(plain_line, max_size=3).map("\n".join).map(str.strip)
keys = st.from_regex(r"\A[A-Za-z][A-Za-z0-9 /-]{1,20}\Z").filter(lambda key: not key.endswith(" "))
# the end of the last value is the end of the text, whose blanks A1111 cuts off
texts = st.from_regex(r"\A[^\s\",:][^\",]{0,30}\Z").filter(lambda text: text == text.strip())
values = st.one_of(st.integers(), st.floats(allow_nan=False), st.booleans(), texts)


def test_every_text_of_the_reference_is_read_as_the_reference_reads_it() -> None:
    cases = json.loads((GOLDEN / "units" / "parse_infotext.json").read_text(encoding="utf-8"))
    styles = StyleCatalog([GOLDEN / "styles.csv"], write_replacing).extract

    wrong = [name for name, text, expected in cases if parse_infotext(text, styles=styles) != expected]

    assert len(cases) > 500
    assert wrong == []


def test_every_text_of_the_reference_is_written_back_unchanged() -> None:
    cases = json.loads((GOLDEN / "units" / "parse_infotext.json").read_text(encoding="utf-8"))
    lines = [(name, text) for name, text, _ in cases if all(x == x.strip() for x in text.split("\n"))]

    # an absent value ("Key: ,") is no value: reading drops it
    changed = [name for name, text in lines if split_infotext(text).format() != text and ": ," not in text]

    assert changed == []


def test_the_layout_is_prompt_negative_prompt_and_one_line_of_pairs() -> None:
    text = format_infotext(
        "a cat,\nsitting", "blurry", {"Steps": 20, "CFG scale": 7.0, "Tiling": True, "Eta": None, "Seed": 42}
    )

    assert (
        text == "a cat,\nsitting\nNegative prompt: blurry\nSteps: 20, CFG scale: 7.0, Tiling: True, Seed: 42"
    )


def test_without_a_negative_prompt_there_is_no_line_for_it() -> None:
    assert format_infotext("a cat", "", {"Steps": 20}) == "a cat\nSteps: 20"


def test_values_that_would_break_the_line_are_quoted() -> None:
    text = format_infotext(
        "", "", {"A b": 'x, "y"', "C d": "é:1", "E f": "1\n2", "User": "User", "G h": "plain"}
    )

    assert text == r'A b: "x, \"y\"", C d: "é:1", E f: "1\n2", User, G h: plain'


def test_quoted_values_are_read_back() -> None:
    parameters = {"Lora hashes": "a: 1, b: 2", "Hires prompt": 'say "hi",\nagain\\', "Steps": "20"}

    assert split_infotext(format_infotext("p", "n", parameters)) == Infotext("p", "n", parameters)


def test_a_size_becomes_two_entries() -> None:
    parsed = parse_infotext(f"x\n{LINE}")

    assert (parsed["Size-1"], parsed["Size-2"]) == ("512", "768")
    assert "Size" not in parsed


def test_fewer_than_three_pairs_belong_to_the_prompt() -> None:
    parsed = parse_infotext("a cat\nSteps: 20, Seed: 1")

    assert parsed["Prompt"] == "a cat\nSteps: 20, Seed: 1"
    assert "Steps" not in parsed


def test_only_the_last_line_holds_parameters() -> None:
    parsed = parse_infotext(f"{LINE}\nreally: a, prompt: b, yes: c\n{LINE}")

    assert parsed["Prompt"] == f"{LINE}\nreally: a, prompt: b, yes: c"


def test_a_negative_prompt_may_have_several_lines() -> None:
    parsed = parse_infotext(f"good\nNegative prompt: bad\n  worse \n\nworst\n{LINE}")

    assert parsed["Prompt"] == "good"
    assert parsed["Negative prompt"] == "bad\nworse\n\nworst"


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ('aa: 1, bb: "x" y, cc: 3', "bb", '"x" y'),
        ('aa: 1, bb: "open, cc: 3', "bb", '"open'),
        ('aa: 1, bb: "a\\qb", cc: 3', "bb", '"a\\qb"'),
        ("aa: 1, - /bb:    2 , cc: 3", "bb", "2 "),
        ("aa: 1, http://x.y/bb: 2, cc: 3", "http", "//x.y/bb: 2"),
        ("aa: 1, é-ü/1: 2, cc: 3", "é-ü/1", "2"),
        ("aa: 1, bb: 2, cc: 3, bb: 4", "bb", "4"),
    ],
)
def test_odd_pairs_are_read_as_the_reference_reads_them(line: str, key: str, value: str) -> None:
    assert parse_infotext(line)[key] == value


def test_a_key_without_a_value_is_dropped() -> None:
    assert "bb" not in parse_infotext("aa: 1, bb: , cc: 3")


def test_absent_keys_mean_the_default_of_their_time() -> None:
    parsed = parse_infotext(LINE)

    assert parsed["Clip skip"] == "1"
    assert parsed["RNG"] == "GPU"
    assert parsed["Masked content"] == "original"
    assert "Emphasis" not in parsed
    assert "Cache FP16 weight for LoRA" not in parsed


def test_emphasis_is_noted_only_where_the_prompt_uses_it() -> None:
    assert parse_infotext(f"a (cat)\n{LINE}")["Emphasis"] == "Original"
    assert parse_infotext(f"x\nNegative prompt: [a]\n{LINE}")["Emphasis"] == "Original"
    assert "Emphasis" not in parse_infotext(f"a (cat:1.0) BREAK b\n{LINE}")


def test_an_old_hypernetwork_key_becomes_a_tag() -> None:
    parsed = parse_infotext(f"x\n{LINE}, Hypernet: anime, Hypernet strength: 0.5")

    assert parsed["Prompt"] == "x<hypernet:anime:0.5>"


def test_the_old_first_pass_size_is_converted() -> None:
    given_size = parse_infotext(f"x\n{LINE}, First pass size: 320x448")
    automatic = parse_infotext(f"x\n{LINE}, First pass size: 0x0")

    assert (given_size["Size-1"], given_size["Size-2"]) == (320, 448)
    assert (given_size["Hires resize-1"], given_size["Hires resize-2"]) == (512, 768)
    assert (automatic["Size-1"], automatic["Size-2"]) == (448, 640)


@pytest.mark.parametrize(
    ("version", "extra", "key"),
    [
        ("v1.5.2", "", "Old prompt editing timelines"),
        ("v1.5.2", ", Sampler: DDIM", "Pad conds v0"),
        ("v1.7.0-224-gabcdef", "", "Downcast alphas_cumprod"),
        ("1.7.9", ", Refiner: x", "Refiner switch by sampling steps"),
    ],
)
def test_old_versions_switch_their_behaviour_on(version: str, extra: str, key: str) -> None:
    text = f"a [b:c:0.5]\nSteps: 20, Seed: 1, Size: 8x8{extra}, Version: {version}"

    assert parse_infotext(text)[key] is True
    assert parse_infotext(text, backcompat=False).get(key, False) is False


@pytest.mark.parametrize("version", ["v1.10.1", "f2.0.1v1.10.1-previous-1", "ComfyUI", "1.6", ""])
def test_new_and_foreign_versions_switch_nothing_on(version: str) -> None:
    parsed = parse_infotext(f"a [b:c:0.5]\nSteps: 20, Seed: 1, Size: 8x8, Refiner: x, Version: {version}")

    assert "Old prompt editing timelines" not in parsed
    assert "Downcast alphas_cumprod" not in parsed
    assert parsed["Refiner switch by sampling steps"] is False


def test_the_release_before_a_threshold_commit_counts_as_older() -> None:
    text = "a\nSteps: 20, Seed: 1, Size: 8x8, Version: "

    assert parse_infotext(text + "v1.7.0")["Downcast alphas_cumprod"] is True
    assert "Downcast alphas_cumprod" not in parse_infotext(text + "v1.7.0-225")


def test_styles_are_taken_out_as_the_setting_says() -> None:
    styles = StyleCatalog([GOLDEN / "styles.csv"], write_replacing).extract
    text = f"watercolor of a cat, soft\nNegative prompt: photo,  sharp\n{LINE}"

    applied = parse_infotext(text, styles=styles)
    discarded = parse_infotext(text, styles=styles, style_mode="Discard")
    ignored = parse_infotext(text, styles=styles, style_mode="Ignore")

    assert (applied["Styles array"], applied["Prompt"]) == (["watercolor"], "a cat")
    assert ("Styles array" in discarded, discarded["Prompt"]) == (False, "a cat")
    assert ignored["Prompt"] == "watercolor of a cat, soft"
    assert parse_infotext(f"x\n{LINE}", styles=styles, style_mode="Apply")["Styles array"] == []


def test_styles_stay_in_the_prompt_when_the_hires_prompt_has_others() -> None:
    styles = StyleCatalog([GOLDEN / "styles.csv"], write_replacing).extract
    text = f"watercolor of a cat, soft\nNegative prompt: photo,  sharp\n{LINE}, Hires prompt: a dog"

    assert parse_infotext(text, styles=styles)["Prompt"] == "watercolor of a cat, soft"


def test_unwanted_fields_are_left_out() -> None:
    assert "Seed" not in parse_infotext(f"x\n{LINE}, Seed: 1", skip=("Seed",))


@steady
@given(prompts, prompts, st.dictionaries(keys, values, min_size=3, max_size=6))
def test_what_is_written_is_read_back_and_written_alike(
    prompt: str, negative: str, parameters: dict[str, object]
) -> None:
    text = format_infotext(prompt, negative, parameters)
    document = split_infotext(text)

    assert document.format() == text
    assert (document.prompt, document.negative_prompt) == (prompt, negative)
    assert document.parameters == {key: str(value) for key, value in parameters.items()}


@steady
@given(st.text())
@example("Negative prompt:\nNegative prompt: x")
@example('aa: "\\ud800", bb: 1, cc: 2')
@example("aa: 9x9, First pass size: 0x0, Size: 0x0")
def test_reading_never_fails_and_settles_after_one_rewriting(text: str) -> None:
    parse_infotext(text)
    once = split_infotext(text).format()
    twice = split_infotext(once).format()

    assert split_infotext(twice).format() == twice


@pytest.mark.parametrize(
    "unit",
    ["(", ":", "a:", "aa:", 'aa:"', 'aa:"\\"', "aa: ,", "a ", " ", '"', "\\", "x\n", "Negative prompt:\n",
     "aa:1x1,", "[a:b:", "\\(", "é", "aa: 1,"],
)  # fmt: skip
def test_hostile_text_costs_no_more_than_its_length(unit: str) -> None:
    small, large = unit * (5_000 // len(unit)), unit * (50_000 // len(unit)) + "\naa:1,bb:2,cc:3"

    def best_of_three(text: str) -> float:
        times = []
        for _ in range(3):
            start = time.process_time()
            parse_infotext(text)
            times.append(time.process_time() - start)
        return min(times)

    took = best_of_three(large)
    assert took < max(0.3, 30 * best_of_three(small))
    assert took < 1.0  # 50 ms on a free machine; a quadratic parser takes many seconds
