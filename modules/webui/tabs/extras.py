"""The tab Extras: enlarge finished pictures, restore faces, cut them for training."""

from collections.abc import Callable
from pathlib import Path

import gradio as gr

from modules.generation.extras_operations import operations_in_order
from modules.webui.form.form import Form
from modules.webui.kit import PageKit
from modules.webui.result.selection import selected_picture
from modules.webui.tabs.extras_events import NO_RESULTS, ExtrasEvents
from modules.webui.tabs.extras_form import extras_sources, operation_controls, upscale_controls

__all__ = ["extras_tab"]


def extras_tab(kit: PageKit) -> None:
    """Lay the tab out and wire it."""
    form = Form("extras")
    settings = kit.services.settings.current
    names = list(kit.services.upscalers.names(settings))
    operations = operations_in_order(settings)
    with gr.Tab("Extras", id="extras", elem_id="tab_extras"), gr.Row(elem_id="extras_page"):
        with gr.Column(scale=1, min_width=320, elem_classes=["settings-pane"]):
            extras_sources(form)
            with gr.Accordion(
                "Upscale", open=True, elem_id="extras_upscale", visible="Upscale" in operations
            ):
                upscale_controls(form, names)
            operation_controls(form, operations)
        with gr.Column(scale=1, min_width=320):
            with gr.Row():
                generate = gr.Button("Generate", variant="primary", elem_id="extras_generate")
                interrupt = gr.Button("Interrupt", elem_id="extras_interrupt", min_width=80)
                skip = gr.Button("Skip", elem_id="extras_skip", min_width=80)
            gallery = gr.HTML(NO_RESULTS, elem_id="extras_gallery", apply_default_css=False)
            said = gr.HTML("", elem_id="html_info_extras", apply_default_css=False)
    events = ExtrasEvents(kit.services, form, kit.events.reader, kit.events.uploads)
    generate.click(
        events.run,
        form.components,
        [gallery, said],
        show_progress="hidden",
        concurrency_limit=None,
        api_visibility="private",
    )
    for button, action in ((interrupt, events.interrupt), (skip, events.skip)):
        button.click(action, None, None, queue=False, show_progress="hidden", api_visibility="private")
    _wire_lists(kit, form)
    for tab in kit.generation:
        tab.result.send_to_extras.click(
            _send(kit),
            tab.result.live,
            [form["image"], kit.tabs],
            show_progress="hidden",
            api_visibility="private",
        )


def _wire_lists(kit: PageKit, form: Form) -> None:
    """Upscalers are listed anew when a page opens and on Refresh."""

    def current() -> list[object]:
        kit.services.upscalers.refresh()
        names = list(kit.services.upscalers.names(kit.services.settings.current))
        return [gr.Dropdown(choices=names), gr.Dropdown(choices=names)]

    lists = [form["upscaler_1"], form["upscaler_2"]]
    kit.page.load(current, None, lists, show_progress="hidden", api_visibility="private")
    kit.quick.refresh.click(current, None, lists, show_progress="hidden", api_visibility="private")


def _send(kit: PageKit) -> Callable[[object, gr.Request], list[object]]:
    def send(payload: object, request: gr.Request) -> list[object]:
        image = selected_picture(kit.services.jobs, payload, request).image
        return [{"image": {"id": image.id, "name": Path(image.path).name}}, gr.Tabs(selected="extras")]

    return send
