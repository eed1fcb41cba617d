"""What the buttons under the picture do: keep it, hand it out, make it larger, show where it lies."""

import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from hashlib import sha256
from pathlib import Path

import gradio as gr

from modules.domain.job import ResultImage
from modules.domain.request import GenerationRequest
from modules.exceptions import RequestError, WebuiError
from modules.history.facts import read_facts
from modules.imaging.archive import write_archive
from modules.imaging.decode import load_image
from modules.imaging.filenames import NameFacts
from modules.imaging.save_log import LogLine, SaveLog
from modules.imaging.writer import ImageWriter
from modules.jobs.queue import OwnedImage
from modules.services import Services
from modules.submission import without_server_settings
from modules.webui.events.relay import submit_and_follow
from modules.webui.events.submission import Submitter
from modules.webui.form.request_builder import hires_of
from modules.webui.messages import explain
from modules.webui.owner import LOCAL_OWNER, owner_of, visitor_of
from modules.webui.result.live import JobPicture
from modules.webui.result.selection import pictures_of_job, selected_picture
from modules.webui.tab import GenerationTab

__all__ = ["ResultEvents", "open_in_file_manager"]


def open_in_file_manager(folder: Path) -> None:
    """Show a folder on the screen of the machine that the server runs on.

    Raises:
        OSError: there is no file manager.
    """
    command = {"win32": "explorer", "darwin": "open"}.get(sys.platform, "xdg-open")
    subprocess.Popen(
        [command, str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


class ResultEvents:
    """Handlers of the buttons under the picture.

    Args:
        services: the owners of state.
        submitter: queues jobs for the page.
        uploads: folder from which the browser may fetch archives.
        show_folder: opens a folder on this machine's screen.
    """

    def __init__(
        self,
        services: Services,
        submitter: Submitter,
        uploads: Path,
        show_folder: Callable[[Path], None] = open_in_file_manager,
    ) -> None:
        self._services = services
        self._submitter = submitter
        self._uploads = uploads
        self._show_folder = show_folder
        self._writer = ImageWriter(services.options.folders.outputs)
        self._log = SaveLog()

    def save(self, payload: object, request: gr.Request) -> None:
        """Save the picture that is shown (or all, by the settings) into the folder for chosen pictures."""
        jobs, settings = self._services.jobs, self._services.settings.current
        if settings.save_selected_only:
            chosen: tuple[ResultImage, ...] = (selected_picture(jobs, payload, request).image,)
        else:
            chosen = pictures_of_job(jobs, payload, request)
        try:
            saved = [self._save(image, owner_of(request)) for image in chosen]
        except WebuiError as error:
            raise gr.Error(explain(error).text) from error
        place = saved[0].relative_to(self._services.options.folders.outputs)
        gr.Info(
            f"Saved as {place}." if len(saved) == 1 else f"Saved {len(saved)} pictures in {place.parent}."
        )

    def archive(self, payload: object, request: gr.Request) -> str:
        """Pack all pictures of the job that is shown; returns the archive for the browser to fetch."""
        chosen = pictures_of_job(self._services.jobs, payload, request)
        facts = _facts(chosen[0], owner_of(request), seeds=tuple(image.seed for image in chosen))
        pattern = self._services.settings.current.grid_zip_filename_pattern
        folder = self._uploads / chosen[0].id  # unguessable, as the pictures themselves
        try:
            return str(write_archive([Path(image.path) for image in chosen], folder, facts, pattern=pattern))
        except WebuiError as error:
            raise gr.Error(explain(error).text) from error

    def upscale(self, tab: GenerationTab) -> Callable[..., AsyncIterator[JobPicture]]:
        """Make the picture that is shown again, with hires fix by the form's settings, and follow the job."""

        async def upscale(payload: object, request: gr.Request, *sent: object) -> AsyncIterator[JobPicture]:
            found = selected_picture(self._services.jobs, payload, request)
            values = tab.form.values(sent)

            def submit() -> tuple[str]:
                larger = self._larger(found, values)
                return (self._submitter.submit_request(tab.name, larger, visitor_of(request)),)

            async for picture in submit_and_follow(self._services.jobs, tab, submit):
                yield picture

        return upscale

    def open_folder(self, payload: object, request: gr.Request) -> None:
        """Show the folder of the picture on this machine's screen; only to who sits at it."""
        if self._services.options.listen or owner_of(request) != LOCAL_OWNER:
            raise gr.Error("Folders open on the server's own screen, so only its owner can open them.")
        image = selected_picture(self._services.jobs, payload, request).image
        try:
            self._show_folder(Path(image.path).parent)
        except OSError as error:
            raise gr.Error("This machine has no file manager to open the folder with.") from error

    # --- inside --------------------------------------------------------------------------------

    def _larger(self, found: OwnedImage, values: dict[str, object]) -> GenerationRequest:
        made = without_server_settings(self._services.jobs.request(found.job_id))
        if made.image_to_image is not None or made.hires is not None:
            raise RequestError(
                "", "This picture is large already; hires fix starts from one made without it."
            )
        if made.script_name:
            raise RequestError("", "This picture is part of a script's sheet; use its parameters instead.")
        varied = made.subseed_strength > 0
        subseed = made.subseed + max(0, found.image.index) if varied and made.subseed >= 0 else made.subseed
        return made.model_copy(
            update={
                "seed": found.image.seed,
                "subseed": subseed,
                "batch_size": 1,
                "n_iter": 1,
                "hires": hires_of(values),
                "origins": (sha256(Path(found.image.path).read_bytes()).hexdigest(),),
            }
        )

    def _save(self, image: ResultImage, owner: str) -> Path:
        settings = self._services.settings.current
        facts = _facts(image, owner)
        picture = load_image(Path(image.path).read_bytes())
        saved = self._writer.save(picture, facts, settings, kind="save", infotext=image.infotext)
        if settings.save_write_log_csv:
            folder = self._writer.folder(facts, settings, kind="save")
            self._log.append(folder, _log_line(image, saved.path.name))
        return saved.path


def _facts(image: ResultImage, owner: str, *, seeds: tuple[int, ...] = ()) -> NameFacts:
    found = read_facts(image.infotext)
    return NameFacts(
        now=datetime.now().astimezone(),
        seed=image.seed,
        all_seeds=seeds or (image.seed,),
        steps=int(found.steps or 0),
        cfg_scale=found.cfg_scale or 0.0,
        width=image.width,
        height=image.height,
        sampler=found.sampler,
        scheduler=found.scheduler,
        model_hash=found.model_hash,
        model_name=found.model,
        prompt=found.prompt,
        negative_prompt=found.negative_prompt,
        user=owner,
    )


def _log_line(image: ResultImage, name: str) -> LogLine:
    found = read_facts(image.infotext)
    return LogLine(
        prompt=found.prompt,
        seed=image.seed,
        width=image.width,
        height=image.height,
        sampler=found.sampler,
        cfgs=found.cfg_scale or 0.0,
        steps=int(found.steps or 0),
        filename=name,
        negative_prompt=found.negative_prompt,
        sd_model_name=found.model,
        sd_model_hash=found.model_hash,
    )
