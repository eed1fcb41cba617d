"""What the coroutine of one picture is told, and what it may use."""

from dataclasses import dataclass

from modules.checkpoints.face_restorers import FaceRestorers
from modules.checkpoints.upscalers import UpscalerCatalog
from modules.generation.plan import GenerationPlan, ImagePlan
from modules.generation.preview import Previewer
from modules.generation.prompts import PromptRoom
from modules.generation.step_reuse import StepReuse
from modules.generation.step_store import ImageMemory
from modules.imaging.blobs import BlobStore

__all__ = ["Story", "StoryRoom"]


@dataclass(frozen=True)
class StoryRoom:
    """Owners that coroutines read from: prompt encoding, uploaded pictures, known steps and the like."""

    prompts: PromptRoom
    blobs: BlobStore
    upscalers: UpscalerCatalog
    faces: FaceRestorers
    previewer: Previewer
    reuse: StepReuse


@dataclass(frozen=True)
class Story:
    """One picture to be made.

    Attributes:
        plan: the job it belongs to.
        image: which of the job's pictures.
        room: what may be used.
        memory: what an earlier run of the same picture left behind.
    """

    plan: GenerationPlan
    image: ImagePlan
    room: StoryRoom
    memory: ImageMemory
