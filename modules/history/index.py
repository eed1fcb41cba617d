"""The index: what was made, by whom, from what, and what its owner thinks of it."""

import json
import sqlite3
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from modules.exceptions import NotFoundError, RequestError
from modules.history.facts import PictureFacts, read_facts
from modules.history.picture import HistoryPage, HistoryPicture, NewPicture, picture_from_row
from modules.history.query import Query
from modules.history.search import query_conditions, searchable_text
from modules.history.store import HistoryStore

__all__ = ["HistoryIndex"]

MAX_RELATIVES = 60  # parents or children that are shown of one picture
MAX_TAGS = 32  # of one picture
MAX_TAG = 64  # characters
_FORGET = (
    "DELETE FROM infotexts WHERE picture = ?",
    "DELETE FROM tags WHERE picture = ?",
    "DELETE FROM loras WHERE picture = ?",
    "DELETE FROM sources WHERE picture = ?",
    "DELETE FROM words WHERE rowid = ?",
    "DELETE FROM pictures WHERE number = ?",
)


class HistoryIndex:
    """Every picture of every owner, in one SQLite file; safe to use from several threads.

    Nothing is shown to anybody but its owner: all methods that take ids also take the owner and answer
    for a stranger's picture as if it did not exist.

    Args:
        path: the file.

    Raises:
        StorageError: it cannot be opened, or a newer version wrote it.
    """

    def __init__(self, path: Path) -> None:
        self.store = HistoryStore(path)

    def close(self) -> None:
        """Close the file."""
        self.store.close()

    # --- what comes in -------------------------------------------------------------------------

    def add(self, pictures: Iterable[NewPicture]) -> int:
        """Put pictures in; those whose path or id is known stay as they are. Returns how many are new."""
        added = 0
        with self.store.transaction() as db:
            for picture in pictures:
                added += _insert(db, picture)
        return added

    def put(self, picture: NewPicture) -> None:
        """Put one picture in, in place of one whose file had the same path before."""
        with self.store.transaction() as db:
            for row in db.execute("SELECT number FROM pictures WHERE path = ?", (picture.path,)).fetchall():
                _forget(db, row["number"])
            _insert(db, picture)

    def rename(self, path: str, new_path: str, *, binned: float | None) -> None:
        """Note that a file was found elsewhere."""
        with self.store.transaction() as db:
            db.execute("UPDATE pictures SET path = ?, binned = ? WHERE path = ?", (new_path, binned, path))

    def forget_paths(self, paths: Iterable[str]) -> None:
        """Take the pictures of files that are gone out of the index."""
        with self.store.transaction() as db:
            for path in paths:
                row = db.execute("SELECT number FROM pictures WHERE path = ?", (path,)).fetchone()
                if row is not None:
                    _forget(db, row["number"])

    # --- what is asked -------------------------------------------------------------------------

    def search(
        self, owner: str, query: Query, *, cursor: str | None = None, limit: int = 100, binned: bool = False
    ) -> HistoryPage:
        """A stretch of the owner's pictures that fulfil a query, newest first.

        Raises:
            RequestError: the cursor is none of ours.
        """
        parts = ["p.owner = ?", f"p.binned IS {'NOT ' if binned else ''}NULL"]
        values: list[object] = [owner]
        for condition in query_conditions(query):
            parts.append(condition.sql)
            values += condition.values
        where, total = " AND ".join(parts), None  # our own words; what was typed travels in values
        if cursor is None:
            count = f"SELECT count(*) FROM pictures p WHERE {where}"  # noqa: S608
            total = int(self.store.rows(count, *values)[0][0])
        else:
            where += " AND (p.created, p.number) < (?, ?)"
            values += _place(cursor)
        stretch = f"SELECT * FROM described p WHERE {where} ORDER BY p.created DESC, p.number DESC LIMIT ?"  # noqa: S608
        rows = self.store.rows(stretch, *values, limit + 1)
        pictures = [picture_from_row(row) for row in rows[:limit]]
        return HistoryPage(pictures, pictures[-1].cursor if len(rows) > limit else None, total)

    def picture(self, picture_id: str, owner: str) -> HistoryPicture:
        """One picture of the owner.

        Raises:
            NotFoundError: there is none of that id, or it is somebody else's.
        """
        return self.pictures([picture_id], owner)[0]

    def pictures(self, ids: Sequence[str], owner: str) -> list[HistoryPicture]:
        """Pictures of the owner, in the order of the ids.

        Raises:
            NotFoundError: one of them does not exist, or is somebody else's.
        """
        rows = self.store.rows(
            "SELECT * FROM described WHERE owner = ? AND id IN (SELECT value FROM json_each(?))",
            owner,
            json.dumps(list(ids)),
        )
        found = {row["id"]: picture_from_row(row) for row in rows}
        if any(picture_id not in found for picture_id in ids):
            raise NotFoundError("picture", "there is no such picture")
        return [found[picture_id] for picture_id in ids]

    def find(self, picture_id: str) -> HistoryPicture | None:
        """A picture of any owner; who asks for it has to check whose it is."""
        rows = self.store.rows("SELECT * FROM described WHERE id = ?", picture_id)
        return picture_from_row(rows[0]) if rows else None

    def in_bin(self, owner: str) -> list[HistoryPicture]:
        """All the owner's pictures that wait in the bin."""
        rows = self.store.rows("SELECT * FROM described WHERE owner = ? AND binned IS NOT NULL", owner)
        return [picture_from_row(row) for row in rows]

    def has_path(self, path: str) -> bool:
        """Whether the file of that path, below the outputs folder, is a picture of anybody's."""
        return bool(self.store.rows("SELECT 1 FROM pictures WHERE path = ?", path))

    def paths(self) -> dict[str, str]:
        """Digest of every picture of every owner by the path of its file."""
        return {row["path"]: row["digest"] for row in self.store.rows("SELECT path, digest FROM pictures")}

    def parents(self, picture: HistoryPicture) -> list[HistoryPicture]:
        """The owner's pictures that this one was made from."""
        rows = self.store.rows(
            "SELECT p.*, max(p.number) FROM sources s CROSS JOIN described p ON p.digest = s.digest "
            "WHERE s.picture = ? AND p.owner = ? AND (p.created, p.number) < (?, ?) "
            "GROUP BY p.digest ORDER BY p.number LIMIT ?",
            picture.number,
            picture.owner,
            picture.created,
            picture.number,
            MAX_RELATIVES,
        )
        return [picture_from_row(row) for row in rows]

    def children(self, picture: HistoryPicture) -> list[HistoryPicture]:
        """The owner's pictures that were made from this one, oldest first."""
        rows = self.store.rows(
            "SELECT p.* FROM sources s CROSS JOIN described p ON p.number = s.picture "
            "WHERE s.digest = ? AND p.owner = ? AND (p.created, p.number) > (?, ?) "
            "ORDER BY p.created, p.number LIMIT ?",
            picture.digest,
            picture.owner,
            picture.created,
            picture.number,
            MAX_RELATIVES,
        )
        return [picture_from_row(row) for row in rows]

    def tags(self, picture: HistoryPicture) -> tuple[str, ...]:
        """Tags of one picture, in order of the alphabet."""
        rows = self.store.rows("SELECT tag FROM tags WHERE picture = ? ORDER BY tag", picture.number)
        return tuple(row[0] for row in rows)

    def all_tags(self, owner: str) -> dict[str, int]:
        """Tags of an owner and how many pictures carry them, the most used first."""
        rows = self.store.rows(
            "SELECT t.tag, count(*) FROM tags t JOIN pictures p ON p.number = t.picture "
            "WHERE p.owner = ? AND p.binned IS NULL GROUP BY t.tag ORDER BY count(*) DESC, t.tag LIMIT 500",
            owner,
        )
        return {row[0]: row[1] for row in rows}

    # --- what owners do ------------------------------------------------------------------------

    def star(self, pictures: Sequence[HistoryPicture], starred: bool) -> None:
        """Give or take the star."""
        with self.store.transaction() as db:
            for picture in pictures:
                db.execute("UPDATE pictures SET starred = ? WHERE number = ?", (starred, picture.number))

    def change_tags(
        self, pictures: Sequence[HistoryPicture], add: Iterable[str] = (), remove: Iterable[str] = ()
    ) -> None:
        """Add tags to pictures and remove others; blanks around them do not count.

        Raises:
            RequestError: a tag is empty or too long, or a picture would have too many.
        """
        added, removed = [_tag(tag) for tag in add], [_tag(tag) for tag in remove]
        with self.store.transaction() as db:
            for picture in pictures:
                for tag in removed:
                    db.execute("DELETE FROM tags WHERE picture = ? AND tag = ?", (picture.number, tag))
                for tag in added:
                    db.execute("INSERT OR IGNORE INTO tags VALUES (?, ?)", (picture.number, tag))
                count = db.execute("SELECT count(*) FROM tags WHERE picture = ?", (picture.number,))
                if count.fetchone()[0] > MAX_TAGS:
                    raise RequestError("add", f"a picture can have {MAX_TAGS} tags at most")
                _index_words(db, picture.number)

    def moved(self, picture: HistoryPicture, path: str, *, binned: bool) -> None:
        """Note that a picture's file lies elsewhere now, in the bin or out of it."""
        with self.store.transaction() as db:
            db.execute(
                "UPDATE pictures SET path = ?, binned = ? WHERE number = ?",
                (path, time.time() if binned else None, picture.number),
            )

    def forget(self, pictures: Sequence[HistoryPicture]) -> None:
        """Take pictures out of the index for good."""
        with self.store.transaction() as db:
            for picture in pictures:
                _forget(db, picture.number)


