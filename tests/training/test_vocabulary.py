import torch

from modules.conditioning.tokenizer import END, START, clip_tokenizer
from modules.training.vocabulary import CompactVocabulary

_TOKENIZER = clip_tokenizer()
_VOCABULARY = CompactVocabulary.of(["a red apple"], _TOKENIZER)


def test_words_that_were_never_used_share_the_unknown_row() -> None:
    rows = _VOCABULARY.rows(_TOKENIZER.encode("a quantum apple"))
    assert rows.count(0) == len(rows) - 2
    assert 0 not in _VOCABULARY.rows(_TOKENIZER.encode("apple red a"))


def test_a_prompt_is_framed_and_padded_with_ends() -> None:
    start, end = _VOCABULARY.rows([START, END])
    rows = _VOCABULARY.encode("red apple", _TOKENIZER, 8).tolist()
    assert rows[0] == start
    assert rows[3:] == [end] * 5


def test_a_prompt_that_is_too_long_is_cut_before_the_end_token() -> None:
    rows = _VOCABULARY.encode("red " * 20, _TOKENIZER, 6).tolist()
    assert len(rows) == 6
    assert rows[-1] == _VOCABULARY.rows([END])[0]


def test_an_unknown_word_can_be_put_between_the_others() -> None:
    rows = _VOCABULARY.encode("red apple", _TOKENIZER, 8, unknown_at=0.5).tolist()
    assert rows[2] == 0


def test_the_full_table_has_the_trained_rows_in_place_and_the_unknown_row_elsewhere() -> None:
    table = torch.randn(_VOCABULARY.size, 3)
    full = _VOCABULARY.expand(table, 49408)
    apple = _TOKENIZER.encode("apple")[0]
    assert full.shape == (49408, 3)
    assert torch.equal(full[apple], table[_VOCABULARY.rows([apple])[0]])
    assert torch.equal(full[_TOKENIZER.encode("quantum")[0]], table[0])
