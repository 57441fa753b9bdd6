"""The exit codes of the program."""

from __future__ import annotations

from bucketry import errors

DONE = 0
FAILED = 1
USAGE = 2
NOT_FOUND = 3
ACCESS = 4
TRANSIENT = 5
BY_SIGNAL = 128  # plus the signal's number, as in shells: 130 for SIGINT

_CODES: tuple[tuple[int, tuple[type[errors.StorageError], ...]], ...] = (
    (NOT_FOUND, (errors.NotFoundError, errors.BucketNotFoundError, errors.LocalFileNotFoundError)),
    (ACCESS, (errors.AccessDeniedError, errors.AuthenticationError, errors.LocalPermissionError)),
    (TRANSIENT, (errors.TransientError, errors.PoolTimeoutError)),
    (
        USAGE,
        (
            errors.ConfigError,
            errors.UnsupportedError,
            errors.InvalidKeyError,
            errors.InvalidMetadataError,
            errors.InvalidRangeError,
            errors.LocalIsADirectoryError,
            errors.LocalNotADirectoryError,
        ),
    ),
)


def exit_code(error: BaseException) -> int:
    """Return the exit code for the error that ended the program."""
    if isinstance(error, errors.InvalidRequestError) and error.status is None:
        return USAGE  # refused here, because of what the command line asks for; no server has answered
    return next((code for code, kinds in _CODES if isinstance(error, kinds)), FAILED)
