"""Tiny networks with random weights in the folders in which describing networks are looked for."""

from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from transformers import (
    BlipConfig,
    BlipForConditionalGeneration,
    CLIPConfig,
    CLIPModel,
    ViTConfig,
    ViTForImageClassification,
)
from transformers.utils import logging

__all__ = ["LABELS", "write_captioner", "write_ranker", "write_tagger"]

_WORDS = ("[PAD]", "[UNK]", "[SEP]", "[CLS]", "a", "picture", "of", *(f"word{i}" for i in range(33)))
LABELS = ("rating:safe", "1girl", "long_hair", "smile_(big)", "red_eyes")
_SMALL = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
_VISION = {**_SMALL, "image_size": 32, "patch_size": 16}


def write_captioner(models: Path) -> None:
    """A captioning model of 40 words, whose tokens 0 to 3 are special."""
    text = {**_SMALL, "vocab_size": len(_WORDS), "encoder_hidden_size": 16, "projection_dim": 8,
            "max_position_embeddings": 64, "pad_token_id": 0, "eos_token_id": 2, "sep_token_id": 2,
            "bos_token_id": 3}  # fmt: skip
    torch.manual_seed(1)
    config = BlipConfig(text_config=text, vision_config={**_VISION, "projection_dim": 8})
    _write(BlipForConditionalGeneration(config), models / "BLIP")
    tokenizer = Tokenizer(WordPiece({word: i for i, word in enumerate(_WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 3), ("[SEP]", 2)]
    )
    tokenizer.add_special_tokens(list(_WORDS[:4]))
    tokenizer.save(str(models / "BLIP" / "tokenizer.json"))


def write_ranker(models: Path) -> None:
    """A CLIP with the usual vocabulary."""
    torch.manual_seed(2)
    _write(
        CLIPModel(CLIPConfig(text_config=dict(_SMALL), vision_config=dict(_VISION), projection_dim=8)),
        models / "CLIP",
    )


def write_tagger(models: Path) -> None:
    """A classifier of a few tags, each of which it finds as likely as any other picture's."""
    torch.manual_seed(3)
    named = {"id2label": dict(enumerate(LABELS)), "label2id": {label: i for i, label in enumerate(LABELS)}}
    network = ViTForImageClassification(ViTConfig(**_VISION, **named))
    network.classifier.weight.data.zero_()
    network.classifier.bias.data = torch.tensor([9.0, 2.0, 1.0, 3.0, -4.0])
    _write(network, models / "deepdanbooru")


def _write(network: torch.nn.Module, folder: Path) -> None:
    logging.disable_progress_bar()
    network.save_pretrained(folder)  # type: ignore[operator]
