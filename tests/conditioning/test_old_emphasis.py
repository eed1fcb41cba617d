from modules.conditioning.old_emphasis import chunk_text_by_tokens
from modules.conditioning.tokenizer import END, START, clip_tokenizer
from tests.conditioning.test_chunks import Names


def multipliers(text: str) -> list[float]:
    (chunk,) = chunk_text_by_tokens(text, clip_tokenizer())[0].chunks
    return [round(weight, 6) for weight in chunk.multipliers]


def test_brackets_weigh_and_vanish() -> None:
    (chunk,) = chunk_text_by_tokens("a (cat) [dog] x", clip_tokenizer())[0].chunks
    assert list(chunk.tokens[:6]) == [START, *clip_tokenizer().encode("a cat dog x"), END]
    assert multipliers("a (cat) [dog] x")[:6] == [1.0, 1.0, 1.1, 0.909091, 1.0, 1.0]


def test_brackets_need_no_partner() -> None:
    assert multipliers("((cat dog")[:4] == [1.0, 1.21, 1.21, 1.0]
    assert multipliers("cat] dog")[:3] == [1.0, 1.0, 1.1]


def test_numbers_and_break_are_plain_text() -> None:
    (chunk,) = chunk_text_by_tokens("(a:1.5) BREAK", clip_tokenizer())[0].chunks
    expected = [token for part in ("a:1.5", "break") for token in clip_tokenizer().encode(part)]
    assert list(chunk.tokens[1 : len(expected) + 1]) == expected


def test_everything_after_75_tokens_is_cut_off_and_reported() -> None:
    chunked, cut = chunk_text_by_tokens("cat " * 75 + "big dog", clip_tokenizer())
    assert [len(chunk.tokens) for chunk in chunked.chunks] == [77]
    assert chunked.token_count == 77
    assert cut == "big dog"


def test_without_emphasis_brackets_are_tokens() -> None:
    chunked, _ = chunk_text_by_tokens("(cat)", clip_tokenizer(), emphasised=False)
    assert list(chunked.chunks[0].tokens[1:4]) == clip_tokenizer().encode("(cat)")


def test_embeddings_take_the_weight_of_their_place() -> None:
    chunked, _ = chunk_text_by_tokens("( tinyti", clip_tokenizer(), embeddings=Names({"tinyti": 3}))
    (chunk,) = chunked.chunks
    assert [(fix.offset, fix.name) for fix in chunk.fixes] == [(0, "tinyti")]
    assert chunk.multipliers[1:5] == (1.1, 1.1, 1.1, 1.0)
