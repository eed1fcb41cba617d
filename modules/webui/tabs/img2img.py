"""The tab img2img: a picture from words and another picture, handed in in one of A1111's modes."""

from modules.webui.form.choices import FormChoices
from modules.webui.form.quick_settings import QuickSettings
from modules.webui.form.start_form import start_form
from modules.webui.form.start_pictures import START_MODES
from modules.webui.tab import GenerationTab
from modules.webui.tabs.picture_tab import picture_tab

__all__ = ["img2img_tab"]


def img2img_tab(choices: FormChoices, quick: QuickSettings) -> GenerationTab:
    """Lay the tab out."""
    return picture_tab("img2img", START_MODES, start_form, choices, quick)
