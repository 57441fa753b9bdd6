"""Copies: by the server where it can, in parts where the object is large, streamed between servers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from bucketry._core.provider import ObjectRequests
from bucketry._core.units import GiB
from bucketry._core.values import ByteRange, MultipartUpload, ObjectInfo, Part, WriteOptions
from bucketry._transfer.cleanup import abort, open_upload
from bucketry._transfer.groups import first_error
from bucketry._transfer.plan import plan_upload
from bucketry._transfer.write import complete_settled, with_token
from bucketry.errors import InvalidRequestError, PreconditionFailedError, UnsupportedError

PART_SIZE = GiB // 4  # no bytes pass through here: few, large parts


async def copy(provider: ObjectRequests, source: str, destination: str, *, width: int, attempts: int) -> ObjectInfo:
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
        return await provider.copy_object(source, destination, if_match=info.etag)
    options = with_token(
        WriteOptions(
            metadata=info.metadata,
            content_type=info.content_type,
            storage_class=info.storage_class,
        )
    )
    plan = plan_upload(info.size, provider.capabilities, PART_SIZE, where)
    upload = await open_upload(provider, destination, options)
    parts: list[Part] = []

    async def worker(ranges: Iterator[tuple[int, ByteRange]], upload: MultipartUpload) -> None:
        for number, byte_range in ranges:  # one shared iterator: each part is taken once
            parts.append(await provider.copy_part(upload, number, source, byte_range, if_match=info.etag))

    try:
        numbered = iter(enumerate(plan.ranges(), start=1))
        with first_error():
            async with asyncio.TaskGroup() as group:
                for _ in range(min(width, plan.count)):
                    group.create_task(worker(numbered, upload))
        if not provider.capabilities.copy_source_if_match and (await provider.head(source)).etag != info.etag:
            message = f"{where}: the object changed while it was copied; nothing was published"
            raise PreconditionFailedError(message, provider=provider.name, key=source, operation="copy")
        copied, _ = await complete_settled(provider, upload, parts, options, checksum=None, attempts=attempts)
        if not provider.capabilities.stable_multipart_etag:
            copied = await provider.head(destination)
    except BaseException:
        await abort(provider, upload)
        raise
    return copied
