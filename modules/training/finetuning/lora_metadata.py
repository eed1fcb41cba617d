"""A LoRA's file: tensors in safetensors with the metadata that kohya's trainer writes and A1111 shows."""

import hashlib
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence

from safetensors.torch import save
from torch import Tensor

from modules.checkpoints.model import LoadedModel
from modules.training.finetuning.recipe import LoraShape
from modules.training.finetuning.trainee import RunFacts

__all__ = ["lora_file", "tag_frequency"]

_ARCHITECTURES = {"sd1": "stable-diffusion-v1/lora", "sd2": "stable-diffusion-v2-512/lora",
                  "sdxl": "stable-diffusion-xl-v1-base/lora"}  # fmt: skip
_V2 = frozenset({"sd2"})
_BASE_VERSIONS = {"sd1": "sd_v1", "sd2": "sd_v2", "sdxl": "sdxl_base_v1-0"}


def lora_file(tensors: Mapping[str, Tensor], model: LoadedModel, shape: LoraShape, facts: RunFacts) -> bytes:
    """The bytes of the file."""
    content = {name: tensor.contiguous() for name, tensor in tensors.items()}
    plain = save(content)
    digest = hashlib.sha256(plain[8 + int.from_bytes(plain[:8], "little") :]).hexdigest()
    metadata = _metadata(model, shape, facts)
    metadata |= {"sshs_model_hash": digest, "sshs_legacy_hash": digest[:8]}
    metadata["modelspec.hash_sha256"] = f"0x{digest}"
    return save(content, metadata)


def tag_frequency(captions: Sequence[str], folder: str) -> str:
    """How often each tag was used, as JSON in kohya's form: by folder, then by tag."""
    tags = (tag.strip() for caption in captions for tag in caption.split(","))
    return json.dumps({folder: dict(Counter(tag for tag in tags if tag).most_common())})


def _metadata(model: LoadedModel, shape: LoraShape, facts: RunFacts) -> dict[str, str]:
    recipe, family = facts.recipe, model.family
    learning, version = recipe.optimisation, family.network_version
    text_rate = (learning.text_learning_rate or learning.learning_rate / 2) if shape.text_encoder else None
    convolutions = (
        {"conv_dim": shape.conv_rank, "conv_alpha": shape.conv_alpha or shape.conv_rank}
        if shape.conv_rank
        else {}
    )
    said: dict[str, object] = {
        "ss_network_module": "networks.lora",
        "ss_network_dim": shape.rank,
        "ss_network_alpha": shape.alpha or float(shape.rank),
        "ss_network_args": json.dumps(convolutions),
        "ss_base_model_version": _BASE_VERSIONS[version],
        "ss_v2": version in _V2,
        "ss_sd_model_name": model.file.path.name,
        "ss_new_sd_model_hash": model.file.known_sha256,
        "ss_output_name": recipe.name,
        "ss_learning_rate": learning.learning_rate,
        "ss_unet_lr": learning.learning_rate,
        "ss_text_encoder_lr": text_rate,
        "ss_optimizer": learning.optimiser,
        "ss_lr_scheduler": learning.schedule,
        "ss_lr_warmup_steps": learning.warmup,
        "ss_max_grad_norm": learning.max_gradient_norm,
        "ss_max_train_steps": learning.steps,
        "ss_steps": facts.step,
        "ss_epoch": facts.step * learning.accumulation // max(1, facts.batches_per_round),
        "ss_num_batches_per_epoch": facts.batches_per_round,
        "ss_num_train_images": facts.pictures,
        "ss_num_reg_images": recipe.prior.pictures if recipe.prior else 0,
        "ss_total_batch_size": learning.batch * learning.accumulation,
        "ss_batch_size_per_device": learning.batch,
        "ss_gradient_accumulation_steps": learning.accumulation,
        "ss_gradient_checkpointing": learning.checkpointing,
        "ss_resolution": f"({facts.resolution}, {facts.resolution})",
        "ss_enable_bucket": recipe.data.buckets,
        "ss_clip_skip": learning.clip_skip,
        "ss_min_snr_gamma": learning.snr_gamma,
        "ss_noise_offset": learning.noise_offset,
        "ss_caption_dropout_rate": recipe.data.caption_dropout,
        "ss_shuffle_caption": recipe.data.shuffle_tags,
        "ss_keep_tokens": recipe.data.keep_tags,
        "ss_seed": learning.seed,
        "ss_tag_frequency": tag_frequency(facts.captions, recipe.data.trigger or recipe.name),
        "ss_training_started_at": facts.started,
        "ss_training_finished_at": time.time(),
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.architecture": _ARCHITECTURES[version],
        "modelspec.implementation": "https://github.com/CompVis/stable-diffusion",
        "modelspec.title": recipe.name,
        "modelspec.date": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()),
        "modelspec.prediction_type": model.prediction,
        "modelspec.resolution": f"{facts.resolution}x{facts.resolution}",
        "modelspec.trigger_phrase": recipe.data.trigger,
    }
    return {key: str(value) for key, value in said.items() if value not in {None, ""}}
