"""Buttons of the queue beside Generate, and the wires by which the page's list of jobs shows one."""

import gradio as gr

from modules.webui.events.queue_events import QueueEvents
from modules.webui.form.generation_form import icon_button
from modules.webui.inside import inside
from modules.webui.kit import PageKit
from modules.webui.tab import GenerationTab

__all__ = ["add_queue"]


def add_queue(kit: PageKit) -> None:
    """Let each tab put jobs behind those that run, and show any job that is chosen."""
    events = QueueEvents(kit.services.jobs, kit.events.submitter)
    for tab in kit.generation:
        with inside(kit.page, f"{tab.name}_generate_box"):
            enqueue = icon_button("Put into the queue", "queue", f"{tab.name}_queue")
            wanted = gr.Textbox(visible="hidden", label="Job to show", elem_id=f"{tab.name}_wanted_job")
            queued = gr.Textbox(
                visible="hidden", label="Jobs in the queue", elem_id=f"{tab.name}_queued_jobs"
            )
            show = gr.Button("Show the job", visible="hidden", elem_id=f"{tab.name}_show_job")
        _wire(kit, tab, events, (enqueue, queued), (show, wanted))


def _wire(
    kit: PageKit,
    tab: GenerationTab,
    events: QueueEvents,
    enqueue: tuple[gr.Button, gr.Textbox],
    show: tuple[gr.Button, gr.Textbox],
) -> None:
    live = tab.result.live
    button, queued = enqueue
    button.click(
        events.enqueue(tab),
        tab.form.components,
        [live, queued],
        show_progress="hidden",
        trigger_mode="multiple",
        api_visibility="private",
    )
    queued.change(
        None,
        queued,
        None,
        js=f"(jobs) => studio.queue.sent('{tab.name}', jobs)",
        api_visibility="private",
    )
    button, wanted = show
    button.click(
        kit.events.newest.only(tab.name, events.show),
        wanted,
        live,
        js="() => [studio.queue.wanted]",
        show_progress="hidden",
        concurrency_limit=None,
        trigger_mode="multiple",
        api_visibility="private",
    )
