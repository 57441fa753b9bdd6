"""Measures a process during its work: time, CPU, memory, and how long its event loop was blocked."""

from __future__ import annotations

import asyncio
import os
import resource
import selectors
import time
from pathlib import Path

from benchmarks.harness.task import Sample

TICK = 0.005  # 200 timers a second are about 0.2 % of a core; see LoopWatch
_FRESH = 0.001  # the reading at the beginning of a turn may be so old, because a reading costs a microsecond
_STATUS = Path("/proc/self/status")
_QUEUE = "/proc/thread-self/schedstat"
_CLEAR = Path("/proc/self/clear_refs")


class LoopWatch(selectors.DefaultSelector):
    """A selector for the event loop that measures the time between the loop's calls of `select`.

    A turn of the loop is the time from the end of one `select` to the next `select`. Events that become ready during a
    turn wait for its end. So the longest turn is exactly the longest block.
    A turn does not show the time in which the loop waits for the interpreter's lock of another thread. So a timer is
    set every `TICK`, and its delay is measured, too.

    The time in which the thread could run but got no core is subtracted from both: if there are more busy threads than
    cores, the server's threads included, this time is not caused by the client.

    The CPU time of the loop's thread in a turn shows which part of a block is work. The rest is waiting: for a call of
    the system, or for the interpreter's lock while its holder has no core. It costs four readings of clocks a turn.

    Attributes:
        block: Longest turn, seconds.
        late: Longest delay of a timer, seconds.
        work: The most CPU seconds of a turn.
    """

    block = 0.0
    late = 0.0
    work = 0.0
    _returned = 0.0
    _computed = 0.0
    _due = 0.0
    _file = -1
    _noted = b"0 0 0"
    _noted_at = 0.0
    _ticked = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for events as the parent class does."""
        self._end_turn()
        events = super().select(timeout)
        now = time.perf_counter()
        if now - self._noted_at > _FRESH:
            self._noted, self._noted_at = self._note(), now
            now = time.perf_counter()  # the turn begins after the reading, which can wait for the interpreter's lock
        self._returned, self._computed = now, time.thread_time()
        return events

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to measure; call it on the loop."""
        self._file = os.open(_QUEUE, os.O_RDONLY) if os.path.exists(_QUEUE) else -1
        self.block = self.late = self.work = 0.0
        self._computed = time.thread_time()
        self._noted = self._note()
        self._ticked = _queued(self._noted)
        self._returned = self._noted_at = time.perf_counter()
        self._due = loop.time() + TICK
        loop.call_at(self._due, self._tick, loop)

    def stop(self) -> None:
        """End the last turn of the work."""
        self._end_turn()

    def _end_turn(self) -> None:
        self.work = max(self.work, time.thread_time() - self._computed)
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
    """Measures the work between `start` and `stop`."""

    def __init__(self, watch: LoopWatch | None) -> None:
        """Store the loop's watch; `None`: blocks of the loop are not measured."""
        self._watch = watch
        self._idle = 0
        self._cpu = 0.0
        self._started = 0.0

    def start(self) -> None:
        """Begin a new measurement."""
        if self._watch is not None:
            self._watch.start(asyncio.get_running_loop())
        if _CLEAR.exists():
            _CLEAR.write_text("5")  # resets the peak of resident memory
        self._idle = _resident("VmRSS")
        self._cpu = _cpu()
        self._started = time.perf_counter()

    def stop(self, count: int, size: int) -> Sample:
        """Give the sample."""
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
            work=self._watch.work if self._watch is not None else None,
        )


def _cpu() -> float:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _resident(field: str) -> int:
    """Give a value of resident memory in bytes; without /proc, the peak of the whole process."""
    if not _STATUS.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    (line,) = (line for line in _STATUS.read_text().splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024
