import json
import time

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from modules.domain.infotext import split_infotext
from modules.domain.infotext_foreign import convert_foreign

COMFY = {
    "3": {
        "class_type": "KSampler",
        "inputs": {
            "seed": 8566257,
            "steps": 20,
            "cfg": 8.5,
            "sampler_name": "dpmpp_2m_sde_gpu",
            "scheduler": "karras",
            "denoise": 1,
            "model": ["10", 0],
            "positive": ["6", 0],
            "negative": ["7", 0],
            "latent_image": ["5", 0],
        },
    },
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sub\\v1-5-pruned.safetensors"}},
    "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 768, "batch_size": 1}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": ["12", 0], "clip": ["10", 1]}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "bad hands", "clip": ["10", 1]}},
    "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["8", 0]}},
    "10": {
        "class_type": "LoraLoader",
        "inputs": {
            "lora_name": "ink.safetensors",
            "strength_model": 0.8,
            "strength_clip": 0.6,
            "model": ["4", 0],
            "clip": ["4", 1],
        },
    },
    "11": {"class_type": "FaceDetailer", "inputs": {}},
    "12": {"class_type": "PrimitiveString", "inputs": {"value": "a cat, masterpiece"}},
}


def parsed(items: dict[str, str], **size: int) -> tuple[str, str, dict[str, str], tuple[str, ...]]:
    found = convert_foreign(items, **size)
    assert found is not None
    document = split_infotext(found.text)
    return document.prompt, document.negative_prompt, dict(document.parameters), found.lost


def test_our_own_and_strange_texts_are_left_alone() -> None:
    assert convert_foreign({}) is None
    assert (
        convert_foreign({"parameters": "a cat\nSteps: 1, A b: 2, C d: 3", "prompt": json.dumps(COMFY)})
        is None
    )
    assert convert_foreign({"parameters": '{"some": "json"}'}) is None
    assert convert_foreign({"Software": "NovelAI"}) is None
    assert convert_foreign({"prompt": "a plain text"}) is None


def test_a_comfyui_graph_is_followed_from_its_sampler() -> None:
    prompt, negative, parameters, lost = parsed({"prompt": json.dumps(COMFY)})

    assert prompt == "a cat, masterpiece <lora:ink:0.6:0.8>"
    assert negative == "bad hands"
    assert parameters == {
        "Steps": "20",
        "Sampler": "DPM++ 2M SDE",
        "Schedule type": "Karras",
        "CFG scale": "8.5",
        "Seed": "8566257",
        "Size": "512x768",
        "Model": "v1-5-pruned",
        "RNG": "CPU",
        "Emphasis": "No norm",
    }
    assert lost == ("node FaceDetailer was not read",)


def test_an_unknown_sampler_and_a_start_picture_are_named() -> None:
    graph = json.loads(json.dumps(COMFY))
    graph["3"]["inputs"] |= {"sampler_name": "magic", "denoise": 0.6}
    graph["5"] = {"class_type": "VAEEncode", "inputs": {}}

    _, _, parameters, lost = parsed({"prompt": json.dumps(graph)}, width=64, height=32)

    assert (parameters["Denoising strength"], parameters["Size"]) == ("0.6", "64x32")
    assert any("magic" in sentence for sentence in lost)
    assert any("another picture" in sentence for sentence in lost)


def test_a_graph_that_runs_in_circles_is_read_all_the_same() -> None:
    graph = {
        "1": {"class_type": "KSampler", "inputs": {"steps": 5, "positive": ["2", 0], "model": ["1", 0]}},
        "2": {"class_type": "CLIPTextEncode", "inputs": {"text": ["3", 0]}},
        "3": {"class_type": "Concat", "inputs": {"a": ["2", 0], "b": ["3", 0], "text": "hello"}},
    }

    assert parsed({"prompt": json.dumps(graph)})[0] == "hello"


