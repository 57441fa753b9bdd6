"""Every error the package raises, and nothing else.

The tree, with the builtin that each also is in brackets::

    StorageError
    ├── ConfigError [ValueError]
    ├── UnsupportedError
    ├── NotFoundError [FileNotFoundError]
    │   └── UploadNotFoundError
    ├── BucketNotFoundError
    ├── AlreadyExistsError [FileExistsError]
    ├── AccessDeniedError [PermissionError]
    ├── AuthenticationError [PermissionError]
    ├── PoolTimeoutError [TimeoutError]
    ├── PreconditionFailedError
    ├── InvalidRangeError [ValueError]
    ├── InvalidKeyError [ValueError]
    │   └── UnsafeKeyError
    ├── InvalidMetadataError [ValueError]
    ├── InvalidRequestError
    ├── IntegrityError
    │   └── ChecksumMismatchError
    ├── LocalFileError [OSError]
    │   ├── LocalFileNotFoundError [FileNotFoundError]
    │   ├── LocalIsADirectoryError [IsADirectoryError]
    │   ├── LocalNotADirectoryError [NotADirectoryError]
    │   ├── LocalPermissionError [PermissionError]
    │   └── DiskFullError
    └── TransientError
        ├── ThrottledError
        ├── RequestTimeoutError [TimeoutError]
        └── ConnectionFailedError [ConnectionError]
            ├── UnreachableError
            └── IncompleteBodyError

Retrying asks `error.retryable`, never a message. Errors pickle, and neither `str` nor `repr` of
one holds a credential or a signed URL.
"""

from __future__ import annotations

import errno as _errno
from typing import Any, ClassVar

__all__ = [
    "AccessDeniedError",
    "AlreadyExistsError",
    "AuthenticationError",
    "BucketNotFoundError",
    "ChecksumMismatchError",
    "ConfigError",
    "ConnectionFailedError",
    "DiskFullError",
    "IncompleteBodyError",
    "IntegrityError",
    "InvalidKeyError",
    "InvalidMetadataError",
    "InvalidRangeError",
    "InvalidRequestError",
    "LocalFileError",
    "LocalFileNotFoundError",
    "LocalIsADirectoryError",
    "LocalNotADirectoryError",
    "LocalPermissionError",
    "NotFoundError",
    "PoolTimeoutError",
    "PreconditionFailedError",
    "RequestTimeoutError",
    "StorageError",
    "ThrottledError",
    "TransientError",
    "UnreachableError",
    "UnsafeKeyError",
    "UnsupportedError",
    "UploadNotFoundError",
]


class StorageError(Exception):
    """The root: catch this to catch everything the package raises.

    Attributes:
        provider: Name of the provider, such as `"s3"` or `"local"`.
        bucket: The bucket, where one is concerned.
        key: The object's key, where one is concerned.
        operation: The provider method that failed, such as `"put_part"`.
        status: HTTP status of the answer, if there was an answer.
        code: The vendor's error code, such as `"SlowDown"`.
        request_id: The vendor's id of the request, to quote in a support ticket.
        retry_after: Seconds the vendor asked to wait, if it did.
        path: The local path, where one is concerned.
    """

    retryable: ClassVar[bool] = False
    """Whether the same call may succeed when it is simply made again."""

    def __init__(
        self,
        message: str,
        *,
        provider: str | None = None,
        bucket: str | None = None,
        key: str | None = None,
        operation: str | None = None,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        path: str | None = None,
    ) -> None:
        super().__init__(message)
        self.provider = provider
        self.bucket = bucket
        self.key = key
        self.operation = operation
        self.status = status
        self.code = code
        self.request_id = request_id
        self.retry_after = retry_after
        self.path = path

    @property
    def message(self) -> str:
        """What happened, where, and what to do about it."""
        return str(self.args[0])

    def __str__(self) -> str:
        """Give the message alone, also where the builtin base would add to it."""
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by message, facts and notes, so that errors cross process pools; a copy has notes of its own."""
        state = dict(vars(self))
        if notes := state.get("__notes__"):
            state["__notes__"] = list(notes)
        return type(self), (self.message,), state


class ConfigError(StorageError, ValueError):
    """A configuration entry is missing, unknown or malformed; raised before any I/O."""


class UnsupportedError(StorageError):
    """The provider cannot keep the promise asked for; raised before any byte is sent."""


class NotFoundError(StorageError, FileNotFoundError):
    """The object does not exist."""


class UploadNotFoundError(NotFoundError):
    """The multipart upload was completed or aborted, or never was."""


class BucketNotFoundError(StorageError):
    """The bucket does not exist, or not in this region or account."""


class AlreadyExistsError(StorageError, FileExistsError):
    """The object exists and `if_none_match="*"` was asked for."""


class AccessDeniedError(StorageError, PermissionError):
    """The credentials are valid but do not allow this call."""


class AuthenticationError(StorageError, PermissionError):
    """The credentials are missing, wrong or expired, or the clock is off."""


class PoolTimeoutError(StorageError, TimeoutError):
    """No connection became free: what holds them, such as open streams, does not move. Waiting on would not help."""


class PreconditionFailedError(StorageError):
    """`if_match` or `if_none_match` did not hold, or the object changed during a transfer."""


class InvalidRangeError(StorageError, ValueError):
    """The byte range is malformed or begins beyond the object's end."""


