"""Loads the libraries that compute checksums outside the event loop."""

from __future__ import annotations

from bucketry._core import checksums
from bucketry._runtime.threads import in_thread


async def load_checksum(name: str) -> None:
    """Import the library of a checksum in a worker thread, unless this process has imported it already."""
    if not checksums.loaded(name):
        await in_thread(checksums.new, name)
