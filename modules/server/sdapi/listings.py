"""What the server has: samplers, schedules, models, styles, adapters."""

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from modules.adapters.textual_inversion import EmbeddingCatalog
from modules.diffusion.samplers import SAMPLERS
from modules.diffusion.samplers.spec import SamplerSpec
from modules.diffusion.schedulers import SCHEDULERS
from modules.domain.principal import Principal
from modules.exceptions import AdapterError
from modules.generation.hires_size import LATENT_UPSCALERS
from modules.plugins.repository import read_repository
from modules.server.identity import Caller
from modules.services import Services
from modules.settings.options import Settings

__all__ = ["listings_router"]


class _Listed(BaseModel):
    model_config = ConfigDict(protected_namespaces=())  # A1111 has fields called model_name


class SamplerItem(_Listed):
    """A sampler; options are text."""

    name: str = Field(description="as requests and infotexts call it")
    aliases: list[str] = Field(description="other names under which it is understood")
    options: dict[str, str] = Field(description="A1111's flags of it, as text")


class SchedulerItem(_Listed):
    """A noise schedule."""

    name: str = Field(description="short name")
    label: str = Field(description="as requests and infotexts call it")
    aliases: list[str] = Field(description="other names")
    default_rho: float = Field(description="-1 where it has none")
    need_inner_model: bool = Field(description="whether it looks at the model's own noise levels")


class NamedItem(_Listed):
    """Something that has only a name."""

    name: str = Field(description="as requests call it")


class CheckpointItem(_Listed):
    """A checkpoint. Hashes are null until they were computed."""

    title: str = Field(description="name and short hash; the setting sd_model_checkpoint takes it")
    model_name: str = Field(description="name without suffix, as file names use it")
    hash: str | None = Field(description="first ten digits of sha256")
    sha256: str | None = Field(description="of the file")
    filename: str = Field(description="its path; for others than administrators its name")
    config: str | None = Field(description="the .yaml beside it")


class VaeItem(_Listed):
    """A VAE file."""

    model_name: str = Field(description="the setting sd_vae takes it")
    filename: str = Field(description="its path; for others than administrators its name")


class FileItem(_Listed):
    """A file with a name."""

    name: str = Field(description="as prompts call it")
    path: str = Field(description="for others than administrators its name")


class FaceRestorerItem(_Listed):
    """A face restorer."""

    name: str = Field(description="the setting face_restoration_model takes it")
    cmd_dir: str | None = Field(description="folder of its model")


class RealesrganItem(_Listed):
    """A Real-ESRGAN model."""

    name: str = Field(description="as requests call it")
    path: str | None = Field(description="of its model")
    scale: int | None = Field(description="factor that it was trained for")


class StyleItem(_Listed):
    """A prompt style."""

    name: str = Field(description="as requests call it")
    prompt: str | None = Field(description="is put around the prompt at {prompt}, else behind it")
    negative_prompt: str | None = Field(description="the same for the negative prompt")


class EmbeddingItem(_Listed):
    """A textual inversion."""

    step: int | None = Field(description="training steps, null if not stored")
    sd_checkpoint: str | None = Field(description="short hash of the model it was trained on")
    sd_checkpoint_name: str | None = Field(description="name of that model")
    shape: int = Field(description="width of a vector")
    vectors: int = Field(description="token positions that it takes")


class EmbeddingsItem(_Listed):
    """All textual inversions; skipped ones cannot be read."""

    loaded: dict[str, EmbeddingItem] = Field(description="by the word that prompts use")
    skipped: dict[str, EmbeddingItem] = Field(description="those that cannot be read")


class LoraItem(_Listed):
    """A LoRA or one of its relatives."""

    name: str = Field(description="as prompts call it")
    alias: str = Field(description="name that its trainer gave it")
    path: str = Field(description="for others than administrators its name")
    metadata: dict[str, JsonValue] = Field(description="what its file says of its training")


class ExtensionItem(_Listed):
    """An installed extension."""

    name: str = Field(description="of its folder")
    remote: str = Field(description="address that it was cloned from")
    branch: str = Field(description="of its repository")
    commit_hash: str = Field(description="that it stands at")
    version: str = Field(description="short hash")
    commit_date: str = Field(description="seconds since 1970, as text")
    enabled: bool = Field(description="whether it is loaded")


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
        return [
            ExtensionItem(
                name=extension.id,
                remote=repository.remote,
                branch=repository.branch,
                commit_hash=repository.commit,
                version=repository.commit[:8],
                commit_date=str(repository.committed),
                enabled=extension.enabled,
            )
            for extension in services.plugins.installed()
            if (repository := read_repository(extension.path)) is not None
        ]


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

    @router.get("/sdapi/v1/artists")
    @router.get("/sdapi/v1/artist-categories")
    def artists() -> list[str]:
        """Names of artists, which A1111 listed until 2022; there are none."""
        return []


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
            sd_checkpoint=embedding.content.checkpoint_hash,
            sd_checkpoint_name=embedding.content.checkpoint_name,
            shape=embedding.width,
            vectors=embedding.count,
        )
    return EmbeddingsItem(loaded=loaded, skipped=skipped)
