"""The wires of the buttons under the picture, and of those that copy pictures between modes."""

from modules.webui.events.generation_events import GenerationEvents
from modules.webui.events.result_events import ResultEvents
from modules.webui.tab import GenerationTab

__all__ = ["wire_copies", "wire_result"]


def wire_result(tab: GenerationTab, events: ResultEvents) -> None:
    """Connect saving, packing, upscaling and opening the folder."""
    panel = tab.result
    for button, action in ((panel.save, events.save), (panel.open_folder, events.open_folder)):
        button.click(action, panel.live, None, show_progress="hidden", api_visibility="private")
    packed = panel.save_zip.click(
        events.archive, panel.live, panel.archive, show_progress="hidden", api_visibility="private"
    )
    packed.success(
        None,
        panel.archive,
        None,
        js="(file) => studio.fetchFile(file)",
        api_visibility="private",
        queue=False,
    )
    if panel.upscale is not None:
        panel.upscale.click(
            events.upscale(tab),
            [panel.live, *tab.form.components],
            panel.live,
            show_progress="hidden",
            concurrency_limit=None,
            api_visibility="private",
        )


def wire_copies(tab: GenerationTab, events: GenerationEvents) -> None:
    """Connect "Copy image to" with the modes of the tab."""
    start = tab.start
    if start is None:
        return
    for copy in start.copies:
        copy.button.click(
            events.copy(tab, copy.mode),
            tab.form.components,
            [tab.form[copy.mode.field], start.chosen, start.tabs],
            show_progress="hidden",
            api_visibility="private",
        )
