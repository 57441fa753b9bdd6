"""Copies: by the server where it can, in parts where the object is large, streamed between servers."""

from __future__ import annotations

from bucketry._core.config import TransferConfig
from bucketry._core.provider import ObjectRequests
from bucketry._core.units import GiB
from bucketry._core.values import ByteRange, ObjectInfo, Part, WriteOptions
from bucketry._transfer.cleanup import multipart
from bucketry._transfer.limits import Limits
from bucketry._transfer.plan import plan_upload
from bucketry._transfer.workers import fan_out
from bucketry._transfer.write import complete_settled
from bucketry.errors import InvalidRequestError, PreconditionFailedError, UnsupportedError

PART_SIZE = GiB // 4  # no bytes pass through here: few, large parts


async def copy(
    provider: ObjectRequests, limits: Limits, config: TransferConfig, source: str, destination: str
) -> ObjectInfo:
    """Copy within the bucket, server-side, any size, pinned to the source's version.

    Cost: 1 HEAD and 1 copy request; above the vendor's limit for one copy, 1 request for each 256 MiB and 3 more.
    """
    where = provider.locate(source)
    if source == destination:
        message = f"{where}: source and destination are the same key"
        raise InvalidRequestError(message, provider=provider.name, key=source, operation="copy")
    if not provider.capabilities.copy:
        message = f"{where}: this provider has no server-side copy"
        raise UnsupportedError(message, provider=provider.name, key=source, operation="copy")
    info = await provider.head(source)
    if info.size <= provider.capabilities.max_copy_size:
        async with limits.slots.hold(1):
            return await provider.copy_object(source, destination, if_match=info.etag)
    options = WriteOptions(metadata=info.metadata, content_type=info.content_type, storage_class=info.storage_class)
    row = provider.capabilities
    part_size = max(row.min_part_size, min(PART_SIZE, row.max_part_size))
    plan = plan_upload(info.size, row, part_size, where)
    parts: list[Part] = []
    async with multipart(provider, destination, options) as (upload, marked):

        async def one(numbered: tuple[int, ByteRange]) -> None:
            number, byte_range = numbered
            async with limits.slots.hold(1):
                parts.append(await provider.copy_part(upload, number, source, byte_range, if_match=info.etag))

        await fan_out(enumerate(plan.ranges(), start=1), one, width=min(config.max_concurrency, plan.count))
        if not provider.capabilities.copy_source_if_match:
            await _check_unchanged(provider, source, info)
        copied, _ = await complete_settled(provider, upload, parts, marked, checksum=None, attempts=config.max_attempts)
    return copied if provider.capabilities.stable_multipart_etag else await provider.head(destination)


async def _check_unchanged(provider: ObjectRequests, source: str, copied: ObjectInfo) -> None:
    if (await provider.head(source)).etag != copied.etag:
        message = f"{provider.locate(source)}: the object changed while it was copied; nothing was published"
        raise PreconditionFailedError(message, provider=provider.name, key=source, operation="copy")
