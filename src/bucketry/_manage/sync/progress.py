"""Adds up the progress of all transfers of a sync, and reports it about ten times a second at most."""

from __future__ import annotations

import time
from collections.abc import Callable

from bucketry._core.values import Progress
from bucketry._manage.sync.values import PlanSummary, SyncProgress
from bucketry._transfer.progress import INTERVAL, ProgressCallback

SyncProgressCallback = Callable[[SyncProgress], object]


class SyncMeter:
    """Counts the bytes and files of one sync, and reports them to the user's callback."""

    def __init__(
        self, callback: SyncProgressCallback | None, plan: PlanSummary, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Set all counts to zero."""
        self._callback = callback
        self._plan = plan
        self._clock = clock
        self._began = clock()
        self._last = float("-inf")
        self._files = 0
        self._moved = 0
        self._settled = 0  # bytes that were transferred, or that belong to ended transfers, also failed ones
        self._unreported: str | None = None
        self._open: dict[str, _Watch] = {}

    def begin(self, path: str, size: int) -> ProgressCallback | None:
        """Begin to count one transfer of `size` bytes, or continue after a first attempt.

        Returns:
            The callback for the transfer; `None`: the user gave no callback.
        """
        if self._callback is None:
            return None
        return self._open.setdefault(path, _Watch(self, path, size)).report

    def moved(self, path: str, increment: int) -> None:
        """Count bytes of an unfinished transfer; `increment` is negative if bytes must be transferred again."""
        self._moved += increment
        self._settled += increment
        self._report(path)

    def finished(self, path: str) -> None:
        """Count a transfer as finished, whatever its outcome; a path that was not begun is ignored."""
        watch = self._open.pop(path, None)
        if watch is not None:
            self._files += 1
            self._settled += watch.untransferred
            self._report(path)

    def close(self) -> None:
        """Report the last progress, if it was not reported yet."""
        if self._unreported is not None:
            self._last = float("-inf")
            self._report(self._unreported)

    def _report(self, path: str) -> None:
        assert self._callback is not None  # noqa: S101 - without it, no transfer is begun
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
                running=tuple(watch.state for watch in self._open.values()),
            )
        )


class _Watch:
    """Counts one transfer."""

    __slots__ = ("_meter", "_path", "_size", "untransferred")

    def __init__(self, meter: SyncMeter, path: str, size: int) -> None:
        self._meter = meter
        self._path = path
        self._size = size
        self.untransferred = size

    @property
    def state(self) -> Progress:
        return Progress(self._size - self.untransferred, self._size, self._path, 0)

    def report(self, progress: Progress) -> None:
        self.untransferred -= progress.increment
        self._meter.moved(self._path, progress.increment)
