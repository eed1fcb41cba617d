"""From a claimed job to a run on the engine."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from modules.domain.request import GenerationRequest
from modules.generation.effects import ImageCoroutine
from modules.generation.extending import Extending, NothingExtended
from modules.generation.image_to_image import image_to_image
from modules.generation.interrogate import Interrogator
from modules.generation.job_run import JobRun, RunKit
from modules.generation.outputs import JobOutput
from modules.generation.plan import GenerationPlan, ImagePlan
from modules.generation.resolve import Catalogs, resolve
from modules.generation.script_work import PreparedRequest, ScriptRecords, ScriptWork
from modules.generation.scripts.choices import check_name
from modules.generation.scripts.script import RenderItem, ScriptRoom
from modules.generation.sources import prepare_source
from modules.generation.step_store import ImageMemory
from modules.generation.story import Story, StoryRoom
from modules.generation.text_to_image import text_to_image
from modules.generation.work import PlanWork, Work
from modules.imaging.writer import ImageWriter
from modules.jobs.queue import Job

__all__ = ["Preparer"]


@dataclass(frozen=True)
class Preparer:
    """Resolves a job's request, reads its pictures and picks its story."""

    catalogs: Catalogs
    room: StoryRoom
    writer: ImageWriter
    kit: RunKit
    extensions: Extending = field(default_factory=NothingExtended)
    interrogator: Interrogator | None = None

    def __call__(self, job: Job) -> JobRun:
        """Build the run.

        Raises:
            WebuiError: the request cannot be done.
        """
        self.room.prompts.embeddings.refresh()  # files that came since the last job
        asked = GenerationRequest.model_validate_json(job.payload)
        request, comments = self.extensions.transform_request(asked)
        plan = resolve(request, self.catalogs)
        plan = replace(plan, comments=(*comments, *plan.comments))
        work = self._scripted(job, plan) if request.script_name else self._plain(job, plan)
        return JobRun(job, work, self.kit)

    def _plain(self, job: Job, plan: GenerationPlan) -> Work:
        prepared = self._prepared(job, plan, self.extensions, soon=True)
        done = {image.index for image in self.kit.jobs.finished_images(job.id)}
        return PlanWork(plan, prepared.story, prepared.output, done)

    def _scripted(self, job: Job, plan: GenerationPlan) -> Work:
        request = plan.request
        script, arguments = self.extensions.scripts.prepare(request, self.catalogs, plan.settings)
        upscalers, interrogator = self.catalogs.upscalers, self.interrogator
        names = upscalers.names(plan.settings)
        room = ScriptRoom(
            plan.settings,
            self.room.blobs,
            {name: upscalers.find(name, plan.settings) for name in names},
            lambda kind, name: check_name(self.catalogs, kind, name),
            None if interrogator is None else partial(interrogator.describe, settings=plan.settings),
        )

        def prepare(item: RenderItem) -> PreparedRequest:
            asked = item.request if item.keep else item.request.model_copy(update={"save_images": False})
            resolved = replace(resolve(asked, self.catalogs), script_parameters=item.parameters)
            return self._prepared(job, resolved, self.extensions if item.keep else NothingExtended())

        return ScriptWork(
            plan,
            script.start(request, arguments, room),
            prepare,
            ScriptRecords(job.id, self.kit.steps, self.room.blobs),
            extensions=self.extensions,
            begun=self._begun(job),
        )

    def _prepared(
        self, job: Job, plan: GenerationPlan, extensions: Extending, *, soon: bool = False
    ) -> PreparedRequest:
        source = prepare_source(plan, self.room)
        output = JobOutput(
            plan,
            job.owner,
            self.writer,
            self.room.blobs,
            source,
            extensions=extensions,
            begun=self._begun(job),
            lasting=self.kit.jobs.is_lasting(job.id),
            soon=soon,
        )

        def story(image: ImagePlan, memory: ImageMemory) -> ImageCoroutine:
            told = Story(plan, image, self.room, memory)
            return text_to_image(told) if source is None else image_to_image(told, source)

        return PreparedRequest(plan, output, story)

    @staticmethod
    def _begun(job: Job) -> datetime:
        return datetime.fromtimestamp(job.created).astimezone()
