"""The script row of a generation tab: a list of scripts, and the controls of the one that is chosen.

Everything is built from the scripts' declarations (:mod:`modules.domain.script`); no script is known here.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import gradio as gr
from gradio.components import Component

from modules.domain.axis_values import split_list, write_list
from modules.domain.script import ArgumentSwap, ScriptArgument, ScriptDeclaration
from modules.generation.scripts.choices import axis_choices
from modules.webui.form import Form
from modules.webui.generation_form import icon_button
from modules.webui.script_offer import ScriptOffer
from modules.webui.script_values import NO_SCRIPT, SCRIPT_KEY, argument_key

__all__ = ["script_row"]

_IN_A_ROW = 4  # an axis: what varies, its values as text and as a choice, and one to spare
_BOXES_IN_A_ROW = 2
_MAX_UPLOAD = 2 * 1024 * 1024  # bytes of a list of prompts


def script_row(form: Form, offer: ScriptOffer) -> None:
    """Add the list of scripts and all their controls to a form."""
    tab, kind = form.tab, "txt2img" if form.tab == "txt2img" else "img2img"
    declarations = offer.declarations(kind)
    with gr.Column(elem_id=f"{tab}_script_container", elem_classes=["tight"]):
        chosen = form.add(
            SCRIPT_KEY,
            gr.Dropdown(
                [NO_SCRIPT, *(one.title for one in declarations)],
                value=NO_SCRIPT,
                label="Script",
                elem_id="script_list" if tab == "txt2img" else f"{tab}_script_list",
            ),
        )
        panels = [_Panel(form, declaration, offer, kind).lay_out() for declaration in declarations]
    titles = [declaration.title for declaration in declarations]
    chosen.change(
        lambda title: [gr.Column(visible=one == title) for one in titles],
        chosen,
        panels,
        show_progress="hidden",
        api_visibility="private",
        queue=False,
    )


@dataclass(frozen=True)
class _Panel:
    """The controls of one script in one tab."""

    form: Form
    declaration: ScriptDeclaration
    offer: ScriptOffer
    kind: str

    def lay_out(self) -> gr.Column:
        lists, controls = self.offer.lists(self.kind), dict[str, Component]()
        fills: dict[str, gr.Button] = {}
        with gr.Column(visible=False, elem_classes=["tight"]) as panel:
            for row in _rows(self.declaration.arguments):
                with gr.Row(elem_classes=["with-tool"]):
                    for argument in row:
                        control = self._control(argument, lists)
                        if control is not None:
                            controls[argument.key] = control
                        if argument.fill:
                            element = self.declaration.element_id(self.form.tab, f"fill_{argument.key}")
                            fills[argument.key] = icon_button(argument.fill, "apply", element)
            if self.declaration.swaps:
                with gr.Row():
                    for swap in self.declaration.swaps:
                        element = self.declaration.element_id(self.form.tab, swap.key)
                        button = gr.Button(swap.label, size="sm", elem_id=element, min_width=90)
                        self._wire_swap(swap, controls, button)
        for argument in self.declaration.arguments:
            if argument.choices_by:
                self._wire_choices(argument, controls, fills.get(argument.key))
        return panel

    def _control(self, argument: ScriptArgument, lists: Mapping[str, tuple[str, ...]]) -> Component | None:
        """The component of an argument; it joins the form unless it carries no value."""
        choices = lists.get(argument.choices_from, argument.choices)
        if argument.kind == "note":
            gr.Markdown(argument.label, elem_classes=["note"])
            return None
        position = self.declaration.arguments.index(argument)
        element = self.declaration.element_id(self.form.tab, argument.key)
        control = self.form.add(
            argument_key(self.declaration, position), _component(argument, choices, element)
        )
        if argument.upload and isinstance(control, gr.Textbox):
            upload = gr.UploadButton(
                argument.upload,
                type="binary",
                file_types=[".txt"],
                size="sm",
                elem_id=self.declaration.element_id(self.form.tab, "file"),
            )
            upload.upload(_uploaded_text, upload, control, show_progress="hidden", api_visibility="private")
        return control

    def _names(self, axis: object) -> list[str]:
        """What may be chosen for an axis now."""
        label = axis if isinstance(axis, str) else ""
        return list(axis_choices(self.offer.lists(self.kind), label, self.kind)) if label else []

    def _wire_choices(
        self, argument: ScriptArgument, controls: Mapping[str, Component], fill: gr.Button | None
    ) -> None:
        """Show a choice instead of a text while there is something to choose."""
        axis, text, plain = (
            controls[key] for key in (argument.choices_by, argument.instead_of, argument.plain_text)
        )
        several = controls[argument.key]
        if not isinstance(axis, gr.Dropdown) or not isinstance(plain, gr.Checkbox):
            raise TypeError(f"{argument.key}: what decides on its choices must be a list and a box")

        def show(label: str, as_text: bool, written: str, chosen: list[str]) -> list[object]:
            names = self._names(label)
            if as_text or not names:
                written = write_list([name for name in chosen if name in names]) or written
                chosen = []
            else:
                chosen = chosen or [name for name in split_list(written) if name in names]
                chosen = [name for name in chosen if name in names]
            choosing = bool(names) and not as_text
            return [
                gr.update(visible=not choosing, value=written),
                gr.update(visible=choosing, value=chosen, choices=names),
                *([gr.update(visible=bool(names))] if fill else []),
            ]

        outputs = [text, several, *([fill] if fill else [])]
        gr.on(
            [axis.change, plain.change],
            show,
            [axis, plain, text, several],
            outputs,
            trigger_mode="always_last",
            show_progress="hidden",
            api_visibility="private",
            queue=False,
        )
        if fill is not None:
            fill.visible = False

            def write_all(label: str, as_text: bool) -> list[object]:
                names = self._names(label)
                return [write_list(names), gr.skip()] if as_text else [gr.skip(), gr.update(value=names)]

            fill.click(
                write_all,
                [axis, plain],
                [text, several],
                show_progress="hidden",
                api_visibility="private",
                queue=False,
            )

    def _wire_swap(self, swap: ArgumentSwap, controls: Mapping[str, Component], button: gr.Button) -> None:
        """Exchange two axes; the lists to choose from move along with what was chosen."""
        firsts, seconds = zip(*swap.pairs, strict=True)
        parts = [controls[key] for key in (*firsts, *seconds)]
        half = len(firsts)

        def exchange(*values: object) -> list[object]:
            moved = [*values[half:], *values[:half]]
            updates: list[object] = []
            for begin in (0, half):
                names = self._names(moved[begin])
                for part, value in zip(parts[begin : begin + half], moved[begin : begin + half], strict=True):
                    many = isinstance(part, gr.Dropdown) and bool(part.multiselect)
                    updates.append(gr.update(value=value, choices=names) if many else gr.update(value=value))
            return updates

        button.click(exchange, parts, parts, show_progress="hidden", api_visibility="private", queue=False)


def _rows(arguments: tuple[ScriptArgument, ...]) -> list[list[ScriptArgument]]:
    """Arguments that belong together stand in one row: an axis and its values; boxes beside boxes."""
    rows: list[list[ScriptArgument]] = []
    heads = {argument.key: argument.choices_by for argument in arguments if argument.choices_by}
    heads |= {argument.instead_of: argument.choices_by for argument in arguments if argument.instead_of}
    for argument in arguments:
        last = rows[-1][0] if rows else None
        joins = last is not None and (
            heads.get(argument.key) == last.key or argument.kind == last.kind == "checkbox"
        )
        if joins and len(rows[-1]) < (_BOXES_IN_A_ROW if argument.kind == "checkbox" else _IN_A_ROW):
            rows[-1].append(argument)
        else:
            rows.append([argument])
    return rows


def _component(argument: ScriptArgument, choices: tuple[str, ...], element: str) -> Component:
    """The Gradio component for an argument."""
    value = argument.default
    if argument.by_index and isinstance(value, int) and choices:
        value = choices[min(value, len(choices) - 1)]
    label, names = argument.label, list(choices)
    match argument.kind:
        case "checkbox":
            return gr.Checkbox(value is True, label=label, elem_id=element)
        case "checkboxes":
            return gr.CheckboxGroup(names, value=_names_of(value), label=label, elem_id=element)
        case "dropdown":
            # parameters of another tab may name what this one lacks; the request's check says so
            custom = bool(argument.infotext)
            return gr.Dropdown(
                names,
                value=str(value),
                label=label,
                elem_id=element,
                min_width=140,
                allow_custom_value=custom,
            )
        case "multiselect":
            return gr.Dropdown(
                names,
                value=_names_of(value),
                multiselect=True,
                allow_custom_value=True,
                label=label,
                elem_id=element,
                visible=not argument.instead_of,
            )
        case "radio":
            return gr.Radio(names, value=str(value), label=label, elem_id=element)
        case "number" | "slider":
            number = value if isinstance(value, int | float) else 0
            if argument.minimum is None or argument.maximum is None:
                return gr.Number(number, label=label, elem_id=element)
            return gr.Slider(
                argument.minimum,
                argument.maximum,
                number,
                step=argument.step,
                label=label,
                elem_id=element,
                buttons=[],
            )
    return gr.Textbox(str(value), label=label, lines=argument.lines, max_lines=12, elem_id=element)


def _names_of(value: object) -> list[str | int | float]:
    return [str(one) for one in value] if isinstance(value, list) else []


def _uploaded_text(content: bytes | None) -> str:
    if content is None or len(content) > _MAX_UPLOAD:
        raise gr.Error("Choose a text file of at most 2 MB.")
    return content.decode("utf-8", "replace").lstrip("\ufeff")
