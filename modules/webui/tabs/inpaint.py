"""The tab inpaint: a picture and a mask drawn on it, or loaded into the drawing from a file."""

from modules.webui.form.choices import FormChoices
from modules.webui.form.form import Form
from modules.webui.form.mask_canvas import picture_field
from modules.webui.form.quick_settings import QuickSettings
from modules.webui.form.start_pictures import StartMode
from modules.webui.tab import GenerationTab
from modules.webui.tabs.picture_tab import picture_tab

__all__ = ["inpaint_tab"]

_MODES = (StartMode("Inpaint", "mask", "image"),)


def inpaint_tab(choices: FormChoices, quick: QuickSettings) -> GenerationTab:
    """Lay the tab out."""
    return picture_tab("inpaint", _MODES, _start, choices, quick)


def _start(form: Form) -> None:
    form.add("image", picture_field("inpaint_image", "Picture; paint over what shall change", draws="mask"))
