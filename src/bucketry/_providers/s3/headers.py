"""Converts values to HTTP headers, and headers to values."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from bucketry._core.options import WriteOptions
from bucketry._core.values import NOTHING, ByteRange, ObjectInfo, listed_info
from bucketry._providers.s3.dates import http_date
from bucketry._wire.sigv4 import encode_query
from bucketry.errors import IntegrityError

META = "x-amz-meta-"
_STORED_HEADERS = (
    ("cache-control", "cache_control"),
    ("content-disposition", "content_disposition"),
    ("content-encoding", "content_encoding"),
    ("content-language", "content_language"),
)
"""Headers that are stored with an object, each with the name of its field in `ObjectInfo` and `WriteOptions`."""

ALGORITHMS = ("crc64nvme", "crc32c", "crc32")
_ALL, _PART = 200, 206
_CHECKSUMS = [(name, f"x-amz-checksum-{name}") for name in ALGORITHMS]
_TYPE, _FULL = "x-amz-checksum-type", "FULL_OBJECT"
_EPOCH = datetime.fromtimestamp(0, UTC)


def expect_object(etag: str | None, modified: object | None) -> None:
    """Refuse a response without ETag and Last-Modified, because every S3 server sends at least one of these headers.

    Raises:
        ValueError: Both are missing, because the response does not come from an S3 server, but perhaps from a proxy.
    """
    if not etag and modified is None:
        raise ValueError("it has neither ETag nor Last-Modified")


def info_of(key: str, headers: Mapping[str, str], size: int) -> ObjectInfo:
    """Return the properties of an object, read from the headers of the response to a HEAD or GET.

    `size` is the size of the whole object, also for a range.

    Raises:
        ValueError: The response does not come from an S3 server.
    """
    etag, modified = headers.get("etag"), headers.get("last-modified")
    expect_object(etag, modified)
    moment = _EPOCH if modified is None else http_date(modified)
    storage_class, content_type = headers.get("x-amz-storage-class"), headers.get("content-type")
    version, checksums = version_of(headers), stored_checksums(headers)
    info = listed_info(key, moment, etag or "", size, storage_class, content_type, version, checksums)
    more: dict[str, Any] = {field: headers[name] for name, field in _STORED_HEADERS if name in headers}
    if metadata := {name[len(META) :]: value for name, value in headers.items() if name.startswith(META)}:
        more["metadata"] = metadata
    return replace(info, **more) if more else info


def written(key: str, headers: Mapping[str, str], etag: str, size: int, options: WriteOptions) -> ObjectInfo:
    """Return the properties of the object that a write made.

    Its time is the response's `Date`, because a response to a write has no `Last-Modified`.
    """
    try:
        moment = http_date(headers.get("date", ""))
    except ValueError:
        moment = datetime.now(UTC)
    storage_class, content_type = options.storage_class, options.content_type
    version, checksums = version_of(headers), stored_checksums(headers)
    info = listed_info(key, moment, etag, size, storage_class, content_type, version, checksums)
    more: dict[str, Any] = {"metadata": dict(options.metadata)} if options.metadata else {}
    for _, field in _STORED_HEADERS:
        if (value := getattr(options, field)) is not None:
            more[field] = value
    return replace(info, **more) if more else info


def write_headers(options: WriteOptions) -> dict[str, str]:
    """Return the headers of a write in one request: headers that are stored with the object, and conditions."""
    headers = stored_headers(options)
    return headers | condition_headers(options) if options.conditional else headers


def stored_headers(options: WriteOptions) -> dict[str, str]:
    """Return the headers that are stored with an object: metadata, tags, content type and others."""
    given = (
        ("content-type", options.content_type),
        ("cache-control", options.cache_control),
        ("content-disposition", options.content_disposition),
        ("content-encoding", options.content_encoding),
        ("content-language", options.content_language),
        ("x-amz-storage-class", options.storage_class),
    )
    headers = {name: value for name, value in given if value is not None}
    if options.tags:
        headers["x-amz-tagging"] = encode_query(options.tags)
    return headers | {META + name: value for name, value in options.metadata.items()} if options.metadata else headers


def condition_headers(options: WriteOptions) -> dict[str, str]:
    """Return the headers of a write's conditions."""
    given = (("if-none-match", options.if_none_match), ("if-match", options.if_match))
    return {name: value for name, value in given if value is not None}


def replacing_headers(options: WriteOptions | None) -> dict[str, str]:
    """Return the headers that make a copy replace the metadata of its source; `None`: the copy keeps the metadata."""
    if options is None:
        return {}
    headers = {"x-amz-metadata-directive": "REPLACE", **stored_headers(options)}
    return headers | {"x-amz-tagging-directive": "REPLACE"} if options.tags else headers


def is_header_checksum(algorithm: str) -> bool:
    """Return whether a checksum is sent in a header `x-amz-checksum-…`; SHA-256 is not, because it is signed."""
    return algorithm in ALGORITHMS


