"""Who asks for something: a name that owns jobs and pictures, and what is his business."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["LOCAL", "Principal", "Role"]

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
