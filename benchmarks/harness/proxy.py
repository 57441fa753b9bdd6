"""A proxy that makes a server far away: bytes wait for the round trip, and for the bandwidth of the connection.

It runs as its own process, in one thread, and passes bytes on without looking at them, so TLS goes through as it is.
What it models, and what it does not:

- A byte arrives half a round trip after it was sent, in each direction; the bytes behind it do not wait for it.
- Opening a connection costs one round trip. The kernel opens connections of the loopback at once, so the client's
  first bytes wait for it: a first request takes 2 round trips, with TLS 1.3 it takes 3, a later one takes 1.
- `window` bytes of a connection can be on the way in each direction, so it passes at most `window` bytes a round trip.
- There is no loss and no slow start: a new connection has its whole window at once.
"""

from __future__ import annotations

import contextlib
import fcntl
import heapq
import json
import os
import select
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.harness.ports import START_TIMEOUT
from benchmarks.harness.task import MiB

_CHUNK = MiB  # of one read; a smaller one costs more calls
_PIPE = MiB  # the largest pipe for every user; it has 256 places, each with up to 32 KiB of a socket
# Bytes that arrive together where the bandwidth is limited: first a TLS record, so that the head of an answer is not
# late; then those of 10 ms, because every arrival wakes a process, which costs more CPU than the bytes.
_FIRST, _TOGETHER = 16 * 1024, 0.01


@dataclass(frozen=True, kw_only=True)
class Link:
    """The way to the server.

    Attributes:
        round_trip: Seconds from a request's last byte to its answer's first, if the server takes no time.
        bandwidth: Bytes a second of one connection, in each direction; 0: no limit.
        total: Bytes a second of all connections together, in each direction; 0: no limit.
        window: Bytes of one connection that can be on the way in one direction.
    """

    round_trip: float = 0.0
    bandwidth: float = 0.0
    total: float = 0.0
    window: int = 4 * MiB  # what Linux sends at most without being told otherwise (`tcp_wmem`)


class _Rate:
    """Limits the bytes a second."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._free = 0.0

    def passed(self, now: float, size: int) -> float:
        """Give the time at which the last of `size` bytes has passed, if they come now."""
        if self._limit:
            now = self._free = max(now, self._free) + size / self._limit
        return now


class _Way:
    """One direction of a connection: a pipe of the kernel with the bytes, and the times at which they arrive."""

    def __init__(self, source: socket.socket, target: socket.socket, link: Link, total: _Rate, opened: float) -> None:
        """Store the sockets; bytes that are read before `opened` are sent then."""
        self.source, self.target = source, target
        # `splice` moves pages between sockets and pipes. Copying through the process costs several times the CPU.
        self._out, self._in = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        with contextlib.suppress(PermissionError):  # many pipes, and the user may have no more pages: the check tells
            fcntl.fcntl(self._in, fcntl.F_SETPIPE_SZ, _PIPE)
        # A byte is here for one half of the round trip only, so it holds one half of the window.
        self._room = link.window // 2
        self._delay = link.round_trip / 2
        self._rates = (_Rate(link.bandwidth), total)
        limits = [limit for limit in (link.bandwidth, link.total) if limit]
        self._next = int(max(_FIRST, _TOGETHER * min(limits))) if limits else 0
        self._opened = opened
        self._read = self._arrived = self._sent = 0
        self._arrivals: deque[tuple[float, int]] = deque()
        self._full = self._ended = self._closed = False

    @property
    def room(self) -> bool:
        """Whether more bytes can be read."""
        return not (self._ended or self._full or self._read - self._sent >= self._room)

    @property
    def late(self) -> bool:
        """Whether bytes have arrived that the target did not take yet."""
        return self._sent < self._arrived

    @property
    def next(self) -> float | None:
        """The time of the next arrival."""
        return self._arrivals[0][0] if self._arrivals else None

    @property
    def done(self) -> bool:
        """Whether the source has ended, and all its bytes and its end are with the target."""
        return self._ended and not self._arrivals and self._sent == self._read

    def receive(self, now: float) -> None:
        """Read what there is, once."""
        room = min(self._room - (self._read - self._sent), _CHUNK)
        try:
            size = os.splice(self.source.fileno(), self._in, room, flags=os.SPLICE_F_NONBLOCK)
        except BlockingIOError:
            self._full = self._read > self._sent  # the pipe has a limited number of pages, too
            return
        now = max(now, self._opened)
        if not size:
            self._ended = True
            arrival = self._arrivals[-1][0] if self._arrivals else now + self._delay
            self._arrivals.append((arrival, self._read))
        while size > 0:
            piece = min(size, self._next if self._arrivals else _FIRST) if self._next else size
            size -= piece
            self._read += piece
            passed = max(rate.passed(now, piece) for rate in self._rates)
            self._arrivals.append((passed + self._delay, self._read))

    def send(self, now: float) -> None:
        """Give the target what has arrived; less, if it does not take all."""
        while self._arrivals and self._arrivals[0][0] <= now:
            self._arrived = self._arrivals.popleft()[1]
        while self._sent < self._arrived:
            due = self._arrived - self._sent
            try:
                self._sent += os.splice(self._out, self.target.fileno(), due, flags=os.SPLICE_F_NONBLOCK)
            except BlockingIOError:
                return
            self._full = False
        if self.done and not self._closed:
            self._closed = True
            self.target.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close the pipe; the sockets are closed by their owner."""
        os.close(self._out)
        os.close(self._in)


