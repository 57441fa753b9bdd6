"""Multipart uploads that leave nothing behind when they fail or are cancelled."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bucketry._core.finish import finish
from bucketry._core.provider import ObjectRequests
from bucketry._core.values import MultipartUpload, WriteOptions
from bucketry._transfer.write import with_token
from bucketry.errors import StorageError

ROUNDS = 3  # a part that lands just after the abort can bring an upload back: AWS documents it
TIMEOUT = 30.0  # seconds a cancelled caller waits at most for the abort

_logger = logging.getLogger("bucketry")


@asynccontextmanager
async def multipart(
    provider: ObjectRequests, key: str, options: WriteOptions
) -> AsyncIterator[tuple[MultipartUpload, WriteOptions]]:
    """Open an upload, and abort it unless the block ends well; gives it with the options that mark the write."""
    marked = with_token(options)
    upload = await _open(provider, key, marked)
    try:
        yield upload, marked
    except BaseException:  # the workers have stopped: they ended before the block did
        await abort(provider, upload)
        raise


async def _open(provider: ObjectRequests, key: str, options: WriteOptions) -> MultipartUpload:
    """Create a multipart upload; when cancelled meanwhile, learn its id first and abort it."""
    task = asyncio.get_running_loop().create_task(provider.create_multipart(key, options))
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError:
        await finish(lambda: _abort_created(provider, key, task))
        raise
    return task.result()


async def _abort_created(provider: ObjectRequests, key: str, creating: asyncio.Task[MultipartUpload]) -> None:
    await asyncio.wait([creating], timeout=TIMEOUT)
    if not creating.done() or creating.cancelled():
        creating.cancel()
        _logger.warning("%s: a multipart upload was perhaps opened, and may stay billed", provider.locate(key))
    elif creating.exception() is None:
        await abort(provider, creating.result())


async def abort(provider: ObjectRequests, upload: MultipartUpload) -> None:
    """Abort an upload and see by a listing that it is gone; shielded, and never raises an error of its own."""

    async def steps() -> None:
        seen = "could not be aborted"
        try:
            async with asyncio.timeout(TIMEOUT):
                for _ in range(ROUNDS):
                    await provider.abort_multipart(upload)
                    seen = "was aborted, which could not be confirmed"
                    left = await provider.list_multiparts(upload.key)
                    if all(other.upload_id != upload.upload_id for other in left):
                        return
                    seen = "is still listed after it was aborted"
                reason: BaseException | str = f"{ROUNDS} rounds"
        except (StorageError, TimeoutError) as error:
            reason = error
        where = provider.locate(upload.key)
        _logger.warning("%s: the multipart upload %s %s: %s", where, upload.upload_id, seen, reason)

    await finish(steps)
