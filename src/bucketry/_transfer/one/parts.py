"""A multipart upload that the caller controls: parts in any order, from any process, and one commit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from bucketry._core.checks import check_key, check_write
from bucketry._core.config import TransferConfig
from bucketry._core.facts import Facts, fills_in_facts
from bucketry._core.options import WriteOptions
from bucketry._core.requests import ObjectRequests
from bucketry._core.retry import RetryPolicy
from bucketry._core.values import MultipartUpload, ObjectInfo, Part
from bucketry._transfer.cleanup import abort, open_multipart
from bucketry._transfer.limits import Limits
from bucketry._transfer.one.write import complete_checked
from bucketry.errors import InvalidRequestError, TransientError, UploadNotFoundError


@fills_in_facts
class OpenUpload:
    """One open multipart upload; implements `bucketry.Upload`.

    Attributes:
        provider: The provider of the upload.
        upload: The key and the upload id.
    """

    def __init__(
        self,
        provider: ObjectRequests,
        limits: Limits,
        config: TransferConfig,
        upload: MultipartUpload,
        marked: WriteOptions | None,
    ) -> None:
        """Store the arguments; no I/O.

        Args:
            provider: The provider of the upload.
            limits: The limits shared with the manager's transfers.
            config: The manager's configuration; it limits the attempts of a request.
            upload: The key and the upload id.
            marked: The options, with the write token, if this process opened the upload; `None`: adopted upload.
        """
        self.provider = provider
        self.upload = upload
        self._limits = limits
        self._config = config
        self._marked = marked
        self._parts: dict[int, Part] = {}
        self._ended = False

    @property
    def key(self) -> str:
        """The key of the object that the upload makes."""
        return self.upload.key

    @property
    def upload_id(self) -> str:
        """The provider's id of the upload."""
        return self.upload.upload_id

    def __repr__(self) -> str:
        """Show the object's URL and the upload id."""
        return f"<Upload {self.upload_id} to {self.provider.locate(self.key)}>"

    async def __aenter__(self) -> Self:
        """Return the upload."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Abort the upload if the block ends with an error or a cancellation; else leave it open."""
        if error is not None and not self._ended:
            await abort(self.provider, self.upload)
            self._ended = True

    async def put_part(self, number: int, data: bytes | bytearray | memoryview) -> Part:
        """Store one part; see `Upload.put_part`."""
        most = self.provider.capabilities.max_parts
        with Facts(self.provider.name, "put_part", self.key):
            if not isinstance(data, (bytes, bytearray, memoryview)):
                message = f"{self.provider.locate(self.key)}: put_part takes bytes, not {type(data).__name__}"
                raise TypeError(message)
            if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= most:
                message = f"{self.provider.locate(self.key)}: part number {number!r} is not from 1 to {most}"
                raise InvalidRequestError(message)
            size = memoryview(data).nbytes
            await self._limits.rate.wait(size)
            async with self._limits.slot(size):
                part = await self.provider.put_part(self.upload, number, data)
        self._parts[number] = part
        return part

    async def list_parts(self) -> AsyncIterator[Part]:
        """Iterate over the stored parts; see `Upload.list_parts`."""
        after = 0
        with Facts(self.provider.name, "list_parts", self.key):
            while page := await self.provider.list_parts(self.upload, after=after):
                for part in page:
                    yield part
                if page[-1].part_number <= after:
                    message = (
                        f"{self.provider.locate(self.key)}: the listing of parts never ends: the server repeated a page"
                    )
                    raise TransientError(message)
                after = page[-1].part_number

    async def commit(self) -> ObjectInfo:
        """Publish the object; see `Upload.commit`."""
        with Facts(self.provider.name, "complete_multipart", self.key):
            parts = dict(self._parts)
            if self._marked is None:
                listed = {part.part_number: part async for part in self.list_parts()}
                # Listed parts have no checksum, so use our own `Part` unless another process replaced the part.
                parts = {
                    number: parts[number] if number in parts and parts[number].etag == part.etag else part
                    for number, part in listed.items()
                }
            if not parts:
                message = f"{self.provider.locate(self.key)}: no part was put; put a part (it may be empty), or abort"
                raise InvalidRequestError(message)
            ordered = [parts[number] for number in sorted(parts)]
            info = await self._complete(ordered)
        self._ended = True
        return info

    async def abort(self) -> None:
        """Abort the upload; see `Upload.abort`."""
        await self.provider.abort_multipart(self.upload)
        self._ended = True

    async def _complete(self, parts: list[Part]) -> ObjectInfo:
        if self._marked is not None:
            info, _ = await complete_checked(self.provider, self.upload, parts, self._marked, self._config)
            return info
        # After a lost response, the request can be sent again, because an upload that still exists was not completed by
        # an earlier request. If the upload no longer exists, an error is raised, because nothing shows whether this
        # upload made the object: the object of an adopted upload has no write token.
        policy = RetryPolicy.of(self._config)
        lost: TransientError | None = None
        attempt = 0
        while True:
            attempt += 1
            try:
                info = await self.provider.complete_multipart(self.upload, parts, WriteOptions())
                return info if info.etag else await self.provider.head(self.key)
            except TransientError as error:
                lost = error
                delay = policy.delay(error, attempt)
                if delay is None:
                    raise
            except UploadNotFoundError as error:
                if lost is None:
                    raise
                lost.add_note("the upload no longer exists: it was completed or aborted; check the object")
                raise lost from error
            await asyncio.sleep(delay)


async def start(
    provider: ObjectRequests, limits: Limits, config: TransferConfig, key: str, marked: WriteOptions
) -> OpenUpload:
    """Open an upload with options that have the write token.

    Raises:
        UnsupportedError: The provider has no multipart uploads, or does not enforce a condition.

    Cost: 1 request.
    """
    row = provider.capabilities
    check_key(key, row, provider.locate())
    if row.multipart:
        check_write(marked, row, provider.locate(key), multipart=True)
    upload = await open_multipart(provider, key, marked, RetryPolicy.of(config))
    return OpenUpload(provider, limits, config, upload, marked)


def adopt(provider: ObjectRequests, limits: Limits, config: TransferConfig, key: str, upload_id: str) -> OpenUpload:
    """Continue a multipart upload that was opened earlier, perhaps by another process.

    Raises:
        InvalidRequestError: `upload_id` is not a `str`, or is empty.

    Cost: none.
    """
    if not isinstance(upload_id, str) or not upload_id:
        message = f"{provider.locate(key)}: upload_id={upload_id!r}: give the id from start_upload or list_uploads"
        raise InvalidRequestError(message)
    check_key(key, provider.capabilities, provider.locate())
    return OpenUpload(provider, limits, config, MultipartUpload(key=key, upload_id=upload_id), None)
