"""Looks for the promises about multipart uploads: parts, their sizes, listing, completing, aborting, copying."""

from __future__ import annotations

from bucketry._core import checksums
from bucketry._core.options import WriteOptions
from bucketry._core.units import KiB, MiB
from bucketry._core.values import ByteRange, ObjectInfo
from bucketry._doctor.subject import Probe, Subject
from bucketry._doctor.values import Finding, unknown
from bucketry.errors import NotFoundError, StorageError, UnsupportedError, UploadNotFoundError

_SMALLEST = 5 * MiB  # the smallest part of S3, for a row without multipart uploads
_MORE = 64 * KiB


async def _parts(subject: Subject) -> list[Finding]:
    """Upload three parts of unequal sizes, and of equal sizes if the server refuses the first."""
    smallest = subject.row.min_part_size if subject.row.multipart else _SMALLEST
    equal = False
    try:
        completed, listed = await _upload(subject, "parts", (smallest + _MORE, smallest, 1))
    except StorageError as error:
        if error.retryable and error.status is None:
            raise
        equal = True
        completed, listed = await _upload(subject, "parts-equal", (smallest, smallest, 1))
    head = await subject.requests.head(completed.key)
    whole = head.size == completed.size
    stable = Finding(name="stable_multipart_etag", found=head.etag == completed.etag, text=_SAME)
    if not stable.found:
        stable = Finding(name=stable.name, found=False, text="HEAD returns another etag than the completion")
    elif not subject.row.stable_multipart_etag:
        stable = unknown(stable.name, f"{_SAME}, but one object does not prove the promise")
    return [
        Finding(
            name="multipart",
            found=whole,
            text=f"an object of {head.size:,} bytes was made of three parts with {completed.size:,} bytes",
        ),
        Finding(
            name="min_part_size",
            found=subject.row.min_part_size,
            text=f"a part of {smallest:,} bytes before the last is accepted",
        ),
        Finding(
            name="equal_part_sizes",
            found=equal,
            text=f"a smaller part in the middle is {'refused' if equal else 'accepted'}",
        ),
        Finding(name="multipart_listing", found=listed, text=_LISTED if listed else _UNLISTED),
        stable,
    ]


_SAME = "HEAD returns the etag of the completion"
_LISTED = "the open upload and its three parts are listed"
_UNLISTED = "the open upload, or one of its three parts, is missing in the listing"


async def _upload(subject: Subject, name: str, sizes: tuple[int, ...]) -> tuple[ObjectInfo, bool]:
    """Upload parts; return the object, and whether the upload and its parts were listed."""
    requests = subject.requests
    upload = await subject.scratch.open_upload(name)
    parts = [await requests.put_part(upload, number, bytes(size)) for number, size in enumerate(sizes, 1)]
    open_uploads = await requests.list_multiparts(upload.key)
    listed = upload.upload_id in {each.upload_id for each in open_uploads}
    listed = listed and len(await requests.list_parts(upload)) == len(sizes)
    sums = [(part.checksum, part.size) for part in parts if part.checksum is not None]
    algorithm, checksum = subject.row.multipart_checksum, None
    if subject.row.full_object_checksum and algorithm is not None and len(sums) == len(parts):
        checksum = checksums.combine(algorithm, sums)
    return await requests.complete_multipart(upload, parts, WriteOptions(), checksum=checksum), listed


async def _abort(subject: Subject) -> list[Finding]:
    requests = subject.requests
    upload = await subject.scratch.open_upload("aborted")
    await requests.put_part(upload, 1, b"1")
    await requests.abort_multipart(upload)
    try:
        left = await requests.list_parts(upload)
    except (UploadNotFoundError, NotFoundError):
        left = ()
    text = "an aborted upload is still there" if left else "an aborted upload and its parts are gone"
    return [Finding(name="multipart_abort", found=not left, text=text)]


async def _copied(subject: Subject) -> list[Finding]:
    name, requests = "copy_part", subject.requests
    if not subject.row.copy or not subject.row.multipart:
        return [unknown(name, "the row promises no copies, or no multipart uploads")]
    source = await subject.scratch.put("part-source", b"0123456789")
    upload = await subject.scratch.open_upload("part-copy", WriteOptions(part_checksums=False))
    try:
        part = await requests.copy_part(upload, 1, source.key, ByteRange(2, 6), if_match=source.etag)
    except UnsupportedError:
        return [Finding(name=name, found=False, text="the server does not copy parts", refused=True)]
    completed = await requests.complete_multipart(upload, [part], WriteOptions())
    async with requests.open_body(completed.key) as body:
        data = await body.read()
    text = "a part copied from bytes 2 to 6 of an object " + ("has them" if data == b"2345" else f"is {data!r}")
    return [Finding(name=name, found=data == b"2345", text=text)]


PROBES = (
    Probe(_parts, ("multipart", "min_part_size", "equal_part_sizes", "multipart_listing", "stable_multipart_etag")),
    Probe(_abort, ("multipart_abort",)),
    Probe(_copied, ("copy_part",)),
)
