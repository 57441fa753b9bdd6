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
    upload: MultipartUpload | None = None

    async def create() -> None:
        nonlocal upload
        upload = await provider.create_multipart(key, options)

    try:
        await finish(create())
    except asyncio.CancelledError:
        if upload is not None:
            await abort(provider, upload)
        raise
    assert upload is not None  # noqa: S101 - create() has ended without an error
    return upload


async def abort(provider: ObjectRequests, upload: MultipartUpload) -> None:
    """Abort an upload and see by a listing that it is gone; shielded, and never raises an error of its own."""

    async def steps() -> None:
        try:
            async with asyncio.timeout(TIMEOUT):
                for _ in range(ROUNDS):
                    await provider.abort_multipart(upload)
                    left = await provider.list_multiparts(upload.key)
                    if all(other.upload_id != upload.upload_id for other in left):
                        return
            problem = f"it is still listed after {ROUNDS} aborts"
        except (StorageError, TimeoutError) as error:
            problem = str(error)
        _logger.warning(
            "%s: the multipart upload %s could not be aborted and may stay billed: %s",
            provider.locate(upload.key),
            upload.upload_id,
            problem,
        )

    await finish(steps())
