"""The work of a job with a script: what the script asks for is rendered, what it returns is shown.

A script is a coroutine (:mod:`modules.generation.scripts.script`). After a crash it is started again and asks
for the same pictures; those that were finished are answered from the records kept beside the step states.
"""

import json
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path

from PIL import Image

from modules.domain.job import ResultImage
from modules.exceptions import WebuiError
from modules.generation.effects import FinishedImage, ImageFacts
from modules.generation.extending import Extending
from modules.generation.failures import readable_error
from modules.generation.job_info import MadePicture, job_info
from modules.generation.outputs import GRID_INDEX, JobOutput
from modules.generation.plan import GenerationPlan
from modules.generation.scripts.script import (
    Render,
    RenderAnswer,
    RenderedPicture,
    RenderItem,
    ScriptCoroutine,
    ScriptResult,
    Sheet,
)
from modules.generation.step_store import StepStore
from modules.generation.work import Ending, SavedImages, StoryTeller, WorkImage
from modules.imaging.blobs import BlobStore
from modules.imaging.metadata import encode_image

__all__ = ["PreparedRequest", "ScriptRecords", "ScriptWork"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PreparedRequest:
    """A request made ready: its plan, where its pictures go, how one of them is told."""

    plan: GenerationPlan
    output: JobOutput
    story: StoryTeller


@dataclass(frozen=True)
class ScriptRecords:
    """The finished pictures of one job, kept until it has ended."""

    job_id: str
    steps: StepStore
    blobs: BlobStore

    def save(self, key: int, picture: RenderedPicture) -> None:
        """Note a finished picture under its number."""
        note = json.dumps({**asdict(picture), "path": str(picture.path)})
        self.steps.save_note(self.job_id, f"{key}.picture", note)

    def recall(self, key: int) -> RenderedPicture | None:
        """The picture of that number; None when it is not finished, or its file is gone."""
        note = self.steps.recall_note(self.job_id, f"{key}.picture")
        if note is None:
            return None
        values = json.loads(note)
        picture = RenderedPicture(**{**values, "path": Path(values["path"])})
        return picture if picture.path.is_file() else None

    def lossless(self, path: Path, picture: Image.Image) -> Path:
        """A file with exactly these pixels: the one that was saved, or a copy where its format loses some."""
        with Image.open(path) as saved:
            exact = saved.format == "PNG"
        return path if exact else self.blobs.path(self.blobs.put(encode_image(picture, "png")))


@dataclass
class _Asked:
    """One item of the current :class:`Render`, while its pictures are made."""

    item: RenderItem
    first_key: int
    prepared: PreparedRequest | None = None
    pictures: dict[int, RenderedPicture] = field(default_factory=dict)  # by index in the request
    failed: bool = False

    def answer(self) -> tuple[RenderedPicture, ...]:
        return () if self.failed else tuple(self.pictures[index] for index in sorted(self.pictures))


Prepare = Callable[[RenderItem], PreparedRequest]


class ScriptWork:
    """See :class:`~modules.generation.work.Work`.

    Args:
        plan: of the request as the user sent it.
        coroutine: the script, not begun yet.
        prepare: makes a request that the script asks for ready.
        extensions: may change the pictures that the script puts together.
        begun: when the job was submitted.
    """

    def __init__(
        self,
        plan: GenerationPlan,
        coroutine: ScriptCoroutine,
        prepare: Prepare,
        records: ScriptRecords,
        *,
        extensions: Extending,
        begun: datetime,
    ) -> None:
        self._base = plan
        self._coroutine = coroutine
        self._prepare = prepare
        self._records = records
        self._extensions = extensions
        self._begun = begun
        self._result: ScriptResult | None = None
        self._render = Render(())
        self._asked: list[_Asked] = []
        self._waiting: deque[_Asked] = deque()
        self._ready: deque[WorkImage] = deque()
        self._owners: dict[int, _Asked] = {}
        self._next_key = 0
        self._made: list[RenderedPicture] = []
        self._first: PreparedRequest | None = None
        self._current = plan
        self._comments = list(plan.comments)
        self._is_begun = False

    @property
    def plan(self) -> GenerationPlan:
        """See :class:`~modules.generation.work.Work`."""
        return self._current

    @property
    def comments(self) -> Sequence[str]:
        """See :class:`~modules.generation.work.Work`."""
        return self._comments

    def counts(self) -> tuple[int, int]:
        """See :class:`~modules.generation.work.Work`."""
        open_items = sum(asked.item.request.image_count for asked in self._waiting)
        made, running = len(self._made), len(self._owners)
        return made, made + running + open_items + self._render.later

    def steps_left(self) -> int:
        """See :class:`~modules.generation.work.Work`."""
        left = self.counts()[1] - len(self._made)
        return left * self._current.steps_total

    def next_batch(self, *, interrupted: bool) -> tuple[WorkImage, ...]:
        """See :class:`~modules.generation.work.Work`."""
        if not self._is_begun:
            self._is_begun = True
            self._resume(None)
        while self._result is None:
            batch = () if interrupted else self._batch()
            if batch:
                return batch
            answer = RenderAnswer(tuple(asked.answer() for asked in self._asked), interrupted)
            self._resume(answer)
            if interrupted and self._result is None:  # it asks for more although nobody wants it
                self._coroutine.close()
                self._result = ScriptResult()
        return ()

    def save(self, image: WorkImage, finished: FinishedImage) -> SavedImages:
        """See :class:`~modules.generation.work.Work`."""
        asked = self._owners.pop(image.key)
        if asked.prepared is None:
            raise RuntimeError("a picture came back that nobody prepared")
        output, plan = asked.prepared.output, image.image
        results = output.save(plan, finished)
        self._add_comments((*asked.prepared.plan.comments, *output.comments))
        picture = RenderedPicture(
            self._records.lossless(Path(results[0].path), output.picture(plan.index)),
            results[0].infotext,
            plan.seed,
            plan.subseed,
            plan.prompt,
            plan.negative_prompt,
        )
        self._records.save(image.key, picture)
        asked.pictures[plan.index] = picture
        self._made.append(picture)
        if asked.item.place is None:
            return SavedImages(hidden=results[:1] if asked.item.keep else ())
        place = asked.item.place + plan.index
        return SavedImages(tuple(replace(result, index=place) for result in results))

    def tolerates(self, image: WorkImage, error: Exception) -> bool:
        """See :class:`~modules.generation.work.Work`."""
        asked = self._owners.pop(image.key)
        return self._set_aside(asked, error)

    def close(self, images: tuple[ResultImage, ...]) -> Ending:
        """See :class:`~modules.generation.work.Work`."""
        if self._result is None:
            self.next_batch(interrupted=True)
        result = self._result or ScriptResult()
        if self._first is None:
            return Ending((), "")
        free = 1 + max((image.index for image in images), default=GRID_INDEX)
        sheets = [self._written(sheet, free + place) for place, sheet in enumerate(result.sheets)]
        shown = tuple(image for image, sheet in zip(sheets, result.sheets, strict=True) if sheet.shown)
        return Ending(shown, self._info(result, images, shown))

    # --- inside ----------------------------------------------------------------------------------

    def _resume(self, answer: RenderAnswer | None) -> None:
        """Let the script go on to its next question, or its end."""
        try:
            render = next(self._coroutine) if answer is None else self._coroutine.send(answer)
        except StopIteration as end:
            self._result = end.value if isinstance(end.value, ScriptResult) else ScriptResult()
            self._asked = []
            return
        self._render, self._asked = render, []
        for item in render.items:
            self._asked.append(_Asked(item, self._next_key))
            self._next_key += item.request.image_count
        self._waiting = deque(self._asked)

    def _batch(self) -> tuple[WorkImage, ...]:
        """The next pictures that can be worked on side by side; none when the question is answered."""
        batch: list[WorkImage] = []
        while self._ready or self._waiting:
            if not self._ready:
                self._make_ready(self._waiting.popleft())
                continue
            first = self._ready[0]
            limit = max(self._render.parallel, first.plan.request.batch_size)
            if batch and (len(batch) >= limit or first.plan.model != batch[0].plan.model):
                break
            batch.append(self._ready.popleft())
        if batch:
            self._current = batch[0].plan
        return tuple(batch)

    def _make_ready(self, asked: _Asked) -> None:
        """Resolve an item and line its pictures up; those that are finished already are answered at once."""
        keys = range(asked.first_key, asked.first_key + asked.item.request.image_count)
        known = {index: self._records.recall(key) for index, key in enumerate(keys)}
        asked.pictures = {index: picture for index, picture in known.items() if picture is not None}
        self._made += asked.pictures.values()
        try:
            prepared = self._prepare(asked.item)
        except WebuiError as error:
            if not self._set_aside(asked, error):
                raise
            return
        asked.prepared = prepared
        self._first = self._first or prepared
        for key, image in zip(keys, prepared.plan.images, strict=True):
            if image.index not in asked.pictures:
                self._ready.append(WorkImage(key, prepared.plan, image, prepared.story))
                self._owners[key] = asked

    def _set_aside(self, asked: _Asked, error: Exception) -> bool:
        """Go on without an item that failed, where the script can; its owner is told."""
        if not self._render.tolerant:
            return False
        log.warning("one request of a script failed: %s", error)
        asked.failed = True
        self._add_comments((readable_error(error),))
        for work in [work for work in self._ready if self._owners.get(work.key) is asked]:
            self._ready.remove(work)
            del self._owners[work.key]
        return True

    def _written(self, sheet: Sheet, place: int) -> ResultImage:
        """Save a picture that the script put together."""
        if self._first is None:
            raise RuntimeError("a script cannot return pictures when it asked for none")
        output, first = self._first.output, self._base.images[0]
        writing = replace(output, plan=replace(output.plan, request=self._base.request))
        picture = sheet.image
        if not sheet.is_grid:
            picture, comments = self._extensions.transform_image(picture, self._base.request, sheet.infotext)
            self._add_comments(comments)
        return writing.write(
            picture,
            replace(first, seed=sheet.seed, prompt=sheet.prompt or first.prompt),
            sheet.infotext,
            index=GRID_INDEX if sheet.is_grid else place,
            keep=True,
            series=sheet.series,
        )

    def _info(self, result: ScriptResult, images: Sequence[ResultImage], shown: Sequence[ResultImage]) -> str:
        grids = [image for image in shown if image.index == GRID_INDEX]
        others = sorted(
            (image for image in (*images, *shown) if image.index != GRID_INDEX), key=lambda image: image.index
        )
        texts = [image.infotext for image in (*grids, *others)]
        made = [
            MadePicture(one.seed, one.subseed, one.prompt, one.negative_prompt) for one in self._made
        ] or [
            MadePicture(one.seed, one.subseed, one.prompt, one.negative_prompt) for one in self._base.images
        ]
        first = self._first
        return job_info(
            self._base if first is None else first.plan,
            ImageFacts() if first is None else first.output.facts,
            made,
            texts if result.infotexts is None else result.infotexts,
            grids=len(grids),
            begun=self._begun,
        )

    def _add_comments(self, comments: Sequence[str]) -> None:
        self._comments += [comment for comment in comments if comment not in self._comments]
