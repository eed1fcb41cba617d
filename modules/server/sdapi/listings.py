"""What the server has: samplers, schedules, models, styles, adapters."""

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from modules.adapters.textual_inversion import EmbeddingCatalog
from modules.diffusion.samplers import SAMPLERS
from modules.diffusion.samplers.spec import SamplerSpec
from modules.diffusion.schedulers import SCHEDULERS
from modules.exceptions import AdapterError
from modules.generation.hires_size import LATENT_UPSCALERS
from modules.server.identity import Caller, Principal
from modules.services import Services
from modules.settings.options import Settings

__all__ = ["listings_router"]


class _Listed(BaseModel):
    model_config = ConfigDict(protected_namespaces=())  # A1111 has fields called model_name


class SamplerItem(_Listed):
    """A sampler; options are text."""

    name: str
    aliases: list[str]
    options: dict[str, str]


class SchedulerItem(_Listed):
    """A noise schedule."""

    name: str
    label: str
    aliases: list[str]
    default_rho: float = Field(description="-1 where it has none")
    need_inner_model: bool


class NamedItem(_Listed):
    """Something that has only a name."""

    name: str


class CheckpointItem(_Listed):
    """A checkpoint. Hashes are null until they were computed."""

    title: str
    model_name: str
    hash: str | None
    sha256: str | None
    filename: str
    config: str | None


class VaeItem(_Listed):
    """A VAE file."""

    model_name: str
    filename: str


class FileItem(_Listed):
    """A file with a name."""

    name: str
    path: str


class FaceRestorerItem(_Listed):
    """A face restorer."""

    name: str
    cmd_dir: str | None


class RealesrganItem(_Listed):
    """A Real-ESRGAN model."""

    name: str
    path: str | None
    scale: int | None


class StyleItem(_Listed):
    """A prompt style."""

    name: str
    prompt: str | None
    negative_prompt: str | None


class EmbeddingItem(_Listed):
    """A textual inversion."""

    step: int | None
    sd_checkpoint: str | None
    sd_checkpoint_name: str | None
    shape: int
    vectors: int


class EmbeddingsItem(_Listed):
    """All textual inversions; skipped ones cannot be read."""

    loaded: dict[str, EmbeddingItem]
    skipped: dict[str, EmbeddingItem]


class LoraItem(_Listed):
    """A LoRA or one of its relatives."""

    name: str
    alias: str
    path: str
    metadata: dict[str, JsonValue]


class ExtensionItem(_Listed):
    """An installed extension."""

    name: str
    remote: str
    branch: str
    commit_hash: str
    version: str
    commit_date: str
    enabled: bool


def listings_router(services: Services) -> APIRouter:
    """Routes that list things."""
    router = APIRouter(tags=["lists"])
    _add_methods(router, services)
    _add_models(router, services)
    _add_adapters(router, services)
    return router


def _add_methods(router: APIRouter, services: Services) -> None:
    @router.get("/sdapi/v1/samplers")
    def samplers() -> list[SamplerItem]:
        """Sampling methods."""
        return [
            SamplerItem(name=spec.name, aliases=list(spec.aliases), options=_sampler_options(spec))
            for spec in SAMPLERS
        ]

    @router.get("/sdapi/v1/schedulers")
    def schedulers() -> list[SchedulerItem]:
        """Noise schedules."""
        return [
            SchedulerItem(
                name=item.name,
                label=item.label,
                aliases=list(item.aliases),
                default_rho=-1 if item.default_rho is None else item.default_rho,
                need_inner_model=item.name in ("uniform", "sgm_uniform", "simple", "normal", "ddim", "beta"),
            )
            for item in SCHEDULERS
        ]

    @router.get("/sdapi/v1/latent-upscale-modes")
    def latent_upscale_modes() -> list[NamedItem]:
        """Ways to enlarge a latent for the second pass."""
        return [NamedItem(name=name) for name in LATENT_UPSCALERS]

    @router.get("/sdapi/v1/face-restorers")
    def face_restorers(caller: Caller) -> list[FaceRestorerItem]:
        """Face restorers that can be used: their files and packages are there."""
        return [
            FaceRestorerItem(
                name=each.name, cmd_dir=_place(str(services.faces.folder(each)), each.folder, caller)
            )
            for each in services.faces.available()
        ]

    @router.get("/sdapi/v1/realesrgan-models")
    def realesrgan_models(caller: Caller) -> list[RealesrganItem]:
        """Real-ESRGAN models in their folder."""
        services.upscalers.refresh()
        return [
            RealesrganItem(
                name=file.name, path=_place(str(file.path), file.path.name, caller), scale=file.scale
            )
            for file in services.upscalers.listed(Settings())
            if file.folder == "RealESRGAN" and file.path is not None
        ]

    @router.get("/sdapi/v1/extensions")
    def extensions() -> list[ExtensionItem]:
        """Extensions that are under version control."""
        return []


