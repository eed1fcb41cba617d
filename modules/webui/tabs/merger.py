"""The tab Checkpoint Merger: two or three checkpoints become one."""

import json
from html import escape

import gradio as gr

from modules.checkpoints.files import CheckpointFile
from modules.checkpoints.merge import (
    ConfigSource,
    MergeMethod,
    MergeRecipe,
    merge_checkpoints,
    read_merge_metadata,
)
from modules.exceptions import RequestError, WebuiError
from modules.services import Services
from modules.webui.form.form import Form
from modules.webui.form.generation_form import icon_button
from modules.webui.kit import PageKit
from modules.webui.messages import explain
from modules.webui.owner import is_admin

__all__ = ["merger_tab", "recipe_of"]

METHODS: tuple[MergeMethod, ...] = ("No interpolation", "Weighted sum", "Add difference")
CONFIG_SOURCES: tuple[ConfigSource, ...] = ("A, B or C", "B", "C", "Don't")
NO_VAE = "None"
_FORMULAS: dict[str, str] = {
    "No interpolation": "The primary model (A) alone: to convert it, bake in a VAE or discard weights.",
    "Weighted sum": "Result = A × (1 − M) + B × M",
    "Add difference": "Result = A + (B − C) × M",
}


def merger_tab(kit: PageKit) -> None:
    """Lay the tab out and wire it."""
    services = kit.services
    form = Form("modelmerger")
    with gr.Tab("Checkpoint Merger", id="modelmerger", elem_id="tab_modelmerger"), gr.Row():
        with gr.Column(scale=2, min_width=320, elem_classes=["settings-pane"]):
            models, refresh = _model_fields(form, services)
            _recipe_fields(form, services)
            merge = gr.Button("Merge", variant="primary", elem_id="modelmerger_merge")
        with gr.Column(scale=1, min_width=320):
            result = gr.HTML("", elem_id="modelmerger_result", apply_default_css=False)
            read = _metadata_fields(form)

    def lists() -> list[object]:
        services.catalog.refresh()
        titles = _titles(services)
        vae = gr.Dropdown(choices=[NO_VAE, *(file.name for file in services.catalog.vaes())])
        return [*(gr.Dropdown(choices=titles) for _ in models), vae]

    refresh.click(
        lists, None, [*models, form["bake_in_vae"]], show_progress="hidden", api_visibility="private"
    )
    read.click(
        lambda *names: json.dumps(read_merge_metadata(_found(services, name) for name in names), indent=2),
        models,
        form["metadata_json"],
        show_progress="hidden",
        api_visibility="private",
    )

    def merge_now(request: gr.Request, *sent: object) -> tuple[object, ...]:
        if not is_admin(request):
            return ("<p role='alert'>Only an administrator can add models.</p>", *[gr.skip()] * len(models))
        try:
            recipe = recipe_of(form.values(sent), services)
            path = merge_checkpoints(recipe, services.options.folders.models / "Stable-diffusion")
        except (WebuiError, OSError) as error:
            return (_alert(error), *[gr.skip()] * len(models))
        services.catalog.refresh()
        titles = _titles(services)
        done = f'<p>Saved as <span translate="no">{escape(path.name)}</span>.</p>'
        return (done, *(gr.Dropdown(choices=titles) for _ in models))

    merge.click(
        merge_now,
        form.components,
        [result, *models],
        concurrency_limit=1,
        show_progress="full",
        show_progress_on=[result],
        api_visibility="private",
    )


def recipe_of(values: dict[str, object], services: Services) -> MergeRecipe:
    """The recipe that the form describes.

    Raises:
        NotFoundError: a model is gone.
        RequestError: no primary model is chosen, or the metadata is no JSON object of texts.
    """
    primary = _found(services, values["primary_model_name"])
    if primary is None:
        raise RequestError("primary_model_name", "Choose a primary model (A) first.")
    vae = str(values["bake_in_vae"] or NO_VAE)
    return MergeRecipe(
        primary=primary,
        secondary=_found(services, values["secondary_model_name"]),
        tertiary=_found(services, values["tertiary_model_name"]),
        method=next(method for method in METHODS if method == values["interp_method"]),
        multiplier=float(str(values["interp_amount"])),
        half=values["save_as_half"] is True,
        name=str(values["custom_name"] or "").strip(),
        config_source=next(source for source in CONFIG_SOURCES if source == values["config_method"]),
        vae=None if vae == NO_VAE else services.catalog.find_vae(vae, field="bake_in_vae"),
        discard=str(values["discard_weights"] or "").strip(),
        save_metadata=values["save_metadata"] is True,
        add_recipe=values["add_merge_recipe"] is True,
        copy_metadata=values["copy_metadata_fields"] is True,
        extra_metadata=_texts(str(values["metadata_json"] or "")),
    )


