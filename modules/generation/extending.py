"""Where extensions take part in a job: what a job needs of whoever manages them, a layer above."""

from typing import Protocol

from PIL import Image

from modules.domain.request import GenerationRequest
from modules.generation.scripts.catalog import ScriptCatalog

__all__ = ["Extending", "NothingExtended"]


class Extending(Protocol):
    """Changes that extensions make to jobs; comments tell the job's owner what went wrong in one."""

    @property
    def scripts(self) -> ScriptCatalog:
        """Built-in scripts and those of extensions."""
        ...

    def transform_request(self, request: GenerationRequest) -> tuple[GenerationRequest, tuple[str, ...]]:
        """The request that is really worked on, and comments."""
        ...

    def transform_image(
        self, image: Image.Image, request: GenerationRequest, infotext: str
    ) -> tuple[Image.Image, tuple[str, ...]]:
        """A finished picture as it is saved, and comments."""
        ...


class NothingExtended:
    """A studio without extensions."""

    @property
    def scripts(self) -> ScriptCatalog:
        """The built-in scripts."""
        return ScriptCatalog()

    def transform_request(self, request: GenerationRequest) -> tuple[GenerationRequest, tuple[str, ...]]:
        """The request as it is."""
        return request, ()

    def transform_image(
        self, image: Image.Image, request: GenerationRequest, infotext: str
    ) -> tuple[Image.Image, tuple[str, ...]]:
        """The picture as it is."""
        return image, ()
