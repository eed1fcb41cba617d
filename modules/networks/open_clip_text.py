"""OpenCLIP's text tower with its original parameter names (residual blocks, fused projections).

It is the text encoder of Stable Diffusion 2 (ViT-H), the second one of SDXL and the only one of the
SDXL refiner (ViT-bigG).

Source: Cherti et al. 2023, "Reproducible Scaling Laws for Contrastive Language-Image Learning".
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from modules.networks.clip_text import Activation, activate
from modules.networks.text_encoder import TextStates
from modules.runtime.attention import attention

__all__ = ["OpenClipTextConfig", "OpenClipTextEncoder", "ResidualAttentionBlock"]


@dataclass(frozen=True)
class OpenClipTextConfig:
    """Shape of a text tower. The defaults are those of ViT-H/14.

    Attributes:
        width: features of a state.
        layers: transformer layers stored; SD2 files from diffusers have 23 of the 24.
        heads: attention heads.
        mlp_width: features inside the perceptrons.
        projection: width of the pooled state; 0 where the file has no projection.
        activation: the non-linearity inside the perceptrons.
        vocabulary: number of tokens.
        positions: length of every sequence.
        pad_token: id that fills a sequence after its first end token.
    """

    width: int = 1024
    layers: int = 24
    heads: int = 16
    mlp_width: int = 4096
    projection: int = 1024
    activation: Activation = "gelu"
    vocabulary: int = 49408
    positions: int = 77
    pad_token: int = 0


class FusedAttention(nn.Module):
    """Causal multi-head self-attention; queries, keys and values in one matrix."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, W) to the same."""
        fused = nn.functional.linear(x, self.in_proj_weight, self.in_proj_bias)  # B T 3W
        q, k, v = fused.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # 3 x B H T W/H
        out: Tensor = self.out_proj(attention(q, k, v, causal=True).transpose(1, 2).flatten(2))
        return out


class OpenClipMlp(nn.Module):
    """Per-position perceptron."""

    def __init__(self, config: OpenClipTextConfig) -> None:
        super().__init__()
        self.activation = config.activation
        self.c_fc = nn.Linear(config.width, config.mlp_width)
        self.c_proj = nn.Linear(config.mlp_width, config.width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, W) to the same."""
        out: Tensor = self.c_proj(activate(self.c_fc(x), self.activation))
        return out


class ResidualAttentionBlock(nn.Module):
    """Attention and perceptron, each after a layer norm and added to its input."""

    def __init__(self, config: OpenClipTextConfig) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.width)
        self.attn = FusedAttention(config.width, config.heads)
        self.ln_2 = nn.LayerNorm(config.width)
        self.mlp = OpenClipMlp(config)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, W) to the same."""
        x = x + self.attn(self.ln_1(x))
        out: Tensor = x + self.mlp(self.ln_2(x))
        return out


class ResidualStack(nn.Module):
    """The transformer layers."""

    def __init__(self, config: OpenClipTextConfig) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(ResidualAttentionBlock(config) for _ in range(config.layers))


class OpenClipTextEncoder(nn.Module):
    """OpenCLIP's text tower; see :class:`~modules.networks.text_encoder.TextEncoder`."""

    def __init__(self, config: OpenClipTextConfig) -> None:
        super().__init__()
        self.config = config
        self.width = config.width
        self.layers = config.layers
        self.positions = config.positions
        self.pad_token = config.pad_token
        self.positional_embedding = nn.Parameter(torch.empty(config.positions, config.width))
        if config.projection:
            self.text_projection = nn.Parameter(torch.empty(config.width, config.projection))
            nn.init.normal_(self.text_projection, std=config.width**-0.5)
        self.token_embedding = nn.Embedding(config.vocabulary, config.width)
        self.transformer = ResidualStack(config)
        self.ln_final = nn.LayerNorm(config.width)
        nn.init.normal_(self.positional_embedding, std=0.01)
        nn.init.normal_(self.token_embedding.weight, std=0.02)

    def embed_tokens(self, ids: Tensor) -> Tensor:
        """Token ids (B, 77) int64 to embeddings (B, 77, W), without positions."""
        out: Tensor = self.token_embedding(ids)
        return out

    def forward(self, embeddings: Tensor, ids: Tensor) -> TextStates:
        """Embeddings (B, T, W) and ids (B, T) to the states of all layers and the pooled state (B, P)."""
        hidden = [embeddings + self.positional_embedding[: embeddings.shape[1]]]  # B T W
        for layer in self.transformer.resblocks:
            hidden.append(layer(hidden[-1]))
        return TextStates(tuple(hidden), self._pooled(hidden[-1], ids))

    def normalise(self, hidden: Tensor) -> Tensor:
        """The final layer norm of a hidden state (B, T, W)."""
        out: Tensor = self.ln_final(hidden)
        return out

    def _pooled(self, hidden: Tensor, ids: Tensor) -> Tensor | None:
        if not self.config.projection:
            return None
        end = ids.argmax(dim=-1)  # the end token has the largest id of the vocabulary
        rows = torch.arange(len(ids), device=ids.device)
        return self.normalise(hidden)[rows, end] @ self.text_projection
