"""The progress display, which is shown only if standard error is a terminal and rich is installed."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bucketry._cli.output import Output, shown_duration, shown_size
from bucketry._core.values import Progress

if TYPE_CHECKING:
    from bucketry._manage.sync.values import SyncProgress

_WINDOW = 10.0  # the rate is the average of this number of seconds, so it is steady, and soon correct after a stall
_STEP = 0.25  # seconds between two samples of the rate
_TEXT_WIDTH = 75  # the largest number of letters beside the bar
_BAR_WIDTH = 40


class Counts:
    """Counts the bytes that a transfer has moved so far, and knows their total.

    Args:
        clock: Returns the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._samples: deque[tuple[float, int]] = deque([(clock(), 0)])
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
        else:
            self._whole.discard(step.key)
        self._sample()

    def report_all(self, step: SyncProgress) -> None:
        """Take the progress of a whole sync, which has counted its files and bytes itself."""
        self.expect(step.total, step.total_files)
        self.moved, self._ended = step.transferred, step.files
        self._sample()

    def _sample(self) -> None:
        now = self._clock()
        if now - self._samples[-1][0] >= _STEP:
            self._samples.append((now, self.moved))

    def text(self) -> str:
        """Return the display's text: percent, bytes, rate, time left and files."""
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
            words.append(f"files {ended:,} of {self._files:,}{more}")
        return "  ".join(words)

    def _rate(self) -> float | None:
        now = self._clock()
        while len(self._samples) > 1 and now - self._samples[1][0] >= _WINDOW:
            self._samples.popleft()
        then, moved = self._samples[0]
        return max(0, self.moved - moved) / (now - then) if now > then else None


def reporter(counts: Counts | None) -> Callable[[Progress], None] | None:
    """Return the progress callback for a transfer; `None`: nothing is displayed."""
    return None if counts is None else counts.report


@contextmanager
def progress(output: Output, verb: str) -> Iterator[Counts | None]:
    """Show the progress while the context is open; yield the counts to report to, or `None` without a display.

    Args:
        output: The command's output; if it is JSON, there is no display.
        verb: The text before the bar, such as `"upload"`.
    """
    if output.as_json or not sys.stderr.isatty():
        yield None
        return
    try:
        from rich.console import Console
        from rich.progress import BarColumn, ProgressColumn, Task
        from rich.progress import Progress as Bar
        from rich.table import Column
        from rich.text import Text
    except ImportError:
        yield None
        return
    counts = Counts()

    class VerbColumn(ProgressColumn):
        """The first column; it updates the bar's state before the other columns are drawn."""

        def render(self, task: Task) -> Text:
            task.completed, task.total = counts.moved, counts.size or None
            return Text(task.description)

    class Line(ProgressColumn):
        """The text beside the bar."""

        def render(self, task: Task) -> Text:
            return Text(counts.text())

    console = Console(stderr=True)
    width = max(5, min(_BAR_WIDTH, console.width - _TEXT_WIDTH))
    columns = (VerbColumn(), BarColumn(bar_width=width), Line(Column(no_wrap=True)))
    with Bar(*columns, console=console, transient=True) as bar:
        bar.add_task(verb, total=None)
        yield counts
