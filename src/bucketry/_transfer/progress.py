"""Progress reports: at most some ten a second for each key, none lost at the end."""

from __future__ import annotations

import time
from collections.abc import Callable

from bucketry._core.values import Progress

INTERVAL = 0.1  # seconds; more often slows transfers and no eye follows: https://github.com/boto/s3transfer/pull/50

ProgressCallback = Callable[[Progress], object]


class Meter:
    """Counts one transfer's bytes and reports them to the user's callback."""

    def __init__(self, callback: ProgressCallback | None, key: str, total: int | None) -> None:
        """Begin at zero."""
        self._callback = callback
        self._key = key
        self._total = total
        self._reported = 0
        self._last = float("-inf")
        self.transferred = 0

    def add(self, count: int) -> None:
        """Count bytes and report if it is time."""
        self.transferred += count
        if self._callback is not None and time.monotonic() - self._last >= INTERVAL:
            self._report()

    def take_back(self) -> None:
        """Forget the bytes counted so far: they come again."""
        if self.transferred:
            self.add(-self.transferred)

    def finish(self) -> None:
        """Report what was not reported yet."""
        if self._callback is not None and (self.transferred != self._reported or not self._total):
            self._report()

    def _report(self) -> None:
        assert self._callback is not None  # noqa: S101 - both callers have asked
        increment = self.transferred - self._reported
        self._reported = self.transferred
        self._last = time.monotonic()
        self._callback(Progress(self.transferred, self._total, self._key, increment))
