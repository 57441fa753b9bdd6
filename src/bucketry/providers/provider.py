"""StorageProvider: the base class of all providers; it builds the methods for users from single requests."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Mapping
from types import TracebackType
from typing import ClassVar, Self, Unpack, overload

from bucketry._core.checks import check_write, refuse_string
from bucketry._core.config import TransferConfig
from bucketry._core.facts import Facts, filled, fills_in_facts
from bucketry._core.optional import KeepsVersions
from bucketry._core.options import WriteKeywords
from bucketry._core.provider import Content, StrPath, Upload
from bucketry._core.values import (
    BatchResult,
    CommonPrefix,
    MultipartUpload,
    ObjectInfo,
    ObjectVersion,
    TransferResult,
)
from bucketry._providers.defaults import REQUESTS, document, unkept, unwritten
from bucketry._providers.promises import keep_promises
from bucketry._runtime.loading import load_content_types
from bucketry._transfer.checked_config import checked_config
from bucketry._transfer.listing import every_object
from bucketry._transfer.many import collected, delete_each
from bucketry._transfer.options import write_options
from bucketry.errors import StorageError, TransientError
from bucketry.providers.reads import ReadMethods


@fills_in_facts
class StorageProvider(ReadMethods):
    """The base class of every provider: a subclass that implements `RequiredRequests` gets all of `IStorageProvider`.

    A provider's `capabilities` list its optional features, and its class implements these features. If the provider
    does not have a feature, the feature's methods raise `UnsupportedError` before anything is sent.

    A provider holds configuration only. It can be pickled, and works after a fork, in a spawned process and in a second
    event loop. `connect` is optional: the first call opens the connections that it needs.
    """

    FILLS_IN_FACTS: ClassVar[tuple[str, ...]] = ("put", "upload", "download")  # the manager fills in the last two

    def __init__(self, transfer: TransferConfig | None = None) -> None:
        """Store the configuration of `upload`, `download` and streams; no I/O.

        Raises:
            TypeError: The class lacks a method that is required, or that its `capabilities` promise; the message names
                the method.
        """
        kind = type(self)
        if missing := unwritten(kind):
            message = f"{kind.__name__} must write {', '.join(missing)}: every provider needs these methods"
            raise TypeError(message)
        for promise, names in unkept(kind, self.capabilities).items():
            message = (
                f"{kind.__name__} must write {', '.join(names)}: its row promises capabilities.{promise}; "
                "write these methods, or remove the promise from the row"
            )
            raise TypeError(message)
        self._transfer_config = checked_config(self, transfer)

    def __init_subclass__(cls) -> None:
        """Wrap the request methods of a subclass.

        The wrapped methods refuse features that `capabilities` do not list, and add provider and operation to errors.
        """
        super().__init_subclass__()
        document(cls)
        fills_in_facts(cls, REQUESTS)
        keep_promises(cls, StorageProvider)

    async def __aenter__(self) -> Self:
        """Connect, and return the provider."""
        try:
            await self.connect()
        except BaseException:
            await self.disconnect()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect."""
        await self.disconnect()

    def __repr__(self) -> str:
        """Show the class and the URL, without credentials."""
        try:
            place = self.locate()
        except AttributeError:  # an error report can show a provider whose constructor failed
            place = "(not configured)"
        return f"<{type(self).__name__} {place}>"

    # --- local files and lists of keys ---------------------------------------------------------------

    async def upload(
        self, local_path: StrPath, remote_path: str, metadata: Mapping[str, str] | None = None
    ) -> TransferResult:
        """Store a local file of any size, in parallel parts if the file is large; visible whole or not at all.

        Args:
            local_path: A regular file; it must not change meanwhile.
            remote_path: The object's key.
            metadata: User metadata, printable ASCII.

        Raises:
            LocalFileError: The file is missing, a directory, or unreadable.
            IntegrityError: The file changed meanwhile, or the bytes that arrived differ from those sent.

        Cost: 1 request; in parts: 1 for each part and 2 more, and 1 HEAD if the vendor neither compares a checksum of
            the whole object nor returns its final etag. The file's bytes up.
        """
        return await self.transfer.upload(local_path, remote_path, metadata=metadata)

    async def download(self, remote_path: str, local_path: StrPath) -> TransferResult:
        """Download an object to a local file; the path always has the old file or the whole new one.

        Args:
            remote_path: The object's key.
            local_path: The file to make or replace; missing directories are made.

        Raises:
            NotFoundError: There is no such object.
            IntegrityError: The bytes differ from those that were stored.
            LocalFileError: The file cannot be written, or is a directory.

        Cost: 1 request for each part; 1 HEAD beside the data if the provider stores checksums and the first response
            has none; 1 more request for an empty object. The object's bytes down.
        """
        return await self.transfer.download(remote_path, local_path)

    async def list_files(self, prefix: str | None = None) -> list[str]:
        """Return every key that begins with the literal prefix, in UTF-8 binary order.

        Cost: 1 request for each 1,000 keys; memory for all keys (`list` yields them one by one).
        """
        return sorted([entry.key async for entry in self.list(prefix or "")])

    # --- bytes ---------------------------------------------------------------------------------------

    async def put(self, key: str, data: Content, **write: Unpack[WriteKeywords]) -> ObjectInfo:
        """Store bytes under the key, or a stream of unknown length, with bounded memory.

        Args:
            key: The object.
            data: `bytes`, `bytearray`, `memoryview`, or an asynchronous iterable of bytes.
            **write: Options of the write, see `WriteKeywords`: `metadata`, `content_type`, `tags`, `if_match`, ….

        Raises:
            AlreadyExistsError: `if_none_match="*"` and there is an object.
            PreconditionFailedError: `if_match` does not hold.
            UnsupportedError: The provider does not enforce the condition, has no tags, or has no multipart uploads and
                the stream is too long for one request; nothing was stored.
            InvalidRequestError: A header or a tag has characters that cannot be sent; nothing was sent.

        Cost: 1 request; a stream longer than a part: 1 for each part and 3 more.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
        """
        try:
            await load_content_types(str(key))
            options = write_options(self, key, **write)
            if isinstance(data, (bytes, bytearray, memoryview)):
                if not options.conditional:
                    return await self.put_object(key, data, options)
                check_write(options, self.capabilities, self.locate(key), multipart=False)
                from bucketry._transfer.one.write import new_token, put_settled  # noqa: PLC0415 - few programs need it

                info, _ = await put_settled(self, key, data, options, token=new_token(), policy=self._policy)
                return info
            if not isinstance(data, AsyncIterable):
                wanted = f"bytes or an asynchronous iterable of bytes, not {type(data).__name__}"
                message = f"{self.locate(key)}: put takes {wanted}"
                raise TypeError(message)
            return await self.transfer.put_stream(key, data, options)
        except StorageError as error:
            filled(error, self.name, "put", key)
            raise

    async def start_upload(self, key: str, **write: Unpack[WriteKeywords]) -> Upload:
        """Open a multipart upload; the caller puts its parts, from several tasks or processes, in any order.

        `async with await provider.start_upload("key") as upload: …` aborts the upload on an error; see `Upload`.

        Args:
            key: The object that the upload makes; an existing object stays until the commit.
            **write: Options of the write, see `WriteKeywords`. The provider checks conditions at the commit.

        Raises:
            UnsupportedError: The provider has no multipart uploads, or does not enforce the condition.

        Cost: 1 request.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html
        """
        return await self.transfer.start_upload(key, **write)

    async def adopt_upload(self, key: str, upload_id: str) -> Upload:
        """Continue a multipart upload that was started earlier, perhaps by another process.

        Args:
            key: The object that the upload makes.
            upload_id: From `Upload.upload_id` or `list_uploads`. If no such upload is open, the first request fails.

        Cost: none.
        """
        return await self.transfer.adopt_upload(key, upload_id)

    async def list_uploads(self, prefix: str = "") -> AsyncIterator[MultipartUpload]:
        """Iterate over the open multipart uploads of keys that begin with the literal prefix, in order of their keys.

        Args:
            prefix: Literal: `"bus"` matches `"bush/a"`.

        Raises:
            UnsupportedError: The provider has no multipart uploads.

        Cost: 1 request for each 1,000 uploads, and 1 more.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html
        """
        page: tuple[MultipartUpload, ...] = ()
        with Facts(self.name, "list_uploads"):
            while True:
                before = set(page)  # a server that ignores the markers returns the same page for ever
                page = await self.list_multiparts(prefix, after=page[-1] if page else None)
                new = [upload for upload in page if upload not in before]
                for upload in new:
                    yield upload
                if not new:
                    return

    # --- keys ----------------------------------------------------------------------------------------

    @overload
    def list(
        self, prefix: str = "", *, delimiter: None = None, start_after: str | None = None
    ) -> AsyncIterator[ObjectInfo]: ...

    @overload
    def list(
        self, prefix: str = "", *, delimiter: str | None, start_after: str | None = None
    ) -> AsyncIterator[ObjectInfo | CommonPrefix]: ...

    def list(
        self, prefix: str = "", *, delimiter: str | None = None, start_after: str | None = None
    ) -> AsyncIterator[ObjectInfo | CommonPrefix]:
        """Iterate over the objects whose keys begin with the literal prefix, in UTF-8 binary order.

        Args:
            prefix: Literal: `"bus"` matches `"bush/a"`.
            delimiter: Such as `"/"`: all keys below the same "directory" are yielded as one `CommonPrefix`.
            start_after: Only yield keys that sort after this key.

        Cost: 1 request for each page of 1,000 entries, the next page requested early; memory for 2 pages.
        """
        return every_object(self, prefix, delimiter=delimiter, start_after=start_after)

    async def list_versions(self, prefix: str = "") -> AsyncIterator[ObjectVersion]:
        """Iterate over the versions and delete markers of the objects whose keys begin with the literal prefix.

        The entries are in UTF-8 binary order of their keys; the versions of one key are sorted latest first.

        Args:
            prefix: Literal: `"bus"` matches `"bush/a"`.

        Raises:
            UnsupportedError: The provider keeps no versions; nothing was sent.

        Cost: 1 request for each 1,000 versions.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
        """
        with Facts(self.name, "list_versions"):
            if not self.capabilities.versions:
                await KeepsVersions.list_versions_page(self, prefix)  # raises UnsupportedError
            token = None
            while True:
                page = await self.list_versions_page(prefix, token=token)
                for entry in page.entries:
                    yield entry
                if page.next_token is None:
                    return
                if page.next_token == token:
                    message = f"{self.locate(prefix)}: the listing of versions never ends: the server repeated a page"
                    raise TransientError(message)
                token = page.next_token

    async def delete_many(self, keys: Iterable[str]) -> BatchResult:
        """Remove any number of objects, and return the outcome of each; a missing object counts as removed.

        Args:
            keys: The objects; keys given twice are removed once.

        Raises:
            InvalidKeyError: `keys` is one `str`.

        Cost: 1 request for each `capabilities.max_delete_keys` keys: 1,000 on S3, 1 without bulk deletes.
        """
        refuse_string(keys, self.locate())
        return await collected(delete_each(self, dict.fromkeys(keys), self._policy))

    def delete_each(self, keys: Iterable[str]) -> AsyncGenerator[tuple[str, StorageError | None], None]:
        """Remove any number of objects, and iterate over `(key, None)` or `(key, error)` as the responses arrive.

        One request deletes as many keys as the provider allows. Use `contextlib.aclosing` to leave the iteration early:
        no further request is made, but all keys of the last request are deleted.

        Args:
            keys: Read as they are needed; an endless iterable is fine.

        Raises:
            InvalidKeyError: `keys` is one `str`.
            StorageError: A whole request failed; it is not known which of its keys were deleted.

        Cost: 1 request for each `capabilities.max_delete_keys` keys: 1,000 on S3, 1 without bulk deletes. Memory does
            not grow with the number of keys.
        """
        with Facts(self.name, "delete_many"):
            refuse_string(keys, self.locate())
        return delete_each(self, keys, self._policy)

    async def copy(self, source: str, destination: str) -> ObjectInfo:
        """Copy an object of any size within the bucket, on the server; the copy has one version of the source.

        Exception: if `capabilities.copy_source_if_match` is `False`, and the source is replaced meanwhile, a copy in
        one request may have the new version.

        Cost: 2 requests (3 on S3-compatible clouds); above the limit for one copy, 1 for each 256 MiB and 4 more.
        """
        return await self.transfer.copy(source, destination)

    async def move(self, source: str, destination: str) -> ObjectInfo:
        """Copy the source, then delete it; not atomic: for a moment both objects exist.

        Cost: as `copy`, and 1 request.
        """
        copied = await self.copy(source, destination)
        await self.delete(source)
        return copied