def _forget(db: sqlite3.Connection, number: int) -> None:
    for statement in _FORGET:
        db.execute(statement, (number,))


def _insert(db: sqlite3.Connection, picture: NewPicture) -> int:
    infotext = picture.infotext.encode("utf-8", "replace").decode()  # no half surrogate pairs
    facts = read_facts(infotext)
    changed = db.execute(
        "INSERT OR IGNORE INTO pictures (id, owner, path, kind, created, width, height, seed, model, "
        "model_hash, sampler, scheduler, steps, cfg_scale, denoising_strength, digest, starred, binned) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            picture.id, picture.owner, picture.path, picture.kind, picture.created, picture.width,
            picture.height, facts.seed, facts.model, facts.model_hash, facts.sampler,
            facts.scheduler, facts.steps, facts.cfg_scale, facts.denoising_strength, picture.digest,
            picture.starred, picture.binned,
        ),
    )  # fmt: skip
    if not changed.rowcount:
        return 0
    number = changed.lastrowid
    db.execute("INSERT INTO infotexts VALUES (?, ?)", (number, infotext))
    db.executemany("INSERT OR IGNORE INTO tags VALUES (?, ?)", [(number, tag) for tag in picture.tags])
    db.executemany("INSERT OR IGNORE INTO loras VALUES (?, ?)", [(number, name) for name in facts.loras])
    db.executemany("INSERT OR IGNORE INTO sources VALUES (?, ?)", [(number, one) for one in picture.sources])
    texts = (facts.prompt, facts.negative_prompt, _other_words(picture.path, facts, picture.tags))
    db.execute(
        "INSERT INTO words (rowid, prompt, negative, other) VALUES (?, ?, ?, ?)",
        (number, *map(searchable_text, texts)),
    )
    return 1


def _index_words(db: sqlite3.Connection, number: int) -> None:
    """Write the full text of a picture again, after its tags have changed."""
    row = db.execute("SELECT path, infotext FROM described WHERE number = ?", (number,)).fetchone()
    tags = [found[0] for found in db.execute("SELECT tag FROM tags WHERE picture = ?", (number,))]
    other = searchable_text(_other_words(row["path"], read_facts(row["infotext"]), tags))
    db.execute("UPDATE words SET other = ? WHERE rowid = ?", (other, number))


def _other_words(path: str, facts: PictureFacts, tags: Iterable[str]) -> str:
    name = path.rpartition("/")[2]
    return " \n".join([facts.model, facts.sampler, name, *facts.loras, *tags])


def _place(cursor: str) -> tuple[float, int]:
    created, _, number = cursor.partition("~")
    try:
        return float(created), int(number)
    except ValueError:
        raise RequestError("cursor", "the cursor is not one that a list has given") from None


def _tag(text: str) -> str:
    tag = " ".join(text.split())
    if not tag or len(tag) > MAX_TAG:
        raise RequestError("tags", f"a tag has 1 to {MAX_TAG} characters; {text[:MAX_TAG]!r} has not")
    return tag
