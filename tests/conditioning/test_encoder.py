from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from modules.adapters.patches import Patch, apply_patches
from modules.checkpoints.model import LoadedModel
from modules.conditioning.encoder import ConditioningCache, EncodingOptions, PromptEncoder
from tests.adapters.tiny_models import tiny_sd1, tiny_sd2, tiny_sdxl, tiny_sdxl_refiner
from tests.conditioning.test_embedding_names import Source

NOTHING = Source({})
SIZE = {"width": 64, "height": 64}


@pytest.fixture(scope="module")
def sd1() -> LoadedModel:
    """A tiny Stable Diffusion 1."""
    return tiny_sd1()


@pytest.fixture(scope="module")
def sdxl() -> LoadedModel:
    """A tiny SDXL."""
    return tiny_sdxl()


def encoder_of(model: LoadedModel, **options: object) -> PromptEncoder:
    return PromptEncoder(model, NOTHING, EncodingOptions(**options))  # type: ignore[arg-type]


def context(model: LoadedModel, text: str, **options: object) -> Tensor:
    return encoder_of(model, **options).negative(text, 10, **SIZE).at(0).context


def test_parts_keep_their_weights_and_equal_parts_share_an_encoding(sd1: LoadedModel) -> None:
    parts = encoder_of(sd1).positive("cat :1.5 AND  dog AND  dog:2", 10, **SIZE).parts
    assert [weight for _, weight in parts] == [1.5, 1.0, 2.0]
    assert parts[1][0] is parts[2][0]
    assert parts[0][0].at(0).context.shape == (77, 16)


def test_a_negative_prompt_is_one_part_with_the_word_and(sd1: LoadedModel) -> None:
    whole = context(sd1, "cat AND dog")
    assert not torch.allclose(whole, context(sd1, "cat"))


def test_tags_are_taken_out_of_prompts_but_not_of_negative_prompts(sd1: LoadedModel) -> None:
    tagged = encoder_of(sd1).positive("cat<lora:x:1>", 10, **SIZE).parts[0][0].at(0).context
    assert torch.equal(tagged, context(sd1, "cat"))
    assert not torch.equal(context(sd1, "cat<lora:x:1>"), context(sd1, "cat"))


def test_prompt_editing_switches_texts_at_the_right_call(sd1: LoadedModel) -> None:
    scheduled = encoder_of(sd1).negative("[cat:dog:0.5]", 10, **SIZE)
    assert [end for end, _ in scheduled.entries] == [5, 10]
    torch.testing.assert_close(scheduled.at(5).context, context(sd1, "cat"))
    torch.testing.assert_close(scheduled.at(6).context, context(sd1, "dog"))


def test_the_second_pass_has_a_schedule_of_its_own(sd1: LoadedModel) -> None:
    scheduled = encoder_of(sd1).negative("[cat:dog:1.5]", 10, hires_steps=8, **SIZE)
    assert [end for end, _ in scheduled.entries] == [4, 8]


def test_scheduled_texts_share_one_mean_but_different_prompts_do_not(sd1: LoadedModel) -> None:
    edited = encoder_of(sd1).negative("(big:2) [cat:dog:0.5]", 10, **SIZE).at(0).context
    alone = context(sd1, "(big:2) cat")
    assert not torch.equal(edited, alone)
    encoder = encoder_of(sd1)
    encoder.negative("(something else:3)", 10, **SIZE)
    assert torch.equal(encoder.negative("(big:2) cat", 10, **SIZE).at(0).context, alone)


def test_long_prompts_are_as_many_chunks_as_they_need(sd1: LoadedModel) -> None:
    long = context(sd1, "cat " * 80)
    assert long.shape == (154, 16)
    torch.testing.assert_close(long[:77], context(sd1, "cat " * 75))


def test_a_shorter_scheduled_text_is_filled_up_with_empty_chunks(sd1: LoadedModel) -> None:
    scheduled = encoder_of(sd1).negative(f"[cat:{'dog ' * 80}:5]", 10, **SIZE)
    assert scheduled.at(0).context.shape == (154, 16)
    torch.testing.assert_close(scheduled.at(0).context[77:], context(sd1, ""))


def test_clip_skip_takes_an_earlier_layer_through_the_final_norm(sd1: LoadedModel) -> None:
    ids = torch.tensor([[49406, *[49407] * 76]])
    clip = sd1.text_encoders[0]
    hidden = clip(clip.embed_tokens(ids), ids).hidden
    for skip in (1, 2, 3):
        torch.testing.assert_close(context(sd1, "", clip_skip=skip), clip.normalise(hidden[-skip])[0])


