"""The wires of the generation tabs: which button calls which handler with which components."""

import gradio as gr

from modules.services import Services
from modules.webui.events.generation_events import GenerationEvents
from modules.webui.form.choices import FormChoices, read_choices
from modules.webui.form.form import WRITTEN, stamp
from modules.webui.form.quick_settings import QuickSettings
from modules.webui.form.request_builder import SAME_CHECKPOINT
from modules.webui.form.suggestions import Suggestions, suggestions_for
from modules.webui.kit import PageKit
from modules.webui.result_wiring import wire_copies, wire_result
from modules.webui.tab import GenerationTab

__all__ = ["wire_generation_tabs"]

# fields that go by the checkpoint, and what of its suggestions
_FOLLOWS = (("width", "side"), ("height", "side"), ("cfg_scale", "cfg_scale"))
_HIRES_FOLLOWS = (("hr_upscaler", "hires_upscaler"), ("denoising_strength", "hires_strength"))


def wire_generation_tabs(kit: PageKit) -> None:
    """Connect all generation tabs with the handlers and with each other."""
    services, quick = kit.services, kit.quick
    targets = {tab.name: tab for tab in kit.generation if tab.picture is not None}
    for tab in kit.generation:
        _wire_generation(kit.page, tab, kit.events)
        _wire_prompts(tab, kit.events)
        _wire_sending(tab, targets, kit.tabs, kit.events)
        wire_result(tab, kit.events.results)
        wire_copies(tab, kit.events)
    _wire_lists(kit.page, services, quick, kit.generation)
    _wire_suggestions(services, quick, kit.choices, kit.generation)


def _wire_generation(page: gr.Blocks, tab: GenerationTab, events: GenerationEvents) -> None:
    live = tab.result.live
    tab.actions.generate.click(
        events.newest.only(tab.name, events.generate(tab)),
        tab.form.components,
        live,
        show_progress="hidden",
        concurrency_limit=None,
        trigger_mode="multiple",
        api_visibility="private",
    )
    page.load(
        events.newest.only(tab.name, events.attach(tab)),
        None,
        live,
        show_progress="hidden",
        concurrency_limit=None,
        api_visibility="private",
    )
    tab.result.reattach.click(
        events.newest.only(tab.name, events.reattach(tab)),
        live,
        live,
        show_progress="hidden",
        concurrency_limit=None,
        trigger_mode="multiple",
        api_visibility="private",
    )
    for button, action in (
        (tab.actions.interrupt, events.interrupt),
        (tab.actions.skip, events.skip),
        (tab.actions.pause, events.pause),
        (tab.actions.resume, events.resume),
    ):
        button.click(
            action,
            live,
            None,
            queue=False,
            show_progress="hidden",
            trigger_mode="multiple",
            api_visibility="private",
        )


def _wire_prompts(tab: GenerationTab, events: GenerationEvents) -> None:
    form, actions = tab.form, tab.actions
    filled = [*form.components, *tab.accordions.values()]
    prompts = [form["prompt"], form["neg_prompt"]]
    actions.paste.click(
        events.paste(tab), form["prompt"], filled, show_progress="hidden", api_visibility="private"
    )
    read = actions.dropped.upload(
        events.drop(tab), actions.dropped, filled, show_progress="hidden", api_visibility="private"
    )
    # a field that holds a file takes no other
    read.then(lambda: None, None, actions.dropped, show_progress="hidden", api_visibility="private")
    tab.result.read_parameters.click(
        events.reuse(tab), tab.result.live, filled, show_progress="hidden", api_visibility="private"
    )
    actions.clear.click(None, None, prompts, js="() => ['', '']", queue=False, api_visibility="private")
    actions.apply_styles.click(
        events.apply_styles,
        [*prompts, form["styles"]],
        [*prompts, form["styles"], form[WRITTEN]],
        show_progress="hidden",
        api_visibility="private",
    )


def _wire_sending(
    source: GenerationTab, targets: dict[str, GenerationTab], tabs: gr.Tabs, events: GenerationEvents
) -> None:
    buttons = {"img2img": source.result.send_to_img2img, "inpaint": source.result.send_to_inpaint}
    for name, target in targets.items():
        buttons[name].click(
            events.send(target),
            source.result.live,
            [*target.form.components, *target.accordions.values(), tabs],
            show_progress="hidden",
            api_visibility="private",
        )


def _wire_lists(
    page: gr.Blocks, services: Services, quick: QuickSettings, tabs: tuple[GenerationTab, ...]
) -> None:
    """Lists of models and styles: read again when a page opens, and from disk on Refresh."""
    refiners = [tab.form["checkpoint"] for tab in tabs]
    styles = [tab.form["styles"] for tab in tabs]
    upscalers = [tab.form["hr_upscaler"] for tab in tabs if "hr_upscaler" in tab.form]
    second_passes = [tab.form["hr_checkpoint"] for tab in tabs if "hr_checkpoint" in tab.form]
    lists = [quick.checkpoint, quick.vae, *refiners, *second_passes, *styles, *upscalers]

    def current() -> list[object]:
        found: FormChoices = read_choices(services)
        return [
            gr.Dropdown(choices=list(found.checkpoints)),
            gr.Dropdown(choices=list(found.vaes)),
            *(gr.Dropdown(choices=["", *found.checkpoints]) for _ in refiners),
            *(gr.Dropdown(choices=[SAME_CHECKPOINT, *found.checkpoints]) for _ in second_passes),
            *(gr.Dropdown(choices=list(found.styles), visible=bool(found.styles)) for _ in styles),
            *(gr.Dropdown(choices=list(found.upscalers)) for _ in upscalers),
        ]

    def refresh() -> list[object]:
        services.catalog.refresh()
        services.upscalers.refresh()
        services.styles.reload()
        return current()

    page.load(current, None, lists, show_progress="hidden", api_visibility="private")
    quick.refresh.click(refresh, None, lists, show_progress="hidden", api_visibility="private")


def _wire_suggestions(
    services: Services, quick: QuickSettings, first: FormChoices, tabs: tuple[GenerationTab, ...]
) -> None:
    """Another checkpoint: what nobody touched of size, CFG scale and second pass goes to what suits it."""
    followers = [
        (tab.form[key], wanted)
        for tab in tabs
        for key, wanted in (_FOLLOWS if tab.picture else _FOLLOWS + _HIRES_FOLLOWS)
    ]
    controls, wanted = [control for control, _ in followers], [name for _, name in followers]
    written = [tab.form[WRITTEN] for tab in tabs]
    untouched = gr.State(first.suggested)

    def follow(checkpoint: str | None, before: Suggestions, *shown: object) -> list[object]:
        now = suggestions_for(services, checkpoint or "")
        changes = [
            getattr(now, name) if value == getattr(before, name) else gr.skip()
            for name, value in zip(wanted, shown, strict=True)
        ]
        return [now, *changes, *(stamp() for _ in written)]

    quick.checkpoint.change(
        follow,
        [quick.checkpoint, untouched, *controls],
        [untouched, *controls, *written],
        show_progress="hidden",
        api_visibility="private",
    )
