"""The rules of multipart uploads, for providers that store the parts themselves: local and memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bucketry._core.capabilities import Capabilities
from bucketry._core.values import MultipartUpload, Part
from bucketry.errors import InvalidRequestError

MAX_LISTED = 1_000  # parts or uploads in one response, as in S3


def check_part_number(part_number: int, limits: Capabilities, where: str) -> None:
    """Refuse a part number that is less than 1 or more than `limits.max_parts`.

    Raises:
        InvalidRequestError: The number is out of this range.
    """
    if not 1 <= part_number <= limits.max_parts:
        raise InvalidRequestError(f"{where}: part number {part_number} must be within 1 and {limits.max_parts}")


def in_order(parts: Sequence[Part], limits: Capabilities, where: str) -> list[Part]:
    """Return the parts of an object in order of their numbers.

    Raises:
        InvalidRequestError: There are no parts, two parts have the same number, or a part before the last is too small.
    """
    ordered = sorted(parts, key=lambda part: part.part_number)
    if not ordered:
        raise InvalidRequestError(f"{where}: completing an upload needs at least one part; abort the upload instead")
    numbers = [part.part_number for part in ordered]
    if len(set(numbers)) != len(numbers):
        raise InvalidRequestError(f"{where}: a part number is given twice; give each part once")
    for part in ordered[:-1]:
        if part.size < limits.min_part_size:
            raise InvalidRequestError(
                f"{where}: part {part.part_number} has {part.size} bytes; "
                f"every part but the last needs at least {limits.min_part_size}"
            )
    return ordered


def page_of_uploads(
    uploads: Iterable[MultipartUpload], prefix: str, after: MultipartUpload | None
) -> tuple[MultipartUpload, ...]:
    """Return the first uploads that come after `after` and whose keys begin with the prefix, sorted by key and id."""
    found = sorted((upload for upload in uploads if upload.key.startswith(prefix)), key=_order)
    if after is not None:
        found = [upload for upload in found if _order(upload) > _order(after)]
    return tuple(found[:MAX_LISTED])


def _order(upload: MultipartUpload) -> tuple[str, str]:
    return upload.key, upload.upload_id