def _add_models(router: APIRouter, services: Services) -> None:
    @router.get("/sdapi/v1/sd-models")
    def sd_models(caller: Caller) -> list[CheckpointItem]:
        """Checkpoints; file names are full paths for administrators only."""
        return [
            CheckpointItem(
                title=file.title,
                model_name=file.model_name,
                hash=(file.known_sha256 or "")[:10] or None,
                sha256=file.known_sha256,
                filename=_place(str(file.path), file.name, caller),
                config=None if file.sidecar is None else _place(str(file.sidecar), file.sidecar.name, caller),
            )
            for file in services.catalog.checkpoints()
        ]

    @router.get("/sdapi/v1/sd-vae")
    def sd_vae(caller: Caller) -> list[VaeItem]:
        """VAE files."""
        return [
            VaeItem(model_name=file.name, filename=_place(str(file.path), file.name, caller))
            for file in services.catalog.vaes()
        ]

    @router.get("/sdapi/v1/prompt-styles")
    def prompt_styles() -> list[StyleItem]:
        """Prompt styles."""
        return [
            StyleItem(name=style.name, prompt=style.prompt, negative_prompt=style.negative_prompt)
            for style in services.styles.styles.values()
        ]


def _add_adapters(router: APIRouter, services: Services) -> None:
    @router.get("/sdapi/v1/embeddings")
    def embeddings() -> EmbeddingsItem:
        """Textual inversions."""
        return _embeddings(services.embeddings)

    @router.get("/sdapi/v1/loras")
    def loras(caller: Caller) -> list[LoraItem]:
        """LoRAs and their relatives."""
        return [
            LoraItem(
                name=file.name,
                alias=file.alias,
                path=_place(str(file.path), file.path.name, caller),
                metadata=dict(file.metadata),
            )
            for file in services.networks.loras()
        ]

    @router.get("/sdapi/v1/hypernetworks")
    def hypernetworks(caller: Caller) -> list[FileItem]:
        """Hypernetworks."""
        return [
            FileItem(name=file.name, path=_place(str(file.path), file.path.name, caller))
            for file in services.networks.hypernetworks()
        ]


def _sampler_options(spec: SamplerSpec) -> dict[str, str]:
    options = {
        "scheduler": spec.default_scheduler,
        "uses_ensd": spec.uses_ensd,
        "second_order": spec.second_order,
        "discard_next_to_last_sigma": spec.discard_next_to_last_sigma,
        "brownian_noise": spec.brownian,
    }
    return {key: str(value) for key, value in options.items() if value}


def _place(path: str, name: str, caller: Principal) -> str:
    """Where a file is; who does not look after the server learns only its name."""
    return path if caller.is_admin else name


def _embeddings(catalog: EmbeddingCatalog) -> EmbeddingsItem:
    loaded: dict[str, EmbeddingItem] = {}
    skipped: dict[str, EmbeddingItem] = {}
    for name in catalog.names():
        try:
            embedding = catalog.get(name)
        except (AdapterError, KeyError):
            skipped[name] = EmbeddingItem(
                step=None, sd_checkpoint=None, sd_checkpoint_name=None, shape=0, vectors=0
            )
            continue
        loaded[name] = EmbeddingItem(
            step=embedding.content.step,
            sd_checkpoint=None,
            sd_checkpoint_name=embedding.content.checkpoint_name,
            shape=embedding.width,
            vectors=embedding.count,
        )
    return EmbeddingsItem(loaded=loaded, skipped=skipped)
