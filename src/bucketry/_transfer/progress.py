"""Progress reports: one at the start, then about ten a second at most for each key; the end is always reported."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bucketry._core.values import Progress

INTERVAL = 0.1  # seconds; more reports slow the transfer down: https://github.com/boto/s3transfer/pull/50

ProgressCallback = Callable[[Progress], object]


class Meter:
    """Counts one transfer's bytes and reports them to the user's callback, in the event loop's thread."""

    def __init__(
        self,
        callback: ProgressCallback | None,
        key: str,
        total: int | None,
        *,
        later: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin at zero, and make the first report; with `later`, `know` makes it, when the total is known."""
        self._clock = clock
        self._callback = callback
        self._key = key
        self._total = total
        self._done = 0
        self._moving: dict[object, Callable[[], int]] = {}  # for each unfinished body, returns its transferred bytes
        self._timer: asyncio.TimerHandle | None = None
        self._failure: BaseException | None = None
        self._reported = 0
        self._last = float("-inf")
        self._waits = later
        if callback is not None and not later:
            self._report()

    def know(self, total: int) -> None:
        """Set the total, and make the first report unless there was one."""
        self._total = total
        if self._callback is not None and self._waits:
            self._waits = False
            self._last = self._clock()
            self._callback(Progress(0, total, self._key, 0))  # the bytes that have arrived meanwhile come later

    @property
    def transferred(self) -> int:
        """The bytes transferred so far, including the bytes of unfinished bodies."""
        return self._done + sum(moved() for moved in self._moving.values())

    @property
    def _unfinished(self) -> int:
        """The bytes transferred, but less than the total, because the total is reported when the object is complete."""
        return min(self.transferred, self._total - 1) if self._total else self.transferred

    def count(self, count: int) -> None:
        """Count bytes without calling the callback, whose error could replace the error that ends a transfer."""
        self._done += count

    def add(self, count: int) -> None:
        """Count bytes, and report if the last report is old enough."""
        self.count(count)
        if self._failure is not None:
            raise self._failure
        if self._callback is not None and not self._waits and self._clock() - self._last >= INTERVAL:
            self._report()

    @contextmanager
    def watching(self, moved: Callable[[], int]) -> Iterator[None]:
        """Report the bytes of a body while it is transferred; `add` counts them afterwards.

        Args:
            moved: Returns the number of bytes transferred so far, which another thread counts.
        """
        if self._callback is None:
            yield
            return
        body = object()
        self._moving[body] = moved
        self._schedule_report()
        try:
            yield
        finally:
            del self._moving[body]

    def take_back(self) -> None:
        """Set the count to zero, because all bytes are transferred again."""
        self._done = 0

    def finish(self) -> None:
        """Report the bytes that were not reported yet."""
        if self._callback is not None and self.transferred != self._reported:
            self._report(whole=True)

    def _schedule_report(self) -> None:
        if self._timer is None and self._failure is None:
            self._timer = asyncio.get_running_loop().call_later(INTERVAL, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if not self._moving:
            return
        try:
            if not self._waits and self._unfinished != self._reported and self._clock() - self._last >= INTERVAL / 2:
                self._report()
        except Exception as exc:  # noqa: BLE001 - the callback's own; the next call of `add` raises it
            self._failure = exc
        self._schedule_report()

    def _report(self, *, whole: bool = False) -> None:
        assert self._callback is not None  # noqa: S101 - every caller checks it
        transferred = self.transferred if whole else self._unfinished
        increment, self._reported = transferred - self._reported, transferred
        self._last = self._clock()
        self._callback(Progress(transferred, self._total, self._key, increment))
