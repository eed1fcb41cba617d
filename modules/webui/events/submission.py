"""From a filled form to jobs in the queue."""

from collections import OrderedDict
from collections.abc import Mapping

from pydantic import JsonValue, ValidationError

from modules.domain.job import JobView
from modules.domain.principal import Principal
from modules.domain.request import GenerationRequest
from modules.exceptions import QueueFullError, RequestError
from modules.services import Services
from modules.submission import submit_request
from modules.webui.events.batch import BatchFiles, batch_seed, output_overrides, with_png_info
from modules.webui.form.mask_canvas import PictureReader
from modules.webui.form.paste import read_overrides
from modules.webui.form.quick_options import quick_overrides
from modules.webui.form.request_builder import Pictures, build_request, control_of
from modules.webui.form.start_pictures import Start, StartReader, mode_of
from modules.webui.tab import GenerationTab

__all__ = ["Submitter"]

REMEMBERED_TABS = 1000  # jobs of which the tab is known exactly

Values = Mapping[str, object]


class Submitter:
    """Turns forms into jobs and remembers which tab a job came from.

    Args:
        services: the owners of state.
        reader: of picture fields.
    """

    def __init__(self, services: Services, reader: PictureReader) -> None:
        self._services = services
        self._starts = StartReader(reader, services.blobs.put)
        self._files = BatchFiles(reader, services.options.folders.outputs)
        self._tabs: OrderedDict[str, str] = OrderedDict()

    def submit(self, tab: GenerationTab, values: Values, visitor: Principal) -> tuple[str, ...]:
        """Queue what a form asks for; returns the ids of its jobs, one but for a batch.

        Raises:
            RequestError: a value cannot be used; ``field`` is the key of its control.
            ForbiddenError: an artist overrides a setting of the server.
            QueueFullError: too many jobs are waiting.
        """
        if not tab.modes:
            return (self._queue(tab, values, visitor),)
        mode = mode_of(tab.modes, values)
        if mode.kind == "batch":
            return self._batch(tab, values, visitor)
        return (self._queue(tab, values, visitor, self._starts.read(mode, values, visitor.name)),)

    def submit_request(self, tab: str, request: GenerationRequest, visitor: Principal) -> str:
        """Queue a request that is complete; returns the job's id.

        Raises:
            RequestError: it cannot be done; ``field`` is the key of the control.
            ForbiddenError: an artist overrides a setting of the server.
            QueueFullError: too many jobs are waiting.
        """
        try:
            job_id = submit_request(self._services, request, visitor)
        except RequestError as error:  # speaks of the request's fields; the page speaks of its controls
            raise RequestError(control_of(error.field), str(error)) from error
        self._tabs[job_id] = tab
        while len(self._tabs) > REMEMBERED_TABS:
            self._tabs.popitem(last=False)
        return job_id

    def tab_of(self, view: JobView) -> str:
        """Name of the tab that a job belongs to; "" for none."""
        if view.id in self._tabs:
            return self._tabs[view.id]
        try:
            start = self._services.jobs.request(view.id).image_to_image
        except ValidationError:
            return ""  # a training run
        if start is None:
            return "txt2img"
        return "img2img" if start.mask is None else "inpaint"

    def _queue(
        self,
        tab: GenerationTab,
        values: Values,
        visitor: Principal,
        start: Start | None = None,
        extra: Mapping[str, JsonValue] | None = None,
    ) -> str:
        values = dict(values)
        if start is not None and values.get("resize_tab") == "by":
            values |= _scaled(start.size, values.get("scale"))
        overrides = {
            **quick_overrides(values),
            **read_overrides(values.get("override_settings")),
            **(extra or {}),
        }
        pictures: Pictures | None = None if start is None else start.pictures
        request = build_request(values, overrides=overrides, pictures=pictures)
        if start is not None and start.origin:
            request = request.model_copy(update={"origins": (start.origin,)})
        return self.submit_request(tab.name, request, visitor)

    def _batch(self, tab: GenerationTab, values: Values, visitor: Principal) -> tuple[str, ...]:
        items = self._files.items(values, reads_folders=visitor.is_admin)
        output = None
        if values.get("batch_source") == "directory" and str(values.get("batch_output_dir") or "").strip():
            output = self._files.folder(values, "batch_output_dir")
        values = {**values, "seed": batch_seed(values)}
        put, job_ids, refused = self._services.blobs.put, list[str](), list[RequestError]()
        for item in items:
            try:
                start = self._files.start(item, put)
            except RequestError as error:  # what cannot be read is left out, as long as something is left
                refused.append(error)
                continue
            filled = with_png_info(values, self._files.png_info(item, values))
            images = int(str(values.get("batch_size") or 1)) * int(str(values.get("batch_count") or 1))
            try:
                overrides = output_overrides(item, output, images)
                job_ids.append(self._queue(tab, filled, visitor, start, overrides))
            except QueueFullError:
                if not job_ids:
                    raise
                break
        if not job_ids:
            raise refused[0]
        return tuple(job_ids)


def _scaled(size: tuple[int, int], scale: object) -> dict[str, object]:
    """Width and height for "Resize by": multiples of 8, as A1111 rounds them."""
    factor = float(scale) if isinstance(scale, (int, float)) else 1.0
    width, height = (max(8, int(side * factor) // 8 * 8) for side in size)
    return {"width": width, "height": height}
