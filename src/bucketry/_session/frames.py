"""Removes other libraries' frames from tracebacks, because error reports show their local variables with signatures."""

from __future__ import annotations

from types import TracebackType
from typing import TypeVar

E = TypeVar("E", bound=BaseException)
_OURS = __name__.partition(".")[0]


def without_frames(exc: E, outer: BaseException | None = None) -> E:
    """Remove other libraries' frames from the tracebacks of an exception, its causes and its contexts; return it.

    Args:
        exc: The exception of another library.
        outer: The exception that was handled before, from `sys.exception()`. It is not changed, because it belongs to
            the user.
    """
    waiting: list[BaseException | None] = [exc]
    seen: set[int] = {id(outer)}
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.__traceback__ = _cut(one.__traceback__)
        waiting += [one.__cause__, one.__context__]
        if isinstance(one, UnicodeEncodeError):
            one.object, one.args = "", ()  # these contain the whole text, which may be a signed request
        if type(one).__module__.startswith("botocore.") and hasattr(one, "request"):
            one.request = None  # because it contains the signed headers
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions
    return exc


def _cut(trace: TracebackType | None) -> TracebackType | None:
    first = last = None
    while trace is not None and _is_ours(trace):
        first, last, trace = first or trace, trace, trace.tb_next
    if last is not None:
        last.tb_next = None
    return first


def _is_ours(trace: TracebackType) -> bool:
    return str(trace.tb_frame.f_globals.get("__name__")).partition(".")[0] == _OURS
