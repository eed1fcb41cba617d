from modules.services import Services
from modules.webui.form.choices import read_choices


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