def test_clip_skip_beyond_the_first_layer_takes_the_first(sd1: LoadedModel) -> None:
    assert torch.equal(context(sd1, "cat", clip_skip=12), context(sd1, "cat", clip_skip=3))


def test_open_clip_ignores_clip_skip_and_pads_with_zero() -> None:
    model = tiny_sd2()
    clip = model.text_encoders[0]
    ids = torch.tensor([[49406, 49407, *[0] * 75]])
    expected = clip.normalise(clip(clip.embed_tokens(ids), ids).hidden[-2])[0]
    torch.testing.assert_close(context(model, ""), expected)
    torch.testing.assert_close(context(model, "", clip_skip=3), expected)


def test_both_encoders_of_sdxl_stand_side_by_side_without_final_norm(sdxl: LoadedModel) -> None:
    result = encoder_of(sdxl).positive("", 10, **SIZE).parts[0][0].at(0)
    first, second = sdxl.text_encoders
    for clip, pad, part in ((first, 49407, slice(0, 16)), (second, 0, slice(16, 40))):
        ids = torch.tensor([[49406, 49407, *[pad] * 75]])
        states = clip(clip.embed_tokens(ids), ids)
        torch.testing.assert_close(result.context[:, part], states.hidden[-2][0])
        if states.pooled is not None:
            assert result.vector is not None
            torch.testing.assert_close(result.vector[:24], states.pooled[0])


def test_clip_skip_acts_on_sdxls_first_encoder_only_when_asked(sdxl: LoadedModel) -> None:
    plain = context(sdxl, "cat")
    assert torch.equal(context(sdxl, "cat", clip_skip=1), plain)
    asked = context(sdxl, "cat", clip_skip=3, sdxl_clip_l_skip=True)
    assert not torch.equal(asked[:, :16], plain[:, :16])
    assert torch.equal(asked[:, 16:], plain[:, 16:])


def test_an_empty_negative_prompt_of_sdxl_is_zero_but_for_the_sizes(sdxl: LoadedModel) -> None:
    empty = encoder_of(sdxl).negative("", 10, **SIZE).at(0)
    blank = encoder_of(sdxl).negative(" ", 10, **SIZE).at(0)
    positive = encoder_of(sdxl).positive("", 10, **SIZE).parts[0][0].at(0)
    assert empty.vector is not None
    assert blank.vector is not None
    assert positive.vector is not None
    assert not empty.context.any()
    assert not empty.vector[:24].any()
    assert torch.equal(empty.vector[24:], positive.vector[24:])
    assert positive.context.any()
    assert blank.context.any()


def test_sizes_belong_to_the_pass(sdxl: LoadedModel) -> None:
    encoder = encoder_of(sdxl)
    small = encoder.negative("cat", 10, width=64, height=64).at(0)
    large = encoder.negative("cat", 10, width=128, height=64).at(0)
    assert small.vector is not None
    assert large.vector is not None
    assert torch.equal(small.context, large.context)
    assert not torch.equal(small.vector, large.vector)


def test_the_refiner_is_told_another_score_for_the_negative_prompt() -> None:
    model = tiny_sdxl_refiner()
    positive = encoder_of(model).positive("cat", 10, **SIZE).parts[0][0].at(0).vector
    negative = encoder_of(model).negative("cat", 10, **SIZE).at(0).vector
    assert positive is not None
    assert negative is not None
    assert positive.shape == (24 + 5 * 256,)
    assert torch.equal(positive[:-256], negative[:-256])
    assert not torch.equal(positive[-256:], negative[-256:])


def test_without_emphasis_brackets_are_part_of_the_text(sd1: LoadedModel) -> None:
    literal = context(sd1, "(cat:1.5)", emphasis="None")
    assert not torch.allclose(literal, context(sd1, "cat", emphasis="None"))
    assert torch.equal(context(sd1, "(cat:1.5)", emphasis="Ignore"), context(sd1, "cat"))


def test_old_emphasis_reports_what_it_cuts_off(sd1: LoadedModel) -> None:
    encoder = encoder_of(sd1, use_old_emphasis=True)
    assert encoder.negative("cat " * 75 + "dog", 10, **SIZE).at(0).context.shape == (77, 16)
    assert encoder.comments == ("Warning: too many input tokens; some have been truncated: dog",)


