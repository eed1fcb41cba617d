"""What the buttons of the generation tabs do: submit, follow, stop, paste, send.

Handlers only translate. A job lives in the queue and the runner; the page shows its view.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import gradio as gr

from modules.conditioning.embedding_names import missing_reported_embeddings
from modules.domain.infotext import parse_infotext
from modules.domain.job import JobState, JobView
from modules.exceptions import NotFoundError, WebuiError
from modules.imaging.metadata import read_infotext
from modules.services import Services, catalogs_of
from modules.webui.events.newest import NewestRelay
from modules.webui.events.relay import submit_and_follow
from modules.webui.events.result_events import ResultEvents
from modules.webui.events.submission import Submitter
from modules.webui.form.form import stamp
from modules.webui.form.mask_canvas import PictureReader
from modules.webui.form.paste import pasted_values
from modules.webui.form.start_pictures import StartMode, copied_picture, mode_of
from modules.webui.owner import owner_of, visitor_of
from modules.webui.result.live import (
    JobPicture,
    follow_job,
    job_picture,
    notice_picture,
    selected_image,
)
from modules.webui.result.selection import selected_picture
from modules.webui.tab import GenerationTab

__all__ = ["GenerationEvents", "form_updates"]

REMEMBERED_JOBS = 20  # how far back a fresh page looks for the last job of each tab
_NOT_SENT = frozenset(
    {"denoising_strength", "batch_size", "hr", "enable", "script"}
)  # of the source picture's tab alone


class GenerationEvents:
    """Handlers of all generation tabs over one set of services.

    Attributes:
        submitter: turns forms into jobs.
        newest: lets each gallery follow one job at a time.
        results: handlers of the buttons below the pictures.
        reader: of picture fields.
        uploads: folder from which the browser may fetch files.
    """

    def __init__(self, services: Services, upload_folder: Path) -> None:
        self._services = services
        self.reader = PictureReader(upload_folder, self._owned_picture)
        self.uploads = upload_folder
        self.submitter = Submitter(services, self.reader)
        self.newest = NewestRelay()
        self.results = ResultEvents(services, self.submitter, upload_folder)

    def generate(self, tab: GenerationTab) -> Callable[..., AsyncIterator[JobPicture]]:
        """Submit the tab's form and follow the job."""

        async def generate(request: gr.Request, *sent: object) -> AsyncIterator[JobPicture]:
            submit = partial(
                self.submitter.submit,
                tab,
                tab.form.values(sent),
                visitor_of(request),
            )
            shown = self._services.settings.current.img2img_batch_show_results_limit
            async for picture in submit_and_follow(self._services.jobs, tab, submit, shown=shown):
                yield picture

        return generate

    def attach(self, tab: GenerationTab) -> Callable[..., AsyncIterator[JobPicture]]:
        """On page load: follow the owner's jobs of this tab, or show what the last one made."""

        async def attach(request: gr.Request) -> AsyncIterator[JobPicture]:
            views = await asyncio.to_thread(self._jobs_to_show, tab.name, owner_of(request))
            if not views:
                yield gr.skip()
            for view in views:
                if view.state.is_final:
                    yield job_picture(view)
                    return
                async for picture in follow_job(self._services.jobs, view.id):
                    yield picture

        return attach

    def reattach(self, tab: GenerationTab) -> Callable[..., AsyncIterator[JobPicture]]:
        """After a lost connection: follow again, or show how what the page showed has ended."""
        attach = self.attach(tab)

        async def reattach(payload: object, request: gr.Request) -> AsyncIterator[JobPicture]:
            job_id = selected_image(payload)[0]
            try:
                yield job_picture(self._services.jobs.owned_view(job_id, owner_of(request)))
            except NotFoundError:
                yield notice_picture("")
            async for picture in attach(request):
                yield picture

        return reattach

    def interrupt(self, payload: object, request: gr.Request) -> None:
        """Stop the job that the page shows, and the rest of its batch."""
        rest = payload.get("batch") if isinstance(payload, dict) else None
        for job_id in reversed(rest if isinstance(rest, list) else []):
            self._steer({"job": job_id}, request, self._services.jobs.cancel)
        self._steer(payload, request, self._services.jobs.interrupt)

    def pause(self, payload: object, request: gr.Request) -> None:
        """Let the job that the page shows hold still."""
        self._steer(payload, request, self._services.jobs.pause)

    def resume(self, payload: object, request: gr.Request) -> None:
        """Let the job that the page shows go on."""
        self._steer(payload, request, self._services.jobs.resume)

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
            found = selected_picture(self._services.jobs, payload, request)
            return self.fill(tab, found.image.infotext)

        return reuse

    def send(self, target: GenerationTab) -> Callable[..., list[object]]:
        """Put the picture that is shown and its parameters into another tab, and open that tab."""

        def send(payload: object, request: gr.Request) -> list[object]:
            image = selected_picture(self._services.jobs, payload, request).image
            picture = {"id": image.id, "name": Path(image.path).name}
            settings = self._services.settings.current
            values = {
                key: value for key, value in self._values(image.infotext).items() if key not in _NOT_SENT
            }
            if not settings.send_seed:
                for key in ("seed", "subseed", "subseed_strength", "subseed_show"):
                    values.pop(key, None)
            values.pop("width", None)
            values.pop("height", None)
            if settings.send_size:
                values |= {"width": image.width, "height": image.height}
            if target.picture:
                values |= {target.picture: {"image": picture}, "mode": target.modes[0].name}
            return [*form_updates(target, values), gr.Tabs(selected=target.name)]

        return send

    def copy(self, tab: GenerationTab, target: StartMode) -> Callable[..., list[object]]:
        """Put the picture of the open mode, with what is painted on it, into another mode of the tab."""

        def copy(request: gr.Request, *sent: object) -> list[object]:
            values = tab.form.values(sent)
            mode = mode_of(tab.modes, values)
            picture = self.reader.read(values.get(mode.field), owner_of(request), field=mode.field)
            if picture is None:
                raise gr.Error("There is no picture here to copy yet.")
            copied = copied_picture(values.get(mode.field), picture, self.uploads)
            return [copied, target.name, gr.Tabs(selected=target.name)]

        return copy

    def apply_styles(
        self, prompt: str, negative: str, names: list[str] | None
    ) -> tuple[str, str, list[str], str]:
        """Write the chosen styles into the prompts and choose none."""
        return *self._services.styles.apply(prompt, negative, names or []), [], stamp()

    # --- inside --------------------------------------------------------------------------------

    def _owned_picture(self, image_id: str, owner: str) -> bytes:
        return Path(self._services.jobs.image(image_id, owner).image.path).read_bytes()

    def _steer(self, payload: object, request: gr.Request, action: Callable[[str], None]) -> None:
        job_id = selected_image(payload)[0]
        try:
            action(self._services.jobs.owned_view(job_id, owner_of(request)).id)
        except WebuiError:
            return  # it has ended in the meantime, which is what was wanted

    def _jobs_to_show(self, tab: str, owner: str) -> list[JobView]:
        """Jobs of a tab that have not ended, the running one first; without any, the last that has."""
        jobs = self._services.jobs
        active = [view for view in jobs.active(owner) if self.submitter.tab_of(view) == tab]
        if active:
            return sorted(active, key=lambda view: (view.state is not JobState.RUNNING, view.position))
        recent = (view for view in jobs.recent(owner, REMEMBERED_JOBS) if view.images)
        return [view for view in recent if self.submitter.tab_of(view) == tab][:1]

    def _last_infotext(self, owner: str) -> str:
        for view in self._services.jobs.recent(owner, REMEMBERED_JOBS):
            if view.images:
                return view.images[0].infotext
        return ""

    def _values(self, text: str) -> dict[str, object]:
        return pasted_values(text, self._services.settings.current, catalogs_of(self._services))

    def fill(self, tab: GenerationTab, text: str) -> list[object]:
        """Outputs that fill a tab's form and open its accordions by an infotext."""
        missing = missing_reported_embeddings(
            str(parse_infotext(text).get("TI hashes", "")),
            self._services.embeddings.names(),
            (file.name for file in self._services.networks.loras()),
        )
        if missing:
            gr.Warning(f"These parameters need embeddings that are not here: {', '.join(missing)}.")
        return form_updates(tab, self._values(text))


def form_updates(tab: GenerationTab, values: dict[str, object]) -> list[object]:
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
