"""A picture of the history, as rows and as frozen values."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["HistoryPage", "HistoryPicture", "NewPicture", "PictureKind", "picture_from_row"]

PictureKind = Literal["txt2img", "img2img", "extras", "grid", "other"]


@dataclass(frozen=True)
class NewPicture:
    """What is known of a picture when it comes into the index.

    Attributes:
        id: unguessable name under which it is handed out.
        path: of its file, below the outputs folder.
        created: seconds since 1970.
        width, height: in pixels.
        digest: sha256 of the file, hexadecimal.
        sources: digests of the files it was made from.
        starred, tags, binned: what its owner had done with it, when the index is made again.
    """

    id: str
    owner: str
    path: str
    kind: PictureKind
    created: float
    width: int
    height: int
    infotext: str
    digest: str
    sources: tuple[str, ...] = ()
    starred: bool = False
    tags: tuple[str, ...] = ()
    binned: float | None = None


@dataclass(frozen=True)
class HistoryPicture:
    """A picture in the index; fields as in :class:`NewPicture`."""

    id: str
    owner: str
    path: str
    kind: str
    created: float
    width: int
    height: int
    seed: str
    model: str
    infotext: str
    digest: str
    starred: bool
    binned: float | None
    number: int = field(repr=False)

    @property
    def name(self) -> str:
        """Name of the file."""
        return self.path.rpartition("/")[2]

    @property
    def cursor(self) -> str:
        """Where a list goes on behind this picture."""
        return f"{self.created!r}~{self.number}"


@dataclass(frozen=True)
class HistoryPage:
    """One stretch of a list, newest first.

    Attributes:
        cursor: hand it in to get the next stretch; None at the end.
        total: number of pictures in the whole list; None but for its first stretch.
    """

    pictures: Sequence[HistoryPicture]
    cursor: str | None
    total: int | None


def picture_from_row(row: sqlite3.Row) -> HistoryPicture:
    """A row of ``pictures`` as a value."""
    return HistoryPicture(
        id=row["id"],
        owner=row["owner"],
        path=row["path"],
        kind=row["kind"],
        created=row["created"],
        width=row["width"],
        height=row["height"],
        seed=row["seed"],
        model=row["model"],
        infotext=row["infotext"],
        digest=row["digest"],
        starred=bool(row["starred"]),
        binned=row["binned"],
        number=row["number"],
    )
