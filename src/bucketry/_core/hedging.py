"""Decides from measurements when a slow read is requested a second time, and how often; no I/O, no clock.

Most reads from a far server take about the same time, but a few take many times longer, for example because their
packets are lost, or because one machine of the vendor is busy. A second request for the same bytes is then usually
answered first. If only the slowest hundredth is requested again, this costs one more request in a hundred reads.

Source: Dean and Barroso, "The Tail at Scale", https://cacm.acm.org/research/the-tail-at-scale/
"""

from __future__ import annotations

from collections import deque

from bucketry._core.frozen import dataclass

WINDOW = 1_000  # the last reads whose times are kept: 10 of them are slower than the 99th percentile
LEAST = 100  # with fewer reads, there is no 99th percentile
REFRESH = 50  # reads after which the delay is computed again, because sorting 1,000 numbers takes 0.1 ms
MIN_DELAY = 0.01  # the program's own event loop may be busy for so long
READS_PER_HEDGE = 20  # so at most 5 % of the requests are second ones
SAVED = 10  # second requests that quiet times save: a short fault of the network makes several reads slow at once
PAUSE = 200  # reads without a second request after the server asked for fewer requests


@dataclass(frozen=True, slots=True, kw_only=True)
class HedgeCounts:
    """How many reads of an endpoint were requested a second time, since the first read in this event loop.

    Attributes:
        reads: The reads that were answered.
        hedged: The second requests, each of which the vendor bills.
        won: The reads whose second request was answered first.
        delay: Seconds after which a read is requested a second time; `None`: not known yet, so no read is.
    """

    reads: int
    hedged: int
    won: int
    delay: float | None


class HedgingPolicy:
    """Chooses the delay of second requests to one endpoint, and limits their number.

    The delay is the 99th percentile of the last reads, or twice the 95th if that is less. The second rule is for a
    server that answers more than one read in a hundred late: its 99th percentile is the time of a late answer. In a
    simulation in which 2 % of the reads take many times longer, the 99.9th percentile then falls to an eighth instead
    of to six tenths, with 2.0 % more requests instead of 1.5 %.

    A server that becomes slow for all reads raises the delay soon. Until then, and always, the number of second
    requests is limited: each read earns a twentieth of one.

    Attributes:
        delay: Seconds after which a read is requested a second time; `None`: there were too few reads.
    """

    def __init__(self) -> None:
        """Begin without reads."""
        self.delay: float | None = None
        self._times: deque[float] = deque(maxlen=WINDOW)
        self._credit = 0  # in reads; a second request needs `READS_PER_HEDGE`
        self._reads = self._hedged = self._won = 0

    @property
    def counts(self) -> HedgeCounts:
        """The reads and second requests so far."""
        return HedgeCounts(reads=self._reads, hedged=self._hedged, won=self._won, delay=self.delay)

    def answered(self, seconds: float, *, by_second: bool = False) -> None:
        """Take the sample of a read that was answered.

        Args:
            seconds: The time since its first request. If the second request was answered first, the first one would
                have taken longer, but it took longer than the delay in any case, so the percentile is right.
            by_second: Whether the second request was answered first.
        """
        self._reads += 1
        self._won += by_second
        self._credit = min(SAVED * READS_PER_HEDGE, self._credit + 1)
        self._times.append(seconds)
        if self._reads >= LEAST and self._reads % REFRESH == 0:
            ordered, count = sorted(self._times), len(self._times)
            self.delay = max(MIN_DELAY, min(ordered[count * 99 // 100], 2 * ordered[count * 95 // 100]))

    def allow(self) -> bool:
        """Return whether a second request may be sent now, and count it."""
        if self._credit < READS_PER_HEDGE:
            return False
        self._credit -= READS_PER_HEDGE
        self._hedged += 1
        return True

    def refused(self) -> None:
        """Take notice that the server asked for fewer requests: no second ones for a while."""
        self._credit = -PAUSE