def checksum_headers(algorithm: str | None, digest: str | None, *, sdk: bool) -> dict[str, str]:
    """Return the headers with a body's checksum.

    Args:
        algorithm: The checksum's algorithm. For `None` and `"sha256"` there is no header: SHA-256 is signed instead.
        digest: The checksum in hex.
        sdk: Whether to add the header with the algorithm's name, which some servers need.
    """
    if algorithm is None or digest is None or algorithm == "sha256":
        return {}
    encoded = base64_of(digest)
    if algorithm == "md5":
        return {"content-md5": encoded}
    headers = {f"x-amz-checksum-{algorithm}": encoded}
    return headers | {"x-amz-sdk-checksum-algorithm": algorithm.upper()} if sdk else headers


def range_header(byte_range: ByteRange) -> str:
    """Return the value of the header `Range`, whose end is the last byte, not the byte after it."""
    return f"bytes={byte_range.start}-{byte_range.end - 1}"


def expect_status(status: int | None, byte_range: ByteRange | None) -> None:
    """Refuse the response to a read if its status does not fit the request.

    Raises:
        IntegrityError: The status is not 200 for a whole object, or not 206 for a range. A 200 for a range is accepted,
            too, because `rclone serve s3` sends it, with the right `Content-Range`.
    """
    if status != _ALL and (byte_range is None or status != _PART):
        asked = "the whole object" if byte_range is None else f"the range [{byte_range.start}, {byte_range.end})"
        raise IntegrityError(f"{asked} was requested, but the answer has status {status}: its body is something else")


def read_info(
    key: str, status: int | None, headers: Mapping[str, str], length: int, byte_range: ByteRange | None
) -> ObjectInfo:
    """Check that the response to a read fits the request, and return the properties of the object.

    S3 sends the checksum of an object with a range that covers the object, but the checksum of a part with a range that
    is exactly this part. With a range, it also leaves out the suffix that marks a COMPOSITE checksum. So with a range,
    only a checksum of the type FULL_OBJECT is kept, and only if the range covers the object.
    Source: https://github.com/boto/botocore/issues/3346, https://github.com/s3s-project/s3s/pull/286

    Raises:
        ValueError: The response does not come from an S3 server.
        IntegrityError: The response's status or range does not fit the request.
    """
    expect_object(headers.get("etag"), headers.get("last-modified"))
    expect_status(status, byte_range)
    size = expect_range(headers.get("content-range", ""), length, byte_range, status)
    info = info_of(key, headers, size)
    if byte_range is None or not info.checksums or (length == size and headers.get(_TYPE) == _FULL):
        return info
    return replace(info, checksums=NOTHING)


def expect_range(content_range: str, length: int, byte_range: ByteRange | None, status: int | None = _PART) -> int:
    """Check that the response has the requested range, and return the size of the whole object.

    Args:
        content_range: The response's header `Content-Range`; empty if the response has no such header.
        length: The length of the response's body.
        byte_range: The requested range; `None`: the whole object.
        status: The response's status. With 200 and without `Content-Range`, the body is the whole object: the server
            ignores ranges, which does no harm if the range covers the object.

    Raises:
        IntegrityError: The server ignored the range, or sent another range.
    """
    if byte_range is None:
        return length
    if status == _ALL and not content_range and not byte_range.start and length <= byte_range.end:
        return length
    unit, _, rest = content_range.partition(" ")
    span, _, total = rest.partition("/")
    first, _, last = span.partition("-")
    if unit != "bytes" or not (first.isdecimal() and last.isdecimal() and total.isdecimal()):
        asked = f"bytes {byte_range.start} to {byte_range.end} were requested"
        raise IntegrityError(f"{asked}, but the answer names no range")
    start, end, size = int(first), int(last) + 1, int(total)
    if (start, end) != (byte_range.start, min(byte_range.end, size)) or length != end - start:
        asked = f"bytes {byte_range.start} to {byte_range.end} were requested"
        raise IntegrityError(f"{asked}, but the server sent {start} to {end} in a body of {length}")
    return size


def stored_checksums(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the checksums of the whole object, but no composite checksum, which is made of the parts' checksums."""
    if headers.get(_TYPE) == "COMPOSITE":
        return {}
    found: dict[str, str] = {}
    for name, header in _CHECKSUMS:
        value = headers.get(header)
        if value and "-" not in value and (digest := hex_of(value)):
            found[name] = digest
    return found


def base64_of(digest: str) -> str:
    """Convert a checksum from hex to base64."""
    return base64.b64encode(bytes.fromhex(digest)).decode()


def hex_of(encoded: str) -> str:
    """Convert a checksum from base64 to hex; return an empty text if it is not valid base64."""
    try:
        return base64.b64decode(encoded, validate=True).hex()
    except ValueError:
        return ""


def version_of(headers: Mapping[str, str]) -> str | None:
    """Return the version id; `None` if the bucket keeps no versions."""
    version = headers.get("x-amz-version-id")
    return None if version in (None, "", "null") else version
