"""From A1111's payloads to our frozen request."""

from collections.abc import Callable

from pydantic import JsonValue, ValidationError

from modules.diffusion.samplers import split_sampler_name
from modules.diffusion.schedulers import find_scheduler
from modules.domain.infotext_request import HIRES_FIELDS
from modules.domain.request import GenerationRequest, SoftInpainting
from modules.exceptions import NotFoundError, RequestError
from modules.imaging.blobs import BlobStore
from modules.imaging.decode import decode_base64, load_image
from modules.server.errors import BadRequestError
from modules.server.sdapi.payloads import ImageToImagePayload, Payload, TextToImagePayload
from modules.server.sdapi.scripts import SOFT_INPAINTING

__all__ = ["image_to_image_request", "parameters_echo", "store_picture", "text_to_image_request"]

_SAME_NAME = (
    "prompt", "negative_prompt", "seed", "subseed", "subseed_strength", "seed_resize_from_w",
    "seed_resize_from_h", "batch_size", "n_iter", "steps", "cfg_scale", "eta", "s_churn", "s_tmin", "s_tmax",
    "s_noise", "s_min_uncond", "tiling", "restore_faces", "disable_extra_networks", "override_settings",
    "save_images", "script_args", "alwayson_scripts", "styles",
)  # fmt: skip
_IMAGE_NAMES = (
    "denoising_strength", "resize_mode", "image_cfg_scale", "initial_noise_multiplier", "mask_blur_x",
    "mask_blur_y", "mask_round", "inpainting_fill", "inpaint_full_res", "inpaint_full_res_padding",
)  # fmt: skip
_SAME_AS_FIRST_PASS = ("Use same checkpoint", "Use same sampler", "Use same scheduler", "")

Fields = dict[str, object]


def text_to_image_request(payload: TextToImagePayload) -> GenerationRequest:
    """Translate a txt2img payload.

    Raises:
        RequestError: a value cannot be used; ``field`` is its name in the payload.
    """
    fields = _common(payload)
    if payload.enable_hr:
        fields["hires"] = _hires(payload)
        first_width, first_height = payload.firstphase_width or 0, payload.firstphase_height or 0
        if first_width or first_height:
            fields["width"], fields["height"] = _side(first_width or None), _side(first_height or None)
    return _validated(fields)


def image_to_image_request(payload: ImageToImagePayload, blobs: BlobStore) -> GenerationRequest:
    """Translate an img2img payload; its pictures are checked and put into the blob store.

    Raises:
        NotFoundError: there is no picture to start from.
        RequestError: a value cannot be used; ``field`` is its name in the payload.
    """
    if not payload.init_images:
        raise NotFoundError("init_images", "Init image not found")
    common, count = _common(payload), len(payload.init_images)
    if count > 1:  # one picture each; a single one serves the whole batch
        if count > (payload.batch_size or 1):
            raise RequestError("init_images", f"{count} start pictures need a batch_size of at least {count}")
        common["batch_size"] = count
    source: Fields = _given(payload, _IMAGE_NAMES)
    if payload.mask_blur is not None:
        source["mask_blur_x"] = source["mask_blur_y"] = payload.mask_blur
    source["inpainting_mask_invert"] = bool(payload.inpainting_mask_invert)
    keep = bool(payload.save_images)
    source["images"] = tuple(
        store_picture(blobs, text, "init_images", durable=keep) for text in payload.init_images
    )
    source["soft_inpainting"] = _soft_inpainting(payload.alwayson_scripts or {})
    for name in ("mask", "latent_mask"):
        text = getattr(payload, name)
        source[name] = store_picture(blobs, text, name, durable=keep) if text else None
    return _validated({**common, "image_to_image": source})


def _soft_inpainting(scripts: dict[str, JsonValue]) -> Fields | None:
    """The built-in script's arguments: whether it is on, then its numbers in order."""
    entry = next((entry for title, entry in scripts.items() if title.lower() == SOFT_INPAINTING), None)
    arguments = entry.get("args", []) if isinstance(entry, dict) else []
    if not isinstance(arguments, list) or not arguments or not arguments[0]:
        return None
    return dict(zip(SoftInpainting.model_fields, arguments[1:], strict=False))


