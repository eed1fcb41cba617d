from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from modules.conditioning.prompt_map import PromptMap, map_prompt
from modules.conditioning.tokenizer import clip_tokenizer
from modules.domain.styles import apply_style


class OneEmbedding:
    """Knows "sparkle" as an embedding of eight vectors."""

    def match(self, tokens: Sequence[int], position: int) -> tuple[str, int, int] | None:
        name = clip_tokenizer().encode("sparkle")
        is_it = list(tokens[position : position + len(name)]) == name
        return ("sparkle", 8, len(name)) if is_it else None


def chunks(text: str, found: PromptMap) -> list[list[str]]:
    return [
        [text[word.start : word.end] for word in found.words if word.chunk == chunk]
        for chunk in range(len(found.sizes))
    ]


def test_a_prompt_is_counted_without_tags_and_comments() -> None:
    text = "a cat <lora:x:1> # red\n, dog"
    found = map_prompt(text)
    assert (found.count, found.limit, found.sizes) == (4, 75, (4,))
    assert chunks(text, found) == [["a", "cat", ",", "dog"]]


def test_tags_are_found_where_they_are() -> None:
    text = "a <lora:one:0.8> b <hypernet:two>"
    tags = map_prompt(text).tags
    assert [(text[tag.start : tag.end], tag.kind, tag.name) for tag in tags] == [
        ("<lora:one:0.8>", "lora", "one"),
        ("<hypernet:two>", "hypernet", "two"),
    ]


def test_the_longest_of_all_scheduled_texts_and_parts_counts() -> None:
    text = "a [cat:very big dog:0.5]"
    found = map_prompt(text)
    assert found.count == 4
    assert chunks(text, found) == [["a", "very", "big", "dog"]]
    assert map_prompt("a AND b c d:0.5").count == 3


def test_a_negative_prompt_is_not_split() -> None:
    assert map_prompt("a AND b c d", is_negative=True).count == 5


def test_chunks_show_where_the_prompt_breaks() -> None:
    text = "red house BREAK blue (sky:1.2)"
    found = map_prompt(text)
    assert (found.count, found.limit, found.sizes) == (77, 150, (2, 2))
    assert chunks(text, found) == [["red", "house"], ["blue", "sky"]]


def test_a_full_chunk_breaks_after_its_last_comma() -> None:
    text = "red apple, " * 30
    found = map_prompt(text)
    assert found.sizes == (75, 15)
    text = "word " * 70 + "a, b c d e f g"
    found = map_prompt(text)
    assert found.sizes == (72, 6)
    assert chunks(text, found)[1] == ["b", "c", "d", "e", "f", "g"]


def test_brackets_digits_and_escapes_do_not_shift_words() -> None:
    text = r"((2 cats)) \(in 3d\), [soft light], (8k:1.3) end"
    words = [text[word.start : word.end] for word in map_prompt(text).words]
    assert words[:3] == ["2", "cats", "("]
    assert {"light", "end", "soft"} <= set(words)


def test_a_word_that_the_model_has_no_token_for_shows_its_pieces() -> None:
    text = "a castle, xyzzyqua"
    by_text = {text[word.start : word.end]: word for word in map_prompt(text).words}
    assert by_text["castle"].pieces == ("castle",)
    assert len(by_text["xyzzyqua"].pieces) > 1
    assert "".join(by_text["xyzzyqua"].pieces) == "xyzzyqua"


def test_a_word_over_the_end_of_a_chunk_is_cut() -> None:
    text = "word " * 74 + "xyzzyqua"
    found = map_prompt(text)
    assert found.sizes[0] == 75
    assert [text[word.start : word.end] for word in found.words if word.is_cut] == ["xyzzyqua"]


def test_embeddings_take_their_room_and_are_named() -> None:
    text = "a Sparkle on a hat"
    found = map_prompt(text, embeddings=OneEmbedding())
    assert found.count == 12
    word = next(word for word in found.words if word.embedding)
    assert (text[word.start : word.end], word.embedding) == ("Sparkle", "sparkle")
    assert map_prompt("word " * 70 + "sparkle", embeddings=OneEmbedding()).sizes == (70, 8)


def test_styles_count_but_are_nowhere_in_the_typed_text() -> None:
    text = "cat"
    found = map_prompt(
        text, styled=lambda prompt: apply_style("oil painting of a {prompt}, detailed", prompt)
    )
    assert found.count == 7
    assert chunks(text, found) == [["cat"]]


def test_without_emphasis_brackets_and_break_are_text() -> None:
    assert map_prompt("(a) BREAK b", emphasis="None").count == 5


def test_an_empty_prompt_counts_nothing() -> None:
    assert map_prompt("") == PromptMap(0, 75, (0,))


def test_a_very_long_prompt_is_counted_all_the_same() -> None:
    found = map_prompt("apple " * 12_000)
    assert (found.count, found.words) == (12_000, ())


@given(st.text(alphabet="ab (){}[]:|,\\#<>\n0.5ANDBREK é😀", max_size=80), st.booleans())
def test_places_lie_in_the_text_and_in_order(text: str, negative: bool) -> None:
    found = map_prompt(text, is_negative=negative)
    for word in found.words:
        assert 0 <= word.start < word.end <= len(text)
        assert 0 <= word.chunk < len(found.sizes)
    assert found.count == 75 * (len(found.sizes) - 1) + found.sizes[-1] <= found.limit