def test_novelai_pictures_are_read_as_the_reference_reads_them() -> None:
    comment = {
        "steps": 28,
        "sampler": "k_euler_ancestral",
        "seed": 7,
        "scale": 11,
        "uc": "lowres",
        "noise": 0.2,
    }

    prompt, negative, parameters, lost = parsed(
        {"Software": "NovelAI", "Description": "1girl", "Comment": json.dumps(comment)}, width=512, height=768
    )

    assert (prompt, negative) == ("1girl", "lowres")
    assert parameters == {
        "Steps": "28",
        "Sampler": "Euler a",
        "CFG scale": "11",
        "Seed": "7",
        "Size": "512x768",
        "Clip skip": "2",
        "ENSD": "31337",
    }
    assert lost == ()


def test_current_invokeai_metadata_is_read() -> None:
    metadata = {
        "positive_prompt": "a cat++",
        "negative_prompt": "bad",
        "width": 512,
        "height": 512,
        "seed": 1,
        "cfg_scale": 7.5,
        "steps": 30,
        "scheduler": "dpmpp_2m_k",
        "model": {"name": "dreamshaper"},
        "loras": [{"model": {"name": "ink"}, "weight": 0.7}],
        "clip_skip": 1,
        "controlnets": [{}],
    }

    prompt, negative, parameters, lost = parsed({"invokeai_metadata": json.dumps(metadata)})

    assert (prompt, negative) == ("a cat++ <lora:ink:0.7>", "bad")
    assert (parameters["Sampler"], parameters["Schedule type"]) == ("DPM++ 2M", "Karras")
    assert (parameters["Model"], parameters["Clip skip"]) == ("dreamshaper", "2")
    assert len(lost) == 2


def test_old_invokeai_metadata_is_read() -> None:
    image = {
        "prompt": [{"prompt": "a cat [blurry]", "weight": 1}],
        "steps": 50,
        "cfg_scale": 7.5,
        "seed": 3,
        "sampler": "k_lms",
        "width": 512,
        "height": 512,
    }
    prompt, negative, parameters, _ = parsed(
        {"sd-metadata": json.dumps({"model_weights": "sd-1.4", "image": image})}
    )

    assert (prompt, negative) == ("a cat", "blurry")
    assert (parameters["Sampler"], parameters["Seed"], parameters["Model"]) == ("LMS", "3", "sd-1.4")


def test_the_first_invokeai_command_line_is_read() -> None:
    prompt, _, parameters, _ = parsed({"Dream": '"a red cat" -s 50 -S42 -W 512 -H 640 -C 7.5 -A k_euler_a'})

    assert prompt == "a red cat"
    assert parameters["Sampler"] == "Euler a"
    assert (parameters["Seed"], parameters["Size"]) == ("42", "512x640")


def test_fooocus_metadata_is_read_with_its_expanded_prompt() -> None:
    metadata = {
        "prompt": "a cat",
        "full_prompt": ["a cat", "cinematic"],
        "full_negative_prompt": ["blurry"],
        "steps": 30,
        "guidance_scale": 4,
        "seed": "99",
        "resolution": "(1024, 896)",
        "scheduler": "karras",
        "sampler": "dpmpp_2m_sde_gpu",
        "base_model": "juggernautXL.safetensors",
        "base_model_hash": "aeb7e9e689",
        "loras": [["offset.safetensors", 0.1, "abc"]],
        "performance": "Speed",
        "refiner_model": "None",
        "fooocus_scheme": "fooocus",
    }

    prompt, negative, parameters, lost = parsed({"parameters": json.dumps(metadata)})

    assert (prompt, negative) == ("a cat, cinematic <lora:offset:0.1>", "blurry")
    assert (parameters["Sampler"], parameters["Schedule type"]) == ("DPM++ 2M SDE", "Karras")
    assert (parameters["Size"], parameters["Model"]) == ("1024x896", "juggernautXL")
    assert "Refiner" not in parameters
    assert lost == ("performance Speed: not used here",)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
known = sorted(
    {
        "class_type",
        "inputs",
        "steps",
        "positive",
        "negative",
        "model",
        "text",
        "sampler_name",
        "ckpt_name",
        "lora_name",
        "positive_prompt",
        "scheduler",
        "loras",
        "image",
        "prompt",
        "full_prompt",
        "clip_skip",
        "seed",
        "latent_image",
        "width",
        "height",
        "denoise",
        "sampler",
        "uc",
    }
)


