"""The SQLite file of the history: schema, migrations, transactions, and what to do when it is damaged."""

import logging
import sqlite3
import time
from pathlib import Path

from modules.exceptions import StorageError
from modules.imaging.sqlite_file import SqliteFile, open_sqlite

__all__ = ["VERSION", "HistoryStore"]

log = logging.getLogger(__name__)

_FIRST = """
CREATE TABLE pictures (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    path TEXT NOT NULL UNIQUE,       -- below the outputs folder, with "/"
    kind TEXT NOT NULL,
    created REAL NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    seed TEXT NOT NULL,
    model TEXT NOT NULL,
    model_hash TEXT NOT NULL,
    sampler TEXT NOT NULL,
    scheduler TEXT NOT NULL,
    steps REAL,
    cfg_scale REAL,
    denoising_strength REAL,
    digest TEXT NOT NULL,            -- sha256 of the file: by it children name their parents
    starred INTEGER NOT NULL DEFAULT 0,
    binned REAL                      -- when it was put into the bin, NULL while it lies in its folder
);
-- apart from the rest, so that a search that reads every row reads little
CREATE TABLE infotexts (picture INTEGER PRIMARY KEY REFERENCES pictures, text TEXT NOT NULL);
CREATE VIEW described AS SELECT p.*, i.text AS infotext
    FROM pictures p CROSS JOIN infotexts i ON i.picture = p.number;
CREATE INDEX pictures_by_owner ON pictures (owner, binned, created DESC, number DESC);
CREATE INDEX pictures_by_digest ON pictures (digest);
CREATE INDEX pictures_by_seed ON pictures (owner, seed);
CREATE TABLE tags (picture INTEGER NOT NULL REFERENCES pictures, tag TEXT NOT NULL COLLATE NOCASE,
                   PRIMARY KEY (picture, tag)) WITHOUT ROWID;
CREATE INDEX tags_by_name ON tags (tag);
CREATE TABLE loras (picture INTEGER NOT NULL REFERENCES pictures, name TEXT NOT NULL COLLATE NOCASE,
                    PRIMARY KEY (picture, name)) WITHOUT ROWID;
CREATE TABLE sources (picture INTEGER NOT NULL REFERENCES pictures, digest TEXT NOT NULL,
                      PRIMARY KEY (picture, digest)) WITHOUT ROWID;
CREATE INDEX sources_by_digest ON sources (digest);
CREATE VIRTUAL TABLE words USING fts5 (prompt, negative, other,
                                       tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3');
CREATE TABLE marks (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_MIGRATIONS = (_FIRST,)  # what leads from version n to n + 1; never change one, add another
VERSION = len(_MIGRATIONS)


class HistoryStore(SqliteFile):
    """The history's file.

    A damaged file is laid aside and begun anew: everything in it but stars and tags can be read from
    the pictures again.

    Args:
        path: the file; it is made when it is missing.

    Raises:
        StorageError: the file was written by a newer version of the program, or cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        try:
            connection = _open(path)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError) and not path.is_file():
                raise StorageError(path, f"The history cannot be opened: {error}.") from error
            _lay_aside(path, error)
            connection = _open(path)
        super().__init__(connection)

    @property
    def is_complete(self) -> bool:
        """Whether every picture that was there at the last rebuild is in the index."""
        return bool(self.rows("SELECT 1 FROM marks WHERE name = 'complete'"))

    def mark_complete(self) -> None:
        """Note that a rebuild has come to its end."""
        with self.transaction() as db:
            db.execute("INSERT OR REPLACE INTO marks VALUES ('complete', ?)", (str(int(time.time())),))


def _open(path: Path) -> sqlite3.Connection:
    connection = open_sqlite(path, synchronous="NORMAL")  # the pictures themselves are safe on disk
    try:
        connection.execute("PRAGMA cache_size=-32000")
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version > VERSION:
            raise StorageError(
                path,
                f"{path.name} was written by a newer version of the program; "
                "update the program, or move the file away to have it made again.",
            )
        if version and connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("the file is damaged")
        _migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _migrate(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")  # another process may be at it
    try:
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        for script in _MIGRATIONS[version:]:
            for statement in script.split(";\n"):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {VERSION}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _lay_aside(path: Path, error: Exception) -> None:
    aside = path.with_name(f"{path.name}.damaged-{int(time.time())}")
    log.warning("%s is damaged (%s); it is kept as %s and made again", path.name, error, aside.name)
    path.replace(aside)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