class _Proxy:
    """All connections of one listening socket, in one thread."""

    def __init__(self, listener: socket.socket, server: tuple[str, int], link: Link) -> None:
        self._listener, self._server, self._link = listener, server, link
        self._up, self._down = _Rate(link.total), _Rate(link.total)
        self._poll = select.epoll()
        self._reads: dict[int, _Way] = {}
        self._writes: dict[int, _Way] = {}
        self._wanted: dict[int, int] = {}
        self._due: list[tuple[float, int, _Way]] = []
        self._planned: set[_Way] = set()

    def run(self, stop: int) -> None:
        """Serve until the file descriptor `stop` is readable."""
        self._listener.setblocking(False)  # noqa: FBT003 - the socket's own signature
        self._poll.register(self._listener, select.EPOLLIN)
        self._poll.register(stop, select.EPOLLIN)
        while True:
            # `epoll` waits for whole milliseconds; `select` on it waits for microseconds.
            wait = max(self._due[0][0] - time.perf_counter(), 0.0) if self._due else None
            select.select([self._poll], [], [], wait)
            events = self._poll.poll(0)
            now = time.perf_counter()
            while self._due and self._due[0][0] <= now:
                way = heapq.heappop(self._due)[2]
                self._planned.discard(way)
                self._move(way, now, read=False)
            for file, event in events:
                if file == stop:
                    return
                if file == self._listener.fileno():
                    self._accept(now)
                    continue
                if event & ~select.EPOLLOUT and file in self._reads:
                    self._move(self._reads[file], now, read=True)
                if event & ~select.EPOLLIN and file in self._writes:
                    self._move(self._writes[file], now, read=False)

    def _accept(self, now: float) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError:  # it has gone already
            return
        try:
            server = socket.create_connection(self._server)
        except OSError:
            client.close()
            return
        for end in (client, server):
            end.setblocking(False)  # noqa: FBT003 - the socket's own signature
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for way in (
            _Way(client, server, self._link, self._up, now + self._link.round_trip),
            _Way(server, client, self._link, self._down, now),
        ):
            self._reads[way.source.fileno()] = way
            self._writes[way.target.fileno()] = way
        for end in (client, server):
            self._want(end)

    def _move(self, way: _Way, now: float, *, read: bool) -> None:
        """Read from the source or not, send what is due, and plan the next time."""
        if way.source.fileno() < 0:
            return  # closed in this turn
        try:
            if read and way.room:
                way.receive(now)
            way.send(now)
        except OSError:  # one side has reset the connection: the other one is told at once
            self._close(way)
            return
        back = self._reads[way.target.fileno()]
        if way.done and back.done:
            self._close(way)
            return
        if way.next is not None and way not in self._planned:
            self._planned.add(way)
            heapq.heappush(self._due, (way.next, id(way), way))
        for end in (way.source, way.target):
            self._want(end)

    def _want(self, end: socket.socket) -> None:
        """Ask for the events that can be used: others would come again and again."""
        file = end.fileno()
        wanted = select.EPOLLIN * self._reads[file].room | select.EPOLLOUT * self._writes[file].late
        before = self._wanted.get(file, 0)
        self._wanted[file] = wanted
        if not before and wanted:
            self._poll.register(file, wanted)
        elif before and not wanted:
            self._poll.unregister(file)  # with no event asked for, the end of the connection would still be reported
        elif wanted != before:
            self._poll.modify(file, wanted)

    def _close(self, way: _Way) -> None:
        for end in (way.source, way.target):
            file = end.fileno()
            if self._wanted.pop(file):
                self._poll.unregister(file)
            self._reads.pop(file).close()
            del self._writes[file]
            end.close()


@dataclass(frozen=True)
class Proxy:
    """A running proxy.

    Attributes:
        endpoint: The URL to use instead of the server's.
        pid: Its process.
    """

    endpoint: str
    pid: int

    @property
    def cpu(self) -> float:
        """CPU seconds that it has used."""
        return int(Path(f"/proc/{self.pid}/schedstat").read_text().split()[0]) / 1e9


@contextmanager
def proxy(endpoint: str, link: Link) -> Iterator[Proxy]:
    """Run a proxy in front of a server of the loopback."""
    place = urlsplit(endpoint)
    task = json.dumps({"host": place.hostname, "port": place.port, "link": asdict(link)})
    command = [sys.executable, "-m", "benchmarks.harness.proxy", task]
    here = Path(__file__).parents[2]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=here) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            port = int(process.stdout.readline())
            yield Proxy(f"{place.scheme}://127.0.0.1:{port}", process.pid)
        finally:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()  # ends it; so does the end of this process, however it ends
            process.wait(START_TIMEOUT)


def main() -> None:
    """Serve as the first argument says, until standard input ends."""
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, -10)  # a network does not wait for a core
    task = json.loads(sys.argv[1])
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        print(listener.getsockname()[1], flush=True)
        _Proxy(listener, (task["host"], task["port"]), Link(**task["link"])).run(sys.stdin.fileno())


if __name__ == "__main__":
    main()
