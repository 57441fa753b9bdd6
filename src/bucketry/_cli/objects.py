"""The properties of an object as a table or JSON, and a display that counts objects during a long listing."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TextIO

from bucketry._cli.globs import Glob
from bucketry._cli.output import Output, counted, printable, shown, shown_exactly, shown_size, shown_time
from bucketry._cli.place import Remote
from bucketry._cli.terminal import is_plain
from bucketry._core.provider import IStorageProvider
from bucketry._core.values import ObjectInfo
from bucketry._runtime.threads import in_thread
from bucketry._transfer.listing import as_directory
from bucketry.errors import NotFoundError, StorageError

_FILE = "file://"
_STEP = 0.2  # seconds between two states of the display: often enough to be seen to move


def object_document(provider: IStorageProvider, found: ObjectInfo) -> dict[str, object]:
    """Return the properties of an object for JSON."""
    return {
        "key": found.key,
        "url": provider.locate(found.key),
        "size": found.size,
        "etag": found.etag,
        "last_modified": found.last_modified,
        "content_type": found.content_type,
        "storage_class": found.storage_class,
        "version_id": found.version_id,
        "cache_control": found.cache_control,
        "content_disposition": found.content_disposition,
        "content_encoding": found.content_encoding,
        "content_language": found.content_language,
        "metadata": dict(found.metadata),
        "checksums": dict(found.checksums),
    }


def object_rows(provider: IStorageProvider, found: ObjectInfo) -> list[tuple[str, str]]:
    """Return the properties of an object for a table, without those that it does not have."""
    texts: dict[str, object] = {
        **object_document(provider, found),
        "key": shown(found.key),
        "size": shown_exactly(found.size, " bytes"),
        "last_modified": shown_time(found.last_modified),
    }
    rows: list[tuple[str, str]] = []
    for name, value in texts.items():
        if isinstance(value, Mapping):
            rows += [(f"{name}.{inner}", printable(str(one))) for inner, one in value.items()]
        elif value:
            rows.append((name, printable(str(value))))
    return rows


def nothing_there(remote: Remote) -> NotFoundError:
    """Return the error for a word that selects no object."""
    if remote.is_glob and not Glob(remote.key).is_plain:
        message = f"{remote.url}: matches no object"
    else:
        message = f"{remote.url}: there is no such object, and none below it"
    return NotFoundError(message, key=remote.key)


async def missing_directory(remote: Remote) -> NotFoundError | None:
    """Return the error for a local store whose directory does not exist; `None`: it exists, or is a server's bucket.

    Such a store is listed as empty. But if the user has named it, a disk may not be mounted.
    """
    path = remote.provider.locate().removeprefix(_FILE)
    if not remote.provider.capabilities.plain_paths or await in_thread(os.path.isdir, path):
        return None
    return NotFoundError(f"{remote.url}: there is no such directory")


async def any_below(remote: Remote) -> bool:
    """Return whether there are objects below a key, as in a directory."""
    return bool((await remote.provider.list_page(as_directory(remote.key))).entries)


async def refuse_directory(remote: Remote) -> None:
    """Raise an error that says so if a key, which names no object, is a directory.

    Cost: 1 LIST.
    """
    try:
        if not await any_below(remote):
            return
    except StorageError:  # these credentials may read objects, but not list them
        return
    message = f"{remote.url}: is a directory, not an object; see what is below it with `bucketry list`"
    raise NotFoundError(message, key=remote.key)


class Tally:
    """Counts objects and bytes."""

    __slots__ = ("objects", "size")

    def __init__(self) -> None:
        self.objects = 0
        self.size = 0

    def add(self, size: int) -> None:
        """Count one object."""
        self.objects += 1
        self.size += size

    def __str__(self) -> str:
        return f"{counted(self.objects, 'object')}, {shown_size(self.size)}"


class CountingDisplay:
    """A line on the terminal that shows a tally.

    Args:
        tally: The tally; others count.
        stream: The terminal; `None`: nothing is shown.
        clock: Returns the time in seconds.
    """

    def __init__(self, tally: Tally, stream: TextIO | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._tally = tally
        self._stream = stream
        self._clock = clock
        self._next = clock() + _STEP
        self._width = 0

    def update(self) -> None:
        """Show the tally, if the last time was long enough ago."""
        if self._stream is not None and self._clock() >= self._next:
            text = f"so far {self._tally}"
            self._width = max(self._width, len(text))
            self._show(text.ljust(self._width))

    def clear(self) -> None:
        """Remove the line."""
        if self._width:
            self._show(" " * self._width)
            self._show("")
            self._width = 0

    def _show(self, text: str) -> None:
        print(f"\r{text}", end="", file=self._stream, flush=True)
        self._next = self._clock() + _STEP


@contextmanager
def counting_display(output: Output, tally: Tally) -> Iterator[CountingDisplay]:
    """Show a tally on the terminal while the context is open; the caller calls `update` after each object."""
    display = CountingDisplay(tally, None if output.as_json or is_plain(sys.stderr) else sys.stderr)
    try:
        yield display
    finally:
        display.clear()
