"""Counts what the transfers of a command have moved, for the progress display."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from heapq import nlargest
from typing import TYPE_CHECKING

from bucketry._cli.output import shown_duration, shown_size
from bucketry._core.values import Progress

if TYPE_CHECKING:
    from bucketry._manage.sync.values import SyncProgress

_WINDOW = 10.0  # the rate is the average of this number of seconds, so it is steady, and soon correct after a stall
_STEP = 0.25  # seconds between two samples of the rate
_SILENT = 60.0  # seconds without a report after which a transfer is no longer shown


class Counts:
    """Counts the bytes that a transfer has moved so far, and knows their total.

    Args:
        clock: Returns the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._samples: deque[tuple[float, int]] = deque([(clock(), 0)])
        self._running: dict[str, tuple[Progress, float]] = {}  # the last report of each key that is not complete
        self._whole: set[str] = set()  # keys that are complete; a key is removed when a part of it is sent again
        self.moved = 0
        self.size: int | None = None
        self._files: int | None = None
        self._ended: int | None = None  # files that have ended, if the reports count them; `None`: keys are counted
        self._complete = True

    def expect(self, size: int, files: int, *, complete: bool = True) -> None:
        """Store how much there is to move; `complete=False`: more may follow."""
        self.size, self._files, self._complete = size, files, complete

    def report(self, step: Progress) -> None:
        """Count a progress report of a transfer."""
        if self._files is None and self._complete and step.total is not None:
            self.expect(step.total, 1)  # a single object, whose size is in its first report
        self.moved += step.increment
        if step.transferred == step.total:
            self._whole.add(step.key)
            self._running.pop(step.key, None)
        else:
            self._whole.discard(step.key)
            self._running[step.key] = step, self._clock()
        self._sample()

    def ended(self, key: str) -> None:
        """Count a transfer as ended, whatever its outcome; one that is complete needs no such call."""
        self._running.pop(key, None)

    def report_all(self, step: SyncProgress) -> None:
        """Take the progress of a whole sync, which has counted its files and bytes itself."""
        self.expect(step.total, step.total_files)
        self.moved, self._ended = step.transferred, step.files
        now = self._clock()
        self._running = {one.key: (one, now) for one in step.running}
        self._sample()

    def largest(self, most: int) -> list[Progress]:
        """Return the last report of the largest running transfers, the largest first; none for a single file."""
        if self._files == 1 or most < 1:
            return []
        now = self._clock()
        # A transfer that failed makes no more reports, and nothing else tells that it ended.
        running = [step for step, when in list(self._running.values()) if now - when < _SILENT]
        return nlargest(most, running, key=lambda step: step.total or 0)

    def _sample(self) -> None:
        now = self._clock()
        if now - self._samples[-1][0] >= _STEP:
            self._samples.append((now, self.moved))

    def text(self) -> str:
        """Return the display's text in one line."""
        return "  ".join(self.words())

    def words(self) -> list[str]:
        """Return the pieces of the display's text: percent and bytes, rate, time left and files."""
        more = "" if self._complete else "+"
        rate = self._rate()
        words = []
        if self.size:
            words.append(f"{min(100, 100 * self.moved // self.size)} %")
        known = self.size is not None and (self.size or self._complete)
        words.append(
            f"{shown_size(self.moved)} of {shown_size(self.size or 0)}{more}" if known else shown_size(self.moved)
        )
        if rate is not None:
            words.append(f"{shown_size(rate)}/s")
        if rate and self.size:
            words.append(f"{shown_duration(max(0, self.size - self.moved) / rate)} left{more}")
        if self._files is not None:
            ended = len(self._whole) if self._ended is None else self._ended
            # While keys still arrive, as with `--files-from`, fewer may be counted than are done.
            total = f" of {self._files:,}{more}" if self._complete or self._files > ended else ""
            words.append(f"files {ended:,}{total}")
        return words

    def _rate(self) -> float | None:
        now = self._clock()
        while len(self._samples) > 1 and now - self._samples[1][0] >= _WINDOW:
            self._samples.popleft()
        then, moved = self._samples[0]
        return max(0, self.moved - moved) / (now - then) if now > then else None
