"""Who is calling: the value the guard puts beside each request it lets through."""

from dataclasses import dataclass
from typing import Annotated, Literal, cast

from fastapi import Depends, Request

__all__ = ["LOCAL", "Caller", "Principal", "Role", "caller_of"]

Role = Literal["admin", "artist"]


@dataclass(frozen=True)
class Principal:
    """A caller that proved who he is. ``name`` owns jobs and pictures."""

    name: str
    role: Role

    @property
    def is_admin(self) -> bool:
        """Whether settings and files of the server are his business."""
        return self.role == "admin"


LOCAL = Principal("local", "admin")  # whoever sits at the machine, as long as there are no users


def caller_of(request: Request) -> Principal:
    """The principal that the guard has found for this request."""
    return cast("Principal", request.state.principal)


Caller = Annotated[Principal, Depends(caller_of)]
