"""The open body of a read whose bytes are in memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from bucketry._core.units import MiB
from bucketry._core.values import ByteRange, ObjectInfo

CHUNK = MiB


class BytesBody:
    """The open body of a read whose bytes are already in memory: a `BodyReader` for `open_body`.

    Args:
        info: The object's properties; `size` is the size of the whole object, also for a range.
        data: The bytes that were read.
        wanted: The range of `data` to return. If `data` is the whole object, `cut_range` returns this range. `None`:
            all bytes.

    Cost: nothing is copied if all of `data` is read in one piece.
    """

    verified = None  # this body compares no checksum

    def __init__(self, info: ObjectInfo, data: bytes, wanted: ByteRange | None = None) -> None:
        """Store the bytes."""
        self.info = info
        self._data = data
        self._wanted = ByteRange(0, len(data)) if wanted is None else wanted

    async def read(self) -> bytes:
        """Return the whole body in one piece."""
        return self._data[self._wanted.start : self._wanted.end]

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        """Yield the bytes in chunks of 1 MiB."""
        for start in range(self._wanted.start, self._wanted.end, CHUNK):
            yield self._data[start : min(start + CHUNK, self._wanted.end)]
