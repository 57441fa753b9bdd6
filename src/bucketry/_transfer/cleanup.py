"""Opens multipart uploads, and aborts them when the transfer fails or is cancelled."""

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

ROUNDS = 3  # aborts, because AWS documents that a part that arrives just after an abort can keep the upload open
TIMEOUT = 30.0  # seconds that a cancelled caller waits at most for the abort
_CLOCK_STEP = 1.0  # seconds: listings show times in whole seconds
_REFUSED = 4  # the first digit of a status 4xx
_NOTHING_DONE = (ThrottledError, UnreachableError)  # the request was refused, or never sent

_logger = logging.getLogger("bucketry")


@asynccontextmanager
async def multipart(
    provider: ObjectRequests, key: str, options: WriteOptions, *, token: str, policy: RetryPolicy
) -> AsyncIterator[tuple[MultipartUpload, WriteOptions]]:
    """Open an upload, and abort it if the block raises an error.

    Yields the upload, and the options with the write token in their metadata.

    Args:
        provider: The destination.
        key: The object that the upload makes.
        options: The options of the write.
        token: Identifies the write.
        policy: How often to try to open the upload.

    Cost: 1 request to open. After a lost response: 1 more for each retry, 1 listing to find the uploads that may have
    been opened, and 1 for each upload to the same key from that time.
    """
    marked = with_token(options, token)
    upload = await open_multipart(provider, key, marked, policy)
    try:
        yield upload, marked
    except BaseException:  # the workers have ended, because the block waits for them
        await abort(provider, upload)
        raise


async def open_multipart(
    provider: ObjectRequests, key: str, options: WriteOptions, policy: RetryPolicy
) -> MultipartUpload:
    """Create a multipart upload; if the caller is cancelled meanwhile, wait for the upload id and abort the upload."""
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
    """Create a multipart upload; retry after transient errors until `given_up` is set.

    If a response was lost, abort the upload that the request may have opened.
    """
    attempt = 0
    lost: list[tuple[float, float]] = []  # start and end of each failed request that may have opened an upload
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
                    error.add_note("a multipart upload may be open; its parts are billed until it is aborted")
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
    """Return whether the server may have opened the upload although the request ended with this error."""
    if not isinstance(error, TransientError) or isinstance(error, _NOTHING_DONE):
        return False
    return error.status is None or error.status // 100 != _REFUSED


async def _abort_orphans(provider: ObjectRequests, ours: MultipartUpload, ages: Sequence[tuple[float, float]]) -> None:
    """Abort the uploads that were opened by requests whose response was lost.

    Such an upload has the same key and no parts, and by the server's clock it was opened during one of these requests.
    S3 shows no metadata of open uploads, so the write token cannot identify them. If there are more such uploads than
    lost responses, some belong to other writers, and this function aborts none of them.

    Args:
        provider: The destination.
        ours: The upload that the transfer uses.
        ages: For each lost response, how many seconds before `ours` its upload was opened: minimum and maximum.
    """
    where = provider.locate(ours.key)
    try:
        orphans = await _opened_before(provider, ours, ages)
    except StorageError as error:
        _logger.warning("%s: a multipart upload may be open and billed, because an answer was lost: %s", where, error)
        return
    if len(orphans) > len(ages):
        _logger.warning(
            "%s: found %d open multipart uploads after %d lost answers; none was aborted: some have another writer",
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
    """List the uploads to the same key that have no parts, and one of these ages within 1 second."""
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
        _logger.warning("%s: a multipart upload may be open and billed", provider.locate(key))
        return
    error = creating.exception()
    if error is None:
        await abort(provider, creating.result())
    elif isinstance(error, StorageError) and _may_have_opened(error):
        _logger.warning("%s: a multipart upload may be open and billed", provider.locate(key))


async def abort(provider: ObjectRequests, upload: MultipartUpload) -> None:
    """Abort an upload, and check by a listing that it is gone.

    A cancellation does not interrupt the abort. Errors are logged, not raised.
    """

    async def steps() -> None:
        seen = "could not be aborted"
        try:
            async with asyncio.timeout(TIMEOUT):
                for _ in range(ROUNDS):
                    await provider.abort_multipart(upload)
                    seen = "was aborted, but a listing could not confirm it"
                    left = await provider.list_multiparts(upload.key)
                    if all(other.upload_id != upload.upload_id for other in left):
                        return
                    seen = "is still listed after it was aborted"
                reason: BaseException | str = f"{ROUNDS} rounds"
        except Exception as error:  # noqa: BLE001 - even a bug in a provider must not replace the first error
            reason = error
        where = provider.locate(upload.key)
        _logger.warning("%s: the multipart upload %s %s: %s", where, upload.upload_id, seen, reason)

    await finish(steps)
