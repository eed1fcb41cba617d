"""A ComfyUI node graph, read back to prompt, sampler, size and models.

A graph can be anything; what is read is the usual shape: a sampler node, from it back to the text
encoders, the model with its LoRAs and the latent picture. Nodes that played no part in the reading are
named, so that nobody takes the result for the whole.
"""

import math
from collections.abc import Iterator

from modules.domain.infotext import format_infotext
from modules.domain.infotext_samplers import COMFY_SAMPLERS, name_sampler
from modules.domain.json_access import Record, as_list, as_record, as_text

__all__ = ["read_comfy"]

_SCHEDULES = {
    "normal": "Normal",
    "karras": "Karras",
    "exponential": "Exponential",
    "sgm_uniform": "SGM Uniform",
    "simple": "Simple",
    "ddim_uniform": "DDIM",
    "beta": "Beta",
    "kl_optimal": "KL Optimal",
}
_TEXT_INPUTS = ("text", "text_g", "string", "value", "prompt", "positive", "wildcard_text")
_PLAIN = frozenset(
    {"SaveImage", "PreviewImage", "VAEDecode", "VAEDecodeTiled", "VAELoader", "Note", "Reroute"}
)
MAX_NODES = 5000  # of a graph that is read at all; graphs of people have tens, seldom some hundred
MAX_STEPS = 5000  # inputs looked at while following links; large graphs of people need some hundred a walk


class _Graph:
    """Follows links and remembers which nodes were understood."""

    def __init__(self, nodes: Record) -> None:
        self.nodes = nodes
        self.understood: set[str] = set()
        self.lost: list[str] = []
        self.steps = 0  # taken so far, over all walks: a walk from each node would take their square

    def kind(self, node_id: str) -> str:
        return as_text(as_record(self.nodes.get(node_id)).get("class_type"))

    def inputs(self, node_id: str) -> Record:
        return as_record(as_record(self.nodes.get(node_id)).get("inputs"))

    def source(self, node_id: str, name: str) -> str | None:
        """The node that an input is linked to."""
        link = as_list(self.inputs(node_id).get(name))
        target = as_text(link[0]) if len(link) == 2 else ""
        return target if target in self.nodes else None

    def value(self, node_id: str, *names: str) -> str:
        """The text of the first of these inputs that has one, through links where need be."""
        for name in names:
            text = as_text(self.inputs(node_id).get(name))
            if text:
                return text
            for upstream in self.upstream(self.source(node_id, name)):
                text = self.own_text(upstream)
                if text:
                    return text
        return ""

    def own_text(self, node_id: str) -> str:
        inputs = self.inputs(node_id)
        for name in (*_TEXT_INPUTS, "seed", "noise_seed", "int", "float"):
            text = as_text(inputs.get(name))
            if text:
                self.understood.add(node_id)
                return text
        return ""

    def all_lost(self) -> tuple[str, ...]:
        cut = ("the graph is too large to be followed to its end",) if self.steps >= MAX_STEPS else ()
        return (*self.lost, *cut)

    def upstream(self, node_id: str | None) -> Iterator[str]:
        """A node and all nodes that feed it, nearest first, each once."""
        queue = [] if node_id is None else [node_id]
        seen = set(queue)
        for current in queue:
            yield current
            for name in self.inputs(current):
                if self.steps >= MAX_STEPS:
                    return
                self.steps += 1
                source = self.source(current, name)
                if source is not None and source not in seen:
                    seen.add(source)
                    queue.append(source)


