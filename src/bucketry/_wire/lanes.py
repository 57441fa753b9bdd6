"""Copies large bodies between sockets and files in worker threads; the bytes do not pass through the event loop.

A lane is a blocking connection and one buffer. Its thread waits in system calls, which release the GIL. The loop only
starts the thread. To stop the thread, the loop shuts the socket down, which ends the thread's system call at once. The
pool checks the read timeout with the kernel's counters (`IdleTimer`).
"""

from __future__ import annotations

import asyncio
import os
import select
import socket
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Protocol, TypeAlias, cast

from bucketry._core.timeouts import Timeouts
from bucketry._core.units import KiB, MiB
from bucketry._core.values import Body, ByteCounter, FileRange
from bucketry._runtime.file_bodies import ended_early, read_some
from bucketry._wire.connect import Connector, Origin, bytes_moved, refused, too_slow
from bucketry._wire.errors import WireError
from bucketry._wire.http1 import AnswerHead, AnswerReader
from bucketry._wire.pool import IdleTimer, Pool, is_stale
from bucketry._wire.sigv4 import Credentials
from bucketry._wire.streams import Plain, Stream, Tls
from bucketry._wire.threads import LaneThreads
from bucketry._wire.tls import TlsEngine
from bucketry._wire.unary import Connection
from bucketry.errors import ConnectionFailedError, IncompleteBodyError, RequestTimeoutError, StorageError

BUFFER = 512 * KiB  # bytes that are received, sent, read or hashed at once
BUFFER_OVER_TLS = 256 * KiB  # the same with TLS, which keeps two more copies of the bytes
MAX_ANSWER = MiB  # after so many bytes, a body that is kept in memory, such as an error's XML, is not read further

Write: TypeAlias = Callable[[memoryview], None]


class LaneRequest(Protocol):
    """A request that a lane can send."""

    @property
    def method(self) -> str:
        """The method, in capitals."""

    @property
    def body(self) -> Body:
        """The body, which is sent after the request's head."""

    @property
    def repeatable(self) -> bool:
        """Whether sending the request twice has the same effect as sending it once."""

    @property
    def where(self) -> str:
        """The beginning of messages about the body's file."""

    @property
    def sent(self) -> ByteCounter:
        """The counter of the body's bytes that were sent."""

    def head(self, credentials: Credentials | None, slices: Iterable[memoryview], /) -> bytes:
        """Return the request's head, ready to be sent; read the body's slices if the head contains checksums of them.

        The method runs in the lane's thread.
        """

    @property
    def accept(self) -> Callable[[AnswerHead], Write | None]:
        """A function that takes the response's head, and returns a function that gets the body's bytes.

        If it returns `None`, `exchange` returns the body. It runs in the lane's thread.
        """


