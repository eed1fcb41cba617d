from modules.conditioning.token_count import count_tokens


def test_a_prompt_is_counted_without_tags_and_comments() -> None:
    counted = count_tokens("a cat <lora:x:1> # red\n, dog")
    assert (counted.count, counted.limit) == (4, 75)
    assert counted.chunks == (("a ", "cat ", ", ", "dog "),)


def test_the_longest_of_all_scheduled_texts_and_parts_counts() -> None:
    assert count_tokens("a [cat:very big dog:0.5]").count == 4
    assert count_tokens("a AND b c d").count == 3


def test_a_negative_prompt_is_not_split() -> None:
    assert count_tokens("a AND b c d", is_negative=True).count == 5


def test_chunks_show_where_the_prompt_breaks() -> None:
    counted = count_tokens("red house BREAK blue sky")
    assert (counted.count, counted.limit) == (77, 150)
    assert counted.chunks == (("red ", "house "), ("blue ", "sky "))


def test_without_emphasis_brackets_and_break_are_text() -> None:
    assert count_tokens("(a) BREAK b", emphasis="None").count == 5


def test_an_empty_prompt_counts_nothing() -> None:
    counted = count_tokens("")
    assert (counted.count, counted.limit, counted.chunks) == (0, 75, ((),))