def read_comfy(nodes: Record, *, width: int = 0, height: int = 0) -> tuple[str, tuple[str, ...]]:
    """Convert an API-format graph (the ``prompt`` text of ComfyUI's files).

    Args:
        nodes: node id -> node.
        width: of the picture in pixels, where the graph does not say.
        height: of the picture in pixels.

    Returns:
        The parameters in A1111's form, and a sentence for each thing that could not be kept.
    """
    if len(nodes) > MAX_NODES:
        return "", (f"the graph has {len(nodes):,} nodes; at most {MAX_NODES:,} are read",)
    graph = _Graph(nodes)
    samplers = [
        node_id for node_id in nodes if "steps" in graph.inputs(node_id) and _is_sampler(graph, node_id)
    ]
    if not samplers:
        graph.lost.append("the graph has no sampler that is known here")
        return format_infotext(_any_text(graph), "", {}), graph.all_lost()
    main = samplers[0]
    if len(samplers) > 1:
        graph.lost.append(f"the graph has {len(samplers)} samplers; the first was read")
    graph.understood.update(samplers[:1])
    prompt = _prompt(graph, main, "positive")
    negative = _prompt(graph, main, "negative")
    model, loras = _model(graph, main)
    parameters: dict[str, object] = {
        "Steps": graph.value(main, "steps"),
        "Sampler": _sampler(graph, main),
        "Schedule type": _schedule(graph, main),
        "CFG scale": graph.value(main, "cfg", "guidance"),
        "Seed": graph.value(main, "seed", "noise_seed"),
        "Size": _size(graph, main) or (f"{width}x{height}" if width and height else None),
        "Model": model,
        "Denoising strength": _denoise(graph, main),
        "RNG": "CPU",  # ComfyUI draws its noise on the CPU
        "Emphasis": "No norm",  # and does not restore the mean after weighting
    }
    others = sorted(
        {graph.kind(node_id) for node_id in nodes if node_id not in graph.understood} - _PLAIN - {""}
    )
    graph.lost.extend(f"node {kind[:60]} was not read" for kind in others)
    tags = "".join(f" {tag}" for tag in loras)
    return format_infotext(prompt + tags, negative, parameters), graph.all_lost()


def _is_sampler(graph: _Graph, node_id: str) -> bool:
    return graph.source(node_id, "positive") is not None or "sampler_name" in graph.inputs(node_id)


def _any_text(graph: _Graph) -> str:
    texts = (
        graph.value(node_id, "text") for node_id in graph.nodes if "CLIPTextEncode" in graph.kind(node_id)
    )
    return next(filter(None, texts), "")


def _prompt(graph: _Graph, main: str, side: str) -> str:
    encoders: list[str] = []
    for node_id in graph.upstream(graph.source(main, side)):
        if "CLIPTextEncode" not in graph.kind(node_id):
            continue
        graph.understood.add(node_id)
        text = graph.value(node_id, "text", "text_g", "clip_l", "t5xxl")
        if text:
            encoders.append(text)
    if len(encoders) > 1:
        graph.lost.append(f"{len(encoders)} {side} prompts were combined in the graph; the first was read")
    return encoders[0] if encoders else ""


def _model(graph: _Graph, main: str) -> tuple[str | None, list[str]]:
    loras: list[str] = []
    for node_id in graph.upstream(graph.source(main, "model")):
        inputs = graph.inputs(node_id)
        if "lora_name" in inputs:
            graph.understood.add(node_id)
            strength = as_text(inputs.get("strength_model")) or "1"
            clip = as_text(inputs.get("strength_clip")) or strength
            weights = strength if clip == strength else f"{clip}:{strength}"  # text encoder first, then UNet
            loras.insert(0, f"<lora:{_stem(as_text(inputs['lora_name']))}:{weights}>")
        name = as_text(inputs.get("ckpt_name")) or as_text(inputs.get("unet_name"))
        if name:
            graph.understood.add(node_id)
            return _stem(name), loras
    return None, loras


def _size(graph: _Graph, main: str) -> str | None:
    for node_id in graph.upstream(graph.source(main, "latent_image")):
        inputs = graph.inputs(node_id)
        if "VAEEncode" in graph.kind(node_id):
            graph.understood.add(node_id)
            graph.lost.append("made from another picture, which the metadata does not contain")
            return None
        if graph.kind(node_id).startswith("Empty") and "width" in inputs and "height" in inputs:
            graph.understood.add(node_id)
            width, height = graph.value(node_id, "width"), graph.value(node_id, "height")
            return f"{width}x{height}" if width and height else None
    return None


def _denoise(graph: _Graph, main: str) -> str | None:
    try:
        strength = float(graph.value(main, "denoise") or "1")
    except ValueError:
        return None
    return str(strength) if math.isfinite(strength) and strength < 1 else None


def _sampler(graph: _Graph, main: str) -> str:
    name = graph.value(main, "sampler_name").removesuffix("_gpu")
    return name_sampler(COMFY_SAMPLERS, name, "Euler", graph.lost)


def _schedule(graph: _Graph, main: str) -> str | None:
    name = graph.value(main, "scheduler")
    if name not in _SCHEDULES:
        graph.lost.append(f"schedule {name[:40]!r} is not known here")
    return _SCHEDULES.get(name)


def _stem(name: str) -> str:
    file = name.replace("\\", "/").rpartition("/")[2]
    return file.rpartition(".")[0] or file
