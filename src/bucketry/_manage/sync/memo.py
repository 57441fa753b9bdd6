"""Remembers the times of objects on the local disk, so that a plan needs a HEAD only for objects that are new to it.

A listing has no metadata, and so it does not have the time that an upload stored. But the metadata of an object cannot
change unless the object is written again, and a write changes its `last_modified` in the listing. So the answer to an
earlier HEAD still holds if key, size, etag and `last_modified` are those in the listing. An entry without an etag is
not kept.

A write does not return `last_modified`, and some servers list another time than that of the write. So an entry of an
upload holds for any `last_modified`, as long as key, size and etag are the same. If another program stores the same
bytes with another time, the entry still has the time of the upload. Then the object is taken for unchanged, which is
true of its bytes. Only a local file with the old time, the old size and other bytes would be wrongly in step with it;
but a comparison by size and time never finds such a file: use `compare="checksum"`.

After a HEAD, one case is not noticed: another program stores the same bytes with another time within the same second.

The memo is an SQLite file for each bucket, of about 150 bytes and the key for each object. Entries that were not used
for `KEPT` days are dropped. Several processes can use it at once. It only saves time: after any error, the call goes on
without it.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from itertools import islice
from typing import NamedTuple, TypeAlias

from bucketry._core.mtimes import mtime_of, stored_at, stored_mtime
from bucketry._core.values import ObjectInfo
from bucketry._runtime.threads import in_thread
from bucketry.providers.provider import StorageProvider

BATCH_OF_WRITES = 500  # entries of uploads in one transaction
KEPT = 90  # days
_PRUNED_EVERY = 7  # days, because it reads the whole file
_USED_EVERY = 30  # days; noting every use would make each plan a write of all entries
_AT_ONCE = 500  # keys in one SELECT; some versions of SQLite allow 999 parameters
WAIT = 1.0  # seconds for the transaction of another process, which takes a few milliseconds
_DAY = 24 * 60 * 60
_LARGEST = 2**63 - 1  # SQLite's largest integer
_BROKEN = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}

_TABLES = """
CREATE TABLE IF NOT EXISTS times (
    key TEXT PRIMARY KEY, etag TEXT, size INTEGER, listed_from INTEGER, listed_to INTEGER,
    mtime INTEGER, in_metadata INTEGER, used INTEGER
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pruned (day INTEGER);
"""

_log = logging.getLogger("bucketry")


class StoredTime(NamedTuple):
    """The time of an object, in nanoseconds since 1970.

    Attributes:
        mtime: The time in the metadata; if there is none, the time when the object was stored, as a HEAD gives it.
        in_metadata: Whether the time is in the metadata.
    """

    mtime: int
    in_metadata: bool


_Row: TypeAlias = tuple[str, str, int, int, int, int, bool, int]


def stored_time(head: ObjectInfo) -> StoredTime:
    """Return the time in the answer to a HEAD."""
    return StoredTime(mtime_of(head), stored_mtime(head) is not None)


class TimeMemo:
    """The remembered times of a bucket's objects.

    After an error, it finds nothing and saves nothing; it never raises an error of SQLite or of the disk.

    Args:
        path: The file; it and its directory are made when they are needed.
        prefix: Comes before every key, so that providers of one bucket with different prefixes share the file.
        clock: Returns the time in seconds since 1970.
        wait: How long to wait for other processes that use the file, in seconds; then this memo turns itself off.
    """

    def __init__(
        self, path: str, prefix: str = "", *, clock: Callable[[], float] = time.time, wait: float = WAIT
    ) -> None:
        """Store the arguments; no I/O."""
        self._path = path
        self._prefix = prefix
        self._clock = clock
        self._wait = wait
        self._works = True
        self._rows: list[_Row] = []

    async def look_up(self, listed: Iterable[ObjectInfo]) -> Mapping[str, StoredTime]:
        """Return the remembered times of objects in a listing, by key.

        Cost: no request; one SELECT for each 500 objects, in a worker thread.
        """
        wanted = {self._prefix + info.key: info for info in listed if info.etag}
        return await in_thread(self._look_up, wanted) if wanted and self._works else {}

    def note(self, listed: ObjectInfo, found: StoredTime) -> None:
        """Remember the answer to a HEAD of an object in a listing; `flush` saves it."""
        at = stored_at(listed)
        self._note(listed.key, listed.etag, listed.size, (at, at), found)

    def note_written(self, key: str, etag: str, size: int, *, mtime: int) -> None:
        """Remember an object that this process has just written; `flush` saves it.

        Args:
            key: The object.
            etag: The etag that the provider returned.
            size: Length in bytes.
            mtime: The time in its metadata, in nanoseconds since 1970.
        """
        self._note(key, etag, size, (-_LARGEST, _LARGEST), StoredTime(mtime, in_metadata=True))

    async def flush(self, *, at_least: int = 1) -> None:
        """Save what was noted, if there are so many entries.

        Cost: no request; one transaction, in a worker thread.
        """
        if self._works and len(self._rows) >= at_least:
            rows, self._rows = self._rows, []
            await in_thread(self._save, rows)

    def _note(self, key: str, etag: str, size: int, listed: tuple[int, int], found: StoredTime) -> None:
        if etag and abs(found.mtime) <= _LARGEST and self._works:
            self._rows.append((self._prefix + key, _bare(etag), size, *listed, *found, self._today()))

    def _today(self) -> int:
        return int(self._clock()) // _DAY

    def _look_up(self, wanted: Mapping[str, ObjectInfo]) -> dict[str, StoredTime]:
        found: dict[str, StoredTime] = {}
        today, unused = self._today(), []
        with self._turned_off_by_errors(), closing(self._connection()) as database, database:
            keys = iter(wanted)
            while some := list(islice(keys, _AT_ONCE)):
                marks = ", ".join("?" * len(some))
                query = (
                    "SELECT key, etag, size, listed_from, listed_to, mtime, in_metadata, used FROM times "  # noqa: S608
                    f"WHERE key IN ({marks})"  # nothing but question marks
                )
                for key, etag, size, first, last, mtime, in_metadata, used in database.execute(query, some).fetchall():
                    info = wanted[key]
                    if etag == _bare(info.etag) and size == info.size and first <= stored_at(info) <= last:
                        found[info.key] = StoredTime(mtime, bool(in_metadata))
                        if used <= today - _USED_EVERY:
                            unused.append((today, key))
            database.executemany("UPDATE times SET used = ? WHERE key = ?", unused)
        return found

    def _save(self, rows: list[_Row]) -> None:
        with self._turned_off_by_errors(), closing(self._connection()) as database, database:
            database.executemany("INSERT OR REPLACE INTO times VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def _connection(self) -> sqlite3.Connection:
        """Open the file for one batch, which takes less than 1 ms; so nothing has to be closed later."""
        new = not os.path.exists(self._path)
        if new:
            os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
        database = sqlite3.connect(self._path, timeout=self._wait)
        try:
            database.execute("PRAGMA synchronous = NORMAL")
            database.executescript(_TABLES)
            if new:
                # By name: to open and close the file here would end the locks that other threads have on it.
                os.chmod(self._path, 0o600)
            self._prune(database)
        except BaseException:
            database.close()
            raise
        return database

    def _prune(self, database: sqlite3.Connection) -> None:
        """Drop the entries that were not used for a long time."""
        today = self._today()
        (last,) = database.execute("SELECT max(day) FROM pruned").fetchone()
        if last is None or last <= today - _PRUNED_EVERY:
            with database:
                database.execute("DELETE FROM times WHERE used < ?", (today - KEPT,))
                database.execute("DELETE FROM pruned")
                database.execute("INSERT INTO pruned VALUES (?)", (today,))

    @contextmanager
    def _turned_off_by_errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, ValueError) as error:  # ValueError: a key that is not valid Unicode
            self._works = False
            self._rows = []
            _log.debug("sync: the memo of times %s is not used: %s", self._path, error)
            if isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in _BROKEN:
                for path in (self._path, f"{self._path}-journal"):
                    with suppress(OSError):
                        os.unlink(path)


def memo_of(provider: StorageProvider, directory: str | None) -> TimeMemo | None:
    """Return the memo of a provider's bucket; `None`: there is no directory, or HEADs of this provider cost nothing.

    Two endpoints never share a file, also if their buckets have the same name.
    """
    name = "x"  # a key must not be empty
    source = None if directory is None else provider.copy_source(name)
    if directory is None or source is None:
        return None
    place = f"times 1\n{source.endpoint or provider.name}\n{source.bucket}"
    file = hashlib.sha256(place.encode()).hexdigest()
    return TimeMemo(os.path.join(directory, f"{file}.sqlite3"), source.key.removesuffix(name))


def cache_directory(environ: Mapping[str, str]) -> str | None:
    """Return the directory of the memos if the user has not chosen one; `None`: the environment names no home.

    Source: https://specifications.freedesktop.org/basedir-spec/latest/
    """
    cache, home = environ.get("XDG_CACHE_HOME", ""), environ.get("HOME", "")
    if os.path.isabs(cache):
        return os.path.join(cache, "bucketry")
    return os.path.join(home, ".cache", "bucketry") if os.path.isabs(home) else None


def _bare(etag: str) -> str:
    """Return an etag without quotes, as `same_etag` compares it."""
    return etag.strip('"')
