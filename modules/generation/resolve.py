"""End all defaults: from what was asked to what will be done. Errors are raised here, before the device."""

import secrets
from dataclasses import dataclass, replace

from modules.adapters.network_catalog import NetworkCatalog
from modules.checkpoints.catalog import ModelCatalog
from modules.checkpoints.face_restorers import FaceRestorers
from modules.checkpoints.files import CheckpointFile
from modules.checkpoints.upscalers import UpscalerCatalog
from modules.diffusion.samplers import SamplerSpec, split_sampler_name
from modules.diffusion.schedulers import find_scheduler
from modules.domain.comments import strip_comments
from modules.domain.extra_networks import ExtraNetwork, extract_extra_networks
from modules.domain.request import GenerationRequest, Hires
from modules.domain.styles import StyleCatalog
from modules.exceptions import NotFoundError, RequestError
from modules.generation.default_networks import default_networks
from modules.generation.effects import ModelKey
from modules.generation.hires_size import LATENT_UPSCALERS, hires_size, old_first_size
from modules.generation.plan import GenerationPlan, HiresPlan, ImagePlan, PassPlan, RefinerPlan, WeightsFile
from modules.generation.weight_storage import weight_storage
from modules.settings.options import Settings

__all__ = ["Catalogs", "freeze_request", "resolve"]

MAX_SEED = 2**32 - 2  # A1111 draws random seeds below this


@dataclass(frozen=True)
class Catalogs:
    """What is on disk, as far as a request can name it."""

    models: ModelCatalog
    networks: NetworkCatalog
    styles: StyleCatalog
    upscalers: UpscalerCatalog
    faces: FaceRestorers


def freeze_request(request: GenerationRequest, settings: Settings) -> GenerationRequest:
    """The request as it is queued: random seeds drawn, and the settings of this moment written in.

    After this, neither a change of settings nor a crash can change what comes out.
    """
    changed = settings.model_dump(mode="json", exclude_defaults=True)
    asked = dict(request.override_settings)
    if asked.get("token_merging_ratio"):  # of a request, it wins over the one for img2img
        asked["token_merging_ratio_img2img"] = asked["token_merging_ratio"]
    return request.model_copy(
        update={
            "seed": request.seed if request.seed >= 0 else secrets.randbelow(MAX_SEED),
            "seed_was_random": request.seed < 0 or request.seed_was_random,
            "subseed": request.subseed if request.subseed >= 0 else secrets.randbelow(MAX_SEED),
            "override_settings": {**changed, **asked},
        }
    )


def resolve(request: GenerationRequest, catalogs: Catalogs) -> GenerationPlan:
    """Decide everything that the request and its settings leave open.

    Raises:
        RequestError: something asked for cannot be done; ``field`` names it.
    """
    settings = Settings().overridden(request.override_settings)
    source = request.image_to_image
    if source is not None and len(source.images) > request.batch_size:
        count = len(source.images)
        raise RequestError("images", f"{count} start pictures need a batch size of at least {count}")
    request = _as_old_versions_did(request) if settings.use_old_hires_fix_width_height else request
    comments: list[str] = []
    checkpoint = _checkpoint(request.checkpoint or settings.sd_model_checkpoint, catalogs.models)
    vae = catalogs.models.resolve_vae(
        checkpoint, settings.sd_vae, overrides_per_model=settings.sd_vae_overrides_per_model_preferences
    )
    sampler, scheduler = _sampler(request.sampler_name, request.scheduler)
    first = PassPlan(
        width=request.width,
        height=request.height,
        sampler=sampler.name,
        scheduler=scheduler,
        steps=request.steps,
        cfg_scale=request.cfg_scale,
        denoising_strength=source.denoising_strength if source else None,
        exact_steps=settings.img2img_fix_steps,
        token_merging=(source and settings.token_merging_ratio_img2img) or settings.token_merging_ratio,
    )
    images = _images(request, settings, catalogs.styles)
    if not request.disable_extra_networks:
        tags, missing = default_networks(images[0].prompt, settings, catalogs.networks)
        images = tuple(
            replace(image, prompt=image.prompt + tags, hires_prompt=image.hires_prompt + tags)
            for image in images
        )
        comments += missing
    networks = _networks(images[0].prompt, request)
    patches, missing = catalogs.networks.patches_for(networks, functional=settings.lora_functional)
    comments += missing
    tiling = settings.tiling if request.tiling is None else request.tiling
    model = ModelKey(
        str(checkpoint.path),
        "" if vae is None else str(vae.path),
        patches,
        tiling,
        tiny_encoder=settings.sd_vae_encode_method == "TAESD",
        tiny_decoder=settings.sd_vae_decode_method == "TAESD",
        weights=weight_storage(checkpoint, settings),
    )
    base = _Base(images[0], model, checkpoint, comments, settings)
    return GenerationPlan(
        request=request,
        settings=settings,
        checkpoint=_weights(checkpoint),
        vae=None
        if vae is None
        else WeightsFile(str(vae.path), vae.name, vae.path.stem, vae.name, vae.shorthash or ""),
        model=model,
        first=first,
        hires=_hires(request, first, base, catalogs),
        refiner=_refiner(request, settings, model, catalogs.models),
        images=images,
        networks=networks,
        tiling=tiling,
        face_restorer=_face_restorer(request, settings, catalogs.faces, comments),
        comments=tuple(comments),
    )


