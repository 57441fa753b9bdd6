"""Reads bodies into memory with their digests, writes ranges of them, and lists objects in key order."""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from bucketry._core import checksums
from bucketry._core.optional import RangeSink
from bucketry._core.os_errors import local_error
from bucketry._core.units import MiB
from bucketry._core.values import Body, ByteRange, ObjectInfo
from bucketry._runtime.file_bodies import read_body
from bucketry.errors import StorageError

CHUNK = MiB
CHECKSUM = "crc32"


@dataclass(frozen=True, slots=True)
class Content:
    """Stored bytes, with their digests."""

    data: bytes
    md5: bytes
    crc32: str


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object: its properties, its bytes, and its tags."""

    info: ObjectInfo
    data: bytes
    tags: Mapping[str, str]


class SortedObjects:
    """The objects whose keys begin with a prefix and come after a key, in key order."""

    def __init__(self, keys: Sequence[str], objects: Mapping[str, StoredObject], prefix: str, after: str) -> None:
        self._keys = keys
        self._objects = objects
        self._prefix = prefix
        self._index = max(bisect_left(keys, prefix), bisect_right(keys, after))

    def __iter__(self) -> Self:
        """Return this object, which can be iterated once."""
        return self

    def __next__(self) -> ObjectInfo:
        """Return the next object, without metadata and content type, as listings do."""
        if self._index >= len(self._keys) or not self._keys[self._index].startswith(self._prefix):
            raise StopIteration
        info = self._objects[self._keys[self._index]].info
        self._index += 1
        return ObjectInfo(
            key=info.key,
            size=info.size,
            etag=info.etag,
            last_modified=info.last_modified,
            storage_class=info.storage_class,
        )

    def skip(self, prefix: str) -> None:
        """Leave out the remaining keys that begin with `prefix`."""
        start = bisect_left(self._keys, prefix)
        # A binary search finds the first key after the keys with this prefix, because these keys are neighbours.
        self._index = bisect_left(self._keys, 1, lo=start, key=lambda key: not key.startswith(prefix))


def take_in(body: Body, where: str) -> Content:
    """Read a request's body and compute its digests; blocks if the body is in a file.

    Raises:
        IntegrityError: The file ends early, or has changed.
    """
    return _digest(read_body(body, where))


def _digest(data: bytes) -> Content:
    return Content(data, hashlib.md5(data, usedforsecurity=False).digest(), checksums.of(CHECKSUM, data))


def join(parts: Sequence[Content]) -> Content:
    """Join the parts; the result's MD5 is the MD5 of the parts' MD5s, as in S3's etag of a multipart object."""
    data = b"".join(part.data for part in parts)
    md5 = hashlib.md5(b"".join(part.md5 for part in parts), usedforsecurity=False).digest()
    return Content(data, md5, checksums.of(CHECKSUM, data))


def fill_sink(stored: StoredObject, wanted: ByteRange, sink: RangeSink, where: str) -> Generator[None, None, None]:
    """Write a range of an object's bytes into a sink, in steps."""
    view = memoryview(stored.data)
    try:
        sink.begin(stored.info)
        for start in range(wanted.start, wanted.end, CHUNK):
            if start > wanted.start:
                yield
            sink.write(view[start : min(start + CHUNK, wanted.end)])
    except StorageError:
        raise
    except OSError as error:
        raise local_error(error, f"the file with descriptor {sink.fd}", where) from error
