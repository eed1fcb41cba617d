"""First values of a new textual inversion: the vectors of words that the model knows already."""

from collections.abc import Mapping

import torch
from torch import Tensor

from modules.checkpoints.files import CheckpointFile
from modules.checkpoints.loader import detect_checkpoint
from modules.checkpoints.weights import open_checkpoint
from modules.conditioning.tokenizer import END, clip_tokenizer
from modules.exceptions import CheckpointError

__all__ = ["initial_vectors"]

_TABLE = "token_embedding.weight"


def initial_vectors(file: CheckpointFile, text: str, count: int) -> Mapping[str, Tensor]:
    """Vectors for a new embedding, read from the checkpoint's table of words; nothing else is loaded.

    Args:
        file: the checkpoint that the embedding is for.
        text: words to begin with; empty begins with zeros.
        count: vectors of the embedding; the words' vectors are spread over them.

    Returns:
        (count, W) float32 by text encoder; a model with one text encoder has the key "".

    Raises:
        CheckpointError: the checkpoint cannot be read.
    """
    weights = open_checkpoint(file)
    texts = detect_checkpoint(file).texts
    vectors: dict[str, Tensor] = {}
    for encoder in texts:
        names = [name for name in weights.header.below(encoder.prefix) if name.endswith(_TABLE)]
        if not names:
            raise CheckpointError(file.path, "its text encoder has no table of words")
        table = weights.tensor(encoder.prefix + names[0])  # (49408, W)
        if table.shape[0] <= END:
            raise CheckpointError(file.path, "its text encoder knows too few words")
        tokens = clip_tokenizer(encoder.role.architecture).encode(text)
        first = torch.zeros(count, table.shape[1])
        for index in range(count if tokens else 0):
            first[index] = table[tokens[index * len(tokens) // count]].float()
        vectors[encoder.role.embedding_key if len(texts) > 1 else ""] = first
    return vectors
