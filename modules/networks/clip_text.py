"""CLIP's text tower with the parameter names of transformers' ``CLIPTextModel``.

It is the text encoder of Stable Diffusion 1 and the first one of SDXL.

Source: Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision".
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modules.networks.text_encoder import TextStates
from modules.runtime.attention import attention

__all__ = ["Activation", "ClipLayer", "ClipTextConfig", "ClipTextEncoder", "activate"]

Activation = Literal["gelu", "quick_gelu"]


@dataclass(frozen=True)
class ClipTextConfig:
    """Shape of a text tower. The defaults are those of ViT-L/14.

    Attributes:
        width: features of a state.
        layers: transformer layers.
        heads: attention heads.
        mlp_width: features inside the perceptrons.
        activation: OpenAI's towers use ``quick_gelu``, OpenCLIP's the exact one.
        vocabulary: number of tokens.
        positions: length of every sequence.
        pad_token: id that fills a sequence after its first end token; OpenAI's towers repeat the end token.
    """

    width: int = 768
    layers: int = 12
    heads: int = 12
    mlp_width: int = 3072
    activation: Activation = "quick_gelu"
    vocabulary: int = 49408
    positions: int = 77
    pad_token: int = 49407


def activate(x: Tensor, activation: Activation) -> Tensor:
    """The perceptron's non-linearity; quick GELU is ``x * sigmoid(1.702 x)``."""
    return x * torch.sigmoid(1.702 * x) if activation == "quick_gelu" else F.gelu(x)


class ClipAttention(nn.Module):
    """Causal multi-head self-attention."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.q_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, W) to the same."""
        q, k, v = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # B H T W/H
            for layer in (self.q_proj, self.k_proj, self.v_proj)
        )
        out: Tensor = self.out_proj(attention(q, k, v, causal=True).transpose(1, 2).flatten(2))
        return out


class ClipMlp(nn.Module):
    """Per-position perceptron."""

    def __init__(self, config: ClipTextConfig) -> None:
        super().__init__()
        self.activation = config.activation
        self.fc1 = nn.Linear(config.width, config.mlp_width)
        self.fc2 = nn.Linear(config.mlp_width, config.width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, W) to the same."""
        out: Tensor = self.fc2(activate(self.fc1(x), self.activation))
        return out


class ClipLayer(nn.Module):
    """Attention and perceptron, each after a layer norm and added to its input."""

    def __init__(self, config: ClipTextConfig) -> None:
        super().__init__()
        self.self_attn = ClipAttention(config.width, config.heads)
        self.layer_norm1 = nn.LayerNorm(config.width)
        self.mlp = ClipMlp(config)
        self.layer_norm2 = nn.LayerNorm(config.width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, W) to the same."""
        x = x + self.self_attn(self.layer_norm1(x))
        out: Tensor = x + self.mlp(self.layer_norm2(x))
        return out


class ClipEmbeddings(nn.Module):
    """Tables of tokens and positions."""

    def __init__(self, config: ClipTextConfig) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(config.vocabulary, config.width)
        self.position_embedding = nn.Embedding(config.positions, config.width)


class ClipStack(nn.Module):
    """The transformer layers."""

    def __init__(self, config: ClipTextConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(ClipLayer(config) for _ in range(config.layers))


class ClipTextTower(nn.Module):
    """Embeddings, layers and final norm, under the names that transformers gave them."""

    def __init__(self, config: ClipTextConfig) -> None:
        super().__init__()
        self.embeddings = ClipEmbeddings(config)
        self.encoder = ClipStack(config)
        self.final_layer_norm = nn.LayerNorm(config.width)


class ClipTextEncoder(nn.Module):
    """CLIP's text tower; see :class:`~modules.networks.text_encoder.TextEncoder`."""

    def __init__(self, config: ClipTextConfig) -> None:
        super().__init__()
        self.config = config
        self.width = config.width
        self.layers = config.layers
        self.positions = config.positions
        self.pad_token = config.pad_token
        self.text_model = ClipTextTower(config)

    def embed_tokens(self, ids: Tensor) -> Tensor:
        """Token ids (B, 77) int64 to embeddings (B, 77, W), without positions."""
        out: Tensor = self.text_model.embeddings.token_embedding(ids)
        return out

    def forward(self, embeddings: Tensor, ids: Tensor) -> TextStates:
        """Embeddings (B, T, W) with T up to 77 to the states of all layers; nothing is pooled."""
        positions = self.text_model.embeddings.position_embedding.weight[: embeddings.shape[1]]
        hidden = [embeddings + positions]  # B T W
        for layer in self.text_model.encoder.layers:
            hidden.append(layer(hidden[-1]))
        return TextStates(tuple(hidden), None)

    def normalise(self, hidden: Tensor) -> Tensor:
        """The final layer norm of a hidden state (B, T, W)."""
        out: Tensor = self.text_model.final_layer_norm(hidden)
        return out
