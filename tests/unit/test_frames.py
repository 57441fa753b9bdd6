"""Tracebacks are cut after the package's frames; the caller's own errors are not changed."""

from __future__ import annotations

import sys
import traceback

import pytest

from bucketry._session.frames import without_frames


def _names(exc: BaseException | None) -> list[str]:
    return [frame.f_code.co_name for frame, _ in traceback.walk_tb(exc.__traceback__ if exc is not None else None)]


def _fail(kind: type[Exception]) -> None:
    raise kind


def test_the_callers_own_error_is_left_as_it_is() -> None:
    """The error that the caller handles keeps its traceback; another library's error does not."""
    try:
        _fail(KeyError)
    except KeyError:
        outer = sys.exception()
        with pytest.raises(ValueError) as caught:  # noqa: PT011 - any
            _fail(ValueError)
        without_frames(caught.value, outer)
        names = _names(outer)
    assert names[-1] == "_fail"
    assert caught.value.__context__ is outer
    assert _names(caught.value) == []
