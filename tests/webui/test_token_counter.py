from modules.services import Services
from modules.webui.token_counter import counter_text


def test_the_counter_counts_tokens_and_room(services: Services) -> None:
    count = counter_text(services, is_negative=False)
    assert ">3/75<" in str(count("a red apple", 20, []))
    assert "/150<" in str(count("apple " * 80, 20, []))
    assert ">0/75<" in str(count("", 20, None))


def test_a_prompt_cannot_write_html_into_the_page(services: Services) -> None:
    shown = str(counter_text(services, is_negative=False)('"><img src=x>', 20, []))
    assert "<img" not in shown


def test_the_counter_can_be_switched_off(services: Services) -> None:
    services.settings.update({"disable_token_counters": True})
    assert counter_text(services, is_negative=False)("a red apple", 20, []) == ""