def store_picture(blobs: BlobStore, text: str, field: str, *, durable: bool = True) -> str:
    """Decode a base64 picture to be sure that it is one, and keep its bytes; returns its id.

    Args:
        blobs: where it is kept.
        text: the picture.
        field: whose value it is.
        durable: whether it outlives a power cut at once.

    Raises:
        RequestError: no base64, an address, not a picture, too large or damaged.
    """
    content = decode_base64(text, field=field)
    load_image(content, field=field)
    return blobs.put(content, durable=durable)


def _given(payload: Payload, names: tuple[str, ...]) -> Fields:
    """Fields that are not null; null means the request's own default."""
    values = {name: getattr(payload, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def _common(payload: Payload) -> Fields:
    fields = _given(payload, _SAME_NAME)
    fields["sampler_name"], fields["scheduler"] = _sampler(payload)
    fields["width"], fields["height"] = _side(payload.width), _side(payload.height)
    fields["script_name"] = payload.script_name or None
    if payload.steps is None:
        fields["steps"] = 50  # A1111's default for its API; the page's is 20
    if payload.save_images is None:
        fields["save_images"] = False
    checkpoint = payload.refiner_checkpoint
    if checkpoint and checkpoint != "None":
        switch_at = 0.8 if payload.refiner_switch_at is None else payload.refiner_switch_at
        fields["refiner"] = {"checkpoint": checkpoint, "switch_at": switch_at}
    return fields


def _sampler(payload: Payload) -> tuple[str, str]:
    """Names of sampler and schedule; what ``scheduler`` says wins over a schedule in the sampler's name."""
    name = payload.sampler_name or payload.sampler_index or "Euler"
    try:
        sampler, scheduler = split_sampler_name(name)
    except NotFoundError as error:
        raise BadRequestError("sampler_name", "Sampler not found") from error
    return sampler.name, find_scheduler(payload.scheduler).label if payload.scheduler else scheduler.label


def _side(value: int | None) -> int:
    """A1111 computes in latent cells of 8 pixels and so rounds sizes down."""
    return 512 if value is None else value // 8 * 8


def _hires(payload: TextToImagePayload) -> Fields:
    hires = {ours: getattr(payload, theirs) for theirs, ours in HIRES_FIELDS.items()}
    for name in ("checkpoint", "sampler_name", "scheduler"):
        if hires[name] in _SAME_AS_FIRST_PASS:
            hires[name] = None
    if not hires["scale"] and (hires["resize_x"] or hires["resize_y"]):
        hires["scale"] = None  # A1111 looks at either the size or the factor
    return {name: value for name, value in hires.items() if value is not None}


def _validated(fields: Fields) -> GenerationRequest:
    try:
        return GenerationRequest.model_validate(fields)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False, include_context=False)[0]
        field = _payload_name(tuple(str(part) for part in problem["loc"]))
        raise RequestError(field, f"{field}: {problem['msg']}") from error


def _payload_name(location: tuple[str, ...]) -> str:
    """Name in the payload of a field of the request."""
    renamed: dict[str, Callable[[str], str]] = {
        "hires": lambda name: next((old for old, new in HIRES_FIELDS.items() if new == name), name),
        "refiner": lambda name: f"refiner_{name}",
        "image_to_image": lambda name: "init_images" if name == "images" else name,
    }
    if len(location) > 1 and location[0] in renamed:
        return renamed[location[0]](location[1])
    return location[0] if location else "width"  # the whole request: more pixels or pictures than allowed


def parameters_echo(payload: Payload) -> dict[str, JsonValue]:
    """The request as A1111 repeats it in its answer: without pictures unless they were asked for."""
    echo: dict[str, JsonValue] = payload.model_dump(mode="json")
    if isinstance(payload, ImageToImagePayload) and not payload.include_init_images:
        echo["init_images"] = None
        echo["mask"] = None
    return echo
