"""When the next preview of a job is drawn: often enough to see the picture form, in under 3 % of its time."""

from dataclasses import dataclass

__all__ = ["PreviewPace"]

SHARE = 40  # a preview may take one part in so many of the time until the next one ...
FRAMES = 8  # ... but a job shows about so many at least, as long as
WORST_SHARE = 10  # ... that does not take more than one part in so many
MIN_SECONDS = 0.06  # between previews; more is not seen, but costs the browser


@dataclass
class PreviewPace:
    """Decides for one job; times are seconds of a monotonic clock.

    Attributes:
        every_steps: setting ``show_progress_every_n_steps``; -1 means no previews before the end.
        period: setting ``live_preview_refresh_period`` in seconds.
    """

    every_steps: int
    period: float
    _next_time: float = 0.0
    _last_step: int | None = None

    def is_due(self, now: float, step: int) -> bool:
        """Whether to draw at the end of this step (counted over all passes of a picture)."""
        if self.every_steps < 0 or now < self._next_time:
            return False
        return self._last_step is None or abs(step - self._last_step) >= self.every_steps

    def drawn(self, now: float, step: int, *, cost: float, whole: float) -> None:
        """Take note of a preview.

        Args:
            now: when drawing began.
            step: as for :meth:`is_due`.
            cost: seconds it took.
            whole: estimated seconds of the whole job.
        """
        if self._last_step is None:
            cost = 0.0  # the first one also loads or fits what draws the others, and is no measure of them
        pause = min(max(SHARE * cost, self.period), whole / FRAMES)
        self._next_time = now + max(MIN_SECONDS, WORST_SHARE * cost, pause)
        self._last_step = step
