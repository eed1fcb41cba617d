"""Names and shapes in the files of describing networks as they are published, at any size.

Written down from the layouts of ``Salesforce/blip-image-captioning-base``, ``openai/clip-vit-large-patch14``
and ``google/vit-base-patch16-224``, not from the library that reads them: it must go on reading these names.
"""

from dataclasses import dataclass

__all__ = ["Manifest", "Text", "Tower", "blip", "clip", "vit_classifier"]

Manifest = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Tower:
    """A vision transformer: its width, that of its perceptrons, layers, and its pictures in pixels."""

    width: int
    inner: int
    layers: int
    side: int
    patch: int

    @property
    def places(self) -> int:
        """Patches, and the one that stands for the whole."""
        return (self.side // self.patch) ** 2 + 1


@dataclass(frozen=True)
class Text:
    """A text transformer."""

    width: int
    inner: int
    layers: int
    words: int
    places: int


def clip(vision: Tower, text: Text, joint: int) -> Manifest:
    """CLIP; ``joint`` is the width in which pictures and texts meet."""
    shapes: Manifest = {
        "logit_scale": (),
        "text_projection.weight": (joint, text.width),
        "visual_projection.weight": (joint, vision.width),
        "text_model.embeddings.position_ids": (1, text.places),
        "text_model.embeddings.token_embedding.weight": (text.words, text.width),
        "text_model.embeddings.position_embedding.weight": (text.places, text.width),
        "vision_model.embeddings.position_ids": (1, vision.places),
        "vision_model.embeddings.class_embedding": (vision.width,),
        "vision_model.embeddings.patch_embedding.weight": (vision.width, 3, vision.patch, vision.patch),
        "vision_model.embeddings.position_embedding.weight": (vision.places, vision.width),
        **_norm("text_model.final_layer_norm", text.width),
        **_norm("vision_model.pre_layrnorm", vision.width),  # written so in the files
        **_norm("vision_model.post_layernorm", vision.width),
    }
    for name, each in (("text_model", text), ("vision_model", vision)):
        for index in range(each.layers):
            layer = f"{name}.encoder.layers.{index}"
            for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
                shapes |= _linear(f"{layer}.self_attn.{part}", each.width, each.width)
            shapes |= _perceptron(f"{layer}.mlp", each.width, each.inner)
            shapes |= _norm(f"{layer}.layer_norm1", each.width) | _norm(f"{layer}.layer_norm2", each.width)
    return shapes


def blip(vision: Tower, text: Text) -> Manifest:
    """BLIP's captioning network; the vision tower's query, key and value are one product."""
    shapes: Manifest = {
        "vision_model.embeddings.class_embedding": (1, 1, vision.width),
        "vision_model.embeddings.position_embedding": (1, vision.places, vision.width),
        "vision_model.embeddings.patch_embedding.weight": (vision.width, 3, vision.patch, vision.patch),
        "vision_model.embeddings.patch_embedding.bias": (vision.width,),
        **_norm("vision_model.post_layernorm", vision.width),
        "text_decoder.bert.embeddings.position_ids": (1, text.places),
        "text_decoder.bert.embeddings.word_embeddings.weight": (text.words, text.width),
        "text_decoder.bert.embeddings.position_embeddings.weight": (text.places, text.width),
        **_norm("text_decoder.bert.embeddings.LayerNorm", text.width),
        "text_decoder.cls.predictions.bias": (text.words,),
        **_linear("text_decoder.cls.predictions.transform.dense", text.width, text.width),
        **_norm("text_decoder.cls.predictions.transform.LayerNorm", text.width),
        **_linear("text_decoder.cls.predictions.decoder", text.words, text.width),
    }
    for index in range(vision.layers):
        layer = f"vision_model.encoder.layers.{index}"
        shapes |= _linear(f"{layer}.self_attn.qkv", 3 * vision.width, vision.width)
        shapes |= _linear(f"{layer}.self_attn.projection", vision.width, vision.width)
        shapes |= _perceptron(f"{layer}.mlp", vision.width, vision.inner)
        shapes |= _norm(f"{layer}.layer_norm1", vision.width) | _norm(f"{layer}.layer_norm2", vision.width)
    for index in range(text.layers):
        layer = f"text_decoder.bert.encoder.layer.{index}"
        for attention, seen in (("attention", text.width), ("crossattention", vision.width)):
            shapes |= _linear(f"{layer}.{attention}.self.query", text.width, text.width)
            shapes |= _linear(f"{layer}.{attention}.self.key", text.width, seen)
            shapes |= _linear(f"{layer}.{attention}.self.value", text.width, seen)
            shapes |= _bert_output(f"{layer}.{attention}.output", text.width, text.width)
        shapes |= _linear(f"{layer}.intermediate.dense", text.inner, text.width)
        shapes |= _bert_output(f"{layer}.output", text.width, text.inner)
    return shapes


def vit_classifier(vision: Tower, labels: int) -> Manifest:
    """A vision transformer that says which labels fit."""
    shapes: Manifest = {
        "vit.embeddings.cls_token": (1, 1, vision.width),
        "vit.embeddings.position_embeddings": (1, vision.places, vision.width),
        "vit.embeddings.patch_embeddings.projection.weight": (vision.width, 3, vision.patch, vision.patch),
        "vit.embeddings.patch_embeddings.projection.bias": (vision.width,),
        **_norm("vit.layernorm", vision.width),
        **_linear("classifier", labels, vision.width),
    }
    for index in range(vision.layers):
        layer = f"vit.encoder.layer.{index}"
        for part in ("attention.query", "attention.key", "attention.value", "output.dense"):
            shapes |= _linear(f"{layer}.attention.{part}", vision.width, vision.width)
        shapes |= _linear(f"{layer}.intermediate.dense", vision.inner, vision.width)
        shapes |= _linear(f"{layer}.output.dense", vision.width, vision.inner)
        shapes |= _norm(f"{layer}.layernorm_before", vision.width)
        shapes |= _norm(f"{layer}.layernorm_after", vision.width)
    return shapes


def _linear(name: str, out: int, into: int) -> Manifest:
    return {f"{name}.weight": (out, into), f"{name}.bias": (out,)}


def _norm(name: str, width: int) -> Manifest:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _perceptron(name: str, width: int, inner: int) -> Manifest:
    return {**_linear(f"{name}.fc1", inner, width), **_linear(f"{name}.fc2", width, inner)}


def _bert_output(name: str, width: int, into: int) -> Manifest:
    return {**_linear(f"{name}.dense", width, into), **_norm(f"{name}.LayerNorm", width)}
