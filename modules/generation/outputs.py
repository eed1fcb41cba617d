"""From finished pixels to saved pictures: compositing, infotext, file, and A1111's ``info`` text."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from PIL import Image

from modules.domain.job import ResultImage
from modules.generation.effects import FinishedImage, ImageFacts
from modules.generation.extending import Extending, NothingExtended
from modules.generation.job_info import MadePicture, job_info
from modules.generation.parameters import infotext_for
from modules.generation.plan import GenerationPlan, ImagePlan
from modules.generation.sources import PreparedSource
from modules.imaging.blobs import BlobStore
from modules.imaging.filenames import NameFacts
from modules.imaging.grid import grid_rows, image_grid
from modules.imaging.masks import mask_composite
from modules.imaging.metadata import encode_image, fitting_format
from modules.imaging.writer import ImageWriter, OutputKind

__all__ = ["JobOutput"]

GRID_INDEX = -1


@dataclass
class _Made:
    """One finished picture, kept for the grid and the ``info`` text."""

    plan: ImagePlan
    infotext: str
    picture: Image.Image


@dataclass
class JobOutput:
    """Saves the pictures of one job.

    Args:
        owner: for ``[user]`` in file names.
        source: of image to image, whose masked-off parts are put back over the result.
        extensions: may change pictures before they are written.
        lasting: whether what is put into the blob store must survive a power cut from then on.
        soon: whether what need not last may be stored while the job goes on; who opens its file has to ask
            the blob store.

    Attributes:
        facts: of the picture that was saved last.
        comments: what extensions could not do.
    """

    plan: GenerationPlan
    owner: str
    writer: ImageWriter
    blobs: BlobStore
    source: PreparedSource | None = None
    extensions: Extending = field(default_factory=NothingExtended)
    begun: datetime = field(default_factory=lambda: datetime.now().astimezone())
    lasting: bool = True
    soon: bool = False
    facts: ImageFacts = field(default_factory=ImageFacts)
    comments: list[str] = field(default_factory=list)
    _made: dict[int, _Made] = field(default_factory=dict)

    def save(self, image: ImagePlan, finished: FinishedImage) -> tuple[ResultImage, ...]:
        """Composite, write and describe one picture, and the masks that the settings want shown.

        Raises:
            StorageError: it could not be written; nothing is left half-written.
        """
        picture = decoded = Image.fromarray(finished.pixels)
        if self.source is not None:
            picture = self.source.composite(picture, image.index, self.plan.settings, finished.distance)
        infotext = infotext_for(self.plan, image, finished.facts, owner=self.owner)
        picture, comments = self.extensions.transform_image(picture, self.plan.request, infotext)
        self.comments += comments
        self.facts = finished.facts
        self._save_asides(decoded, finished, image, infotext)
        if not self._wants_grid:  # a job of thousands of pictures would fill the memory with them
            self._made.clear()
        self._made[image.index] = _Made(image, infotext, picture)
        keep = finished.complete or self.plan.settings.save_incomplete_images
        result = self.write(picture, image, infotext, index=image.index, keep=keep)
        masks = (
            self.write(mask, image, infotext, index=image.index, keep=False) for mask in self._masks(decoded)
        )
        return (result, *masks)

    def _save_asides(
        self, decoded: Image.Image, finished: FinishedImage, image: ImagePlan, infotext: str
    ) -> None:
        """Copies from on the way that the settings want beside the picture, with A1111's suffixes."""
        settings, source = self.plan.settings, self.source
        asides: dict[str, Image.Image] = {}
        if settings.save_images_before_face_restoration and finished.unrestored is not None:
            asides["-before-face-restoration"] = Image.fromarray(finished.unrestored)
        if (
            source is not None
            and settings.save_images_before_color_correction
            and settings.img2img_color_correction
        ):
            plain = settings.overridden({"img2img_color_correction": False})
            asides["-before-color-correction"] = source.composite(
                decoded, image.index, plain, finished.distance
            )
        if source is not None and source.prepared_mask is not None:
            mask = source.prepared_mask.overlay_mask
            if settings.save_mask:
                asides["-mask"] = mask.convert("RGB")
            if settings.save_mask_composite:
                asides["-mask-composite"] = mask_composite(decoded, mask)
        if not self.plan.request.save_images:
            return
        for suffix, picture in asides.items():
            facts = self._name_facts(picture, image, series=None)
            kind = self.plan.request.kind
            self.writer.save(picture, facts, settings, kind=kind, infotext=infotext, suffix=suffix)

    def picture(self, index: int) -> Image.Image:
        """A picture that was just saved, as it was before its file's format took anything away; mode RGB."""
        return self._made[index].picture

    def _masks(self, decoded: Image.Image) -> list[Image.Image]:
        """The mask, and the repainted part alone, where the settings ask for them."""
        settings = self.plan.settings
        prepared = None if self.source is None else self.source.prepared_mask
        if prepared is None:
            return []
        masks = [prepared.overlay_mask.convert("RGB")] if settings.return_mask else []
        if settings.return_mask_composite:
            masks.append(mask_composite(decoded, prepared.overlay_mask))
        return masks

    def close(self, images: Sequence[ResultImage]) -> tuple[tuple[ResultImage, ...], str]:
        """Write the grid where the settings want one; returns it if it is shown, and the job's ``info``."""
        grid = self._grid()
        shown = (grid,) if grid is not None and self.plan.settings.return_grid else ()
        return shown, self._info(images, has_grid=bool(shown))

    def write(
        self,
        picture: Image.Image,
        image: ImagePlan,
        infotext: str,
        *,
        index: int,
        keep: bool,
        series: str = "",
    ) -> ResultImage:
        """Put one picture into a file.

        Args:
            picture: the picture.
            image: whose seed and prompts its name may be made of.
            infotext: to be written into it.
            index: place in the job; -1 is a grid, which the settings for grids apply to.
            keep: into the outputs if the settings and the request want that, else into the blob store.
            series: first part of a grid's numbered name.

        Raises:
            StorageError: it could not be written.
        """
        settings, kind = self.plan.settings, self.plan.request.kind
        grid = index == GRID_INDEX
        wanted = settings.grid_save if grid else settings.samples_save
        if keep and wanted and self.plan.request.save_images:
            facts = self._name_facts(picture, image, series=(series or "grid") if grid else None)
            folder: OutputKind = kind
            if grid:
                folder = "txt2img-grid" if kind == "txt2img" else "img2img-grid"
            saved = self.writer.save(picture, facts, settings, kind=folder, infotext=infotext)
            path = saved.path
        else:
            content = encode_image(
                picture,
                fitting_format(settings.samples_format, *picture.size),
                infotext if settings.enable_pnginfo else None,
                quality=settings.jpeg_quality,
                lossless=settings.webp_lossless,
            )
            path = self._stored(content)
        return ResultImage(
            id=secrets.token_urlsafe(16),
            path=str(path),
            index=index,
            width=picture.width,
            height=picture.height,
            seed=image.seed,
            infotext=infotext,
        )

    def _stored(self, content: bytes) -> Path:
        if self.soon and not self.lasting:
            return self.blobs.put_soon(content)
        return self.blobs.path(self.blobs.put(content, durable=self.lasting))

    def _name_facts(self, picture: Image.Image, image: ImagePlan, *, series: str | None) -> NameFacts:
        """What a name may be made of; ``series`` is that of a grid."""
        plan = self.plan
        request, first = plan.request, plan.first
        source = request.image_to_image
        return NameFacts(
            now=datetime.now().astimezone(),
            job_begun=self.begun,
            basename=series or "",
            seed=image.seed,
            all_seeds=tuple(each.seed for each in plan.images),
            steps=first.steps,
            cfg_scale=first.cfg_scale,
            width=picture.width,
            height=picture.height,
            styles=request.styles,
            sampler=first.sampler,
            scheduler=first.scheduler,
            model_hash=plan.checkpoint.shorthash,
            model_name=plan.checkpoint.stem,
            prompt=image.prompt,
            negative_prompt=image.negative_prompt,
            prompt_no_styles=request.prompt,
            batch_index=None if series else image.index % request.batch_size,
            batch_size=request.batch_size,
            iteration=image.index // request.batch_size,
            n_iter=request.n_iter,
            clip_skip=plan.settings.CLIP_stop_at_last_layers,
            denoising_strength=source.denoising_strength if source else None,
            user=self.owner,
            vae_filename=plan.vae.stem if plan.vae else "NoneType",
            max_prompt_words=plan.settings.directories_max_prompt_words,
            image=picture,
        )

    @property
    def _wants_grid(self) -> bool:
        settings, request = self.plan.settings, self.plan.request
        # a request that keeps nothing gets no grid either, as programs on A1111's API expect
        wanted = request.save_images and (settings.return_grid or settings.grid_save)
        return wanted and (len(self.plan.images) > 1 or not settings.grid_only_if_multiple)

    def _grid(self) -> ResultImage | None:
        settings, made = self.plan.settings, [self._made[index] for index in sorted(self._made)]
        if not self._wants_grid or not made or (len(made) < 2 and settings.grid_only_if_multiple):
            return None
        rows = grid_rows(
            len(made),
            setting=settings.n_rows,
            batch_size=self.plan.request.batch_size,
            prevent_empty_spots=settings.grid_prevent_empty_spots,
        )
        pictures = [each.picture for each in made]
        sheet = image_grid(pictures, rows, background=settings.grid_background_color)
        return self.write(sheet, made[0].plan, made[0].infotext, index=GRID_INDEX, keep=True)

    def _info(self, images: Sequence[ResultImage], *, has_grid: bool) -> str:
        by_place = {image.index: image.infotext for image in images if image.index >= 0}
        infotexts = [by_place[place] for place in sorted(by_place)]
        return job_info(
            self.plan,
            self.facts,
            [
                MadePicture(image.seed, image.subseed, image.prompt, image.negative_prompt)
                for image in self.plan.images
            ],
            infotexts[:1] * has_grid + infotexts,
            grids=int(has_grid),
            begun=self.begun,
        )
