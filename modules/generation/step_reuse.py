"""Steps that an earlier picture has made already: work that need not be done again.

The state of a sampler after a step depends on the model with its adapters, the start, the schedule, the
options and the texts that were read so far, and on nothing else. So it is kept under just these, and a
picture that shares them goes on from the last step in common: another VAE or another hires pass make no step
of the first pass anew, a text that is changed from its half on only the second half. The results are the
same bits.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from modules.checkpoints.loader import file_stamp
from modules.checkpoints.model import LoadedModel
from modules.conditioning.conditioned import Conditioning, ScheduledConditioning
from modules.diffusion.sampling import SamplerState
from modules.generation.denoiser import LatentBlend, ModelView
from modules.generation.fingerprint import fingerprint
from modules.generation.step_store import StoredStep

__all__ = ["PassIdentity", "StepReuse", "pass_identity"]


class PassIdentity:
    """All that the steps of one pass depend on.

    Args:
        whole: what every step depends on, by its fingerprint.
        texts: every scheduled text of the pass; which of them a call reads decides what its step depends on.
    """

    def __init__(self, whole: bytes, texts: Sequence[ScheduledConditioning]) -> None:
        self.whole = whole
        self._texts = tuple(texts)
        self._names: dict[int, bytes] = {}
        self._prefixes = [fingerprint()]

    def texts_before(self, calls: int) -> bytes:
        """Fingerprint of the texts that the first ``calls`` calls of the denoiser read."""
        while len(self._prefixes) <= calls:
            call = len(self._prefixes) - 1
            read = tuple(self._name(text.at(call)) for text in self._texts)
            self._prefixes.append(fingerprint(self._prefixes[-1], read))
        return self._prefixes[calls]

    def _name(self, text: Conditioning) -> bytes:
        if id(text) not in self._names:  # the schedules hold the texts, so that no id is used twice
            self._names[id(text)] = fingerprint(text.context, text.vector)
        return self._names[id(text)]


@dataclass
class _Pass:
    """Steps that were made from the same beginning, by their number and the texts read before."""

    steps: dict[tuple[int, bytes], StoredStep] = field(default_factory=dict)
    size: int = 0


class StepReuse:
    """Keeps the latest passes' steps in memory.

    Args:
        capacity: bytes that may be kept (256 MiB are some 100 pictures of 512x512 in 20 steps); the passes
            that were used longest ago go first. 0 keeps nothing.
    """

    def __init__(self, capacity: int = 256 * 2**20) -> None:
        self._capacity = capacity
        self._lock = threading.Lock()
        self._passes: OrderedDict[bytes, _Pass] = OrderedDict()
        self._size = 0

    @property
    def size(self) -> int:
        """Bytes that are kept."""
        return self._size

    def find(self, identity: PassIdentity) -> StoredStep | None:
        """The last known step of this pass; None when it has to be made from its beginning."""
        with self._lock:
            known = self._passes.get(identity.whole)
            if known is None:
                return None
            self._passes.move_to_end(identity.whole)
            fitting = (
                stored
                for (_, texts), stored in known.steps.items()
                if texts == identity.texts_before(stored.calls)
            )
            return max(fitting, key=lambda stored: stored.state.step, default=None)

    def keep(self, identity: PassIdentity, state: SamplerState, calls: int) -> None:
        """Remember a step of a pass after ``calls`` calls of the denoiser."""
        with self._lock:
            known = self._passes.setdefault(identity.whole, _Pass())
            self._passes.move_to_end(identity.whole)
            name = (state.step, identity.texts_before(calls))
            if name in known.steps:
                return
            size = sum(_held(tensor) for tensor in (state.x, *state.history))
            known.steps[name] = StoredStep(state, calls)
            known.size += size
            self._size += size
            while self._size > self._capacity:
                _, oldest = self._passes.popitem(last=False)
                self._size -= oldest.size

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._passes.clear()
            self._size = 0


def pass_identity(
    view: ModelView, model: LoadedModel, blend: LatentBlend | None, rest: tuple[object, ...]
) -> PassIdentity:
    """What the steps of a pass depend on, as it is about to begin.

    Args:
        view: the model's weights, its texts and what else it sees.
        model: as it is loaded; its VAE has no part in sampling.
        blend: the mask.
        rest: sampler, start, noise, guidance.
    """
    key, texts = view.key, view.conditioning
    weights = (model.stamp, key.patches, [file_stamp(patch.path) for patch in key.patches], key.tiling)
    approximations = (view.token_merging, view.deep_interval)
    seen = (view.prediction, view.concat, view.edits_images, *approximations, texts.empty)
    shares = [share for _, share in texts.positive.parts]
    whole = fingerprint(weights, str(model.runtime), seen, shares, blend, *rest)
    return PassIdentity(whole, [*(text for text, _ in texts.positive.parts), texts.negative])


def _held(tensor: Tensor) -> int:
    """Bytes that keeping a tensor keeps, also where it is a part of a larger one."""
    return tensor.untyped_storage().nbytes()
