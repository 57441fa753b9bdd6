"""Loads outside the event loop what takes long to load, when it is first needed."""

from __future__ import annotations

from bucketry._core import checksums, content_types
from bucketry._runtime.threads import in_thread


async def load_checksum(name: str) -> None:
    """Import the library of a checksum in a worker thread, unless this process has imported it already."""
    if not checksums.loaded(name):
        await in_thread(checksums.new, name)


async def load_content_types(key: str = ".") -> None:
    """Read Python's table of content types in a worker thread, if a key needs it and this process has not read it.

    A key that is no string is refused later, by the request.
    """
    if isinstance(key, str) and "." in key and not content_types.loaded():
        await in_thread(content_types.load)