@profile(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(["prompt", "invokeai_metadata", "sd-metadata", "parameters", "Comment", "Dream"]),
    st.dictionaries(
        st.sampled_from(known) | st.text(max_size=3),
        json_values
        | st.dictionaries(st.sampled_from(known), json_values | st.lists(json_values, max_size=2)),
    ),
)
def test_no_metadata_whatever_breaks_the_reading(keyword: str, content: dict[str, object]) -> None:
    items = {"Software": "NovelAI"} if keyword == "Comment" else {}
    found = convert_foreign({**items, keyword: json.dumps(content)})

    assert found is None or split_infotext(found.text).prompt is not None


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 50_000, '"unclosed', "-s", "\x00"])
def test_hostile_texts_are_nothing(text: str) -> None:
    for keyword in ("prompt", "invokeai_metadata", "sd-metadata", "parameters"):
        assert convert_foreign({keyword: text}) is None
    found = convert_foreign({"Dream": text})
    assert found is None or found.program == "InvokeAI"


@pytest.mark.parametrize("skipped", ["9" * 4300, "100", "-3", "0", "1.5", "true", "[]"])
def test_a_clip_skip_that_no_model_has_is_left_out(skipped: str) -> None:
    text = f'{{"positive_prompt": "x", "steps": 9, "cfg_scale": 2, "seed": 5, "clip_skip": {skipped}}}'

    prompt, _, parameters, _ = parsed({"invokeai_metadata": text})

    assert prompt == "x"
    assert parameters.get("Clip skip") in ({None, "2"} if skipped == "true" else {None})


@pytest.mark.parametrize("error", [ValueError, TypeError, KeyError, OverflowError, RecursionError])
def test_what_makes_a_reader_fail_is_not_understood(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def fails(_graph: object, **_size: int) -> None:
        raise error

    monkeypatch.setattr("modules.domain.infotext_foreign.read_comfy", fails)

    assert convert_foreign({"prompt": json.dumps(COMFY)}) is None


def chained(nodes: int, links: int) -> str:
    """A sampler behind text encoders that are each linked to the following ones."""
    graph: dict[str, object] = {
        "s": {"class_type": "KSampler", "inputs": {"steps": 9, "positive": ["0", 0], "negative": ["0", 0]}}
    }
    names = ("text", "text_g", "clip_l", "t5xxl")[:links]
    for node in range(nodes):
        inputs = {name: [str(node + step + 1), 0] for step, name in enumerate(names)}
        graph[str(node)] = {"class_type": "CLIPTextEncode", "inputs": inputs}
    return json.dumps(graph)


@pytest.mark.parametrize(("nodes", "links"), [(3000, 1), (1000, 4)])
@pytest.mark.parametrize("steps", ["steps", "other"])
def test_a_graph_of_thousands_of_links_is_followed_for_a_while_only(
    nodes: int, links: int, steps: str
) -> None:
    text = chained(nodes, links).replace("steps", steps)
    start = time.process_time()

    found = convert_foreign({"prompt": text})

    assert time.process_time() - start < 1  # a walk from every node takes ten times as long
    assert found is not None
    assert "the graph is too large to be followed to its end" in found.lost


def test_a_graph_of_more_nodes_than_anybody_draws_is_not_read() -> None:
    found = convert_foreign({"prompt": chained(6000, 1)})

    assert found is not None
    assert found.text == ""
    assert found.lost == ("the graph has 6,001 nodes; at most 5,000 are read",)


def test_of_thousands_of_loras_some_are_read_and_this_is_said() -> None:
    loras = [{"model": {"name": "a"}, "weight": 1}] * 5000

    prompt, _, _, lost = parsed({"invokeai_metadata": json.dumps({"positive_prompt": "x", "loras": loras})})

    assert prompt.count("<lora:a:1>") == 100
    assert "only 100 of 5,000 loras were read" in lost