class Lane:
    """A blocking connection and its buffer. At most one thread uses a lane at a time, inside `with lane:`.

    Attributes:
        sent: Whether the present request may have reached the server.
        answer_started: Whether any byte of the present response was received.
    """

    def __init__(
        self, origin: Origin, connected: socket.socket, engine: TlsEngine | None, *, used: bool = False
    ) -> None:
        """Take over a connected socket; no I/O. `engine` encrypts the bytes; `used`: it has served requests before."""
        connected.setblocking(True)  # noqa: FBT003 - the library's own
        self._stream: Stream = Plain(connected) if engine is None else Tls(connected, engine)
        self._sends_files = engine is None
        self._origin = origin
        self._socket = connected
        self._buffer_size = BUFFER if engine is None else BUFFER_OVER_TLS
        self._buffer = memoryview(b"")
        self._used = used
        self._reader = AnswerReader("GET")
        self._waits_since: float | None = None
        self._idle = IdleTimer()
        self._stopped = False
        self._idle_seconds = 0.0
        self._in_use = False
        self.sent = self.answer_started = False

    def __enter__(self) -> None:
        """Mark the lane as used by a thread, so that `close` does not close the socket that the thread uses."""
        self._in_use = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Mark the lane as not used by a thread."""
        self._in_use = False

    # --- in a worker thread ------------------------------------------------------------------------

    def start(self) -> None:
        """Make the TLS handshake if the origin uses TLS. Blocks."""
        self._stream.start()

    def exchange(self, request: LaneRequest, credentials: Credentials | None) -> tuple[AnswerHead, bytes]:
        """Send a request, and return the response's head and body. Blocks.

        If `request.accept` returns a function, this function gets the body, and the returned body is empty.
        """
        self.sent = self.answer_started = False
        self._reader = AnswerReader(request.method)
        if not self._buffer:  # made in this thread, because the system gives memory page by page, which takes long
            self._buffer = memoryview(bytearray(self._buffer_size))
        if self._used and not self._still_open():
            raise self._broken(None)
        self._used = True
        head = request.head(credentials, self._slices(request))
        self.sent = True
        try:
            self._call(self._stream.send, head)
            self._send_body(request)
        except WireError:
            if self._stopped and not self._idle_seconds:
                raise
            # The connection is not used again. But the response is read, because a server may answer before it has
            # received the whole body.
            self._stopped = True
        answer, rest = self._read_head()
        self._stream.answered()
        write = request.accept(answer)
        if write is None:
            return answer, self._read_small_body(rest)
        if rest:
            write(rest)
        while view := self._next():
            write(view)
        return answer, b""

    def _still_open(self) -> bool:
        """Return whether a connection that was used before is open, and no byte was received without a request."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return not poll.poll(0)

    def _slices(self, request: LaneRequest) -> Iterator[memoryview]:
        """Yield the body in slices, each valid until the next slice; raise an error when the lane is closed."""
        body = request.body
        if not isinstance(body, FileRange):
            whole = memoryview(body).cast("B")
            size = len(self._buffer)
            for at in range(0, len(whole), size):
                self._check_stopped()
                yield whole[at : at + size]
            return
        at = body.start
        while at < body.end:
            self._check_stopped()
            count = read_some(body, at, self._buffer, request.where)
            yield self._buffer[:count]
            at += count

    def _send_body(self, request: LaneRequest) -> None:
        body, sent = request.body, request.sent
        sent.count = 0
        try:
            if isinstance(body, FileRange) and self._sends_files:
                at = body.start
                while at < body.end:
                    self._check_stopped()
                    self._waits_since = time.monotonic()
                    count = os.sendfile(self._socket.fileno(), body.fd, at, min(body.end - at, BUFFER))
                    if not count:
                        raise ended_early(body, at, request.where)
                    at += count
                    sent.count += count
            else:
                for view in self._slices(request):
                    self._waits_since = time.monotonic()
                    self._stream.send(view)
                    self._waits_since = None  # reading the next slice is no wait for the server
                    sent.count += len(view)
        except StorageError:  # the body's file cannot be read
            raise
        except OSError as exc:
            raise self._broken(exc) from exc
        finally:
            self._waits_since = None

    def _read_head(self) -> tuple[AnswerHead, memoryview]:
        """Read until the head is complete; return the head and the bytes of the body that were received with it."""
        while True:
            view = self._receive()
            self.answer_started = True
            rest = self._reader.feed(view)
            if self._reader.head is not None:
                return self._reader.head, memoryview(rest)

    def _read_small_body(self, rest: memoryview) -> bytes:
        kept = bytearray(rest)
        while len(kept) < MAX_ANSWER and (view := self._next()):
            kept += view
        return bytes(kept)

    def _next(self) -> memoryview:
        """Return the next bytes of the body; empty: the body is complete."""
        reader = self._reader
        while not reader.done:
            if found := reader.feed(self._receive(reader.remaining)):
                return memoryview(found)
        return memoryview(b"")

    def _receive(self, left: int | None = None) -> memoryview:
        """Return received bytes: some, or if so many are `left`, as many of them as have room."""
        buffer, whole = self._buffer, left is not None
        count = min(left or BUFFER, len(buffer))
        got = self._call(partial(self._stream.receive, buffer, count, whole=whole))
        if not got and not self._reader.feed_eof():
            raise self._broken(None)
        return buffer[:got]

    def _call(self, call: Callable[..., int | None], *args: object) -> int:
        """Call a function that waits for the server, and store when the wait began."""
        self._waits_since = time.monotonic()
        try:
            return call(*args) or 0
        except OSError as exc:
            raise self._broken(exc) from exc
        finally:
            self._waits_since = None

    def _check_stopped(self) -> None:
        if self._stopped:
            raise self._broken(None)

    def _broken(self, exc: OSError | None) -> WireError:
        reader = self._reader
        if reader.head is not None:
            how = "stalled" if self._idle_seconds else "ended" if exc is None else f"broke ({type(exc).__name__})"
            return WireError(IncompleteBodyError, f"the body {how} after {reader.progress}")
        if self._idle_seconds:
            return WireError(RequestTimeoutError, f"{self._origin} has not answered for {self._idle_seconds:.0f} s")
        how = "was closed" if exc is None else f"broke: {exc}"
        return WireError(ConnectionFailedError, f"the connection to {self._origin} {how} before an answer came")

    # --- called by the pool ------------------------------------------------------------------------

    def usable(self) -> bool:
        """Return whether the connection may be open. Its thread finds out, because asking the system releases the GIL.

        While other lanes are busy, the event loop would wait for the GIL for milliseconds.
        """
        return self._stream.clean()

    def close(self) -> None:
        """Close the connection. While a thread uses it, only shut the socket down, which wakes the thread.

        After the thread has ended, the caller calls `close` again.
        """
        self._stopped = True
        if not self._in_use:
            self._socket.close()
            return
        with suppress(OSError):  # the server may have closed the connection already
            self._socket.shutdown(socket.SHUT_RDWR)

    def reusable(self) -> bool:
        """Return whether the response is complete and the connection can be used for another request."""
        return self._reader.reusable and not self._stopped and self._stream.clean()

    def idle(self, now: float, limit: float) -> float:
        """Return the seconds for which the thread has waited for the server while no byte moved."""
        since = self._waits_since
        if since is None:
            return 0.0
        return self._idle.seconds(since, now, limit, lambda: bytes_moved(self._socket))

    def moved(self) -> int:
        """Return a number that changes when bytes of the present request or response move."""
        return self._reader.received + bytes_moved(self._socket)

    def expire(self, seconds: float) -> None:
        """Fail the request under way, because the connection was idle for too long."""
        self._idle_seconds = seconds
        self.close()


