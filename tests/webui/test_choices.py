from modules.services import Services
from modules.webui.choices import native_size, read_choices


def test_lists_offer_what_the_engine_has(services: Services) -> None:
    choices = read_choices(services)
    assert choices.samplers[0] == "DPM++ 2M"
    assert {"Euler", "Euler a", "Heun", "DDIM", "PLMS"} <= set(choices.samplers)
    assert choices.schedulers[0] == "Automatic"
    assert choices.upscalers[0] == "Latent"
    assert choices.checkpoint == choices.checkpoints[0]


def test_hidden_samplers_are_not_offered(services: Services) -> None:
    services.settings.update({"hide_samplers": ["Heun"]})
    assert "Heun" not in read_choices(services).samplers


def test_a_checkpoint_that_cannot_be_read_still_leaves_a_page(services: Services) -> None:
    assert native_size(services, "missing") == 512
