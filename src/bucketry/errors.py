"""The error classes of the package; this module contains nothing else.

The tree of classes; in brackets is the built-in class that a class also derives from::

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

To decide on a retry, read `error.retryable`, not the message. Errors can be pickled. Their `str` and `repr` never
contain a credential or a signed URL.
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
    """The base class of all errors of the package; `except StorageError` catches each of them.

    Attributes:
        provider: Name of the provider, such as `"s3"` or `"local"`.
        bucket: The bucket, if the error concerns one.
        key: The object's key, if the error concerns one.
        operation: The provider method that failed, such as `"put_part"`.
        status: HTTP status of the response; `None` if there was no response.
        code: The vendor's error code, such as `"SlowDown"`.
        request_id: The vendor's id of the request, for a support ticket.
        retry_after: Seconds that the vendor asked to wait; `None` if it did not ask.
        path: The local path, if the error concerns one.
    """

    retryable: ClassVar[bool] = False
    """Whether the same call may succeed if it is repeated without changes."""

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
        """The text that says what happened, where, and what to do about it."""
        return str(self.args[0])

    def __str__(self) -> str:
        """Return only the message, because a built-in base class may add text to it."""
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle message, attributes and notes, so that errors can pass through process pools.

        The copy has its own list of notes.
        """
        state = dict(vars(self))
        if notes := state.get("__notes__"):
            state["__notes__"] = list(notes)
        return type(self), (self.message,), state


class ConfigError(StorageError, ValueError):
    """A configuration entry is missing, unknown or malformed; raised before any I/O."""


class UnsupportedError(StorageError):
    """The provider does not support what the call asks for; raised before any byte is sent."""


class NotFoundError(StorageError, FileNotFoundError):
    """The object does not exist."""


class UploadNotFoundError(NotFoundError):
    """The multipart upload was completed or aborted, or never existed."""


class BucketNotFoundError(StorageError):
    """The bucket does not exist, or it is in another region or account."""


class AlreadyExistsError(StorageError, FileExistsError):
    """The object exists, and the call required `if_none_match="*"`."""


class AccessDeniedError(StorageError, PermissionError):
    """The credentials are valid but do not allow this call."""


class AuthenticationError(StorageError, PermissionError):
    """The credentials are missing, wrong or expired, or this machine's clock is wrong."""


class PoolTimeoutError(StorageError, TimeoutError):
    """No connection became free, because the users of all connections, such as open streams, do not read.

    A longer wait does not help.
    """


class PreconditionFailedError(StorageError):
    """The condition `if_match` or `if_none_match` was not met, or the object changed during a transfer."""


class InvalidRangeError(StorageError, ValueError):
    """The byte range is malformed, or begins at or beyond the object's end."""


class InvalidKeyError(StorageError, ValueError):
    """The key is empty, too long, not a string, or not valid Unicode."""


class UnsafeKeyError(InvalidKeyError):
    """The key cannot be a local path, because the path would be outside the directory, or that of another key."""


class InvalidMetadataError(StorageError, ValueError):
    """User metadata is too large, not ASCII, or not valid in HTTP headers."""


class InvalidRequestError(StorageError):
    """The vendor refused the request as malformed; a retry does not help."""


class IntegrityError(StorageError):
    """The bytes differ from those that were sent or stored; nothing was published."""


class ChecksumMismatchError(IntegrityError):
    """The checksum of the received bytes differs from the stored checksum; if possible, the read was repeated once."""


class LocalFileError(StorageError, OSError):
    """A local file could not be read or written; see `path`."""

    errno_value: ClassVar[int | None] = _errno.EIO

    def __init__(self, message: str, **facts: Any) -> None:  # noqa: ANN401 - the attributes of StorageError
        super().__init__(message, **facts)
        self.errno = self.errno_value

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the operating system's error number, too."""
        kind, arguments, state = super().__reduce__()
        return kind, arguments, state | {"errno": self.errno}


class LocalFileNotFoundError(LocalFileError, FileNotFoundError):
    """The local file does not exist."""

    errno_value = _errno.ENOENT


class LocalIsADirectoryError(LocalFileError, IsADirectoryError):
    """The local path is a directory, but a file is needed."""

    errno_value = _errno.EISDIR


class LocalNotADirectoryError(LocalFileError, NotADirectoryError):
    """The local path, or a parent of it, is a file, but a directory is needed."""

    errno_value = _errno.ENOTDIR


class LocalPermissionError(LocalFileError, PermissionError):
    """This user is not allowed to read or write the local file."""

    errno_value = _errno.EACCES


class DiskFullError(LocalFileError):
    """The disk or the quota is full; nothing was published, and the staged file was removed."""

    errno_value = _errno.ENOSPC


class TransientError(StorageError):
    """A temporary fault: the same call may succeed if it is repeated."""

    retryable = True


class ThrottledError(TransientError):
    """The vendor asks for fewer requests; `retry_after` has the seconds that it asks to wait, if it names them."""


class RequestTimeoutError(TransientError, TimeoutError):
    """The connection or the response took longer than the timeout."""


class ConnectionFailedError(TransientError, ConnectionError):
    """The connection could not be opened, or broke."""


class UnreachableError(ConnectionFailedError):
    """No connection could be opened: the host has no address, or no server listens there."""


class IncompleteBodyError(ConnectionFailedError):
    """The body of a response ended early or stalled."""