def _texts(written: str) -> dict[str, str]:
    try:
        found = json.loads(written or "{}")
    except ValueError as error:
        raise RequestError("metadata_json", f"The metadata is no JSON: {error}.") from error
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise RequestError("metadata_json", "The metadata must be a JSON object whose values are texts.")
    return found


def _alert(error: Exception) -> str:
    return f"<p role='alert'>{escape(explain(error).text)}</p>"


def _titles(services: Services) -> list[str]:
    return [file.title for file in services.catalog.checkpoints()]


def _found(services: Services, name: object) -> CheckpointFile | None:
    return services.catalog.find_checkpoint(str(name)) if name else None


def _model_fields(form: Form, services: Services) -> tuple[list[gr.Dropdown], gr.Button]:
    titles = _titles(services)
    with gr.Row(elem_classes=["with-tool"]):
        fields = [
            form.add(
                f"{key}_model_name",
                gr.Dropdown(titles, value=None, label=label, elem_id=f"modelmerger_{key}_model_name"),
            )
            for key, label in (
                ("primary", "Primary model (A)"),
                ("secondary", "Secondary model (B)"),
                ("tertiary", "Tertiary model (C)"),
            )
        ]
        refresh = icon_button("Refresh the lists of models", "refresh", "refresh_checkpoint_A")
    return fields, refresh


def _recipe_fields(form: Form, services: Services) -> None:
    form.add("custom_name", gr.Textbox(label="Custom Name (Optional)", elem_id="modelmerger_custom_name"))
    form.add(
        "interp_amount",
        gr.Slider(
            0, 1, 0.3, step=0.05, label="Multiplier (M) - set to 0 to get model A", buttons=[],
            elem_id="modelmerger_interp_amount",
        ),
    )  # fmt: skip
    method = form.add(
        "interp_method",
        gr.Radio(
            list(METHODS),
            value="Weighted sum",
            label="Interpolation Method",
            elem_id="modelmerger_interp_method",
        ),
    )
    formula = gr.HTML(
        _FORMULAS["Weighted sum"], elem_id="modelmerger_interp_description", apply_default_css=False
    )
    method.change(
        lambda chosen: _FORMULAS[chosen], method, formula, show_progress="hidden", api_visibility="private"
    )
    form.add("save_as_half", gr.Checkbox(False, label="Save as float16", elem_id="modelmerger_save_as_half"))
    form.add(
        "config_method",
        gr.Radio(
            list(CONFIG_SOURCES),
            value="A, B or C",
            label="Copy config from",
            elem_id="modelmerger_config_method",
        ),
    )
    form.add(
        "bake_in_vae",
        gr.Dropdown(
            [NO_VAE, *(file.name for file in services.catalog.vaes())],
            value=NO_VAE,
            label="Bake in VAE",
            elem_id="modelmerger_bake_in_vae",
        ),
    )
    form.add(
        "discard_weights",
        gr.Textbox(label="Discard weights with matching name", elem_id="modelmerger_discard_weights"),
    )


def _metadata_fields(form: Form) -> gr.Button:
    with gr.Accordion("Metadata", open=False, elem_id="modelmerger_metadata"):
        for key, label in (
            ("save_metadata", "Save metadata"),
            ("add_merge_recipe", "Add merge recipe metadata"),
            ("copy_metadata_fields", "Copy metadata from merged models"),
        ):
            form.add(key, gr.Checkbox(True, label=label, elem_id=f"modelmerger_{key}"))
        form.add(
            "metadata_json",
            gr.Textbox(
                "{}",
                lines=6,
                label="Metadata in JSON format",
                elem_id="modelmerger_metadata_json",
                elem_classes=["code"],
            ),
        )
        return gr.Button("Read metadata from selected checkpoints", elem_id="modelmerger_read_metadata")
