"""The methods of a provider that make one request each.

`RequiredRequests` has the methods that every provider implements. The optional methods have defaults, see
`_core.optional`. `ObjectRequests` has both; transfer code calls no other methods of a provider.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Protocol, Self

from bucketry._core.names import Names
from bucketry._core.optional import (
    CopiesBetweenBuckets,
    CopiesObjects,
    DeletesBatches,
    FetchesRanges,
    KeepsTags,
    KeepsVersions,
    Presigns,
    UploadsParts,
)
from bucketry._core.options import WHOLE, ReadOptions, WriteOptions
from bucketry._core.values import Body, ListPage, ObjectInfo


class BodyReader(Protocol):
    """The open body of one response; it can be read one time, either as a whole or by iteration."""

    @property
    def info(self) -> ObjectInfo:
        """The object's properties; `size` is the size of the whole object, also for a range."""

    @property
    def verified(self) -> str | None:
        """The algorithm of the stored checksum that this body compares with all its bytes, such as `"crc32"`.

        `None`: the body compares no checksum. The comparison is made before the last byte is returned, so the caller
        need not compute the checksum again.
        """

    async def read(self) -> bytes:
        """Return all the bytes in one piece; for a small body, this is faster than iteration.

        After an `IncompleteBodyError`, iteration yields the bytes that arrived (or none, if the reader has not kept
        them), and raises the error again.

        Raises:
            IncompleteBodyError: The body ended or stalled before all its bytes arrived.
        """

    def __aiter__(self) -> AsyncGenerator[bytes, None]:
        """Yield the bytes in chunks.

        Raises:
            IncompleteBodyError: The body ended or stalled before all its bytes arrived.
        """


class Connects(Protocol):
    """Opening and closing a provider."""

    async def connect(self) -> None:
        """Check that bucket (or directory) and credentials work."""

    async def disconnect(self) -> None:
        """Close the connections that the provider itself has opened; a shared pool stays open."""

    async def __aenter__(self) -> Self:
        """Connect, and return the provider."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect."""


class ReadsObjects(Protocol):
    """Methods that read the properties or the bytes of an object, each with one request."""

    async def head(self, key: str, *, version_id: str | None = None) -> ObjectInfo:
        """Return the object's properties.

        Args:
            key: The object.
            version_id: The version; `None`: the current version. Only for providers with `capabilities.versions`.

        Raises:
            NotFoundError: There is no such object.

        Cost: 1 request.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
        """

    def open_body(self, key: str, options: ReadOptions = WHOLE) -> AbstractAsyncContextManager[BodyReader]:
        """Open the object's body, or a range of it; leaving the context releases the connection.

        Raises:
            NotFoundError: There is no such object.
            PreconditionFailedError: A condition does not hold; the etag of the response is compared, too.
            InvalidRangeError: The range begins at or beyond the object's end.

        Cost: 1 request, the range's bytes down; about 1 MiB of memory.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
        """


class WritesObjects(Protocol):
    """The method that stores a whole object, atomically, with one request."""

    async def put_object(self, key: str, body: Body, options: WriteOptions) -> ObjectInfo:
        """Store the object in one request; the object becomes visible whole or not at all.

        Raises:
            AlreadyExistsError: `if_none_match="*"` and there is an object.
            PreconditionFailedError: `if_match` does not hold.
            UnsupportedError: The vendor is not known to enforce the condition; nothing was sent.

        Cost: 1 request, the body's bytes up; the body is in memory while it is sent.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
        """


class ListsObjects(Protocol):
    """The method that lists keys, one page with one request."""

    async def list_page(
        self,
        prefix: str = "",
        *,
        delimiter: str | None = None,
        start_after: str | None = None,
        token: str | None = None,
    ) -> ListPage:
        """Return up to `capabilities.max_list_keys` entries whose keys begin with the literal prefix.

        Args:
            prefix: Literal; `"bus"` matches `"bush/a"`.
            delimiter: Such as `"/"`: all keys below the same "directory" are returned as one `CommonPrefix`.
            start_after: Only return keys that sort after this key.
            token: `next_token` of the previous page.

        Cost: 1 request.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
        """


class DeletesObjects(Protocol):
    """The method that removes an object, with one request."""

    async def delete(self, remote_path: str, *, version_id: str | None = None) -> None:
        """Remove the object; it is not an error if there is no object.

        If the vendor keeps versions, deleting without a `version_id` may hide the object and keep its bytes.

        Args:
            remote_path: The object's key.
            version_id: The version to remove permanently; `None`: remove the object. Only for providers with
                `capabilities.versions`.

        Cost: 1 request.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html
        """


class RequiredRequests(Connects, Names, ReadsObjects, WritesObjects, ListsObjects, DeletesObjects, Protocol):
    """The ten members that every provider implements itself; each method makes one request.

    They are `name`, `capabilities`, `locate`, `connect`, `disconnect`, `head`, `open_body`, `put_object`, `delete` and
    `list_page`.
    """


class ObjectRequests(
    RequiredRequests,
    FetchesRanges,
    DeletesBatches,
    CopiesObjects,
    CopiesBetweenBuckets,
    UploadsParts,
    Presigns,
    KeepsVersions,
    KeepsTags,
    Protocol,
):
    """All methods of a provider that make one request; transfer code calls no other methods of a provider.

    `StorageProvider` has a default for each method that is not in `RequiredRequests`. A provider's `capabilities` show
    which optional methods it implements.
    """
