"""What a process notes of itself while it works: time, CPU, memory, and how long its event loop was not free."""

from __future__ import annotations

import asyncio
import os
import resource
import selectors
import time
from pathlib import Path

from benchmarks.harness.task import Sample

TICK = 0.005  # 200 timers a second are about 0.2 % of a core; see LoopWatch
_FRESH = 0.001  # the state of the queue at the beginning of a turn may be so old: a read costs a microsecond
_STATUS = Path("/proc/self/status")
_QUEUE = "/proc/thread-self/schedstat"
_CLEAR = Path("/proc/self/clear_refs")


class LoopWatch(selectors.DefaultSelector):
    """The event loop's own selector, which notes how long the loop stayed away from it.

    A turn of the loop is from `select` giving events to the next `select`: whatever becomes ready in it
    waits for its end. So the longest turn is the longest block, seen exactly, at the cost of reading a
    clock twice a turn. What it cannot see is a loop that is ready to run and does not get the interpreter
    back from another thread: for that a timer is set every `TICK`, and how late it fires is noted too.

    Time in which the thread could run and the system gave it no core is subtracted from both: with more
    busy threads than cores, the server's included, it says nothing of the client.
    """

    block = 0.0
    late = 0.0
    _returned = 0.0
    _due = 0.0
    _file = -1
    _noted = b"0 0 0"
    _noted_at = 0.0
    _ticked = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for events as the parent does."""
        self._end_turn()
        events = super().select(timeout)
        self._returned = time.perf_counter()
        if self._returned - self._noted_at > _FRESH:
            self._noted, self._noted_at = self._note(), self._returned
        return events

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to watch; to be called on the loop."""
        self._file = os.open(_QUEUE, os.O_RDONLY) if os.path.exists(_QUEUE) else -1
        self.block = self.late = 0.0
        self._noted = self._note()
        self._ticked = _queued(self._noted)
        self._returned = self._noted_at = time.perf_counter()
        self._due = loop.time() + TICK
        loop.call_at(self._due, self._tick, loop)

    def stop(self) -> None:
        """End the turn that the work ended in."""
        self._end_turn()

    def _end_turn(self) -> None:
        turn = time.perf_counter() - self._returned
        if turn > self.block:
            self.block = max(self.block, turn - _queued(self._note()) + _queued(self._noted))

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        now, queued = loop.time(), _queued(self._note())
        self.late = max(self.late, now - self._due - (queued - self._ticked))
        self._ticked = queued
        self._due = now + TICK
        loop.call_at(self._due, self._tick, loop)

    def _note(self) -> bytes:
        return os.pread(self._file, 128, 0) if self._file >= 0 else b"0 0 0"


def _queued(note: bytes) -> float:
    """Give the seconds for which the thread has waited for a core."""
    return int(note.split()[1]) / 1e9


class Meter:
    """Measures what lies between `start` and `stop`."""

    def __init__(self, watch: LoopWatch | None) -> None:
        """Remember the loop's watch; `None`: the client does not use the loop."""
        self._watch = watch
        self._idle = 0
        self._cpu = 0.0
        self._started = 0.0

    def start(self) -> None:
        """Forget all that was before."""
        if self._watch is not None:
            self._watch.start(asyncio.get_running_loop())
        if _CLEAR.exists():
            _CLEAR.write_text("5")  # the peak of resident memory begins anew
        self._idle = _resident("VmRSS")
        self._cpu = _cpu()
        self._started = time.perf_counter()

    def stop(self, count: int, size: int) -> Sample:
        """Give what was measured."""
        seconds = time.perf_counter() - self._started
        cpu = _cpu() - self._cpu
        if self._watch is not None:
            self._watch.stop()
        children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
        return Sample(
            seconds=seconds,
            count=count,
            size=size,
            cpu=cpu,
            memory=max(_resident("VmHWM") - self._idle, children),
            block=self._watch.block if self._watch is not None else None,
            late=self._watch.late if self._watch is not None else None,
        )


def _cpu() -> float:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _resident(field: str) -> int:
    """Give a figure of resident memory in bytes; where there is no /proc, the peak of the whole process."""
    if not _STATUS.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    (line,) = (line for line in _STATUS.read_text().splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024
