"""SyncPlan and its writer: the actions of a sync as lines of JSON, in memory or, if they are many, in a file."""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from itertools import islice
from types import TracebackType
from typing import NoReturn, Self

from bucketry._core.config import FIXED_CONCURRENCY
from bucketry._core.os_errors import check_path, local_error
from bucketry._core.provider import StrPath
from bucketry._core.units import KiB, MiB
from bucketry._manage.sync.plan_lines import (
    PlanTotals,
    action_line,
    check_totals,
    header_line,
    read_header,
    read_line,
    summary_line,
)
from bucketry._manage.sync.price import PlanPrice, price_of
from bucketry._manage.sync.values import PlanHeader, PlanSummary, SyncAction
from bucketry._runtime.threads import in_thread
from bucketry._transfer.one.staging import StagedFile, staged_name
from bucketry.errors import IntegrityError, InvalidRequestError, UnsupportedError

IN_MEMORY = MiB  # about 5,000 actions; a larger plan is kept in a file
_BLOCK = 256 * KiB  # bytes that are read or written at once
_LONGEST_LINE = MiB  # enough for many patterns; limited, because a file without line ends must not fill the memory
_BATCH = 256  # actions read in one call in a thread

BANDWIDTH = 125_000_000.0  # bytes per second, which is 1 Gbit/s
ROUND_TRIP = 0.03  # seconds until the first byte of a response, from a cloud on the same continent


@dataclass(frozen=True, slots=True)
class _Content:
    """The whole plan as bytes: in memory, or in an open file whose descriptor is used only for reading.

    Attributes:
        data: The bytes; empty if the plan is in a file.
        fd: The descriptor of the file; `None`: the plan is in memory.
        size: Length in bytes.
        path: The file, for messages.
    """

    data: bytes
    fd: int | None
    size: int
    path: str

    def blocks(self) -> Iterator[bytes]:
        """Yield the bytes in order. Blocks."""
        if self.fd is None:
            yield self.data
            return
        at = 0
        while at < self.size:
            try:
                block = os.pread(self.fd, _BLOCK, at)
            except OSError as exc:
                raise local_error(exc, self.path, "reading the plan") from exc
            if not block:
                raise IntegrityError(f"{self.path}: the file of the plan became shorter meanwhile; plan again")
            at += len(block)
            yield block

    def lines(self) -> Iterator[bytes]:
        """Yield the lines in order, without line ends. Blocks."""
        rest = b""
        for block in self.blocks():
            *whole, rest = (rest + block).split(b"\n")
            yield from whole
            if len(rest) > _LONGEST_LINE:
                raise InvalidRequestError(f"{self.path}: this is no plan of a sync: it has a line of over 1 MiB")
        if rest:
            yield rest


