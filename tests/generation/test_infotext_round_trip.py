"""Request -> picture's text -> request -> text: the same text again, for any request."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from modules.adapters.network_catalog import NetworkCatalog
from modules.checkpoints.catalog import ModelCatalog
from modules.checkpoints.face_restorers import FaceRestorers
from modules.checkpoints.upscalers import UpscalerCatalog
from modules.diffusion.samplers import SAMPLERS
from modules.diffusion.schedulers import SCHEDULERS
from modules.domain.infotext import NEGATIVE_PREFIX, split_infotext
from modules.domain.infotext_request import request_from_infotext
from modules.domain.request import GenerationRequest, Hires, ImageToImage, NoiseReversal, Refiner
from modules.domain.styles import StyleCatalog
from modules.exceptions import RequestError
from modules.generation.effects import ImageFacts
from modules.generation.hires_size import LATENT_UPSCALERS
from modules.generation.parameters import infotext_for
from modules.generation.resolve import Catalogs, freeze_request, resolve
from modules.imaging.files import write_replacing
from modules.runtime.device import Runtime
from modules.settings.launch import Folders
from modules.settings.options import Settings, infotext_options

steady = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
PLAIN = Settings()

words = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=40)
reals = st.floats(0, 1).map(lambda value: round(value, 3))
sides = st.integers(8, 128).map(lambda cells: cells * 8)
samplers = st.sampled_from([spec.name for spec in SAMPLERS])
schedules = st.sampled_from([schedule.label for schedule in SCHEDULERS])
second_passes = st.builds(
    Hires,
    upscaler=st.sampled_from(sorted(LATENT_UPSCALERS)),
    scale=st.floats(1, 4).map(lambda value: round(value, 2)),
    resize_x=st.just(0) | sides,
    resize_y=st.just(0) | sides,
    steps=st.integers(0, 100),
    denoising_strength=reals,
    checkpoint=st.none() | st.just("second"),
    sampler_name=st.none() | samplers,
    scheduler=st.none() | schedules,
    prompt=words,
    negative_prompt=words,
)
overrides = st.fixed_dictionaries(
    {},
    optional={
        "CLIP_stop_at_last_layers": st.integers(1, 12),
        "randn_source": st.sampled_from(["CPU", "GPU", "NV"]),
        "emphasis": st.sampled_from(["None", "Ignore", "Original", "No norm"]),
        "eta_noise_seed_delta": st.integers(0, 99999),
        "sigma_min": reals,
        "rho": reals,
        "pad_cond_uncond": st.booleans(),
    },
)
requests = st.builds(
    GenerationRequest,
    prompt=words,
    negative_prompt=words,
    seed=st.integers(0, 2**63 - 1),
    subseed=st.integers(0, 2**63 - 1),
    subseed_strength=st.just(0.0) | reals,
    seed_resize_from_w=st.just(-1) | sides,
    seed_resize_from_h=st.just(-1) | sides,
    sampler_name=samplers,
    scheduler=schedules,
    steps=st.integers(1, 1000),
    cfg_scale=st.floats(0, 30).map(lambda value: round(value, 2)),
    width=sides,
    height=sides,
    tiling=st.none() | st.booleans(),
    hires=st.none() | second_passes,
    refiner=st.none() | st.builds(Refiner, checkpoint=st.just("second"), switch_at=reals),
    override_settings=overrides,
)


@pytest.fixture(scope="module")
def catalogs(tmp_path_factory: pytest.TempPathFactory) -> Catalogs:
    root: Path = tmp_path_factory.mktemp("models")
    folders = Folders.below(root)
    (folders.models / "Stable-diffusion").mkdir(parents=True)
    for name in ("first", "second"):
        save_file({name: torch.zeros(1)}, folders.models / "Stable-diffusion" / f"{name}.safetensors")
    models = ModelCatalog(folders)
    runtime = Runtime(torch.device("cpu"))
    return Catalogs(
        models,
        NetworkCatalog((), (), models.store),
        StyleCatalog((root / "styles.csv",), write_replacing),
        UpscalerCatalog(folders.models, models.store, runtime),
        FaceRestorers(folders.models, models.store, runtime),
    )


def text_of(request: GenerationRequest, catalogs: Catalogs) -> str:
    plan = resolve(freeze_request(request, PLAIN), catalogs)
    return infotext_for(plan, plan.images[0], ImageFacts())


def read(text: str) -> tuple[GenerationRequest, tuple[str, ...]]:
    return request_from_infotext(text, settings=PLAIN.as_json(), setting_keys=infotext_options())


@steady
@given(requests)
@example(GenerationRequest(prompt=" a \n\nb ", negative_prompt="\n", seed=1))
@example(GenerationRequest(prompt="Negative prompt: x", negative_prompt="Negative prompt: y", seed=1))
@example(GenerationRequest(prompt="a", negative_prompt="Steps: 1, Sampler: x, Seed: 3", seed=1))
def test_what_a_picture_says_makes_the_same_text_again(catalogs: Catalogs, request: object) -> None:
    assert isinstance(request, GenerationRequest)
    first = text_of(request, catalogs)
    again, _ = read(first)
    second = text_of(again, catalogs)
    assert second.splitlines()[-1] == first.splitlines()[-1]
    if NEGATIVE_PREFIX not in f"{request.prompt} {request.negative_prompt}":  # the format's own mark
        assert text_of(read(second)[0], catalogs) == second


def test_whose_a_picture_is_is_said_where_that_is_wanted(catalogs: Catalogs) -> None:
    plan = resolve(freeze_request(GenerationRequest(), PLAIN), catalogs)
    named = replace(plan, settings=plan.settings.overridden({"add_user_name_to_info": True}))
    texts = [
        infotext_for(each, plan.images[0], ImageFacts(), owner=owner)
        for each, owner in ((named, "ann"), (named, "local"), (plan, "ann"))
    ]
    assert [split_infotext(text).parameters.get("User") for text in texts] == ["ann", None, None]


def test_a_schedule_in_the_samplers_name_holds_for_both_passes(catalogs: Catalogs) -> None:
    request = GenerationRequest(sampler_name="DPM++ 2M SDE Karras", hires=Hires())
    plan = resolve(freeze_request(request, PLAIN), catalogs)
    assert plan.hires is not None
    assert plan.first.scheduler == plan.hires.sampling.scheduler == "Karras"


def test_more_start_pictures_than_a_batch_has_places_are_refused_at_once(catalogs: Catalogs) -> None:
    request = GenerationRequest(image_to_image=ImageToImage(images=("a", "b")))
    with pytest.raises(RequestError, match="2 start pictures"):
        resolve(freeze_request(request, PLAIN), catalogs)


def test_a_multiplied_noise_is_said_and_read_back(catalogs: Catalogs) -> None:
    own = GenerationRequest(image_to_image=ImageToImage(images=("a",), initial_noise_multiplier=0.75))
    from_settings = GenerationRequest(
        image_to_image=ImageToImage(images=("a",)), override_settings={"initial_noise_multiplier": 0.75}
    )
    for request in (own, from_settings):
        text = text_of(request, catalogs)
        assert ", Noise multiplier: 0.75, " in text
        assert read(text)[0].override_settings == {"initial_noise_multiplier": 0.75}
    reversed_noise = ImageToImage(
        images=("a",), initial_noise_multiplier=0.75, noise_reversal=NoiseReversal()
    )
    for source in (ImageToImage(images=("a",)), reversed_noise, None):
        assert "Noise multiplier" not in text_of(GenerationRequest(image_to_image=source), catalogs)