class InvalidKeyError(StorageError, ValueError):
    """The key is empty, too long, not a string, or not valid Unicode."""


class UnsafeKeyError(InvalidKeyError):
    """The key cannot be a path below a local directory without escaping or colliding."""


class InvalidMetadataError(StorageError, ValueError):
    """User metadata is too large, not ASCII, or not representable as HTTP headers."""


class InvalidRequestError(StorageError):
    """The vendor refused the request as malformed; repeating it will not help."""


class IntegrityError(StorageError):
    """Bytes differ from what was sent or stored; nothing was published."""


class ChecksumMismatchError(IntegrityError):
    """The checksum of the bytes that came is not the stored one; a read that can be made again already was, once."""


class LocalFileError(StorageError, OSError):
    """A local file could not be read or written; see `path`."""

    errno_value: ClassVar[int | None] = _errno.EIO

    def __init__(self, message: str, **facts: Any) -> None:  # noqa: ANN401 - the facts of StorageError
        super().__init__(message, **facts)
        self.errno = self.errno_value

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the operating system's number too."""
        kind, arguments, state = super().__reduce__()
        return kind, arguments, state | {"errno": self.errno}


class LocalFileNotFoundError(LocalFileError, FileNotFoundError):
    """The local file does not exist."""

    errno_value = _errno.ENOENT


class LocalIsADirectoryError(LocalFileError, IsADirectoryError):
    """The local path is a directory and a file is needed."""

    errno_value = _errno.EISDIR


class LocalNotADirectoryError(LocalFileError, NotADirectoryError):
    """The local path, or a parent of it, is a file and a directory is needed."""

    errno_value = _errno.ENOTDIR


class LocalPermissionError(LocalFileError, PermissionError):
    """The local file may not be read or written by this user."""

    errno_value = _errno.EACCES


class DiskFullError(LocalFileError):
    """The disk or the quota is full; nothing was published and the staged file is gone."""

    errno_value = _errno.ENOSPC


class TransientError(StorageError):
    """A passing fault: the same call may succeed when made again."""

    retryable = True


class ThrottledError(TransientError):
    """The vendor asks for fewer requests; `retry_after` says how long to wait, if it said so."""


class RequestTimeoutError(TransientError, TimeoutError):
    """Connecting, or waiting for an answer, took longer than allowed."""


class ConnectionFailedError(TransientError, ConnectionError):
    """The connection could not be made, or broke."""


class UnreachableError(ConnectionFailedError):
    """No connection could be made: the host has no address, or nothing listens there."""


class IncompleteBodyError(ConnectionFailedError):
    """The body of an answer ended or stalled before its length."""
