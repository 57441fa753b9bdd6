"""The part of `StorageManager` that keeps copies of objects on this machine."""

from __future__ import annotations

from pathlib import Path

from bucketry._core.provider import StrPath
from bucketry._manage.managed import Managed
from bucketry._transfer.cache.object_cache import ObjectCache


class CacheMethods(Managed):
    """Methods that keep local copies of objects."""

    async def cached(self, key: str, *, cache_dir: StrPath, max_bytes: int, max_age: float | None = None) -> Path:
        """Return the path of a current copy of an object; fetch the object if the cache has no current copy.

        All processes of this user on this machine share the cache. If several processes need the same missing object at
        the same time, one process fetches it, and the other processes wait. Copies appear whole or not at all. Before
        the copies together take more than `max_bytes`, the least recently used copies are removed.

        The file's name has the suffix of the key, such as `.pt` or `.csv.gz`, also two suffixes, because many libraries
        choose how to read a file by its suffix. Suffixes longer than 15 characters or with unusual ones are left out.

        Do not change the file. It stays until other objects need its space; then the least recently used copies are
        removed first. If a program has the file open when it is removed, the program can read it to its end.

        Args:
            key: The object.
            cache_dir: A directory only for this cache. If it is missing, it is made, and only this user can read it.
                For buckets of the same name at two endpoints, use two directories.
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

        Cost: 1 HEAD, and no request for `max_age` seconds after it. If the copy is not current, in addition 1 request
            for an object of one part, else 1 HEAD and 1 request for each part; the bytes down.
        """
        return await self.transfers.cached(key, ObjectCache(cache_dir, max_bytes, max_age))
