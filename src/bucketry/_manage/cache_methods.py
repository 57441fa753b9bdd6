"""The part of `StorageManager` that keeps copies of objects on this machine."""

from __future__ import annotations

from pathlib import Path

from bucketry._core.provider import StrPath
from bucketry._manage.managed import Managed
from bucketry._transfer.cache.object_cache import ObjectCache


class CacheMethods(Managed):
    """Gives local copies of objects."""

    async def cached(self, key: str, *, cache_dir: StrPath, max_bytes: int, max_age: float | None = None) -> Path:
        """Give the path of a current copy of an object, and fetch the object if there is none in the cache.

        The cache is shared by all processes of this user on this machine. If several miss the same object at the same
        time, one fetches it and the others wait. Copies appear whole or not at all. The least recently used ones are
        removed before the copies take more than `max_bytes` together.

        Do not change the file. It is the most recently used one now, so it stays until other objects need its space. If
        it is open when it is removed, it can be read to its end.

        Args:
            key: The object.
            cache_dir: A directory for this cache only; made if it is missing, readable by this user only. For buckets
                of the same name at two endpoints, use two directories.
            max_bytes: The largest sum of the copies' sizes. Objects that are being fetched need space in addition.
            max_age: Seconds after a request during which a copy is used without another request, also if the object was
                replaced or deleted meanwhile. `None`: each call makes a request.

        Raises:
            NotFoundError: There is no such object; its copy is removed.
            ConfigError: `max_bytes` is not an `int` of at least 1, or `max_age` is not a number of at least 0.
            InvalidRequestError: The object is larger than `max_bytes`.
            UnsupportedError: The provider sends no etag for the object.
            PreconditionFailedError: The object was replaced while it was fetched.
            LocalFileError: The cache cannot be read or written.

        Cost: 1 HEAD, and none for `max_age` seconds after that. If the copy is not current, in addition: 1 request for
            an object of one part, else 1 HEAD and 1 request for each part; the bytes down.
        """
        return await self.transfers.cached(key, ObjectCache(cache_dir, max_bytes, max_age))