class Lanes:
    """The lanes to one origin, and the threads that use them.

    Args:
        connector: Opens connections to the origin.
        pool: The pool with the slots and the idle connections.
        threads: The worker threads; there are at most as many as slots.
        credentials: A function that returns the keys to sign with; called when the request has its slot, because keys
            can expire during the wait.
        timeouts: The timeouts for connecting, for an idle connection, and for waiting for a slot.
    """

    def __init__(
        self,
        connector: Connector,
        pool: Pool,
        threads: LaneThreads,
        credentials: Callable[[], Awaitable[Credentials | None]],
        timeouts: Timeouts,
    ) -> None:
        """Store the arguments; no I/O."""
        self._credentials = credentials
        self._connector = connector
        self._pool = pool
        self._timeouts = timeouts
        self._kind = (Lane, connector.origin)
        self._kind_of_loop = (Connection, connector.origin)
        self._threads = threads

    async def exchange(self, request: LaneRequest) -> tuple[AnswerHead, bytes]:
        """Make a request in a lane. If the server has closed an idle connection, a new one replaces it; see `is_stale`.

        A cancellation stops the thread at once. `CancelledError` is raised when the thread has left the lane, because
        until then the thread may use descriptors and buffers that the caller is about to close.

        Raises:
            WireError: No complete response came.
            LocalFileError: The body's file cannot be read, or the function from `accept` raised this error.
        """
        if not self._pool.take_slot():
            await self._pool.wait_for_slot(self._timeouts.pool)
        lane: Lane | None = None
        try:
            lane = self._idle_lane()
            credentials = await self._credentials()
            while True:
                is_new = lane is None
                lane = lane or await self._open()
                self._pool.watch(lane, self._timeouts.read)
                try:
                    with lane:
                        return await self._threads.run(partial(lane.exchange, request, credentials), lane.close)
                except WireError as exc:
                    if is_new or self._pool.closed or not is_stale(lane, exc, repeatable=request.repeatable):
                        raise
                    self._pool.drop(lane)
                    lane = None
        finally:
            if lane is not None and lane.reusable():
                self._pool.release(self._kind, lane)
            else:
                self._pool.discard(lane)

    def _idle_lane(self) -> Lane | None:
        """Return an idle lane, else one made of the event loop's idle connection, which saves the new connection."""
        found = self._pool.take(self._kind, self._kind_of_loop)
        if not isinstance(found, Connection):
            return cast("Lane | None", found)
        try:
            return Lane(self._connector.origin, *found.detach(), used=True)
        except OSError:  # the process has no descriptor left, which opening a connection will report
            found.close()
            return None

    async def _open(self) -> Lane:
        origin, seconds = self._connector.origin, self._timeouts.connect
        engine = self._connector.tls.engine() if self._connector.tls is not None else None
        try:
            async with asyncio.timeout(seconds):
                lane = Lane(origin, await self._connector.open_socket(), engine)
                if engine is not None:
                    try:
                        with lane:
                            await self._threads.run(lane.start, lane.close)
                    except BaseException:
                        lane.close()
                        raise
                return lane
        except TimeoutError:
            raise too_slow(origin, seconds) from None
        except OSError as exc:
            raise refused(origin, exc) from exc
