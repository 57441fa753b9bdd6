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
    """The requests with a default implementation; `_core.optional` refuses the other optional requests."""

    async def fetch_range(self, key: str, sink: RangeSink, options: ReadOptions = WHOLE) -> ObjectInfo:
        """Put a range of the object (`None`: all of it) into an open file, off the event loop.

        After an `IncompleteBodyError` the sink's position shows how many bytes arrived; request the rest.

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
        """Remove several objects and report on each.

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
    """Copy the contract's docstring to each request of the class that has none, so that `help` shows it."""
    for name in REQUESTS:
        request = getattr(kind, name)
        if not request.__doc__:
            request.__doc__ = getattr(ObjectRequests, name).__doc__


def unwritten(kind: type[DefaultRequests]) -> list[str]:
    """Return the names of the required requests that the class does not implement."""
    return [name for name in _REQUIRED if getattr(kind, name) is getattr(RequiredRequests, name)]


def unkept(kind: type[DefaultRequests], row: Capabilities) -> dict[str, list[str]]:
    """Return the capabilities that the row promises, each with its requests that the class does not implement."""
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
