"""Writes whose outcome is known at the end: if a response is lost, a HEAD shows whether the object was written."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from bucketry._core import checksums
from bucketry._core.capabilities import Capabilities
from bucketry._core.config import TransferConfig
from bucketry._core.options import WriteKeywords, WriteOptions
from bucketry._core.requests import ObjectRequests
from bucketry._core.retry import RetryPolicy
from bucketry._core.values import WRITE_TOKEN, Body, MultipartUpload, ObjectInfo, Part, body_size
from bucketry._runtime.threads import in_thread
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
"""The error code of a conflict with another write. AWS requires a new put, or a new multipart upload.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html"""


def new_token() -> str:
    """Return a token for a write: 32 random hexadecimal digits."""
    return secrets.token_hex(16)


def with_token(options: WriteOptions, token: str) -> WriteOptions:
    """Return the options with the write token in their metadata; it identifies this write, and users do not see it."""
    return replace(options, metadata={**options.metadata, WRITE_TOKEN: token})


def create_only(write: WriteKeywords, row: Capabilities) -> WriteKeywords:
    """Return the keywords of a write that replaces no object, if the vendor enforces this for objects of any size.

    A look at the key before the write is needed, too: it saves the bytes, and is all that other vendors have.
    """
    if row.put_if_none_match and row.complete_if_none_match:
        return {**write, "if_none_match": "*"}
    return write


async def put_settled(
    provider: ObjectRequests, key: str, body: Body, options: WriteOptions, *, token: str, policy: RetryPolicy
) -> tuple[ObjectInfo, int]:
    """Put an object in one request; return its properties, and how often the outcome had to be checked.

    The provider can repeat a put without conditions. It must not repeat a conditional put, because the second try would
    fail if the first try succeeded. So a conditional put has the write token, and after a lost response or a refusal, a
    HEAD shows whether the object has this token.

    Cost: 1 request; for each lost response of a conditional write 1 more, and perhaps a retry.
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
    """Complete a multipart upload; return the object's properties, and how often the outcome had to be checked.

    Args:
        provider: The destination.
        upload: The open upload, created with `options`.
        parts: All parts.
        options: The options from `with_token`, with the preconditions.
        checksum: The checksum of the whole object, in hex, if `capabilities.full_object_checksum`.
        policy: How often to try.

    Raises:
        TransientError: If the code is `CONFLICT`, the caller must begin a new upload.

    Cost: 1 request; for each lost response 1 more, and perhaps a retry.
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

    The arguments and the other errors are those of `complete_settled`.

    Raises:
        IntegrityError: The stored object has another size than the parts sent.

    Cost: as `complete_settled`, and 1 HEAD if completion does not return the final etag, or none (Ceph 16), or if
        `config.verify` is true and the vendor has not compared a checksum of the whole object.
    """
    row = provider.capabilities
    whole = await in_thread(whole_checksum, parts, row)  # the first call may load a library
    policy = RetryPolicy.of(config)
    info, settled = await complete_settled(provider, upload, parts, marked, checksum=whole, policy=policy)
    if not needs_head(row, config, compared=whole is not None) and info.etag:
        return info, settled
    try:
        stored = await provider.head(upload.key)
    except StorageError:
        return info, settled  # the object exists, but cannot be read: no permission, or it was deleted since
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
                # If a response was lost, a refusal may mean that the first try succeeded, so raise the first error.
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
    """Return the object's properties if its token and its size show that this write made it, else `None`."""
    try:
        info = await provider.head(key)
    except NotFoundError:
        return None
    ours = info.write_token == options.metadata[WRITE_TOKEN] and info.size == size
    return info if ours else None


def needs_head(row: Capabilities, config: TransferConfig, *, compared: bool) -> bool:
    """Return whether a HEAD follows the completion of an upload, for its final etag or for the size of what is stored.

    Args:
        row: The vendor's capabilities.
        config: The transfer's configuration.
        compared: The vendor compares a checksum of the whole object.
    """
    return not row.stable_multipart_etag or (config.verify and not compared)


def whole_checksum(parts: Sequence[Part], row: Capabilities) -> str | None:
    """Combine the parts' checksums into that of the object; `None` if the vendor has none, or a part has none."""
    name = row.multipart_checksum
    if not row.full_object_checksum or name is None:
        return None
    ordered = sorted(parts, key=lambda part: part.part_number)
    sums = [(part.checksum, part.size) for part in ordered if part.checksum is not None]
    return checksums.combine(name, sums) if len(sums) == len(parts) else None
