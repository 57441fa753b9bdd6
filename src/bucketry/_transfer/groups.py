"""From a group of errors to the one that callers catch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def first_error() -> Iterator[None]:
    """Turn an exception group into its first real error, the group as its cause: callers write `except`, not `except*`."""
    try:
        yield
    except BaseExceptionGroup as group:
        raise _leaf(group) from group


def _leaf(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
