"""What the buttons of the tab Extras do: work through pictures one by one, and stop."""

import secrets
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from urllib.parse import quote

import gradio as gr
from pydantic import ValidationError

from modules.domain.extras import ExtrasRequest
from modules.exceptions import JobInterrupted, NotFoundError, RequestError
from modules.generation.extras_files import ExtrasFiles, ProcessedFile
from modules.imaging.writer import ImageWriter
from modules.services import Services
from modules.settings.options import Settings
from modules.webui.events.batch import BatchFiles
from modules.webui.form.form import Form
from modules.webui.form.mask_canvas import PictureReader
from modules.webui.messages import explain
from modules.webui.owner import is_admin, owner_of
from modules.webui.tabs.extras_form import extras_request

__all__ = ["NO_RESULTS", "ExtrasEvents"]

NO_RESULTS = '<div class="results-empty">The finished pictures will be here.</div>'

Values = dict[str, object]


@dataclass(frozen=True)
class Source:
    """A picture to be worked on; ``name`` is "" where it has none of its own."""

    content: bytes
    name: str = ""


@dataclass
class Wishes:
    """What the visitor wants of the work that goes on for him."""

    interrupt: threading.Event = field(default_factory=threading.Event)
    skip: threading.Event = field(default_factory=threading.Event)

    def stop(self) -> bool:
        """Whether to end the picture that is worked on."""
        return self.interrupt.is_set() or self.skip.is_set()


@dataclass(frozen=True)
class Work:
    """What is to be done to each picture, for whom."""

    asked: ExtrasRequest
    settings: Settings
    owner: str
    wishes: Wishes


class ExtrasEvents:
    """Handlers of the tab.

    Args:
        services: the owners of state.
        form: of the tab.
        reader: of picture fields.
        uploads: folder from which the browser may fetch results.
    """

    def __init__(self, services: Services, form: Form, reader: PictureReader, uploads: Path) -> None:
        self._services = services
        self._form = form
        self._reader = reader
        self._uploads = uploads
        self._files = ExtrasFiles(services.extras, ImageWriter(services.options.folders.outputs))
        self._batches = BatchFiles(reader, services.options.folders.outputs)
        self._wishes: dict[str, Wishes] = {}

    def run(self, request: gr.Request, *sent: object) -> Iterator[tuple[object, str]]:
        """Work on all pictures of the form; yields the gallery and what is said below it."""
        owner, values = owner_of(request), self._form.values(sent)
        wishes = self._wishes[owner] = Wishes()
        shown: list[str] = []
        said: list[str] = []
        try:
            work = self._work(values, owner, wishes)
            shows = values["source"] != "directory" or bool(values["show_results"])
            count, sources = self._sources(values, owner, reads_folders=is_admin(request))
            for place, source in enumerate(sources):
                yield gr.skip(), _progress(place, count)
                done = self._one(source, work)
                if not isinstance(done, ProcessedFile):
                    said.append(done)
                else:
                    said += _report(done) if count == 1 else []
                    shown += self._published(done) if shows else []
                yield _gallery(shown, count), _progress(place + 1, count)
                if wishes.interrupt.is_set():
                    break
        except Exception as error:  # noqa: BLE001 - the boundary: whatever it is, the page says one sentence
            yield gr.skip(), "".join([*said, _alert(error)])
            return
        yield _gallery(shown, count), "".join(said) or _finished(interrupted=wishes.interrupt.is_set())

    def interrupt(self, request: gr.Request) -> None:
        """End the work of this visitor; what is finished stays."""
        self._wishes.get(owner_of(request), Wishes()).interrupt.set()

    def skip(self, request: gr.Request) -> None:
        """Leave the picture that is worked on, and go on with the next."""
        self._wishes.get(owner_of(request), Wishes()).skip.set()

    # --- inside --------------------------------------------------------------------------------

    def _work(self, values: Values, owner: str, wishes: Wishes) -> Work:
        try:
            asked = extras_request(values)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise RequestError(str(first["loc"][-1]), f"{first['loc'][-1]}: {first['msg']}") from error
        settings = self._services.settings.current
        output = values["batch_output_dir"]
        if values["source"] == "directory" and isinstance(output, str) and output.strip():
            folder = self._batches.folder(values, "batch_output_dir")
            settings = settings.overridden(
                {"outdir_samples": "", "outdir_extras_samples": str(folder), "save_to_dirs": False}
            )
        self._services.extras.check(asked, settings)
        return Work(asked, settings, owner, wishes)

    def _sources(self, values: Values, owner: str, *, reads_folders: bool) -> tuple[int, Iterator[Source]]:
        """How many pictures there are, and the pictures, read one by one."""
        if values["source"] == "single":
            found = self._reader.read(values["image"], owner, field="image")
            if found is None:
                raise NotFoundError("image", "Choose a picture first.")
            return 1, iter((Source(found.data),))
        kind = "directory" if values["source"] == "directory" else "upload"
        items = self._batches.items({**values, "batch_source": kind}, reads_folders=reads_folders)
        return len(items), (Source(item.path.read_bytes(), item.path.stem) for item in items)

    def _one(self, source: Source, work: Work) -> ProcessedFile | str:
        """One picture. In a batch: what is said of one that cannot be worked on; "" of a skipped one."""
        work.wishes.skip.clear()
        try:
            done = self._files.process(
                source.content,
                work.asked,
                work.settings,
                name=source.name,
                user=work.owner,
                stop=work.wishes.stop,
            )
        except JobInterrupted:
            return ""
        except RequestError as error:
            if not source.name:
                raise
            return f'<p translate="no">{escape(source.name)}</p>{_alert(error)}'
        files = [saved.path for saved in done.saved]
        self._services.history.keep(files, work.owner, done.infotext, source=source.content)
        return done

    def _published(self, done: ProcessedFile) -> list[str]:
        """Copies of the results where the browser may fetch them, under a name that nobody can guess."""
        folder = self._uploads / secrets.token_urlsafe(16)
        folder.mkdir(parents=True)
        return [str(shutil.copyfile(saved.path, folder / saved.path.name)) for saved in done.saved]


def _gallery(shown: list[str], count: int) -> str:
    """The results as HTML: those of a single picture large, those of a batch side by side."""
    results = "".join(_result(Path(path)) for path in shown)
    return (
        f'<div class="results {"large" if count == 1 else "many"}">{results}</div>' if shown else NO_RESULTS
    )


def _result(path: Path) -> str:
    address, name = f"gradio_api/file={quote(str(path))}", escape(path.name)
    picture = f'<img src="{address}" alt="{name}" loading="lazy">'
    saved = f'<a href="{address}" download="{name}" title="Save" translate="no">{name}</a>'
    return (
        f'<figure><a href="{address}" class="full-size" title="Show the picture in full size">{picture}</a>'
        f"<figcaption>{saved}</figcaption></figure>"
    )


def _report(done: ProcessedFile) -> list[str]:
    parts = [f'<p class="infotext" translate="no">{escape(done.infotext)}</p>'] if done.infotext else []
    return parts + [f"<p>{escape(comment)}</p>" for comment in done.comments]


def _alert(error: Exception) -> str:
    return f'<p role="alert">{escape(explain(error).text)}</p>'


def _progress(done: int, count: int) -> str:
    return f'<progress max="{count}" value="{done}" aria-label="Progress"></progress>'


def _finished(*, interrupted: bool) -> str:
    return "<p>Stopped. What is finished was saved.</p>" if interrupted else "<p>Finished and saved.</p>"
