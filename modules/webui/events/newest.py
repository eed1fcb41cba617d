"""One gallery follows one job: when it turns to another, what relayed the old one ends."""

import functools
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

import gradio as gr

from modules.webui.result.live import JobPicture

__all__ = ["NewestRelay"]

MOST_GALLERIES = 1000  # of pages that are open, times their tabs; the oldest are forgotten

Relay = Callable[..., AsyncIterator[JobPicture]]


class NewestRelay:
    """Knows which relay of each page's tab is the newest."""

    def __init__(self) -> None:
        self._newest: OrderedDict[tuple[str, str], object] = OrderedDict()

    def only(self, tab: str, relay: Relay) -> Relay:
        """The relay, ended as soon as another one of the same page and tab shows a job.

        A relay that has nothing but a refusal to show ends nobody.
        """

        @functools.wraps(relay)
        async def newest(*arguments: object) -> AsyncIterator[JobPicture]:
            gallery = (_session_of(arguments), tab)
            mark = object()
            is_shown = False
            async with aclosing(relay(*arguments)) as pictures:  # type: ignore[type-var]
                async for picture in pictures:
                    if is_shown and self._newest.get(gallery) is not mark:
                        return
                    if not is_shown and picture.get("job"):
                        is_shown = True
                        self._claim(gallery, mark)
                    yield picture

        return newest

    def _claim(self, gallery: tuple[str, str], mark: object) -> None:
        self._newest[gallery] = mark
        self._newest.move_to_end(gallery)
        while len(self._newest) > MOST_GALLERIES:
            self._newest.popitem(last=False)


def _session_of(arguments: tuple[object, ...]) -> str:
    request = next((one for one in arguments if isinstance(one, gr.Request)), None)
    return str(getattr(request, "session_hash", None) or "")