class SyncPlan:
    """The actions of a sync: iterating yields each `SyncAction`, in the order of the paths, and can be repeated.

    A plan of more than 1 MiB is kept in a file: in the file that was named when the plan was made, or in a temporary
    file that is removed with this object. So memory does not grow with the number of actions. `for action in plan`
    reads the file in the calling thread; `async for action in plan` reads it in worker threads.

    A plan cannot be pickled; to use it in another process, save it and load it there.

    Attributes:
        header: Both sides and the options of the plan.
        summary: The totals of the plan.
    """

    def __init__(self, header: PlanHeader, summary: PlanSummary, content: _Content) -> None:
        """Store the arguments; the descriptor of the content is closed when this object is removed."""
        self.header = header
        self.summary = summary
        self._content = content
        if content.fd is not None:
            weakref.finalize(self, os.close, content.fd)

    def __iter__(self) -> Iterator[SyncAction]:
        """Yield the actions in the order of their paths. Blocks while the file of a large plan is read.

        Raises:
            InvalidRequestError: The file was changed, and has a malformed line.
            IntegrityError: The file became shorter.
        """
        for number, line in enumerate(self._content.lines(), 1):
            if number > 1:
                read = read_line(line, self.header.direction, f"{self._content.path}, line {number}")
                if isinstance(read, PlanSummary):
                    return
                yield read

    async def __aiter__(self) -> AsyncGenerator[SyncAction, None]:
        """Yield the actions in the order of their paths; they are read in worker threads."""
        actions = iter(self)
        while batch := await in_thread(_take, actions):
            for action in batch:
                yield action

    def __repr__(self) -> str:
        """Return a text with the direction, both sides and the totals."""
        totals = self.summary
        return (
            f"<SyncPlan {self.header.direction} {self.header.source} -> {self.header.target}: "
            f"{totals.transfers} transfers, {totals.deletions} deletions, {totals.skipped} skipped>"
        )

    def __reduce__(self) -> NoReturn:
        """Refuse to pickle, because the actions may be in a file that is removed with this object.

        Raises:
            UnsupportedError: Always.
        """
        raise UnsupportedError("a SyncPlan does not pickle: save it to a file, and load it in the other process")

    async def save(self, path: StrPath) -> None:
        """Write the plan to a file, as JSON Lines; the file is replaced only when the whole plan is written.

        The first line is the header, the last line is the summary, and each line between them is an action. Missing
        directories are made.

        Args:
            path: The file to make or replace.

        Raises:
            LocalFileError: The file cannot be written.

        Cost: the plan's bytes to the disk, in a worker thread.
        """
        await in_thread(self._save, os.fspath(path))

    def _save(self, path: str) -> None:
        with StagedFile(path, 0, name=staged_name(), fsync=True, what="the plan") as staged:
            at = 0
            for block in self._content.blocks():
                at = _write(staged.fd, block, at, path)
            staged.publish()

    @classmethod
    async def load(cls, path: StrPath) -> Self:
        """Read a saved plan, check every line, and return the plan.

        Args:
            path: The file; if it has more than 1 MiB, the plan keeps it open.

        Raises:
            LocalFileNotFoundError: There is no such file.
            InvalidRequestError: The file is no plan, or a line is malformed.
            IntegrityError: The file is incomplete, or lines were removed or added.
            UnsafeKeyError: An action has a path outside the local directory.
            UnsupportedError: A newer version of the package wrote the plan.

        Cost: the file is read once, in a worker thread; about 10 µs for each action.
        """
        return await in_thread(cls._load, os.fspath(path))

    @classmethod
    def _load(cls, path: str) -> Self:
        check_path(path)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as exc:
            raise local_error(exc, path, "opening the plan") from exc
        keep = False
        try:
            content = _content_of(fd, path)
            header, summary = _checked(content)
            keep = content.fd is not None
            return cls(header, summary, content)
        finally:
            if not keep:
                os.close(fd)

    def estimate(
        self,
        *,
        bandwidth: float = BANDWIDTH,
        round_trip: float = ROUND_TRIP,
        concurrency: int = FIXED_CONCURRENCY,
    ) -> float:
        """Return an estimate of how many seconds it takes to apply the plan.

        The estimate is the sum of the time for the bytes and the time for the requests' round trips. In fact the two
        overlap, so the estimate is usually too long.

        Args:
            bandwidth: Bytes per second, of all transfers together.
            round_trip: Seconds until the response to a request.
            concurrency: The number of requests at once.

        Raises:
            InvalidRequestError: `bandwidth` or `concurrency` is not positive, or `round_trip` is negative.
        """
        if bandwidth <= 0 or concurrency < 1 or round_trip < 0:
            raise InvalidRequestError(
                f"estimate: bandwidth={bandwidth!r}, round_trip={round_trip!r}, concurrency={concurrency!r}: "
                "give positive numbers"
            )
        return self.summary.transfer_bytes / bandwidth + self.summary.requests * round_trip / concurrency

    def price(self) -> PlanPrice | None:
        """Return about what it costs to apply the plan, by the list prices of the clouds of both sides.

        The price has the requests, in the storage class that an upload gets, and the bytes that leave a cloud. Free
        amounts are not subtracted, so the bill can be lower. It can be higher, for example for objects in other storage
        classes; `leaves_out` of the estimates names what the price lacks.

        Returns:
            The price; `None`: neither side is a cloud with list prices, or an older version saved the plan.
        """
        return price_of(self.summary)


