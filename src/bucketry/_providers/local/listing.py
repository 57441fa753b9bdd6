"""Lists the objects of a local directory in key order, and leaves out all files that are no objects.

A listing runs in a worker thread, because it blocks.
"""

from __future__ import annotations

import logging
from typing import Self

from bucketry._core.checks import OWN
from bucketry._core.values import ObjectInfo
from bucketry._providers.local.paths import ABSENT, LocalRoot, etag_of
from bucketry._providers.local.store import modified
from bucketry._runtime.walk import FoundFile, NameCache, Unusable, Walk
from bucketry.errors import InvalidKeyError, LocalFileNotFoundError

_log = logging.getLogger("bucketry")


class ListedObjects:
    """The objects whose keys begin with `prefix` and sort after `after`, in UTF-8 binary order.

    Symbolic links to regular files inside the base directory are objects; links to directories are not followed.
    """

    def __init__(self, root: LocalRoot, cache: NameCache, *, prefix: str, after: str) -> None:
        """Begin the walk through the directory.

        Raises:
            LocalNotADirectoryError: The base is a file.
            LocalFileError: The base directory cannot be read.
        """
        self._root = root
        self._walk: Walk | None = None
        try:
            self._walk = Walk(root.base, prefix=prefix, after=after, leave_out=self._is_no_object, cache=cache)
        except LocalFileNotFoundError:  # there is no directory, because nothing was stored yet
            return

    def __iter__(self) -> Self:
        """Return this object, which can be iterated once."""
        return self

    def __next__(self) -> ObjectInfo:
        """Return the next object.

        Raises:
            LocalFileError: A directory cannot be read.
        """
        if self._walk is not None:
            for found in self._walk:
                if isinstance(found, Unusable):
                    self._report(found)
                elif self._is_object(found):
                    status = found.status
                    return ObjectInfo(
                        key=found.key, size=status.st_size, etag=etag_of(status), last_modified=modified(status)
                    )
        raise StopIteration

    def skip(self, prefix: str) -> None:
        """Leave out the remaining keys that begin with `prefix`."""
        if self._walk is not None:
            self._walk.skip(prefix)

    def _is_no_object(self, key: str) -> bool:
        """Return whether to leave out a path: it is the provider's own, or a directory where every key is too long."""
        if key[-1] != "/":
            return key[0] == "." and key.casefold() == OWN
        return len(key) > self._root.limits.max_key_length or key[:-1].casefold() == OWN

    def _is_object(self, found: FoundFile) -> bool:
        key = found.key
        if "\\" in key or ":" in key or len(key) > self._root.limits.max_key_length // 4:
            try:
                self._root.check(key)
            except InvalidKeyError as error:
                _log.warning("%s is left out of the listing: %s", found.path, error)
                return False
        return not found.is_link or self._root.holds(found.path)

    def _report(self, found: Unusable) -> None:
        """Raise the error of a directory that cannot be read; log a warning for a name that cannot be a key.

        Pipes, links to directories, and files that were just removed are no objects, and are ignored.
        """
        if isinstance(found.error, InvalidKeyError):
            _log.warning("%r is left out of the listing: its name is not UTF-8; rename it", found.path)
        elif found.key[-1:] in ("", "/") and found.error.errno not in ABSENT:
            raise found.error
