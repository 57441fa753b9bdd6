"""From botocore's answers to values: pure functions, the place where response dictionaries end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeAlias

from bucketry._core.options import WriteOptions
from bucketry._core.values import CommonPrefix, ListPage, MultipartUpload, ObjectInfo
from bucketry._providers.s3.bucket import S3Bucket
from bucketry._providers.s3.failures import error_class
from bucketry._providers.s3.headers import ALGORITHMS, expect_object, stored_checksums
from bucketry.errors import NotFoundError, StorageError, TransientError

Deletions: TypeAlias = tuple[list[str], list[dict[str, str]]]
"""What a bulk delete's answer says: keys deleted, and `Key`, `Code` and `Message` of those that were not."""


def required(answer: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401 - botocore border
    """Give a field that every right answer has.

    Raises:
        ValueError: It is missing: a proxy's page, or an answer cut short.
    """
    if answer.get(name) is None:
        raise ValueError(f"it has no {name}")
    return answer[name]


def object_info(key: str, answer: Mapping[str, Any], size: int) -> ObjectInfo:
    """Give the object of a HEAD or GET answer; `size` is the whole object's."""
    expect_object(answer.get("ETag"), answer.get("LastModified"))
    return ObjectInfo(
        key=key,
        size=size,
        etag=answer.get("ETag", ""),
        last_modified=_utc(answer.get("LastModified")),
        content_type=answer.get("ContentType"),
        storage_class=answer.get("StorageClass"),
        version_id=_version(answer),
        metadata=dict(answer.get("Metadata", {})),
        checksums=_full_checksums(answer),
    )


def written_info(key: str, answer: Mapping[str, Any], size: int, options: WriteOptions) -> ObjectInfo:
    """Give the object that a write made; its time is the answer's `Date`, as the write's own is not sent."""
    return ObjectInfo(
        key=key,
        size=size,
        etag=answer.get("ETag", ""),
        last_modified=_date_of(answer),
        content_type=options.content_type,
        storage_class=options.storage_class,
        version_id=_version(answer),
        metadata=dict(options.metadata),
        checksums=_full_checksums(answer),
    )


def list_page(answer: Mapping[str, Any], token: str | None) -> ListPage:
    """Give a listing's page, its entries in UTF-8 binary order.

    Raises:
        ValueError: The page is cut and says no way on, or leads back to itself.
    """
    objects = [
        ObjectInfo(
            key=entry["Key"],
            size=entry.get("Size", 0),
            etag=entry.get("ETag", ""),
            last_modified=_utc(entry.get("LastModified")),
            storage_class=entry.get("StorageClass"),
        )
        for entry in answer.get("Contents", ())
    ]
    prefixes = [CommonPrefix(entry["Prefix"]) for entry in answer.get("CommonPrefixes", ())]
    entries: list[ObjectInfo | CommonPrefix] = [*objects, *prefixes]
    entries.sort(key=lambda entry: (entry.key if isinstance(entry, ObjectInfo) else entry.prefix).encode())
    following = answer.get("NextContinuationToken")
    if required(answer, "IsTruncated") and (not following or following == token):
        raise ValueError("the listing is cut, and it does not say how to go on")
    return ListPage(tuple(entries), following if answer.get("IsTruncated") else None)


def deletion_failures(found: Deletions, keys: Sequence[str], bucket: S3Bucket) -> dict[str, StorageError]:
    """Give the error of each key that a bulk delete did not delete; a missing one counts as deleted."""
    deleted, errors = found
    named = {*deleted, *(entry.get("Key") for entry in errors)}
    failed: dict[str, StorageError] = {}
    # R2 may name a key in another Unicode form: then numbers tell.
    for key in keys if len(deleted) + len(errors) < len(keys) else ():
        if key not in named:
            problem = "the answer to delete does not say what became of it"
            failed[key] = bucket.error(TransientError, key, "delete_many", problem)
    for entry in errors:
        key, code = entry.get("Key", ""), entry.get("Code", "")
        kind = error_class(code, None, bucket.vendor)
        if not issubclass(kind, NotFoundError):
            problem = f"delete was answered {code} ({entry.get('Message', '')})"
            failed[key] = bucket.error(kind, key, "delete_many", problem)
            failed[key].code = code
    return failed


def _full_checksums(answer: Mapping[str, Any]) -> dict[str, str]:
    named = {"x-amz-checksum-type": answer.get("ChecksumType")}
    named |= {f"x-amz-checksum-{name}": answer.get(f"Checksum{name.upper()}") for name in ALGORITHMS}
    return stored_checksums({name: value for name, value in named.items() if value})


def _version(answer: Mapping[str, Any]) -> str | None:
    version = answer.get("VersionId")
    return None if version in (None, "", "null") else str(version)


def _date_of(answer: Mapping[str, Any]) -> datetime:
    """Give the answer's own time; this machine's where it has none that can be read."""
    try:
        return parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"]).astimezone(UTC)
    except (LookupError, TypeError, ValueError):
        return datetime.now(UTC)


def _utc(moment: datetime | None) -> datetime:
    return datetime.fromtimestamp(0, UTC) if moment is None else moment.astimezone(UTC)


def uploads_behind(listed: Iterable[MultipartUpload], after: MultipartUpload | None) -> tuple[MultipartUpload, ...]:
    """Give the uploads of an answer that stand behind `after`: all of them, where the server honours the markers."""
    uploads = list(listed)
    if after is not None:  # some servers ignore the markers, and answer with the first ones again
        seen = [number for number, upload in enumerate(uploads, 1) if upload.upload_id == after.upload_id]
        uploads = [upload for upload in uploads[seen[-1] if seen else 0 :] if upload.key >= after.key]
    return tuple(uploads)
