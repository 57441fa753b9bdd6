"""Copies objects: within a provider on the server, in parts if they are large; between providers through memory."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from bucketry._core.capabilities import Capabilities
from bucketry._core.checks import check_metadata
from bucketry._core.config import TransferConfig
from bucketry._core.mtimes import MTIME, mtime_of, mtime_text
from bucketry._core.options import ReadOptions, WriteOptions
from bucketry._core.requests import ObjectRequests
from bucketry._core.retry import RetryPolicy
from bucketry._core.units import GiB
from bucketry._core.values import NOTHING, ByteRange, ObjectInfo, Part, TransferResult
from bucketry._transfer.cleanup import multipart
from bucketry._transfer.limits import COPIES, Limits
from bucketry._transfer.one.read import pinned_head, read
from bucketry._transfer.one.write import complete_checked, complete_settled, put_settled
from bucketry._transfer.plan import plan_upload
from bucketry._transfer.progress import Meter, ProgressCallback
from bucketry._transfer.workers import fan_out
from bucketry.errors import IntegrityError, InvalidRequestError, PreconditionFailedError, UnsupportedError

T = TypeVar("T")
PART_SIZE = GiB // 4  # few and large parts, because no bytes pass through this machine
UNCHANGED = WriteOptions()
"""No changes: a copy with all properties of its source."""


async def copy(
    provider: ObjectRequests,
    limits: Limits,
    config: TransferConfig,
    source: str,
    destination: str,
    *,
    token: str,
) -> ObjectInfo:
    """Copy an object of any size within the bucket, on the server.

    The copy has the source's metadata, content type, other stored headers, and tags; its storage class is the bucket's
    default. The copy has one version of the source: if the source changes meanwhile, the error is
    `PreconditionFailedError`. Exception: if `capabilities.copy_source_if_match` is `False`, a copy in one request may
    have the new version.

    Cost: 1 HEAD and 1 copy request; above the vendor's limit for one copy, 1 request for each 256 MiB and 3 more, and
    1 for the tags if the vendor has tags.
    """
    where = provider.locate(source)
    refuse_itself(provider, source, destination)
    if not provider.capabilities.copy:
        message = (
            f"{where}: this provider has no server-side copy (capabilities.copy is False); "
            "TransferManager.copy_to copies through this machine's memory"
        )
        raise UnsupportedError(message, key=source)
    info = await provider.head(source)
    return await copy_listed(provider, provider, limits, config, info, destination, token=token)


def refuse_itself(provider: ObjectRequests, source: str, destination: str) -> None:
    """Raise an error if both keys name the same object.

    Raises:
        InvalidRequestError: They do.
    """
    if as_stored(source, provider) == as_stored(destination, provider):
        message = f"{provider.locate(source)}: source and destination are the same key"
        raise InvalidRequestError(message, key=source)


def same_server(provider: ObjectRequests, other: ObjectRequests, key: str) -> bool:
    """Return whether `other` can copy the object on the server."""
    if other is provider:
        return provider.capabilities.copy
    if not other.capabilities.copy_between_buckets:
        return False
    source, own = provider.copy_source(key), other.copy_source(key)
    return source is not None and own is not None and source.server == own.server


async def copy_listed(
    provider: ObjectRequests,
    other: ObjectRequests,
    limits: Limits,
    config: TransferConfig,
    info: ObjectInfo,
    destination: str,
    *,
    token: str,
    changes: WriteOptions = UNCHANGED,
    meter: Meter | None = None,
) -> ObjectInfo:
    """Copy an object on the server, within a bucket or to another bucket; see `copy`.

    Args:
        provider: The source.
        other: The destination: the same provider, or a provider for which `same_server` is true.
        limits: The limits shared with the manager's other transfers.
        config: The manager's configuration.
        info: The version to copy.
        destination: The key to write.
        token: The write token.
        changes: What differs from the source; if anything does, `info` is from a HEAD.
        meter: Counts the copied bytes.
    """
    source = info.key
    where = provider.locate(source)
    row = other.capabilities
    foreign = None if other is provider else provider.copy_source(source)
    meter = meter or Meter(None, destination, info.size)
    if info.size <= row.max_copy_size:
        # Without options the server keeps all of the source, also headers that this package does not know.
        new = None if changes == UNCHANGED else changed(info, changes, row, other.locate(destination))
        async with limits.slot():
            if foreign is not None:
                made = await other.copy_object_from(foreign, destination, if_match=info.etag or None, options=new)
            else:
                made = await provider.copy_object(source, destination, if_match=info.etag or None, options=new)
        meter.add(info.size)
        return made
    policy = RetryPolicy.of(config)
    if not row.multipart:
        message = (
            f"{where}: {info.size} bytes are more than the {row.max_copy_size} this provider copies in one request, "
            "and it has no multipart uploads (capabilities.multipart is False)"
        )
        raise UnsupportedError(message, key=source)
    tags = changes.tags or await _tags(provider, source, other)
    options = replace(changed(info, changes, row, other.locate(destination)), tags=tags, part_checksums=False)
    part_size = max(row.min_part_size, min(PART_SIZE, row.max_part_size))
    plan = plan_upload(info.size, row, part_size, where)
    parts: list[Part] = []
    async with multipart(other, destination, options, token=token, policy=policy) as (upload, marked):

        async def one(numbered: tuple[int, ByteRange]) -> None:
            number, byte_range = numbered
            async with limits.slot():
                if foreign is not None:
                    part = await other.copy_part_from(upload, number, foreign, byte_range, if_match=info.etag)
                else:
                    part = await provider.copy_part(upload, number, source, byte_range, if_match=info.etag)
            parts.append(part)
            meter.add(byte_range.size)

        await fan_out(enumerate(plan.ranges(), start=1), one, width=min(config.max_concurrency, plan.count))
        if not row.copy_source_if_match:
            await _check_unchanged(provider, source, info)
        copied, _ = await complete_settled(other, upload, parts, marked, checksum=None, policy=policy)
    return copied if row.stable_multipart_etag else await other.head(destination)


def changed(source: ObjectInfo, changes: WriteOptions, row: Capabilities, where: str) -> WriteOptions:
    """Return the options of a copy: those of the source, with the changes; metadata is added, all else replaced.

    The storage class is not copied, because another vendor may not have it, and because a copy from an archive should
    not be in the archive, too.

    Raises:
        InvalidMetadataError: Both metadata together are too large.
    """
    return replace(
        changes,
        metadata=check_metadata({**source.metadata, **changes.metadata}, row, where),
        content_type=changes.content_type or source.content_type,
        cache_control=changes.cache_control or source.cache_control,
        content_disposition=changes.content_disposition or source.content_disposition,
        content_encoding=changes.content_encoding or source.content_encoding,
        content_language=changes.content_language or source.content_language,
    )


async def _tags(provider: ObjectRequests, source: str, other: ObjectRequests) -> Mapping[str, str]:
    """Return the tags of the source if both vendors have tags, else no tags."""
    both = provider.capabilities.tags and other.capabilities.tags
    return await provider.get_tags(source) if both else NOTHING


def as_stored(key: str, provider: ObjectRequests) -> str:
    """Return a key in the Unicode form in which the vendor stores it."""
    form = provider.capabilities.key_normalization
    return unicodedata.normalize(form, key) if form else key


async def _check_unchanged(provider: ObjectRequests, source: str, copied: ObjectInfo) -> None:
    if (await provider.head(source)).etag != copied.etag:
        message = f"{provider.locate(source)}: the object changed while it was copied; nothing was published"
        raise PreconditionFailedError(message, key=source)


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyOptions:
    """The options of a copy between two providers.

    Attributes:
        listed: The object's entry in a listing: exactly this version is copied; `None`: the current version.
        changes: What differs from the source, see `changed`; and the conditions of the write.
        keep_mtime: If the source's metadata has no `mtime`, add the time when the source was stored.
        progress: The user's callback, or `None`.
    """

    listed: ObjectInfo | None = None
    changes: WriteOptions = UNCHANGED
    keep_mtime: bool = False
    progress: ProgressCallback | None = None


async def copy_between(
    provider: ObjectRequests,
    other: ObjectRequests,
    limits: Limits,
    config: TransferConfig,
    key: str,
    destination: str,
    wanted: CopyOptions,
    *,
    token: str,
) -> TransferResult:
    """Copy an object to another provider through memory: part by part; each part is read before it is sent.

    So no task holds a connection while it waits for another connection, and the part sizes fit the destination's
    limits.

    The copy has the source's metadata, content type and other stored headers. It has the source's tags if both vendors
    have tags, for 1 more request.
    """
    started = time.monotonic()
    policy = RetryPolicy.of(config)
    row = other.capabilities
    info = wanted.listed or await provider.head(key)
    plan = plan_upload(info.size, row, config.part_size, other.locate(destination))
    at_once = plan.count <= 1 or not row.multipart or not info.etag  # without an etag ranges may be of two versions
    if wanted.listed is not None and not at_once:
        info = await pinned_head(provider, wanted.listed)  # a listing has no metadata
    if not info.etag and COPIES * info.size > config.memory_budget:
        message = f"{provider.locate(key)}: the object has no etag, so its parts may differ in version; download it"
        raise UnsupportedError(message, key=key)
    if not row.multipart and COPIES * info.size > config.memory_budget:
        message = (
            f"{other.locate(destination)}: this provider has no multipart uploads (capabilities.multipart is False), "
            f"and {info.size} bytes are too many for memory_budget; give TransferConfig a larger one"
        )
        raise UnsupportedError(message, key=destination)
    changes = replace(wanted.changes, tags=wanted.changes.tags or await _tags(provider, key, other))
    meter = Meter(wanted.progress, destination, info.size)

    def options(source: ObjectInfo) -> WriteOptions:
        kept = {MTIME: mtime_text(mtime_of(source))} if wanted.keep_mtime else {}
        added = replace(changes, metadata={**kept, **source.metadata, **changes.metadata})
        return changed(source, added, row, other.locate(destination))

    async def piece(byte_range: ByteRange | None, size: int, send: Callable[[ObjectInfo, bytes], Awaitable[T]]) -> T:
        async with limits.body(size, memory=COPIES * size):
            reading = ReadOptions(byte_range=byte_range, if_match=info.etag or None, verify=config.verify)
            got, data = await read(provider, key, reading, policy=policy)
            if len(data) != size:
                message = f"{provider.locate(key)}: expected {size} bytes and received {len(data)}: the object changed"
                raise IntegrityError(message, key=key)
            sent = await send(got, data)
        meter.add(size)
        return sent

    parts: list[Part] = []
    if at_once:
        made, retries = await piece(
            None,
            info.size,
            lambda got, data: put_settled(other, destination, data, options(got), token=token, policy=policy),
        )
    else:
        async with multipart(other, destination, options(info), token=token, policy=policy) as (upload, marked):

            async def one(numbered: tuple[int, ByteRange]) -> None:
                number, byte_range = numbered
                parts.append(
                    await piece(byte_range, byte_range.size, lambda _, data: other.put_part(upload, number, data))
                )

            await fan_out(enumerate(plan.ranges(), start=1), one, width=min(config.large_concurrency, plan.count))
            # The bytes of the parts are checked, so a HEAD is needed only if completion does not give the final etag.
            made, retries = await complete_checked(other, upload, parts, marked, replace(config, verify=False))
    meter.finish()
    return TransferResult(
        key=destination,
        size=made.size,
        etag=made.etag,
        version_id=made.version_id,
        parts=len(parts) or 1,
        retries=retries,
        concurrency=limits.concurrency(made.size),
        verified=(row.multipart_checksum if parts else row.put_checksum) or "length",
        seconds=time.monotonic() - started,
    )
