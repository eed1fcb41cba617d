"""What conditioning relies on in both text encoders."""

import pytest
import torch
from torch import Tensor

from modules.networks.clip_text import ClipTextConfig, ClipTextEncoder
from modules.networks.open_clip_text import OpenClipTextConfig, OpenClipTextEncoder
from modules.networks.text_encoder import TextEncoder


def _encoders() -> tuple[TextEncoder, ...]:
    torch.manual_seed(0)
    return (
        ClipTextEncoder(ClipTextConfig(width=32, layers=2, heads=2, mlp_width=64, vocabulary=50)).eval(),
        OpenClipTextEncoder(
            OpenClipTextConfig(width=32, layers=2, heads=2, mlp_width=64, projection=12, vocabulary=50)
        ).eval(),
    )


def _ids() -> Tensor:
    ids = torch.zeros(1, 77, dtype=torch.long)
    ids[0, :4] = torch.tensor([48, 3, 7, 49])
    return ids


@pytest.mark.parametrize("which", [0, 1])
@torch.no_grad()
def test_a_token_sees_only_what_comes_before_it(which: int) -> None:
    encoder, ids = _encoders()[which], _ids()
    other = ids.clone()
    other[0, 40] = 9
    first, second = (encoder(encoder.embed_tokens(i), i).hidden[-1] for i in (ids, other))
    assert torch.equal(first[:, :40], second[:, :40])
    assert not torch.allclose(first[:, 40:], second[:, 40:])


@pytest.mark.parametrize("which", [0, 1])
@torch.no_grad()
def test_embeddings_may_be_replaced_before_the_layers_run(which: int) -> None:
    encoder, ids = _encoders()[which], _ids()
    embeddings = encoder.embed_tokens(ids)
    assert embeddings.shape == (1, 77, encoder.width)
    changed = embeddings.clone()
    changed[0, 2] += 1
    assert not torch.equal(encoder(changed, ids).hidden[-1], encoder(embeddings, ids).hidden[-1])


@torch.no_grad()
def test_the_pooled_state_is_the_projected_end_token() -> None:
    encoder, ids = _encoders()[1], _ids()
    assert isinstance(encoder, OpenClipTextEncoder)
    states = encoder(encoder.embed_tokens(ids), ids)
    assert states.pooled is not None
    expected = encoder.normalise(states.hidden[-1])[:, 3] @ encoder.text_projection
    assert torch.equal(states.pooled, expected)


def test_sequences_are_padded_as_each_tower_was_trained() -> None:
    assert (ClipTextConfig().pad_token, OpenClipTextConfig().pad_token) == (49407, 0)
