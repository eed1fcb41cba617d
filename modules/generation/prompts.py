"""A picture's prompts as tensors, for one pass and one model."""

from dataclasses import dataclass

from modules.adapters.textual_inversion import EmbeddingCatalog
from modules.checkpoints.model import LoadedModel
from modules.conditioning.encoder import ConditioningCache, PromptEncoder
from modules.conditioning.options import EncodingOptions
from modules.generation.denoiser import PromptConditioning
from modules.generation.effects import ImageFacts, ModelKey, Stage
from modules.generation.plan import GenerationPlan, ImagePlan

__all__ = ["EncodedPrompts", "PromptRoom"]


@dataclass(frozen=True)
class EncodedPrompts:
    """Conditioning, and what the infotext and the user should know of it."""

    conditioning: PromptConditioning
    facts: ImageFacts


@dataclass(frozen=True)
class PromptRoom:
    """What encoding needs beside the model: textual inversions and the shared cache."""

    embeddings: EmbeddingCatalog
    cache: ConditioningCache

    def encode(
        self,
        model: LoadedModel,
        key: ModelKey,
        plan: GenerationPlan,
        image: ImagePlan,
        stage: Stage,
    ) -> EncodedPrompts:
        """Encode positive and negative prompt of one pass, with the adapters of ``key`` in force."""
        hires = plan.hires if stage == "hires" else None
        sampling = plan.first if hires is None else hires.sampling
        calls, hires_calls = plan.first.calls, None if hires is None else hires.sampling.calls
        encoder = PromptEncoder(
            model,
            self.embeddings,
            EncodingOptions.from_settings(plan.settings),
            cache=self.cache,
            cache_key=(key.checkpoint, key.patches, key.weights),
        )
        prompt = image.prompt if hires is None else image.hires_prompt
        negative = image.negative_prompt if hires is None else image.hires_negative_prompt
        positive = encoder.positive(
            prompt, calls, width=sampling.width, height=sampling.height, hires_steps=hires_calls
        )
        uncond = encoder.negative(
            negative, calls, width=sampling.width, height=sampling.height, hires_steps=hires_calls
        )
        hashes = ", ".join(f"{name}: {digest}" for name, digest in encoder.used_embeddings)
        add_hashes = plan.settings.textual_inversion_add_hashes_to_infotext and hashes
        facts = ImageFacts(
            adapters=(("TI hashes", hashes),) if add_hashes else (),
            emphasised=encoder.emphasised,
            old_timelines=encoder.old_timelines,
            comments=encoder.comments,
        )
        empty = encoder.empty() if plan.settings.pad_cond_uncond else None
        return EncodedPrompts(PromptConditioning(positive, uncond, empty), facts)
