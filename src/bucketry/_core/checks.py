"""Checks before any byte is sent: keys, metadata, preconditions, and keys as local paths."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from string import ascii_letters, digits

from bucketry._core.capabilities import Capabilities
from bucketry._core.options import ReadOptions, WriteOptions
from bucketry._core.values import WRITE_TOKEN
from bucketry.errors import (
    InvalidKeyError,
    InvalidMetadataError,
    InvalidRequestError,
    UnsafeKeyError,
    UnsupportedError,
)

OWN = ".bucketry"
"""The directory in a local provider's base directory for its staged files, open uploads, metadata and locks."""

_NAME_CHARACTERS = frozenset(ascii_letters + digits + "!#$%&'*+.^_`|~-")  # of a header; a pattern takes 1 ms to compile
_TOKEN_SIZE = len(WRITE_TOKEN) + 32  # bytes of metadata that the transfer code needs for its write token
_MAX_TAGS, _MAX_TAG_NAME, _MAX_TAG_VALUE = 10, 128, 256  # S3's limits for one object; names and values in characters
_MAX_SEGMENT_LENGTH = 255  # bytes, NAME_MAX of every common file system


def check_key(key: str, limits: Capabilities, where: str) -> None:
    """Raise an error for a key that the vendor cannot store.

    Args:
        key: The object's name.
        limits: The vendor's capabilities.
        where: The beginning of the message, such as `"s3://bucket"`.

    Raises:
        InvalidKeyError: The key is not a `str`, is empty, is longer than the limit in UTF-8, or cannot be encoded.
    """
    if not isinstance(key, str):
        message = f"{where}: a key is a str, not {type(key).__name__}"
        raise InvalidKeyError(message)
    if not key:
        message = f"{where}: the key is empty; give the object a name"
        raise InvalidKeyError(message, key=key)
    try:
        length = len(key.encode())
    except UnicodeEncodeError:
        message = f"{where}: key {key!r} holds a lone surrogate (a file name that is not UTF-8?); rename it"
        raise InvalidKeyError(message) from None
    if length > limits.max_key_length:
        message = (
            f"{where}: the key beginning {key[:40]!r} has {length} bytes in UTF-8; the limit is {limits.max_key_length}"
        )
        raise InvalidKeyError(message, key=key)


def refuse_string(keys: Iterable[str], where: str) -> None:
    """Raise an error for a `str` in place of several keys, because each of its letters would be used as a key.

    Raises:
        InvalidKeyError: `keys` is a `str`.
    """
    if isinstance(keys, str):
        message = f"{where}: {keys!r} is one key; give a list of keys, such as [{keys!r}]"
        raise InvalidKeyError(message, key=keys)


def check_metadata(metadata: Mapping[str, str] | None, limits: Capabilities, where: str) -> dict[str, str]:
    """Check that HTTP headers can carry the metadata unchanged, and return the metadata with lower-case names.

    Raises:
        InvalidMetadataError: A name is not an HTTP token, a value is not printable ASCII or begins or ends with
            a blank, two names differ only by case, or the metadata is too large.
    """
    clean: dict[str, str] = {}
    for name, value in (metadata or {}).items():
        if not isinstance(name, str) or not isinstance(value, str):
            message = f"{where}: metadata {name!r} must map a str to a str, not to {type(value).__name__}"
            raise InvalidMetadataError(message)
        if not name or not _NAME_CHARACTERS.issuperset(name):
            message = f"{where}: metadata name {name!r} is not usable in a header; use letters, digits and '-'"
            raise InvalidMetadataError(message)
        if not (value.isascii() and value.isprintable()) or value != value.strip():
            message = (
                f"{where}: metadata {name!r} has a value that a header cannot carry unchanged; "
                "use printable ASCII without outer blanks (encode other text, for example as base64)"
            )
            raise InvalidMetadataError(message)
        lower = name.lower()
        if lower in clean:
            message = f"{where}: metadata {name!r} is given twice (names do not differ by case)"
            raise InvalidMetadataError(message)
        if lower == WRITE_TOKEN:
            message = f"{where}: metadata name {name!r} is reserved"
            raise InvalidMetadataError(message)
        clean[lower] = value
    size = sum(len(name) + len(value) for name, value in clean.items())
    limit = limits.max_metadata_size - _TOKEN_SIZE
    if size > limit:
        message = f"{where}: metadata has {size} bytes; the limit is {limit} (the rest is kept to mark the write)"
        raise InvalidMetadataError(message)
    return clean


def check_header(name: str, value: str | None, where: str) -> None:
    """Raise an error for a value that a request header cannot carry.

    Raises:
        InvalidRequestError: The value is not printable ASCII, is empty, or begins or ends with a blank.
    """
    if value is None:
        return
    if not (isinstance(value, str) and value and value.isascii() and value.isprintable() and value == value.strip()):
        message = f"{where}: {name}={value!r} cannot stand in a header; give printable ASCII without outer blanks"
        raise InvalidRequestError(message)


