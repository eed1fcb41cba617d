import json

import ftfy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import CLIPTokenizer

from modules.conditioning.tokenizer import COMMA, END, START, ClipTokenizer, clip_tokenizer

ODD = [
    "",
    "   ",
    "it\u2019s \u201cquoted\u201d \ufb01ne \uff26\uff35\uff2c\uff2c",
    "&amp; &lt;b&gt;",
    "'S 'LL they'RE",
    "\u0663 \u00bd \u00b2 12345",
    "<|endoftext|> x <|startoftext|>",
    "a\u200bb e\u0301 \x07 \ufeff",
    "\U0001f1e9\U0001f1ea \U0001f469\u200d\U0001f469\u200d\U0001f467",
    "\u65e5\u672c\u8a9e\u3002\uc548\ub155 \u0639\u0631\u0628\u064a \u0939\u093f",
    "\u01c5 \u0149 \u00df \u1e9e \ufdfa \u0130stanbul",
    "\u2028 \u0085 x\ty\u3000z",
    "a_b-c...!!! ((x)) [[y]] ,,, ..",
    "\ufffd",
]


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> CLIPTokenizer:
    """transformers' tokenizer, given our vocabulary."""
    folder = tmp_path_factory.mktemp("clip")
    model = json.loads(ClipTokenizer()._tokenizer.to_str())["model"]
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]), encoding="utf-8")
    merges = "\n".join(["#version: 0.2", *(" ".join(pair) for pair in model["merges"])])
    (folder / "merges.txt").write_text(merges, encoding="utf-8")
    return CLIPTokenizer.from_pretrained(str(folder))


@pytest.mark.parametrize("text", ODD)
def test_odd_unicode_has_the_tokens_of_transformers_after_ftfy(oracle: CLIPTokenizer, text: str) -> None:
    assert clip_tokenizer().encode(text) == oracle(ftfy.fix_text(text), add_special_tokens=False)["input_ids"]


@given(text=st.text(max_size=30).filter(lambda text: "\u03a3" not in text))
def test_any_text_has_the_tokens_of_transformers(oracle: CLIPTokenizer, text: str) -> None:
    expected = oracle(ftfy.fix_text(text).lower(), add_special_tokens=False)["input_ids"]
    assert clip_tokenizer().encode(text) == expected


def test_well_known_tokens_have_their_published_ids() -> None:
    tokenizer = clip_tokenizer()
    assert tokenizer.size == 49408
    assert tokenizer.encode("a photo of a cat,") == [320, 1125, 539, 320, 2368, COMMA]
    assert tokenizer.encode("<|startoftext|><|endoftext|>") == [START, END]


def test_open_clip_undoes_html_escapes_and_names_its_end_token_otherwise() -> None:
    tokenizer = clip_tokenizer("open_clip")
    assert tokenizer.encode("a &amp;amp; b <end_of_text>") == [*clip_tokenizer().encode("a & b"), END]
    assert END not in tokenizer.encode("<|endoftext|>")


def test_tokens_can_be_read() -> None:
    tokenizer = clip_tokenizer()
    assert "".join(map(tokenizer.text_of, tokenizer.encode("A wooden house"))) == "a wooden house "
    assert tokenizer.text_of(END) == "<|endoftext|>"


def test_every_token_can_be_read() -> None:
    tokenizer = clip_tokenizer()
    assert all(isinstance(tokenizer.text_of(token), str) for token in range(tokenizer.size))
