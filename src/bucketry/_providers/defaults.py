"""The requests with a default implementation, and checks of what a provider's class must implement."""

from __future__ import annotations

from collections.abc import Sequence

from bucketry._core.capabilities import Capabilities
from bucketry._core.facts import fills_in_facts
from bucketry._core.optional import RangeSink
from bucketry._core.options import WHOLE, ReadOptions
from bucketry._core.requests import ObjectRequests, RequiredRequests
from bucketry._core.values import BatchResult, ObjectInfo
from bucketry._providers.ranges import fill_sink
from bucketry.errors import StorageError

REQUESTS = frozenset(name for protocol in ObjectRequests.__mro__ for name in vars(protocol) if not name.startswith("_"))
"""The methods and attributes of `ObjectRequests`."""

_REQUIRED = tuple(
    name
    for protocol in RequiredRequests.__mro__
    for name in vars(protocol)
    if not name.startswith("_") and protocol.__module__.startswith("bucketry.")
)
_MULTIPART = (
    "create_multipart",
    "put_part",
    "complete_multipart",
    "abort_multipart",
    "list_parts",
    "list_multiparts",
)


@fills_in_facts
class DefaultRequests(ObjectRequests):
    """Working defaults for `fetch_range` and `delete_batch`.

    By default, all other optional requests raise `UnsupportedError`.
    """

    async def fetch_range(self, key: str, sink: RangeSink, options: ReadOptions = WHOLE) -> ObjectInfo:
        """Write a range of the object, or the whole object, into an open file, in worker threads.

        After an `IncompleteBodyError` the sink's position shows how many bytes arrived. The caller can request the rest
        of the range.

        Raises:
            NotFoundError: There is no such object.
            PreconditionFailedError: The object is not the version named by `if_match`.
            IncompleteBodyError: The body ended or stalled before its length.
            LocalFileError: The file cannot be written.

        Cost: 1 request, the range's bytes down; about 1 MiB of memory, and what `open_body` needs.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
        """
        return await fill_sink(self.open_body(key, options), sink)

    async def delete_batch(self, keys: Sequence[str]) -> BatchResult:
        """Remove several objects, and return the result for each.

        Cost: 1 request for each key.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
        """
        failed: dict[str, StorageError] = {}
        for key in keys:
            try:
                await self.delete(key)
            except StorageError as error:
                failed[key] = error
        return BatchResult(succeeded=tuple(key for key in keys if key not in failed), failed=failed)


def document(kind: type[ObjectRequests]) -> None:
    """Copy docstrings of `ObjectRequests` to those requests of the class that have none, so that `help` shows them."""
    for name in REQUESTS:
        request = getattr(kind, name)
        if not request.__doc__:
            request.__doc__ = getattr(ObjectRequests, name).__doc__


def unwritten(kind: type[DefaultRequests]) -> list[str]:
    """Return the names of the required requests that the class does not implement."""
    return [name for name in _REQUIRED if getattr(kind, name) is getattr(RequiredRequests, name)]


def unkept(kind: type[DefaultRequests], row: Capabilities) -> dict[str, list[str]]:
    """Return the capabilities that the row promises and the class lacks, each with the requests that are missing."""
    promises = {
        "multipart": _MULTIPART if row.multipart else (),
        "copy": ("copy_object", *(("copy_part",) if row.multipart else ())) if row.copy else (),
        "copy_between_buckets": ("copy_source", "copy_object_from", "copy_part_from")
        if row.copy_between_buckets
        else (),
        "presign_methods": ("presign",) if row.presign_methods else (),
        "presign_post": ("presign_post",) if row.presign_post else (),
        "max_delete_keys": ("delete_batch",) if row.max_delete_keys > 1 else (),
        "versions": ("list_versions_page",) if row.versions else (),
        "tags": ("get_tags", "put_tags") if row.tags else (),
    }
    missing = {
        promise: [name for name in names if getattr(kind, name) is getattr(DefaultRequests, name)]
        for promise, names in promises.items()
    }
    return {promise: names for promise, names in missing.items() if names}