def check_tags(tags: Mapping[str, str], where: str) -> dict[str, str]:
    """Raise an error for tags that S3 does not store; return a copy of the tags.

    Raises:
        InvalidRequestError: There are more than 10 tags, a name does not have 1 to 128 characters, a value has more
            than 256 characters, or a name or value is not a valid `str`.
    """
    if len(tags) > _MAX_TAGS:
        message = f"{where}: {len(tags)} tags; an object has {_MAX_TAGS} at most"
        raise InvalidRequestError(message)
    for name, value in tags.items():
        if not isinstance(name, str) or not isinstance(value, str):
            message = f"{where}: tag {name!r} must map a str to a str, not to {type(value).__name__}"
        elif any("\ud800" <= character <= "\udfff" for character in name + value):
            message = f"{where}: tag {name!r} is not valid Unicode"
        elif not 1 <= len(name) <= _MAX_TAG_NAME:
            message = f"{where}: tag {name!r} has a name of {len(name)} characters; give 1 to {_MAX_TAG_NAME}"
        elif len(value) > _MAX_TAG_VALUE:
            message = f"{where}: tag {name!r} has a value of {len(value)} characters; {_MAX_TAG_VALUE} is the limit"
        else:
            continue
        raise InvalidRequestError(message)
    return dict(tags)


def check_condition(name: str, value: str | None, *, enforced: bool, where: str, operation: str) -> None:
    """Raise an error for a precondition that the provider would ignore, before any byte is sent.

    Raises:
        UnsupportedError: `value` is given, and `enforced` is false.
    """
    if value is not None and not enforced:
        message = (
            f"{where}: {name}={value!r} is not enforced by this provider when {operation}; "
            "it would be ignored or refused, so nothing was sent"
        )
        raise UnsupportedError(message)


def local_parts(key: str, where: str = "") -> tuple[str, ...]:
    """Split a key into the names of a relative path that stays inside its directory on every system.

    Raises:
        UnsafeKeyError: The key is absolute, has a drive or a UNC prefix anywhere, an empty, `.` or `..`
            segment (also between backslashes), a NUL, a lone surrogate, or a name longer than 255 bytes.
    """
    problem = None
    segments = key.split("/")
    windows = key.replace("\\", "/").split("/")
    if key.startswith("/") or any(segment.startswith("\\") for segment in segments):
        problem = "it is absolute"
    elif any(segment[1:2] == ":" for segment in windows):  # Windows accepts any character as a drive letter
        problem = "it holds a drive letter"
    elif any("\ud800" <= character <= "\udfff" for character in key):
        problem = "it is not valid Unicode"
    elif "\0" in key:
        problem = "it holds a NUL byte"
    elif ".." in windows:
        problem = "it holds the segment '..'"
    elif "" in segments or "." in segments:
        problem = "it holds an empty or '.' segment"
    elif any(len(segment.encode()) > _MAX_SEGMENT_LENGTH for segment in segments):
        problem = f"a segment is longer than {_MAX_SEGMENT_LENGTH} bytes"
    if problem:
        message = f"{where}{': ' if where else ''}key {key!r} cannot be a local path: {problem}"
        raise UnsafeKeyError(message, key=key)
    return tuple(segments)


def check_read(options: ReadOptions, where: str) -> None:
    """Raise an error for a read with a precondition that a request header cannot carry.

    Raises:
        InvalidRequestError: See `check_header`.
    """
    check_header("if_match", options.if_match, where)
    check_header("if_none_match", options.if_none_match, where)


def check_write(options: WriteOptions, limits: Capabilities, where: str, *, multipart: bool) -> None:
    """Raise an error for a write with a precondition that the provider does not enforce, before any byte is sent.

    Raises:
        UnsupportedError: The vendor is not known to enforce the condition.
        InvalidRequestError: `if_none_match` is something other than `"*"`, `if_match` is `"*"`, or both are given.
    """
    operation = "completing a multipart upload" if multipart else "putting an object"
    none_match = limits.complete_if_none_match if multipart else limits.put_if_none_match
    match = limits.complete_if_match if multipart else limits.put_if_match
    if options.if_none_match not in (None, "*"):
        message = f"{where}: if_none_match={options.if_none_match!r}: a write takes only '*' (create, never replace)"
        raise InvalidRequestError(message)
    if options.if_match == "*":
        message = f"{where}: if_match='*': a write replaces the version that an etag names; give the object's etag"
        raise InvalidRequestError(message)
    if options.if_none_match is not None and options.if_match is not None:
        message = f"{where}: if_match and if_none_match exclude each other; give one"
        raise InvalidRequestError(message)
    check_condition("if_none_match", options.if_none_match, enforced=none_match, where=where, operation=operation)
    check_condition("if_match", options.if_match, enforced=match, where=where, operation=operation)


def same_etag(one: str, other: str) -> bool:
    """Compare etags without their quotes, because some vendors leave the quotes out in listings and copies."""
    return one.strip('"') == other.strip('"')


def etag_matches(etag: str, condition: str) -> bool:
    """Return whether a read's `if_match` or `if_none_match` names this etag; `"*"` names every etag."""
    return condition == "*" or same_etag(etag, condition)


def version_named(etag: str) -> str:
    """Describe an object's version, for messages that begin with "the object"."""
    return f"is {etag}" if etag else "has no etag"
