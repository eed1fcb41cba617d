"""A form: the named components of one tab, in the order in which their values travel."""

import time
from collections.abc import Mapping, Sequence
from typing import TypeVar

from gradio.components import Component

__all__ = ["WRITTEN", "Form", "stamp"]

WRITTEN = "written"
"""Key of the hidden field that tells the browser that the server has written into the form."""

_C = TypeVar("_C", bound=Component)


def stamp() -> str:
    """A value that the field :data:`WRITTEN` has not held before."""
    return str(time.monotonic_ns())


class Form:
    """Named input components of one tab.

    A component's key is A1111's element id without the tab: ``txt2img_steps`` is ``steps`` of the
    form ``txt2img``. Components that several tabs share (the checkpoint) keep an id of their own.
    """

    def __init__(self, tab: str) -> None:
        self.tab = tab
        self._components: dict[str, Component] = {}

    def add(self, key: str, component: _C) -> _C:
        """Take a component into the form and hand it back."""
        if key in self._components:
            raise ValueError(f"the form {self.tab} has a component {key} already")
        self._components[key] = component
        return component

    def element_id(self, key: str) -> str:
        """The id for a component of this tab with this key."""
        return f"{self.tab}_{key}"

    def __getitem__(self, key: str) -> Component:
        return self._components[key]

    def __contains__(self, key: object) -> bool:
        return key in self._components

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys in the order of the values."""
        return tuple(self._components)

    @property
    def components(self) -> list[Component]:
        """Components in the order of the values, as Gradio's ``inputs`` and ``outputs`` want them."""
        return list(self._components.values())

    def values(self, sent: Sequence[object]) -> dict[str, object]:
        """Names for the values that an event delivered."""
        return dict(zip(self._components, sent, strict=True))

    def updates(self, changes: Mapping[str, object], otherwise: object) -> list[object]:
        """One output per component: the change where there is one, else ``otherwise``."""
        if changes and WRITTEN in self:
            changes = {**changes, WRITTEN: stamp()}
        return [changes.get(key, otherwise) for key in self._components]
