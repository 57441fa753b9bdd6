"""Multipart uploads that leave nothing behind when they fail or are cancelled."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from bucketry._core.finish import finish
from bucketry._core.provider import ObjectRequests
from bucketry._core.retry import RetryPolicy
from bucketry._core.values import MultipartUpload, WriteOptions
from bucketry._transfer.write import with_token
from bucketry.errors import StorageError, ThrottledError, TransientError

ROUNDS = 3  # a part that lands just after the abort can bring an upload back: AWS documents it
TIMEOUT = 30.0  # seconds a cancelled caller waits at most for the abort
_CLOCK_STEP = 1.0  # of the times in listings, seconds

_logger = logging.getLogger("bucketry")


@asynccontextmanager
async def multipart(
    provider: ObjectRequests, key: str, options: WriteOptions, *, attempts: int
) -> AsyncIterator[tuple[MultipartUpload, WriteOptions]]:
    """Open an upload, and abort it unless the block ends well; gives it with the options that mark the write.

    Args:
        provider: Where.
        key: The object that it is to make.
        options: Of the write.
        attempts: How often to try to open it at most.

    Cost: 1 request to open; after a lost answer 1 more for each try, and 2 to look for what the lost ones opened.
    """
    marked = with_token(options)
    upload = await _open(provider, key, marked, RetryPolicy(max_attempts=attempts))
    try:
        yield upload, marked
    except BaseException:  # the workers have stopped: they ended before the block did
        await abort(provider, upload)
        raise


async def _open(provider: ObjectRequests, key: str, options: WriteOptions, policy: RetryPolicy) -> MultipartUpload:
    """Create a multipart upload; when cancelled meanwhile, learn its id first and abort it."""
    task = asyncio.get_running_loop().create_task(_create(provider, key, options, policy))
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError:
        await finish(lambda: _abort_created(provider, key, task))
        raise
    return task.result()


async def _create(provider: ObjectRequests, key: str, options: WriteOptions, policy: RetryPolicy) -> MultipartUpload:
    """Create a multipart upload, and again after a passing fault; what a lost answer had opened is aborted."""
    began = time.monotonic()
    attempt = 0
    lost = False
    while True:
        attempt += 1
        try:
            upload = await provider.create_multipart(key, options)
        except TransientError as error:
            lost = lost or not isinstance(error, ThrottledError)  # a server that refuses the request opens nothing
            delay = policy.delay(error, attempt)
            if delay is None:
                if lost:
                    error.add_note("a multipart upload was perhaps opened, and may stay billed until it is aborted")
                raise
            await asyncio.sleep(delay)
        else:
            if lost:
                await _abort_orphans(provider, upload, time.monotonic() - began)
            return upload


async def _abort_orphans(provider: ObjectRequests, ours: MultipartUpload, seconds: float) -> None:
    """Abort what lost answers have opened: same key, opened since the first try by the server's clock, without parts.

    S3 shows no metadata of open uploads, so the mark of the write cannot tell them. An upload of another writer is left
    alone unless it was opened to the same key in these very seconds, and has no part yet.
    """
    try:
        listed = await provider.list_multiparts(ours.key)
        opened = {each.upload_id: each.initiated for each in listed if each.key == ours.key}
        until = opened.pop(ours.upload_id, None)
        for upload_id, initiated in opened.items():
            orphan = MultipartUpload(key=ours.key, upload_id=upload_id)
            if until is None or initiated is None or not _within(initiated, until, seconds):
                continue
            if not await provider.list_parts(orphan):
                await abort(provider, orphan)
    except StorageError as error:
        where = provider.locate(ours.key)
        _logger.warning("%s: a multipart upload whose answer was lost may stay billed: %s", where, error)


def _within(initiated: datetime, until: datetime, seconds: float) -> bool:
    """Tell whether a time is of the last seconds; servers show whole seconds, or thousandths."""
    return -_CLOCK_STEP <= (until - initiated).total_seconds() <= seconds + _CLOCK_STEP


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
