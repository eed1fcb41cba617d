"""The tab PNG Info: what a picture's file says about its making, and where to take it."""

from collections.abc import Callable
from html import escape

import gradio as gr

from modules.exceptions import WebuiError
from modules.imaging.metadata import ImageMetadata, read_metadata
from modules.webui.form.mask_canvas import PictureReader, picture_field
from modules.webui.inside import component_with_id
from modules.webui.kit import PageKit
from modules.webui.messages import explain
from modules.webui.owner import owner_of
from modules.webui.tab import GenerationTab

__all__ = ["describe_metadata", "png_info_tab"]

NOTHING = "<p>This picture carries no generation parameters.</p>"


def png_info_tab(kit: PageKit) -> None:
    """Lay the tab out and wire it."""
    with gr.Tab("PNG Info", id="pnginfo", elem_id="tab_pnginfo"), gr.Row():
        with gr.Column(scale=1, min_width=320, elem_classes=["settings-pane"]):
            picture = picture_field("pnginfo_image", "Picture whose parameters you want to read")
        with gr.Column(scale=2, min_width=320):
            with gr.Row(elem_id="pnginfo_send"):
                buttons = {
                    tab.name: gr.Button(
                        f"Send to {tab.name}", size="sm", elem_id=f"pnginfo_send_to_{tab.name}"
                    )
                    for tab in kit.generation
                }
                extras = gr.Button("Send to Extras", size="sm", elem_id="pnginfo_send_to_extras")
            infotext = gr.State("")
            details = gr.HTML("", elem_id="html_info_pnginfo", apply_default_css=False)
    picture.change(
        _reading(kit.events.reader),
        picture,
        [details, infotext],
        trigger_mode="always_last",
        show_progress="hidden",
        api_visibility="private",
    )
    extras.click(
        _send_to_extras,
        picture,
        [component_with_id(kit.page, "extras_image"), kit.tabs],
        show_progress="hidden",
        api_visibility="private",
    )
    for tab in kit.generation:
        buttons[tab.name].click(
            _send(kit, tab),
            [infotext, picture],
            [*tab.form.components, *tab.accordions.values(), kit.tabs],
            show_progress="hidden",
            api_visibility="private",
        )


def describe_metadata(metadata: ImageMetadata) -> str:
    """The texts of a picture as HTML; what the file says stands in it as text only."""
    parts = []
    if metadata.program:
        parts.append(f"<p>{escape(f'Written by {metadata.program}; converted.')}</p>")
    if metadata.infotext:
        parts.append(_block("Parameters", metadata.infotext))
    else:
        parts.append(NOTHING)
    if metadata.lost:
        parts.append(_block("What has no counterpart here", "\n".join(metadata.lost)))
    parts += [
        _block(key, text, own=True) for key, text in metadata.items.items() if text != metadata.infotext
    ]
    return "".join(parts)


def _block(title: str, text: str, *, own: bool = False) -> str:
    heading = f'<h4 translate="no">{escape(title)}</h4>' if own else f"<h4>{escape(title)}</h4>"
    return f'<section class="pnginfo-block">{heading}<pre translate="no">{escape(text)}</pre></section>'


def _reading(reader: PictureReader) -> Callable[[gr.Request, object], tuple[str, str]]:
    def read(request: gr.Request, value: object) -> tuple[str, str]:
        """What is said of a picture, and its infotext."""
        try:
            content = reader.content(value, owner_of(request), field="picture")
            if content is None:
                return "", ""
            metadata = read_metadata(content)
        except (WebuiError, OSError) as error:
            return f'<p role="alert">{escape(explain(error).text)}</p>', ""
        return describe_metadata(metadata), metadata.infotext or ""

    return read


def _handed_on(value: object) -> dict[str, object]:
    """Value of another picture field that shows the same picture."""
    if not isinstance(value, dict) or "image" not in value:
        raise gr.Error("Choose a picture first.")
    return {"image": value["image"], "mask": ""}


def _send_to_extras(value: object) -> list[object]:
    return [_handed_on(value), gr.Tabs(selected="extras")]


def _send(kit: PageKit, tab: GenerationTab) -> Callable[[str, object], list[object]]:
    def send(infotext: str, value: object) -> list[object]:
        picture = _handed_on(value)
        updates = kit.events.fill(tab, infotext)
        if tab.picture:
            updates[tab.form.keys.index(tab.picture)] = picture
        return [*updates, gr.Tabs(selected=tab.name)]

    return send
