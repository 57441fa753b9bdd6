"""Between values and HTTP headers: what the data plane sends and reads beside bodies."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from bucketry._core.options import WriteOptions
from bucketry._core.values import ByteRange, ObjectInfo, listed_info
from bucketry._providers.s3.dates import http_date
from bucketry._wire.sigv4 import encode_query
from bucketry.errors import IntegrityError

META = "x-amz-meta-"
_SHOWN = (
    ("cache-control", "cache_control"),
    ("content-disposition", "content_disposition"),
    ("content-encoding", "content_encoding"),
    ("content-language", "content_language"),
)
"""Headers that are stored with an object and given back as they are, and what the values call them."""

ALGORITHMS = ("crc64nvme", "crc32c", "crc32")
_ALL, _PART = 200, 206
_CHECKSUMS = [(name, f"x-amz-checksum-{name}") for name in ALGORITHMS]
_EPOCH = datetime.fromtimestamp(0, UTC)


def expect_object(etag: str | None, modified: object | None) -> None:
    """Refuse an answer of which no object can be known: every S3 server sends at least one of the two.

    Raises:
        ValueError: It is no S3 server's: a page of some proxy.
    """
    if not etag and modified is None:
        raise ValueError("it has neither ETag nor Last-Modified")


def info_of(key: str, headers: Mapping[str, str], size: int) -> ObjectInfo:
    """Give the object of a HEAD or GET answer; `size` is the whole object's.

    Raises:
        ValueError: It is no S3 server's answer.
    """
    etag, modified = headers.get("etag"), headers.get("last-modified")
    expect_object(etag, modified)
    moment = _EPOCH if modified is None else http_date(modified)
    storage_class, content_type = headers.get("x-amz-storage-class"), headers.get("content-type")
    version, checksums = version_of(headers), stored_checksums(headers)
    info = listed_info(key, moment, etag or "", size, storage_class, content_type, version, checksums)
    more: dict[str, Any] = {field: headers[name] for name, field in _SHOWN if name in headers}
    if metadata := {name[len(META) :]: value for name, value in headers.items() if name.startswith(META)}:
        more["metadata"] = metadata
    return replace(info, **more) if more else info


def written(key: str, headers: Mapping[str, str], etag: str, size: int, options: WriteOptions) -> ObjectInfo:
    """Give the object that a write made; its time is the answer's `Date`, as the write's own is not sent."""
    try:
        moment = http_date(headers.get("date", ""))
    except ValueError:
        moment = datetime.now(UTC)
    storage_class, content_type = options.storage_class, options.content_type
    version, checksums = version_of(headers), stored_checksums(headers)
    info = listed_info(key, moment, etag, size, storage_class, content_type, version, checksums)
    more: dict[str, Any] = {field: value for _, field in _SHOWN if (value := getattr(options, field))}
    if options.metadata:
        more["metadata"] = dict(options.metadata)
    return replace(info, **more) if more else info


def write_headers(options: WriteOptions) -> dict[str, str]:
    """Give the headers for what goes with a write in one request."""
    headers = stored_headers(options)
    return headers | condition_headers(options) if options.conditional else headers


def stored_headers(options: WriteOptions) -> dict[str, str]:
    """Give the headers for what is stored with an object."""
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
    """Give the headers for what must hold, so that a write is done."""
    given = (("if-none-match", options.if_none_match), ("if-match", options.if_match))
    return {name: value for name, value in given if value is not None}


def replacing_headers(options: WriteOptions | None) -> dict[str, str]:
    """Give the headers for what a copy has in place of what its source has; `None`: it keeps all."""
    if options is None:
        return {}
    headers = {"x-amz-metadata-directive": "REPLACE", **stored_headers(options)}
    return headers | {"x-amz-tagging-directive": "REPLACE"} if options.tags else headers


def is_header_checksum(algorithm: str) -> bool:
    """Tell whether a checksum has a header `x-amz-checksum-…` of its own; SHA-256 goes as the signed payload's hash."""
    return algorithm in ALGORITHMS


def checksum_headers(algorithm: str | None, digest: str | None, *, sdk: bool) -> dict[str, str]:
    """Give the headers that say a body's checksum.

    Args:
        algorithm: Its name; `None`, and `"sha256"`, which the signature holds: no header.
        digest: In hex.
        sdk: The server wants to be told the algorithm as well.
    """
    if algorithm is None or digest is None or algorithm == "sha256":
        return {}
    encoded = base64_of(digest)
    if algorithm == "md5":
        return {"content-md5": encoded}
    headers = {f"x-amz-checksum-{algorithm}": encoded}
    return headers | {"x-amz-sdk-checksum-algorithm": algorithm.upper()} if sdk else headers


def range_header(byte_range: ByteRange) -> str:
    """Give the value of `Range`: there the last byte is named, not the one after."""
    return f"bytes={byte_range.start}-{byte_range.end - 1}"


def expect_status(status: int | None, byte_range: ByteRange | None) -> None:
    """Refuse a read's answer whose status says that its body is not what was asked for.

    Raises:
        IntegrityError: It is another one than 200 for all of an object, or 206 for a range. `rclone serve s3` sends 200
            for a range, too, with the right `Content-Range`.
    """
    if status != _ALL and (byte_range is None or status != _PART):
        asked = "the whole object" if byte_range is None else f"the range [{byte_range.start}, {byte_range.end})"
        raise IntegrityError(f"{asked} was asked for, and the answer has status {status}: it is of something else")


def expect_range(content_range: str, length: int, byte_range: ByteRange | None) -> int:
    """Give the size of the object, having checked that the answer is of the range asked for.

    Args:
        content_range: The answer's header; empty where it has none.
        length: Of the answer's body.
        byte_range: What was asked for; `None`: everything.

    Raises:
        IntegrityError: The range was ignored, or another one was sent.
    """
    if byte_range is None:
        return length
    unit, _, rest = content_range.partition(" ")
    span, _, total = rest.partition("/")
    first, _, last = span.partition("-")
    if unit != "bytes" or not (first.isdecimal() and last.isdecimal() and total.isdecimal()):
        asked = f"bytes {byte_range.start} to {byte_range.end} were asked for"
        raise IntegrityError(f"{asked} and the answer names no range")
    start, end, size = int(first), int(last) + 1, int(total)
    if (start, end) != (byte_range.start, min(byte_range.end, size)) or length != end - start:
        asked = f"bytes {byte_range.start} to {byte_range.end} were asked for"
        raise IntegrityError(f"{asked}, and {start} to {end} in a body of {length} sent")
    return size


def stored_checksums(headers: Mapping[str, str]) -> dict[str, str]:
    """Give the checksums of the whole object: a composite one is of the parts' checksums, no use for ranges."""
    if headers.get("x-amz-checksum-type") == "COMPOSITE":
        return {}
    found: dict[str, str] = {}
    for name, header in _CHECKSUMS:
        value = headers.get(header)
        if value and "-" not in value and (digest := hex_of(value)):
            found[name] = digest
    return found


def base64_of(digest: str) -> str:
    """Give hex in base64."""
    return base64.b64encode(bytes.fromhex(digest)).decode()


def hex_of(encoded: str) -> str:
    """Give base64 in hex; nothing for what is no base64, with which nothing could be compared."""
    try:
        return base64.b64decode(encoded, validate=True).hex()
    except ValueError:
        return ""


def version_of(headers: Mapping[str, str]) -> str | None:
    """Give the version, where versions are kept."""
    version = headers.get("x-amz-version-id")
    return None if version in (None, "", "null") else version