def test_an_embeddings_vectors_replace_those_of_its_name(sd1: LoadedModel) -> None:
    encoder = PromptEncoder(sd1, Source({"easy": 16}, 0.3))
    result = encoder.positive("easy cat", 10, **SIZE).parts[0][0].at(0).context
    clip = sd1.text_encoders[0]
    ids = torch.tensor([[49406, 0, 0, 2368, *[49407] * 73]])
    embedded = clip.embed_tokens(ids).clone()
    embedded[0, 1:3] = 0.3
    torch.testing.assert_close(result, clip.normalise(clip(embedded, ids).hidden[-1])[0])
    assert encoder.used_embeddings == (("easy", "hash"),)


def test_used_embeddings_come_in_the_order_of_the_references_infotext(sd1: LoadedModel) -> None:
    source = Source({"one": 16, "two": 16, "three": 16})
    encoder = PromptEncoder(sd1, source)
    encoder.positive("one AND two", 10, **SIZE)
    encoder.negative("three", 10, **SIZE)
    assert [name for name, _ in encoder.used_embeddings] == ["two", "one", "three"]


def test_an_embedding_for_another_model_is_plain_text_with_a_comment(sd1: LoadedModel) -> None:
    encoder = PromptEncoder(sd1, Source({"easy": 24}))
    result = encoder.negative("easy", 10, **SIZE).at(0).context
    assert torch.equal(result, context(sd1, "easy"))
    assert "another kind of model" in encoder.comments[0]
    assert encoder.used_embeddings == ()


def test_an_embedding_inside_an_applied_lora_is_reported_with_the_loras_name(tmp_path: Path) -> None:
    model = tiny_sd1()
    save_file({"bundle_emb.easy.emb": torch.ones(2, 16)}, tmp_path / "pack.safetensors")
    apply_patches(model, (Patch("pack", tmp_path / "pack.safetensors", shorthash="abc"),))
    encoder = PromptEncoder(model, NOTHING)
    encoder.negative("easy", 10, **SIZE)
    assert encoder.used_embeddings == (("easy", "pack"),)
    silent = PromptEncoder(model, NOTHING, EncodingOptions(report_bundled=False))
    silent.negative("easy", 10, **SIZE)
    assert silent.used_embeddings == ()


def test_brackets_anywhere_mean_that_emphasis_mattered(sd1: LoadedModel) -> None:
    encoder = encoder_of(sd1)
    encoder.positive("cat", 10, **SIZE)
    assert not encoder.emphasised
    encoder.negative("[dog]", 10, **SIZE)
    assert encoder.emphasised


def test_a_cache_gives_back_the_same_tensors_and_remarks(sd1: LoadedModel) -> None:
    cache = ConditioningCache(capacity=2)
    source = Source({"easy": 16, "wide": 99})
    first = PromptEncoder(sd1, source, cache=cache)
    second = PromptEncoder(sd1, source, cache=cache)
    a = first.negative("easy wide", 10, **SIZE).at(0)
    assert second.negative("easy wide", 10, **SIZE).at(0) is a
    assert second.comments == first.comments != ()
    assert second.used_embeddings == first.used_embeddings != ()
    for text in ("x", "y"):
        first.negative(text, 10, **SIZE)
    assert first.negative("easy wide", 10, **SIZE).at(0) is not a


@pytest.mark.parametrize(
    "change", [{"clip_skip": 2}, {"emphasis": "No norm"}, {"comma_padding_backtrack": 0}]
)
def test_a_cache_is_not_fooled_by_other_options(sd1: LoadedModel, change: dict[str, object]) -> None:
    cache = ConditioningCache()
    options = EncodingOptions()
    changed = replace(options, **change)  # type: ignore[arg-type]
    a = PromptEncoder(sd1, NOTHING, options, cache=cache).negative("(cat)", 10, **SIZE).at(0)
    b = PromptEncoder(sd1, NOTHING, changed, cache=cache).negative("(cat)", 10, **SIZE).at(0)
    assert a is not b


def test_a_cache_is_not_fooled_by_other_weights_or_embeddings(sd1: LoadedModel) -> None:
    cache = ConditioningCache()
    source = Source({})
    one = PromptEncoder(sd1, source, cache=cache, cache_key="a").negative("cat", 10, **SIZE).at(0)
    two = PromptEncoder(sd1, source, cache=cache, cache_key="b").negative("cat", 10, **SIZE).at(0)
    source.version = 1
    three = PromptEncoder(sd1, source, cache=cache, cache_key="a").negative("cat", 10, **SIZE).at(0)
    assert one is not two
    assert one is not three


def test_the_empty_prompt_is_never_zeroed(sdxl: LoadedModel) -> None:
    empty = encoder_of(sdxl).empty()
    assert empty.shape == (77, 40)
    assert empty.any()
