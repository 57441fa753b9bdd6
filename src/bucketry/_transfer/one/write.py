"""Writes with a known outcome: if an answer is lost, a HEAD shows whether the object was written."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from bucketry._core import checksums
from bucketry._core.capabilities import Capabilities
from bucketry._core.config import TransferConfig
from bucketry._core.options import WriteOptions
from bucketry._core.requests import ObjectRequests
from bucketry._core.retry import RetryPolicy
from bucketry._core.values import WRITE_TOKEN, Body, MultipartUpload, ObjectInfo, Part, body_size
from bucketry.errors import (
    AlreadyExistsError,
    IntegrityError,
    NotFoundError,
    PreconditionFailedError,
    StorageError,
    TransientError,
    UploadNotFoundError,
)

CONFLICT = "ConditionalRequestConflict"
"""The error code of a conflict with another write: AWS requires to repeat a put, and to begin a new multipart upload.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html"""


def new_token() -> str:
    """Give a token for a write: 32 random hexadecimal digits."""
    return secrets.token_hex(16)


def with_token(options: WriteOptions, token: str) -> WriteOptions:
    """Add the write token to the metadata, to recognize this write among others; users do not see the token."""
    return replace(options, metadata={**options.metadata, WRITE_TOKEN: token})


async def put_settled(
    provider: ObjectRequests, key: str, body: Body, options: WriteOptions, *, token: str, policy: RetryPolicy
) -> tuple[ObjectInfo, int]:
    """Put an object in one request; give its properties, and how often the outcome had to be checked.

    The provider may repeat a put without conditions. It may not repeat a conditional put: if the first try succeeded,
    the second one would fail. So a conditional put has the write token, and after a lost answer or a refusal, a HEAD
    shows whether the object has this token.

    Cost: 1 request; for each lost answer of a conditional write 1 more, and perhaps a retry.
    """
    if not options.conditional:
        return await provider.put_object(key, body, options), 0
    options = with_token(options, token)
    return await _settle(
        lambda: provider.put_object(key, body, options), provider, key, options, body_size(body), policy
    )


async def complete_settled(
    provider: ObjectRequests,
    upload: MultipartUpload,
    parts: Sequence[Part],
    options: WriteOptions,
    *,
    checksum: str | None,
    policy: RetryPolicy,
) -> tuple[ObjectInfo, int]:
    """Complete a multipart upload; give the object's properties, and how often the outcome had to be checked.

    Args:
        provider: The destination.
        upload: The open upload, created with `options`.
        parts: All parts.
        options: The options from `with_token`, with the preconditions.
        checksum: The checksum of the whole object, in hex, if the vendor's row has `full_object_checksum`.
        policy: How often to try.

    Raises:
        TransientError: With the code `CONFLICT`: begin a new upload.

    Cost: 1 request; for each lost answer 1 more, and perhaps a retry.
    """
    return await _settle(
        lambda: provider.complete_multipart(upload, parts, options, checksum=checksum),
        provider,
        upload.key,
        options,
        sum(part.size for part in parts),
        policy,
        final=CONFLICT,
    )


async def complete_checked(
    provider: ObjectRequests,
    upload: MultipartUpload,
    parts: Sequence[Part],
    marked: WriteOptions,
    config: TransferConfig,
) -> tuple[ObjectInfo, int]:
    """Complete a multipart upload, and check that the stored object has the size of the sent parts.

    Arguments and errors as for `complete_settled`.

    Raises:
        IntegrityError: The stored object has another size than the parts sent.

    Cost: as `complete_settled`, and 1 HEAD if `config.verify` is true, or if completion does not give the final etag.
    """
    row = provider.capabilities
    whole = whole_checksum(parts, row)
    policy = RetryPolicy.of(config)
    info, settled = await complete_settled(provider, upload, parts, marked, checksum=whole, policy=policy)
    if not config.verify and row.stable_multipart_etag:
        return info, settled
    try:
        stored = await provider.head(upload.key)
    except StorageError:
        return info, settled  # the upload is complete: the caller may lack permission to read, or it was deleted since
    if stored.write_token != marked.metadata[WRITE_TOKEN]:
        return info, settled  # another write has replaced the object since
    if stored.size != info.size:
        message = f"{provider.locate(upload.key)}: {info.size} bytes were sent and {stored.size} are stored"
        raise IntegrityError(message, key=upload.key)
    return stored, settled


async def _settle(
    write: Callable[[], Awaitable[ObjectInfo]],
    provider: ObjectRequests,
    key: str,
    options: WriteOptions,
    size: int,
    policy: RetryPolicy,
    *,
    final: str | None = None,
) -> tuple[ObjectInfo, int]:
    """Repeat a write until its outcome is known; do not retry after an error with the code `final`."""
    settled = 0
    lost: TransientError | None = None
    while True:
        try:
            return await write(), settled
        except (TransientError, UploadNotFoundError, AlreadyExistsError, PreconditionFailedError) as error:
            try:
                landed = await _written_object(provider, key, options, size)
            except StorageError as unseen:
                # After a lost answer, a refusal may mean that the first try succeeded: raise the first error.
                failed = lost or error
                failed.add_note(f"it is not known whether the object was written, because the check failed: {unseen}")
                raise failed from unseen
            if landed is not None:
                return landed, settled + 1
            if not isinstance(error, TransientError) or (final is not None and error.code == final):
                raise
            lost = error
            settled += 1
            delay = policy.delay(error, settled)
            if delay is None:
                raise
        await asyncio.sleep(delay)


async def _written_object(provider: ObjectRequests, key: str, options: WriteOptions, size: int) -> ObjectInfo | None:
    """Give the object's properties if this write made it: same token, same size."""
    try:
        info = await provider.head(key)
    except NotFoundError:
        return None
    ours = info.write_token == options.metadata[WRITE_TOKEN] and info.size == size
    return info if ours else None


def whole_checksum(parts: Sequence[Part], row: Capabilities) -> str | None:
    """Combine the parts' checksums to the whole object's, if the row has one and every part has a checksum."""
    name = row.multipart_checksum
    if not row.full_object_checksum or name is None:
        return None
    ordered = sorted(parts, key=lambda part: part.part_number)
    sums = [(part.checksum, part.size) for part in ordered if part.checksum is not None]
    return checksums.combine(name, sums) if len(sums) == len(parts) else None