def _as_old_versions_did(request: GenerationRequest) -> GenerationRequest:
    """Hires fix as before A1111 1.0: width and height are the target, the first pass is about 512 x 512."""
    if request.hires is None:
        return request
    target = {"resize_x": request.width, "resize_y": request.height}
    width, height = old_first_size(request.width, request.height)
    hires = request.hires.model_copy(update=target)
    return request.model_copy(update={"width": width, "height": height, "hires": hires})


def _face_restorer(
    request: GenerationRequest, settings: Settings, faces: FaceRestorers, comments: list[str]
) -> str:
    """Name of the face restorer to be run, "" for none; one that cannot be had is left out with a comment."""
    wanted = settings.face_restoration if request.restore_faces is None else request.restore_faces
    if not wanted or settings.face_restoration_model in {"", "None"}:
        return ""
    missing = faces.missing(settings.face_restoration_model)
    if missing is not None:
        comments.append(f"Faces were not restored. {missing}")
        return ""
    return settings.face_restoration_model


def _checkpoint(wanted: str | None, models: ModelCatalog) -> CheckpointFile:
    """The named checkpoint; the first one there is when none is named.

    Raises:
        NotFoundError: nothing has that name, or there is no checkpoint at all.
    """
    if wanted:
        return models.find_checkpoint(wanted)
    available = models.checkpoints()
    if not available:
        raise NotFoundError(
            "checkpoint", "there is no checkpoint; put one into models/Stable-diffusion and refresh"
        )
    return available[0]


def _weights(file: CheckpointFile) -> WeightsFile:
    return WeightsFile(str(file.path), file.name, file.stem, file.title, file.shorthash or "")


def _sampler(name: str | None, scheduler: str | None) -> tuple[SamplerSpec, str]:
    """Sampler and the label of its schedule; old combined names ("DPM++ 2M Karras") are split."""
    spec, schedule = split_sampler_name(name, scheduler, keep_explicit=True)
    if schedule.name == "automatic" and spec.default_scheduler is not None:
        schedule = find_scheduler(spec.default_scheduler)
    return spec, schedule.label


def _images(request: GenerationRequest, settings: Settings, styles: StyleCatalog) -> tuple[ImagePlan, ...]:
    def styled(prompt: str, negative: str) -> tuple[str, str]:
        texts = styles.apply(prompt, negative, request.styles)
        return (
            (strip_comments(texts[0]), strip_comments(texts[1])) if settings.enable_prompt_comments else texts
        )

    hires = request.hires
    prompt, negative = styled(request.prompt, request.negative_prompt)
    hires_prompt, hires_negative = styled(
        (hires.prompt if hires else "") or request.prompt,
        (hires.negative_prompt if hires else "") or request.negative_prompt,
    )
    seed = request.seed if request.seed >= 0 else secrets.randbelow(MAX_SEED)
    subseed = request.subseed if request.subseed >= 0 else secrets.randbelow(MAX_SEED)
    varied = request.subseed_strength != 0
    return tuple(
        ImagePlan(
            index=i,
            seed=seed if varied else seed + i,
            subseed=subseed + i,
            prompt=prompt,
            negative_prompt=negative,
            hires_prompt=hires_prompt,
            hires_negative_prompt=hires_negative,
        )
        for i in range(request.image_count)
    )


