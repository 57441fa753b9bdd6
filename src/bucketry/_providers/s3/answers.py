"""Converts responses to values, without I/O. botocore's response dictionaries are read here and in `boto` only."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

from bucketry._core.values import (
    CommonPrefix,
    ListPage,
    MultipartUpload,
    ObjectInfo,
    ObjectVersion,
    VersionPage,
)
from bucketry._providers.s3.bucket import S3Bucket
from bucketry._providers.s3.failures import error_class
from bucketry._wire.sigv4 import encode_query
from bucketry.errors import NotFoundError, StorageError, TransientError

Deletions: TypeAlias = tuple[list[str], list[dict[str, str]]]
"""The response to a bulk delete: the deleted keys, and `Key`, `Code` and `Message` of each key that was not deleted."""


def required(answer: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401 - botocore border
    """Return a field that every valid response has.

    Raises:
        ValueError: The field is missing, because the response is a proxy's page or is cut short.
    """
    if answer.get(name) is None:
        raise ValueError(f"it has no {name}")
    return answer[name]


def headers_of(answer: Mapping[str, Any]) -> Mapping[str, str]:
    """Return a response's headers, by lower-case name."""
    headers: Mapping[str, str] = answer["ResponseMetadata"]["HTTPHeaders"]
    return headers


def version_page(entries: list[ObjectVersion], fields: Mapping[str, Any], token: str | None) -> VersionPage:
    """Return a page of versions: by key in UTF-8 binary order, the latest version of a key first.

    Args:
        entries: The versions and delete markers, in any order.
        fields: `IsTruncated`, `NextKeyMarker` and `NextVersionIdMarker`.
        token: The token of the request.

    Raises:
        ValueError: The page is truncated, and its token for the next page is missing or is the token of this page.
    """
    # Entries that compare equal stay in S3's order, the newest first, because the sort is stable.
    entries.sort(key=lambda entry: (entry.key.encode(), not entry.is_latest, -entry.last_modified.timestamp()))
    if str(required(fields, "IsTruncated")).lower() != "true":
        return VersionPage(entries=tuple(entries))
    marker = {"key-marker": fields.get("NextKeyMarker"), "version-id-marker": fields.get("NextVersionIdMarker")}
    following = encode_query({name: value for name, value in marker.items() if value})
    if not following or following == token:
        raise ValueError("the listing is truncated, but the answer has no new token for the next page")
    return VersionPage(entries=tuple(entries), next_token=following)


def marker_of(token: str | None) -> dict[str, str]:
    """Return the markers in a token, at which a listing of versions continues; empty if there is no token."""
    return dict(parse_qsl(token or "", errors="strict"))


def list_page(answer: Mapping[str, Any], token: str | None) -> ListPage:
    """Return a listing's page, with its entries in UTF-8 binary order.

    Raises:
        ValueError: The page is truncated, and its token for the next page is missing or is the token of this page.
    """
    objects = [
        ObjectInfo(
            key=entry["Key"],
            size=entry.get("Size", 0),
            etag=entry.get("ETag", ""),
            last_modified=utc(entry.get("LastModified")),
            storage_class=entry.get("StorageClass"),
        )
        for entry in answer.get("Contents", ())
    ]
    prefixes = [CommonPrefix(entry["Prefix"]) for entry in answer.get("CommonPrefixes", ())]
    entries: list[ObjectInfo | CommonPrefix] = [*objects, *prefixes]
    entries.sort(key=lambda entry: (entry.key if isinstance(entry, ObjectInfo) else entry.prefix).encode())
    following = answer.get("NextContinuationToken")
    if required(answer, "IsTruncated") and (not following or following == token):
        raise ValueError("the listing is truncated, but the answer has no new token for the next page")
    return ListPage(tuple(entries), following if answer.get("IsTruncated") else None)


def deletion_failures(found: Deletions, keys: Sequence[str], bucket: S3Bucket) -> dict[str, StorageError]:
    """Return the error of each key that a bulk delete did not delete; a missing object counts as deleted."""
    deleted, errors = found
    form = bucket.vendor.capabilities.key_normalization
    asked = {unicodedata.normalize(form, key) if form else key: key for key in keys} | {key: key for key in keys}
    unnamed = {*keys} - {asked.get(key) for key in deleted} - {asked.get(entry.get("Key", "")) for entry in errors}
    failed: dict[str, StorageError] = {}
    for entry in errors:
        code = entry.get("Code", "")
        kind = error_class(code, None, bucket.vendor)
        if issubclass(kind, NotFoundError):
            continue
        key = asked.get(entry.get("Key", ""))
        # An error that names none of the keys can be about any key that the response does not mention.
        for about in unnamed if key is None else (key,):
            problem = f"delete was answered {code} ({entry.get('Message', '')})"
            failed[about] = bucket.error(kind, about, "delete_many", problem)
            failed[about].code = code
    # If the response has an entry for each key, keys are not compared, because a server may change their form.
    for key in unnamed if len(deleted) + len(errors) < len(keys) else ():
        if key not in failed:
            problem = "the answer to delete does not mention this key"
            failed[key] = bucket.error(TransientError, key, "delete_many", problem)
    return failed


def utc(moment: datetime | None) -> datetime:
    """Return a moment in UTC; for `None`, return the beginning of 1970.

    Raises:
        ValueError: The moment in UTC is outside the years that `datetime` supports.
    """
    try:
        return datetime.fromtimestamp(0, UTC) if moment is None else moment.astimezone(UTC)
    except OverflowError as exc:
        raise ValueError(f"{moment} is not a time") from exc


def uploads_behind(listed: Iterable[MultipartUpload], after: MultipartUpload | None) -> tuple[MultipartUpload, ...]:
    """Return the uploads of a response that come after `after`. These are all, if the server supports the markers."""
    uploads = list(listed)
    if after is not None:  # some servers ignore the markers, and send the first uploads again
        seen = [number for number, upload in enumerate(uploads, 1) if upload.upload_id == after.upload_id]
        uploads = [upload for upload in uploads[seen[-1] if seen else 0 :] if upload.key >= after.key]
    return tuple(uploads)
