"""What the buttons of the generation tabs do: submit, follow, stop, paste, send.

Handlers only translate. A job lives in the queue and the runner; the page shows its view.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import gradio as gr
from pydantic import JsonValue, ValidationError

from modules.domain.job import JobView
from modules.exceptions import NotFoundError, RequestError, WebuiError
from modules.imaging.metadata import read_infotext
from modules.services import Services
from modules.webui.live import JobPicture, follow_job, job_picture, notice_picture, selected_image
from modules.webui.mask_canvas import PictureReader
from modules.webui.messages import explain
from modules.webui.owner import owner_of
from modules.webui.paste import pasted_values, read_overrides
from modules.webui.request_builder import Pictures, build_request, control_of
from modules.webui.tab import GenerationTab

__all__ = ["GenerationEvents"]

REMEMBERED_JOBS = 20  # how far back a fresh page looks for the last job of each tab
_QUICK_OPTIONS = {"setting_sd_vae": "sd_vae", "setting_CLIP_stop_at_last_layers": "CLIP_stop_at_last_layers"}
_NOT_SENT = frozenset(
    {"denoising_strength", "batch_size", "hr", "enable"}
)  # of the source picture's tab alone


class GenerationEvents:
    """Handlers of all generation tabs over one set of services."""

    def __init__(self, services: Services, upload_folder: Path) -> None:
        self._services = services
        self._reader = PictureReader(upload_folder, self._owned_picture)

    def generate(self, tab: GenerationTab) -> Callable[..., AsyncIterator[JobPicture]]:
        """Submit the tab's form and follow the job."""

        async def generate(request: gr.Request, *sent: object) -> AsyncIterator[JobPicture]:
            owner = owner_of(request)
            try:
                job_id = await asyncio.to_thread(self._submit, tab, tab.form.values(sent), owner)
            except Exception as error:  # noqa: BLE001  # boundary: whatever it is, the page says one sentence
                notice = explain(error)
                yield notice_picture(notice.text, _element_of(tab, notice.field))
                return
            async for picture in follow_job(self._services.jobs, job_id):
                yield picture

        return generate

    def attach(self, tab: GenerationTab) -> Callable[..., AsyncIterator[JobPicture]]:
        """On page load: follow the owner's running job of this tab, or show what the last one made."""

        async def attach(request: gr.Request) -> AsyncIterator[JobPicture]:
            view = await asyncio.to_thread(self._last_job, tab.name, owner_of(request))
            if view is None:
                yield gr.skip()
            elif view.state.is_final:
                yield job_picture(view)
            else:
                async for picture in follow_job(self._services.jobs, view.id):
                    yield picture

        return attach

    def interrupt(self, payload: object, request: gr.Request) -> None:
        """Stop the job that the page shows."""
        self._steer(payload, request, self._services.jobs.interrupt)

    def skip(self, payload: object, request: gr.Request) -> None:
        """End the current picture of the job that the page shows and go on with the next."""
        self._steer(payload, request, self._services.jobs.skip)

    def paste(self, tab: GenerationTab) -> Callable[..., list[object]]:
        """Read parameters from the prompt, or from the owner's last picture if the prompt is empty."""

        def paste(prompt: str, request: gr.Request) -> list[object]:
            text = prompt.strip() or self._last_infotext(owner_of(request))
            if not text:
                raise gr.Error(
                    "There are no parameters to read: the prompt is empty and nothing was made yet."
                )
            return self.fill(tab, text)

        return paste

    def drop(self, tab: GenerationTab) -> Callable[[str | None], list[object]]:
        """Read parameters from a picture that was dropped on the prompt."""

        def drop(path: str | None) -> list[object]:
            text = read_infotext(Path(path).read_bytes())[0] if path else None
            if not text:
                gr.Warning("This picture carries no generation parameters.")
                return [gr.skip()] * (len(tab.form.keys) + len(tab.accordions))
            return self.fill(tab, text)

        return drop

    def reuse(self, tab: GenerationTab) -> Callable[..., list[object]]:
        """Fill the form with the parameters of the picture that is shown."""

        def reuse(payload: object, request: gr.Request) -> list[object]:
            image = self._selected(payload, request)
            return self.fill(tab, image[1])

        return reuse

    def send(self, target: GenerationTab) -> Callable[..., list[object]]:
        """Put the picture that is shown and its parameters into another tab, and open that tab."""

        def send(payload: object, request: gr.Request) -> list[object]:
            picture, infotext, size = self._selected(payload, request)
            settings = self._services.settings.current
            values = {key: value for key, value in self._values(infotext).items() if key not in _NOT_SENT}
            if not settings.send_seed:
                for key in ("seed", "subseed", "subseed_strength", "subseed_show"):
                    values.pop(key, None)
            values.pop("width", None)
            values.pop("height", None)
            if settings.send_size:
                values |= {"width": size[0], "height": size[1]}
            if target.picture:
                values[target.picture] = {"image": picture, "mask": ""}
            return [*_updates(target, values), gr.Tabs(selected=target.name)]

        return send

    def clear_prompts(self) -> tuple[str, str]:
        """Empty both prompts."""
        return "", ""

    def apply_styles(self, prompt: str, negative: str, names: list[str] | None) -> tuple[str, str, list[str]]:
        """Write the chosen styles into the prompts and choose none."""
        return *self._services.styles.apply(prompt, negative, names or []), []

    # --- inside --------------------------------------------------------------------------------

    def _submit(self, tab: GenerationTab, values: dict[str, object], owner: str) -> str:
        overrides: dict[str, JsonValue] = dict(read_overrides(values.get("override_settings")))
        for key, option in _QUICK_OPTIONS.items():
            value = values.get(key)
            if isinstance(value, (str, int, float)) and value != "":
                overrides[option] = value
        pictures = self._pictures(tab, values, owner) if tab.picture else None
        request = build_request(values, overrides=overrides, pictures=pictures)
        try:
            return self._services.jobs.submit(request, owner)
        except RequestError as error:  # speaks of the request's fields; the page speaks of its controls
            raise RequestError(control_of(error.field), str(error)) from error

    def _pictures(self, tab: GenerationTab, values: dict[str, object], owner: str) -> Pictures:
        key = tab.picture or ""
        found = self._reader.read(values.get(key), owner, field=key)
        if found is None:
            raise NotFoundError(key, "Choose a picture to start from first.")
        put = self._services.blobs.put
        if tab.mask is None:
            return Pictures(put(found.data))
        from_file = self._reader.read(values.get(tab.mask), owner, field=tab.mask)
        mask = found.mask if from_file is None else self._reader.mask_of(from_file.data, found.data, tab.mask)
        if mask is None:
            raise NotFoundError(key, "Paint over what shall change first, or hand in a mask.")
        return Pictures(put(found.data), put(mask))

    def _owned_picture(self, image_id: str, owner: str) -> bytes:
        found = self._services.jobs.image(image_id)
        if found.owner != owner:
            raise NotFoundError("image", "There is no such picture.")
        return Path(found.image.path).read_bytes()

    def _selected(self, payload: object, request: gr.Request) -> tuple[dict[str, str], str, tuple[int, int]]:
        """Picture value, infotext and size of the picture that the page shows."""
        try:
            found = self._services.jobs.image(selected_image(payload)[1])
        except NotFoundError:
            raise gr.Error("There is no picture yet: generate one first.") from None
        if found.owner != owner_of(request):
            raise gr.Error("There is no such picture.")
        image = found.image
        return {"id": image.id, "name": Path(image.path).name}, image.infotext, (image.width, image.height)

    def _steer(self, payload: object, request: gr.Request, action: Callable[[str], None]) -> None:
        job_id = selected_image(payload)[0]
        try:
            action(self._services.jobs.owned_view(job_id, owner_of(request)).id)
        except WebuiError:
            return  # it has ended in the meantime, which is what was wanted

    def _last_job(self, tab: str, owner: str) -> JobView | None:
        jobs = self._services.jobs
        running = [view for view in reversed(jobs.active(owner)) if self._tab_of(view) == tab]
        if running:
            return running[0]
        recent = (view for view in jobs.recent(owner, REMEMBERED_JOBS) if view.images)
        return next((view for view in recent if self._tab_of(view) == tab), None)

    def _tab_of(self, view: JobView) -> str:
        try:
            start = self._services.jobs.request(view.id).image_to_image
        except ValidationError:
            return ""  # a training run
        if start is None:
            return "txt2img"
        return "img2img" if start.mask is None else "inpaint"

    def _last_infotext(self, owner: str) -> str:
        for view in self._services.jobs.recent(owner, REMEMBERED_JOBS):
            if view.images:
                return view.images[0].infotext
        return ""

    def _values(self, text: str) -> dict[str, object]:
        return pasted_values(text, self._services.settings.current, self._services.styles.extract)

    def fill(self, tab: GenerationTab, text: str) -> list[object]:
        """Outputs that fill a tab's form and open its accordions by an infotext."""
        return _updates(tab, self._values(text))


def _element_of(tab: GenerationTab, field: str) -> str:
    """Id of the element beside which a refusal belongs, "" when the tab has no control for it."""
    return str(tab.form[field].elem_id) if field in tab.form else ""


def _updates(tab: GenerationTab, values: dict[str, object]) -> list[object]:
    """Outputs for all components of the form and then its accordions."""
    changes: dict[str, object] = {}
    for key, value in values.items():
        if key in tab.form:
            changes[key] = _update(tab.form[key], key, value)
    accordions = [
        gr.Accordion(open=values[key] is True) if key in values else gr.skip() for key in tab.accordions
    ]
    return [*tab.form.updates(changes, gr.skip()), *accordions]


def _update(component: object, key: str, value: object) -> object:
    if isinstance(component, gr.Slider) and isinstance(value, (int, float)):
        return gr.update(
            value=value, minimum=min(component.minimum, value), maximum=max(component.maximum, value)
        )
    if key == "override_settings" and isinstance(value, list):
        return gr.update(value=value, choices=value, visible=bool(value))
    return gr.update(value=value)
