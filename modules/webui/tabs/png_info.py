"""The tab PNG Info: what a picture's file says about its making, and where to take it."""

from collections.abc import Callable
from html import escape
from pathlib import Path
from urllib.parse import quote

import gradio as gr

from modules.exceptions import WebuiError
from modules.imaging.metadata import ImageMetadata, read_metadata
from modules.webui.inside import component_with_id
from modules.webui.kit import PageKit
from modules.webui.messages import explain
from modules.webui.tab import GenerationTab

__all__ = ["describe_metadata", "png_info_tab"]

NOTHING = "<p>This picture carries no generation parameters.</p>"


def png_info_tab(kit: PageKit) -> None:
    """Lay the tab out and wire it."""
    with gr.Tab("PNG Info", id="pnginfo", elem_id="tab_pnginfo"), gr.Row():
        with gr.Column(scale=1, min_width=320):
            picture = gr.File(
                label="Picture whose parameters you want to read",
                file_types=["image"],
                type="filepath",
                elem_id="pnginfo_image",
                height=160,
            )
            shown = gr.HTML("", elem_id="pnginfo_preview", apply_default_css=False)
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
        _read, picture, [details, infotext, shown], show_progress="hidden", api_visibility="private"
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


def _read(path: str | None) -> tuple[str, str, str]:
    if not path:
        return "", "", ""
    try:
        metadata = read_metadata(Path(path).read_bytes())
    except (WebuiError, OSError) as error:
        return f'<p role="alert">{escape(explain(error).text)}</p>', "", ""
    return describe_metadata(metadata), metadata.infotext or "", _shown(path)


def _shown(path: str) -> str:
    address, name = escape(_uploaded(path)["url"]), escape(Path(path).name)
    return (
        f'<a href="{address}" class="full-size" title="Show the picture in full size">'
        f'<img src="{address}" alt="{name}"></a>'
    )


def _uploaded(path: str) -> dict[str, str]:
    """Value of a picture field that shows an uploaded file."""
    return {"path": path, "url": f"gradio_api/file={quote(path)}", "name": Path(path).name}


def _send_to_extras(path: str | None) -> list[object]:
    if not path:
        raise gr.Error("Choose a picture first.")
    return [{"image": _uploaded(path)}, gr.Tabs(selected="extras")]


def _send(kit: PageKit, tab: GenerationTab) -> Callable[[str, str | None], list[object]]:
    def send(infotext: str, path: str | None) -> list[object]:
        if not path:
            raise gr.Error("Choose a picture first.")
        updates = kit.events.fill(tab, infotext)
        if tab.picture:
            updates[tab.form.keys.index(tab.picture)] = {"image": _uploaded(path), "mask": ""}
        return [*updates, gr.Tabs(selected=tab.name)]

    return send
