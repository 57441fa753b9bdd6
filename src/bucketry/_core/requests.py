"""What a provider does in one request each: the small part that every provider writes, and the whole.

`RequiredRequests` is what a new provider implements. The rest has defaults, see `_core.optional`. `ObjectRequests`
is all of it: what transfer code knows of a provider.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Protocol, Self

from bucketry._core.names import Names
from bucketry._core.optional import (
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
    """The open body of one answer: read it whole, or iterate it, once."""

    @property
    def info(self) -> ObjectInfo:
        """The object that the bytes are of; `size` is the whole object's."""

    @property
    def verified(self) -> str | None:
        """The stored checksum that all the bytes are compared with before the last of them is given, if any is.

        Such as `"crc32"`. Whoever reads the body need not compute it again.
        """

    async def read(self) -> bytes:
        """Give all the bytes in one piece: the shorter way for a small body.

        When it breaks, iterating gives what did come (or nothing, if that is not known), and breaks again.

        Raises:
            IncompleteBodyError: The body ended or stalled before its length.
        """

    def __aiter__(self) -> AsyncGenerator[bytes, None]:
        """Give the bytes in chunks.

        Raises:
            IncompleteBodyError: The body ended or stalled before its length.
        """


class Connects(Protocol):
    """A provider's life."""

    async def connect(self) -> None:
        """Prove that place and credentials work."""

    async def disconnect(self) -> None:
        """Close what the provider itself opened; a shared pool stays open."""

    async def __aenter__(self) -> Self:
        """Connect."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect."""


class ReadsObjects(Protocol):
    """One request each: facts and bytes of an object."""

    async def head(self, key: str, *, version_id: str | None = None) -> ObjectInfo:
        """Give what is known about the object.

        Args:
            key: The object.
            version_id: The version; `None`: the current one. Given only where `capabilities.versions`.

        Raises:
            NotFoundError: There is no such object.

        Cost: 1 request.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
        """

    def open_body(self, key: str, options: ReadOptions = WHOLE) -> AbstractAsyncContextManager[BodyReader]:
        """Open the object's body, or a range of it; leaving the context releases the connection.

        Raises:
            NotFoundError: There is no such object.
            PreconditionFailedError: A condition does not hold; checked against the answer's etag as well.
            InvalidRangeError: The range begins at or beyond the object's end.

        Cost: 1 request, the range's bytes down; about 1 MiB of memory.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
        """


class WritesObjects(Protocol):
    """One request each: a whole object, atomically."""

    async def put_object(self, key: str, body: Body, options: WriteOptions) -> ObjectInfo:
        """Store the object in one request: visible whole or not at all.

        Raises:
            AlreadyExistsError: `if_none_match="*"` and there is one.
            PreconditionFailedError: `if_match` does not hold.
            UnsupportedError: The vendor's row does not say that the condition is enforced; nothing was sent.

        Cost: 1 request, the body's bytes up; the body in memory while it is sent.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
        """


class ListsObjects(Protocol):
    """One request each: a page of keys."""

    async def list_page(
        self,
        prefix: str = "",
        *,
        delimiter: str | None = None,
        start_after: str | None = None,
        token: str | None = None,
    ) -> ListPage:
        """Give up to `capabilities.max_list_keys` entries whose keys begin with the literal prefix.

        Args:
            prefix: Literal; `"bus"` matches `"bush/a"`.
            delimiter: Groups the keys that share what comes before it after the prefix.
            start_after: Only keys that sort after it.
            token: `next_token` of the page before.

        Cost: 1 request.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
        """


class DeletesObjects(Protocol):
    """One request each: removing objects."""

    async def delete(self, remote_path: str, *, version_id: str | None = None) -> None:
        """Remove the object; succeeds when there is none.

        Where the vendor keeps versions, deleting without a `version_id` may hide the object and keep its bytes.

        Args:
            remote_path: The object's key.
            version_id: Remove this version for good; `None`: the object. Given only where `capabilities.versions`.

        Cost: 1 request.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html
        """


class RequiredRequests(Connects, Names, ReadsObjects, WritesObjects, ListsObjects, DeletesObjects, Protocol):
    """What every provider writes itself: ten members, of which each method makes one request.

    `name`, `capabilities`, `locate`, `connect`, `disconnect`, `head`, `open_body`, `put_object`, `delete` and
    `list_page`.
    """


class ObjectRequests(
    RequiredRequests,
    FetchesRanges,
    DeletesBatches,
    CopiesObjects,
    UploadsParts,
    Presigns,
    KeepsVersions,
    KeepsTags,
    Protocol,
):
    """Everything a provider does in one request: all that transfer code knows of a provider.

    `StorageProvider` has a default for what is not in `RequiredRequests`. Whether a provider has more than the
    default is told by its row, `capabilities`.
    """
