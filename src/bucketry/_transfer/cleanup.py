"""Multipart uploads that leave nothing behind when they fail or are cancelled."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from bucketry._core.options import WriteOptions
from bucketry._core.requests import ObjectRequests
from bucketry._core.retry import RetryPolicy
from bucketry._core.values import MultipartUpload
from bucketry._runtime.finish import finish
from bucketry._transfer.one.write import with_token
from bucketry.errors import StorageError, ThrottledError, TransientError, UnreachableError

ROUNDS = 3  # a part that lands just after the abort can bring an upload back: AWS documents it
TIMEOUT = 30.0  # seconds a cancelled caller waits at most for the abort
_CLOCK_STEP = 1.0  # of the times in listings, seconds
_REFUSED = 4  # hundred: classes of status
_NOTHING_DONE = (ThrottledError, UnreachableError)  # the request was refused, or never sent

_logger = logging.getLogger("bucketry")


@asynccontextmanager
async def multipart(
    provider: ObjectRequests, key: str, options: WriteOptions, *, token: str, policy: RetryPolicy
) -> AsyncIterator[tuple[MultipartUpload, WriteOptions]]:
    """Open an upload, and abort it unless the block ends well; gives it with the options that mark the write.

    Args:
        provider: Where.
        key: The object that it is to make.
        options: Of the write.
        token: Marks the write.
        policy: How often to try to open it.

    Cost: 1 request to open; after a lost answer 1 more for each try, and to look for what the lost ones opened 1,
    and 1 for each upload to the same key of that time.
    """
    marked = with_token(options, token)
    upload = await open_multipart(provider, key, marked, policy)
    try:
        yield upload, marked
    except BaseException:  # the workers have stopped: they ended before the block did
        await abort(provider, upload)
        raise


async def open_multipart(
    provider: ObjectRequests, key: str, options: WriteOptions, policy: RetryPolicy
) -> MultipartUpload:
    """Create a multipart upload; when cancelled meanwhile, learn its id first and abort it."""
    given_up = asyncio.Event()
    task = asyncio.get_running_loop().create_task(_create(provider, key, options, policy, given_up))
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError:
        given_up.set()
        await finish(lambda: _abort_created(provider, key, task))
        raise
    return task.result()


async def _create(
    provider: ObjectRequests, key: str, options: WriteOptions, policy: RetryPolicy, given_up: asyncio.Event
) -> MultipartUpload:
    """Create a multipart upload, and again after a passing fault until `given_up` is set.

    What a lost answer had opened is aborted.
    """
    attempt = 0
    lost: list[tuple[float, float]] = []  # when each try began and ended that may have opened one
    while True:
        attempt += 1
        began = time.monotonic()
        try:
            upload = await provider.create_multipart(key, options)
        except StorageError as error:
            if _may_have_opened(error):
                lost.append((began, time.monotonic()))
            delay = policy.delay(error, attempt) if isinstance(error, TransientError) else None
            if delay is None or await _is_set_within(given_up, delay):
                if lost:
                    error.add_note("a multipart upload was perhaps opened, and may stay billed until it is aborted")
                raise
        else:
            if lost:
                now = time.monotonic()
                await _abort_orphans(provider, upload, [(began - end, now - start) for start, end in lost])
            return upload


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()


def _may_have_opened(error: StorageError) -> bool:
    """Tell whether the server may have done what it was asked to, although this is how the request ended."""
    if not isinstance(error, TransientError) or isinstance(error, _NOTHING_DONE):
        return False
    return error.status is None or error.status // 100 != _REFUSED


async def _abort_orphans(provider: ObjectRequests, ours: MultipartUpload, ages: Sequence[tuple[float, float]]) -> None:
    """Abort what lost answers have opened: same key, opened in one of those tries by the server's clock, no parts.

    S3 shows no metadata of open uploads, so the mark of the write cannot tell them. Where there are more such uploads
    than lost answers, some are another writer's, and none is aborted.

    Args:
        provider: Where.
        ours: The upload whose answer came.
        ages: How many seconds before it, at least and at most, each lost one was opened.
    """
    where = provider.locate(ours.key)
    try:
        orphans = await _opened_before(provider, ours, ages)
    except StorageError as error:
        _logger.warning("%s: a multipart upload whose answer was lost may stay billed: %s", where, error)
        return
    if len(orphans) > len(ages):
        _logger.warning(
            "%s: %d open multipart uploads may come from %d lost answers; none was aborted, as some are of others",
            where,
            len(orphans),
            len(ages),
        )
        return
    for orphan in orphans:
        await abort(provider, orphan)


async def _opened_before(
    provider: ObjectRequests, ours: MultipartUpload, ages: Sequence[tuple[float, float]]
) -> list[MultipartUpload]:
    """List the uploads to the same key that are without parts and of one of these ages; servers show whole seconds."""
    listed = await provider.list_multiparts(ours.key)
    opened = {each.upload_id: each.initiated for each in listed if each.key == ours.key}
    until = opened.pop(ours.upload_id, None)
    found: list[MultipartUpload] = []
    for upload_id, initiated in opened.items():
        if until is None or initiated is None:
            continue
        age = (until - initiated).total_seconds()
        if any(least - _CLOCK_STEP <= age <= most + _CLOCK_STEP for least, most in ages):
            upload = MultipartUpload(key=ours.key, upload_id=upload_id)
            if not await provider.list_parts(upload):
                found.append(upload)
    return found


async def _abort_created(provider: ObjectRequests, key: str, creating: asyncio.Task[MultipartUpload]) -> None:
    await asyncio.wait([creating], timeout=TIMEOUT)
    if not creating.done() or creating.cancelled():
        creating.cancel()
        _logger.warning("%s: a multipart upload was perhaps opened, and may stay billed", provider.locate(key))
        return
    error = creating.exception()
    if error is None:
        await abort(provider, creating.result())
    elif isinstance(error, StorageError) and _may_have_opened(error):
        _logger.warning("%s: a multipart upload was perhaps opened, and may stay billed", provider.locate(key))


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
        except Exception as error:  # noqa: BLE001 - also a defect of a provider must not replace the first error
            reason = error
        where = provider.locate(upload.key)
        _logger.warning("%s: the multipart upload %s %s: %s", where, upload.upload_id, seen, reason)

    await finish(steps)
