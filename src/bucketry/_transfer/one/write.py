"""Writes whose outcome is certain: a lost answer is settled by looking, not by guessing."""

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
"""Another write got in between: AWS wants a put to be made again, and an upload in parts to be begun anew.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html"""


def new_token() -> str:
    """Give the token of a write: 32 hexadecimal digits of chance."""
    return secrets.token_hex(16)


def with_token(options: WriteOptions, token: str) -> WriteOptions:
    """Mark a write, so that it can be told from anybody else's; readers do not see the mark."""
    return replace(options, metadata={**options.metadata, WRITE_TOKEN: token})


async def put_settled(
    provider: ObjectRequests, key: str, body: Body, options: WriteOptions, *, token: str, policy: RetryPolicy
) -> tuple[ObjectInfo, int]:
    """Put an object in one request, and give it with the number of times its outcome had to be settled.

    A plain put may be repeated by the provider. A conditional one may not: its own first try can
    make the second fail. So it is marked with the token, and after a lost answer, or a refusal, the object
    is looked at.

    Cost: 1 request; 1 more, and perhaps a repeat, for each lost answer of a conditional write.
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
    """Publish a multipart upload, and give the object with the number of times its outcome had to be settled.

    Args:
        provider: Where.
        upload: The open upload, created with the marked `options`.
        parts: All of them.
        options: With the mark of `with_token`, and the preconditions.
        checksum: Of the whole object, where the row has one.
        policy: How often to try.

    Raises:
        TransientError: With the code `CONFLICT`: the upload has to be begun anew.

    Cost: 1 request; 1 more, and perhaps a repeat, for each lost answer.
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
    """Publish a multipart upload, and look whether what is stored is what was sent.

    Arguments and errors as for `complete_settled`.

    Raises:
        IntegrityError: Another number of bytes is stored than was sent.

    Cost: as `complete_settled`, and 1 HEAD where `config.verify` asks for it or completion does not tell the etag.
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
        return info, settled  # it is published all the same: perhaps the token may not read, or somebody deleted it
    if stored.write_token != marked.metadata[WRITE_TOKEN]:
        return info, settled  # somebody has replaced it since
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
    """Make a write until its outcome is known; an error with the code `final` is not followed by another try."""
    settled = 0
    lost: TransientError | None = None
    while True:
        try:
            return await write(), settled
        except (TransientError, UploadNotFoundError, AlreadyExistsError, PreconditionFailedError) as error:
            try:
                landed = await _ours(provider, key, options, size)
            except StorageError as unseen:
                # A refusal may be the operation of the first, lost try: that one is what is not known.
                failed = lost or error
                failed.add_note(f"whether it was written is not known, because looking failed: {unseen}")
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


async def _ours(provider: ObjectRequests, key: str, options: WriteOptions, size: int) -> ObjectInfo | None:
    """Give the object if it is the one this write made: same token, same size."""
    try:
        info = await provider.head(key)
    except NotFoundError:
        return None
    ours = info.write_token == options.metadata[WRITE_TOKEN] and info.size == size
    return info if ours else None


def whole_checksum(parts: Sequence[Part], row: Capabilities) -> str | None:
    """Join the parts' checksums to that of the object, where the row has one and every part brought its own."""
    name = row.multipart_checksum
    if not row.full_object_checksum or name is None:
        return None
    ordered = sorted(parts, key=lambda part: part.part_number)
    sums = [(part.checksum, part.size) for part in ordered if part.checksum is not None]
    return checksums.combine(name, sums) if len(sums) == len(parts) else None
