"""The optional methods of a provider that make one request each; its `capabilities` show which of them it has.

A provider class derives from these protocols. If the class does not implement a method, the method raises
`UnsupportedError`. Only `fetch_range` and `delete_batch` have working defaults, in `_providers.defaults`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, cast

from bucketry._core.facts import filled
from bucketry._core.names import Names
from bucketry._core.options import WHOLE, ReadOptions, WriteOptions
from bucketry._core.values import (
    BatchResult,
    Body,
    ByteRange,
    MultipartUpload,
    ObjectInfo,
    ObjectSource,
    Part,
    VersionPage,
)
from bucketry.errors import UnsupportedError


class RangeSink(Protocol):
    """The target of `fetch_range`: an open file, into which bytes are written from `position` on."""

    @property
    def fd(self) -> int:
        """The file's descriptor, open for writing."""

    @property
    def position(self) -> int:
        """The offset in the file at which the next byte is written."""

    @property
    def needs_bytes(self) -> bool:
        """Whether all bytes must go through `write`, for a checksum; if not, the kernel may copy them."""

    def begin(self, info: ObjectInfo) -> None:
        """Get the object's properties before the first byte, so that the other ranges can be requested meanwhile.

        The provider calls it when the response's head has arrived. If it does not, a download waits for the end of the
        first range before it requests the others. `info.key` is not used. Blocks: call it in a worker thread.
        """

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write the next bytes. Blocks: call it in a worker thread."""

    def skip(self, count: int) -> None:
        """Increase `position` by `count` bytes that were written without `write`, such as by `copy_file_range`."""


class FetchesRanges(Protocol):
    """The method that writes bytes of an object to an open file, with one request. The default uses `open_body`."""

    async def fetch_range(self, key: str, sink: RangeSink, options: ReadOptions = WHOLE) -> ObjectInfo:
        """Write the object, or the range in `options`, to an open file, in a worker thread.

        The sink gets the object's properties before the first byte, and the caller gets them as the result. After an
        `IncompleteBodyError`, the sink's position shows how many bytes arrived; the caller requests the rest.

        Raises:
            NotFoundError: There is no such object.
            PreconditionFailedError: The object is not the version named by `if_match`.
            IncompleteBodyError: The body ended or stalled before all its bytes arrived.
            IntegrityError: The range in the response is not the requested range.
            LocalFileError: The file cannot be written.

        Cost: 1 request, the range's bytes down; about 1 MiB of memory.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
        """


class DeletesBatches(Protocol):
    """The method that removes several objects with one request, if `capabilities.max_delete_keys` is more than 1."""

    async def delete_batch(self, keys: Sequence[str]) -> BatchResult:
        """Remove up to `capabilities.max_delete_keys` objects, and return the outcome of each.

        Cost: 1 request; the default of `StorageProvider`, without bulk delete, makes 1 for each key.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
        """


class CopiesObjects(Protocol):
    """Methods that copy on the server, each with one request, if `capabilities.copy`."""

    async def copy_object(
        self,
        source: str,
        destination: str,
        *,
        if_match: str | None = None,
        options: WriteOptions | None = None,
    ) -> ObjectInfo:
        """Copy an object of up to `capabilities.max_copy_size` bytes within the bucket, with its metadata.

        Args:
            source: The key to copy.
            destination: The key to write.
            if_match: The source's etag, to copy exactly that version.
            options: The metadata, content type and other headers of the copy; `None`: those of the source. The copy has
                the source's tags, unless `options` has tags.

        Raises:
            UnsupportedError: The provider has no server-side copy.

        Cost: 1 request; no bytes pass through this machine.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
        """
        raise _without(self, "server-side copy", "copy is False", "copy_object", source)

    async def copy_part(
        self, upload: MultipartUpload, part_number: int, source: str, byte_range: ByteRange, *, if_match: str
    ) -> Part:
        """Make a part of an open upload from a range of another object.

        Raises:
            UnsupportedError: The provider has no server-side copy into parts.

        Cost: 1 request.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html
        """
        raise _without(
            self,
            "server-side copy into parts",
            "copy and capabilities.multipart are not both True",
            "copy_part",
            source,
        )


class CopiesBetweenBuckets(Protocol):
    """Methods that copy from another bucket on the server, if `capabilities.copy_between_buckets`."""

    def copy_source(self, key: str) -> ObjectSource | None:
        """Return what another provider needs to copy the object on the server; `None`: no provider can do that.

        Cost: none.
        """
        del key
        return None

    async def copy_object_from(
        self,
        source: ObjectSource,
        destination: str,
        *,
        if_match: str | None = None,
        options: WriteOptions | None = None,
    ) -> ObjectInfo:
        """Copy an object of up to `capabilities.max_copy_size` bytes from another bucket, with its metadata.

        Args:
            source: From the other provider's `copy_source`; its `server` equals that of this provider's own sources.
            destination: The key to write.
            if_match: The source's etag, to copy exactly that version.
            options: As in `copy_object`.

        Raises:
            UnsupportedError: The provider has no server-side copy between buckets.

        Cost: 1 request; no bytes pass through this machine.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
        """
        raise _without(
            self, "server-side copy between buckets", "copy_between_buckets is False", "copy_object_from", destination
        )

    async def copy_part_from(
        self, upload: MultipartUpload, part_number: int, source: ObjectSource, byte_range: ByteRange, *, if_match: str
    ) -> Part:
        """Make a part of an open upload from a range of an object in another bucket.

        Raises:
            UnsupportedError: The provider has no server-side copy between buckets.

        Cost: 1 request.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html
        """
        raise _without(
            self, "server-side copy between buckets", "copy_between_buckets is False", "copy_part_from", upload.key
        )


class UploadsParts(Protocol):
    """Methods for multipart uploads, each with one request, if `capabilities.multipart`."""

    async def create_multipart(self, key: str, options: WriteOptions) -> MultipartUpload:
        """Open an upload; its parts are stored, and billed, until the upload is completed or aborted.

        Raises:
            UnsupportedError: The provider has no multipart uploads.

        Cost: 1 request.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html
        """
        raise _without(self, "multipart uploads", "multipart is False", "create_multipart", key)

    async def put_part(self, upload: MultipartUpload, part_number: int, body: Body) -> Part:
        """Store one part; parts may be put in any order, and a part replaces an earlier part of the same number.

        Raises:
            UnsupportedError: The provider has no multipart uploads.
            UploadNotFoundError: The upload was completed or aborted.

        Cost: 1 request, the body's bytes up; the body is in memory while it is sent.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html
        """
        raise _without(self, "multipart uploads", "multipart is False", "put_part", upload.key)

    async def complete_multipart(
        self,
        upload: MultipartUpload,
        parts: Sequence[Part],
        options: WriteOptions,
        *,
        checksum: str | None = None,
    ) -> ObjectInfo:
        """Publish the object made of the parts, in order of their numbers.

        Args:
            upload: The open upload.
            parts: Every part, in any order.
            options: Only the preconditions are used here.
            checksum: The checksum of the whole object, in hex, if `capabilities.full_object_checksum`.

        Raises:
            UnsupportedError: The provider has no multipart uploads.
            UploadNotFoundError: The upload was completed (perhaps by an attempt whose response was lost) or aborted.
            AlreadyExistsError: `if_none_match="*"` and there is an object now.
            PreconditionFailedError: `if_match` does not hold.

        Cost: 1 request.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
        """
        raise _without(self, "multipart uploads", "multipart is False", "complete_multipart", upload.key)

    async def abort_multipart(self, upload: MultipartUpload) -> None:
        """Delete the upload and its parts; it is not an error if the upload no longer exists.

        Raises:
            UnsupportedError: The provider has no multipart uploads.

        Cost: 1 request.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html
        """
        raise _without(self, "multipart uploads", "multipart is False", "abort_multipart", upload.key)

    async def list_parts(self, upload: MultipartUpload, *, after: int = 0) -> tuple[Part, ...]:
        """Return the stored parts of an open upload, in order of their numbers: at most 1,000, without checksums.

        Args:
            upload: The open upload.
            after: Only return parts with a higher number.

        Raises:
            UnsupportedError: The provider has no multipart uploads.
            UploadNotFoundError: The upload was completed or aborted.

        Cost: 1 request.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html
        """
        raise _without(self, "multipart uploads", "multipart is False", "list_parts", upload.key)

    async def list_multiparts(
        self, prefix: str = "", *, after: MultipartUpload | None = None
    ) -> tuple[MultipartUpload, ...]:
        """Return the open uploads of keys that begin with the literal prefix, at most 1,000.

        The uploads are in UTF-8 binary order of their keys; the provider decides the order of uploads of one key.

        Args:
            prefix: Literal.
            after: The last upload of the previous page; only return uploads after it. It may have ended since then.

        Raises:
            UnsupportedError: The provider has no multipart uploads.

        Cost: 1 request.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html
        """
        raise _without(self, "multipart uploads", "multipart is False", "list_multiparts", prefix)


class Presigns(Protocol):
    """URLs that work without credentials; they are made without a request."""

    async def presign(
        self,
        key: str,
        *,
        method: str = "GET",
        expires_in: int = 3600,
        response_content_type: str | None = None,
        response_content_disposition: str | None = None,
    ) -> str:
        """Sign a URL for `method` on the object.

        Args:
            key: The object.
            method: One of `capabilities.presign_methods`.
            expires_in: Seconds, 1 to `capabilities.max_presign_expiry`.
            response_content_type: The `Content-Type` of the response to a GET, instead of the stored type.
            response_content_disposition: The same for `Content-Disposition`, such as `'attachment; filename="a.csv"'`.

        Raises:
            UnsupportedError: The provider cannot sign this method, or its configuration needs request headers that a
                URL cannot hold.
            InvalidRequestError: `expires_in` is out of range, or a `response_…` argument was given and the method is
                not GET.

        Cost: none.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-presigned-url.html
        """
        raise _without(self, "presigned URLs", "presign_methods is empty", "presign", key)

    async def presign_post(self, key: str, *, expires_in: int = 3600, max_size: int | None = None) -> dict[str, Any]:
        """Sign a form for an upload to `key` from a browser: `{"url": …, "fields": {…}}`.

        Args:
            key: The object.
            expires_in: Seconds, 1 to `capabilities.max_presign_expiry`.
            max_size: Largest upload in bytes; `None`: no limit.

        Raises:
            UnsupportedError: The vendor has no browser uploads by form.

        Cost: none.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-post-example.html
        """
        raise _without(self, "browser uploads by a signed form", "presign_post is False", "presign_post", key)


class KeepsVersions(Protocol):
    """The method that lists the versions of objects, one page with one request, if `capabilities.versions`."""

    async def list_versions_page(self, prefix: str = "", *, token: str | None = None) -> VersionPage:
        """Return up to 1,000 versions and delete markers of the objects whose keys begin with the literal prefix.

        The entries are in UTF-8 binary order of their keys; the versions of one key are sorted latest first.

        Args:
            prefix: Literal.
            token: `next_token` of the previous page.

        Raises:
            UnsupportedError: The provider keeps no versions.

        Cost: 1 request.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
        """
        raise _without(self, "versions", "versions is False", "list_versions_page", prefix)


class KeepsTags(Protocol):
    """Methods for the tags of an object, each with one request, if `capabilities.tags`."""

    async def get_tags(self, key: str) -> dict[str, str]:
        """Return the object's tags.

        Raises:
            NotFoundError: There is no such object.
            UnsupportedError: The provider keeps no tags.

        Cost: 1 request.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectTagging.html
        """
        raise _without(self, "tags", "tags is False", "get_tags", key)

    async def put_tags(self, key: str, tags: Mapping[str, str]) -> None:
        """Replace all tags of the object; its bytes, etag and metadata stay.

        Args:
            key: The object.
            tags: At most 10; names of 1 to 128 characters, values of up to 256. Empty: removes all tags.

        Raises:
            NotFoundError: There is no such object.
            UnsupportedError: The provider keeps no tags.
            InvalidRequestError: There are too many tags, or a tag is too long; nothing was sent.

        Cost: 1 request.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectTagging.html
        """
        raise _without(self, "tags", "tags is False", "put_tags", key)


def _without(provider: object, what: str, why: str, operation: str, key: str) -> UnsupportedError:
    named = cast("Names", provider)  # every provider is an `ObjectRequests`, which includes `Names`
    message = f"{named.locate(key)}: this provider has no {what} (capabilities.{why})"
    return filled(UnsupportedError(message, key=key), named.name, operation)
