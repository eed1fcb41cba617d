"""From a claimed job to a run on the engine."""

from dataclasses import dataclass
from datetime import datetime

from modules.domain.request import GenerationRequest
from modules.generation.effects import ImageCoroutine
from modules.generation.image_to_image import image_to_image
from modules.generation.job_run import JobRun, RunKit
from modules.generation.outputs import JobOutput
from modules.generation.plan import GenerationPlan, ImagePlan
from modules.generation.resolve import Catalogs, resolve
from modules.generation.sources import PreparedSource, prepare_source
from modules.generation.step_store import ImageMemory
from modules.generation.story import Story, StoryRoom
from modules.generation.text_to_image import text_to_image
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

    def __call__(self, job: Job) -> JobRun:
        """Build the run.

        Raises:
            WebuiError: the request cannot be done.
        """
        self.room.prompts.embeddings.refresh()  # files that came since the last job
        plan = resolve(GenerationRequest.model_validate_json(job.payload), self.catalogs)
        source = prepare_source(plan, self.room)
        output = JobOutput(
            plan,
            job.owner,
            self.writer,
            self.room.blobs,
            source,
            begun=datetime.fromtimestamp(job.created).astimezone(),
        )
        return JobRun(
            job, plan, lambda image, memory: self._story(plan, image, source, memory), output, self.kit
        )

    def _story(
        self, plan: GenerationPlan, image: ImagePlan, source: PreparedSource | None, memory: ImageMemory
    ) -> ImageCoroutine:
        story = Story(plan, image, self.room, memory)
        return text_to_image(story) if source is None else image_to_image(story, source)
