"""Adds up the progress of all transfers of a sync, and reports it about ten times a second at most."""

from __future__ import annotations

import time
from collections.abc import Callable

from bucketry._core.values import Progress
from bucketry._manage.sync.values import PlanSummary, SyncProgress
from bucketry._transfer.progress import INTERVAL

SyncProgressCallback = Callable[[SyncProgress], object]


class SyncMeter:
    """Counts the bytes and files of one sync, and reports them to the user's callback."""

    def __init__(
        self, callback: SyncProgressCallback | None, plan: PlanSummary, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin at zero."""
        self._callback = callback
        self._plan = plan
        self._clock = clock
        self._began = clock()
        self._last = float("-inf")
        self._files = 0
        self._moved = 0
        self._settled = 0  # bytes of the plan that need no more work: of failed transfers, too
        self._unreported: str | None = None

    @property
    def wanted(self) -> bool:
        """Whether somebody reads the reports."""
        return self._callback is not None

    def begin(self, path: str, size: int) -> Watch:
        """Begin to count one transfer of `size` bytes."""
        return Watch(self, path, size)

    def moved(self, path: str, increment: int) -> None:
        """Count bytes of an unfinished transfer; negative if some must be transferred again."""
        self._moved += increment
        self._settled += increment
        self._report(path)

    def finished(self, path: str, untransferred: int) -> None:
        """Count a transfer as finished.

        Args:
            path: The entry.
            untransferred: Bytes of it that were not transferred: it failed, or was there already.
        """
        self._files += 1
        self._settled += untransferred
        self._report(path)

    def close(self) -> None:
        """Report what was not reported yet."""
        if self._unreported is not None:
            self._last = float("-inf")
            self._report(self._unreported)

    def _report(self, path: str) -> None:
        if self._callback is None:
            return
        now = self._clock()
        if now - self._last < INTERVAL:
            self._unreported = path
            return
        self._last = now
        self._unreported = None
        elapsed = now - self._began
        rate = self._moved / elapsed if elapsed > 0 else 0.0
        left = max(0, self._plan.transfer_bytes - self._settled)
        self._callback(
            SyncProgress(
                path=path,
                files=self._files,
                total_files=self._plan.transfers,
                transferred=self._moved,
                total=self._plan.transfer_bytes,
                rate=rate,
                seconds_left=left / rate if rate > 0 else None,
            )
        )


class Watch:
    """Counts one transfer."""

    __slots__ = ("_meter", "_moved", "_path", "_size")

    def __init__(self, meter: SyncMeter, path: str, size: int) -> None:
        """Begin at zero."""
        self._meter = meter
        self._path = path
        self._size = size
        self._moved = 0

    def report(self, progress: Progress) -> None:
        """Take a report of the transfer."""
        self._moved += progress.increment
        self._meter.moved(self._path, progress.increment)

    def finish(self) -> None:
        """Count the transfer as finished, whatever its outcome."""
        self._meter.finished(self._path, self._size - self._moved)