def _networks(prompt: str, request: GenerationRequest) -> tuple[ExtraNetwork, ...]:
    return () if request.disable_extra_networks else extract_extra_networks(prompt)[1]


@dataclass(frozen=True)
class _Base:
    """What the second pass takes over from the first."""

    image: ImagePlan
    model: ModelKey
    checkpoint: CheckpointFile
    comments: list[str]
    settings: Settings


def _hires(request: GenerationRequest, first: PassPlan, base: _Base, catalogs: Catalogs) -> HiresPlan | None:
    asked = request.hires
    if asked is None:
        return None
    size = hires_size(request.width, request.height, asked)
    if asked.upscaler not in LATENT_UPSCALERS:
        catalogs.upscalers.find(asked.upscaler, Settings())  # not there: said now, not after the first pass
    sampler, scheduler = _hires_sampler(asked, request, first)
    other = catalogs.models.find_checkpoint(asked.checkpoint) if asked.checkpoint else base.checkpoint
    patches = base.model.patches
    if asked.prompt:
        patches, missing = catalogs.networks.patches_for(
            _networks(base.image.hires_prompt, request), functional=base.settings.lora_functional
        )
        base.comments.extend(comment for comment in missing if comment not in base.comments)
    return HiresPlan(
        sampling=PassPlan(
            width=size.width // 8 * 8,
            height=size.height // 8 * 8,
            sampler=sampler,
            scheduler=scheduler,
            steps=asked.steps or first.steps,
            cfg_scale=first.cfg_scale,
            denoising_strength=asked.denoising_strength,
            exact_steps=True,
            token_merging=base.settings.token_merging_ratio_hr or first.token_merging,
        ),
        upscaler=asked.upscaler,
        upscale_width=size.upscale_width,
        upscale_height=size.upscale_height,
        crop_x=size.crop_x,
        crop_y=size.crop_y,
        model=replace(_with_checkpoint(base.model, other, base.settings), patches=patches),
        checkpoint=_weights(other),
    )


def _with_checkpoint(model: ModelKey, file: CheckpointFile, settings: Settings) -> ModelKey:
    """The same VAE and adapters on another checkpoint."""
    if str(file.path) == model.checkpoint:
        return model
    return replace(model, checkpoint=str(file.path), weights=weight_storage(file, settings))


def _hires_sampler(asked: Hires, request: GenerationRequest, first: PassPlan) -> tuple[str, str]:
    """Sampler and schedule of the second pass; what is not named is the first pass's."""
    same_sampler = asked.sampler_name in (None, "", "Use same sampler")
    same_schedule = asked.scheduler in (None, "", "Use same scheduler")
    _, schedule = split_sampler_name(request.sampler_name, request.scheduler, keep_explicit=True)
    spec, scheduler = _sampler(
        first.sampler if same_sampler else asked.sampler_name,
        schedule.label if same_schedule else asked.scheduler,
    )
    return spec.name, scheduler


def _refiner(
    request: GenerationRequest, settings: Settings, model: ModelKey, models: ModelCatalog
) -> RefinerPlan | None:
    asked = request.refiner
    if asked is None or asked.checkpoint in ("", "None"):
        return None
    file = models.find_checkpoint(asked.checkpoint)
    if str(file.path) == model.checkpoint:
        return None
    if request.hires is None:
        first, hires = True, False
    else:
        which = settings.hires_fix_refiner_pass
        first, hires = which != "second pass", which != "first pass"
    return RefinerPlan(
        _with_checkpoint(model, file, settings),
        _weights(file),
        asked.switch_at,
        in_first=first,
        in_hires=hires,
    )