class PlanWriter:
    """`async with PlanWriter(header, path) as writer:` makes a plan; if `finish` is not called, its files are removed.

    Actions are added in the order of their paths.

    Args:
        header: Both sides and the options of the plan.
        path: The plan's file; `None`: the plan is in memory, or in a temporary file if it is large.
    """

    def __init__(self, header: PlanHeader, path: StrPath | None = None) -> None:
        """Store the arguments; no I/O."""
        self.totals = PlanTotals()
        self._header = header
        self._path = "the plan" if path is None else os.fspath(path)
        self._staged = None
        if path is not None:
            self._staged = StagedFile(self._path, 0, name=staged_name(), fsync=True, what="the plan")
        self._fd: int | None = None
        self._lines = [header_line(header)]
        if len(self._lines[0]) > _LONGEST_LINE:
            raise InvalidRequestError("the patterns of the plan have over 1 MiB; give fewer or shorter ones")
        self._held = len(self._lines[0])
        self._most = IN_MEMORY if path is None else _BLOCK
        self._written = 0

    async def __aenter__(self) -> Self:
        """Make the plan's file if `path` was given."""
        if self._staged is not None:
            await self._staged.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the files of a plan that `finish` did not publish."""
        if self._fd is not None:
            fd, self._fd = self._fd, None
            os.close(fd)
        if self._staged is not None:
            await self._staged.__aexit__(kind, error, trace)

    async def add(self, action: SyncAction) -> None:
        """Add the next action."""
        self.totals.add(action)
        line = action_line(action)
        self._lines.append(line)
        self._held += len(line)
        if self._held > self._most:
            await in_thread(self._spill)
            self._most = _BLOCK

    async def finish(self, summary: PlanSummary) -> SyncPlan:
        """Publish the plan, and return it.

        Args:
            summary: Has `unchanged` and `requests`, which the writer does not count; the other totals are added.
        """
        summary = self.totals.of(summary)
        last = summary_line(summary)
        self._lines.append(last)
        self._held += len(last)
        if self._fd is None and self._staged is None:
            data = b"".join(self._lines)
            return SyncPlan(self._header, summary, _Content(data, None, len(data), self._path))
        return await in_thread(self._publish, summary)

    def _publish(self, summary: PlanSummary) -> SyncPlan:
        self._spill()
        if self._staged is not None:
            self._staged.publish()
        assert self._fd is not None  # noqa: S101 - `_spill` opened it
        fd, self._fd = self._fd, None
        return SyncPlan(self._header, summary, _Content(b"", fd, self._written, self._path))

    def _spill(self) -> None:
        """Write the lines in memory to the file. Blocks."""
        if self._fd is None:
            self._fd = _temporary() if self._staged is None else os.dup(self._staged.fd)
        self._written = _write(self._fd, b"".join(self._lines), self._written, self._path)
        self._lines.clear()
        self._held = 0


def _take(actions: Iterator[SyncAction]) -> list[SyncAction]:
    return list(islice(actions, _BATCH))


def _content_of(fd: int, path: str) -> _Content:
    """Return the content of a file: its bytes if it is small, else its descriptor."""
    try:
        size = os.fstat(fd).st_size
        if size > IN_MEMORY:
            return _Content(b"", fd, size, path)
        data = b""
        while block := os.read(fd, IN_MEMORY):
            data += block
    except OSError as exc:
        raise local_error(exc, path, "reading the plan") from exc
    return _Content(data, None, len(data), path)


def _checked(content: _Content) -> tuple[PlanHeader, PlanSummary]:
    """Read and check every line of a plan, and return its header and its summary."""
    lines = content.lines()
    header = read_header(next(lines, b""), f"{content.path}, line 1")
    totals = PlanTotals()
    for number, line in enumerate(lines, 2):
        where = f"{content.path}, line {number}"
        read = read_line(line, header.direction, where)
        if isinstance(read, PlanSummary):
            if next(lines, None) is not None:
                raise InvalidRequestError(f"{where}: there are lines after the summary; plan again")
            check_totals(totals, read, content.path)
            return header, read
        totals.add(read)
    raise IntegrityError(f"{content.path}: the plan is incomplete: it does not end with its summary; plan again")


def _temporary() -> int:
    """Open a temporary file without a name, and return its descriptor. Blocks."""
    try:
        with tempfile.TemporaryFile(prefix="bucketry-plan-") as file:
            return os.dup(file.fileno())
    except OSError as exc:
        raise local_error(exc, tempfile.gettempdir(), "writing the plan to a temporary file") from exc


def _write(fd: int, data: bytes, at: int, path: str) -> int:
    """Write bytes at a position, and return the position after them. Blocks."""
    view = memoryview(data)
    while view:
        try:
            count = os.pwrite(fd, view, at)
        except OSError as exc:
            raise local_error(exc, path, "writing the plan") from exc
        at += count
        view = view[count:]
    return at
