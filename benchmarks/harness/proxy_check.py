"""Checks that a proxy makes the link that it was asked for, and that it is not the limit of what is measured.

The clients here are plain sockets, so that nothing but the proxy takes time.
"""

from __future__ import annotations

import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

from benchmarks.harness.proxy import Link, proxy
from benchmarks.harness.task import MiB

ERROR = 0.0015  # seconds that a round trip may be longer than asked for: two wake-ups of a process on a busy machine
LEAST, MOST = 0.7, 1.4  # of the throughput that window and bandwidth allow
CAPACITY = 1_500.0  # MB per CPU second of the proxy: several times what a client gets with TLS on a core
LIMITED_CAPACITY = 300.0  # the same, if the bandwidth is limited: all bytes come in small pieces, for every client
_MACHINE = 500e6  # bytes a second; a link that allows more on one connection is not checked for its throughput
_ATTEMPTS = 3
_ROUNDS = 15
_CONNECTIONS = 16
_LONGEST = 0.4  # seconds of one bulk transfer
_BULK = 256 * MiB
_ZEROS = memoryview(bytes(MiB))


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What plain sockets saw.

    Attributes:
        opened: Seconds from the start of the connection to the first answer.
        round_trip: Seconds from a later request to its answer, the median.
        down: MB/s of one connection from the server.
        up: MB/s of one connection to the server.
        capacity: MB that the proxy passes in one CPU second, with many connections.
    """

    opened: float
    round_trip: float
    down: float
    up: float
    capacity: float

    def __str__(self) -> str:
        """Describe it in one line."""
        return (
            f"round trip {1e3 * self.round_trip:.1f} ms, the first one with its connection {1e3 * self.opened:.1f} ms, "
            f"one connection {self.down:,.0f} MB/s down, {self.up:,.0f} MB/s up, "
            f"{self.capacity:,.0f} MB per CPU second"
        )


def check(link: Link) -> Checked:
    """Measure a proxy with this link; again, if the machine was busy.

    Raises:
        RuntimeError: It is not the link, or it needs too much CPU; the message says what was seen.
    """
    for _ in range(_ATTEMPTS):
        found = observe(link)
        if not (wrong := faults(link, found)):
            return found
    message = f"the delay proxy is not what was asked for ({', '.join(wrong)}): {link}; seen: {found}"
    raise RuntimeError(message)


def faults(link: Link, seen: Checked) -> list[str]:
    """Name what is not as the link says."""
    most = _most(link) / 1e6
    limited = most < _MACHINE / 1e6  # without a limit the machine is the limit
    right = {
        "round trip": link.round_trip <= seen.round_trip <= 1.05 * link.round_trip + ERROR,
        "first round trip": 2 * link.round_trip <= seen.opened <= 2.1 * link.round_trip + 2 * ERROR,
        "throughput down": not limited or LEAST * most <= seen.down <= MOST * most,
        "throughput up": not limited or LEAST * most <= seen.up <= MOST * most,
        "capacity": seen.capacity >= (LIMITED_CAPACITY if link.bandwidth or link.total else CAPACITY),
    }
    return [name for name, fine in right.items() if not fine]


def observe(link: Link) -> Checked:
    """Measure a proxy with this link."""
    size = int(min(_BULK, max(_most(link) * _LONGEST, link.window)))
    with source() as endpoint, proxy(endpoint, link) as proxied, ExitStack() as stack:
        connections = []
        openings = []
        for _ in range(_CONNECTIONS):
            started = time.perf_counter()
            connections.append(stack.enter_context(connect(proxied.endpoint)))
            download(connections[-1], 1)
            openings.append(time.perf_counter() - started)
        first = connections[0]
        trips = [_seconds(lambda: download(first, 1)) for _ in range(_ROUNDS)]
        download(first, link.window)  # the kernel's buffers grow to what the connection needs
        upload(first, link.window)
        down = size / 1e6 / (_seconds(lambda: download(first, size)) - link.round_trip)
        up = size / 1e6 / (_seconds(lambda: upload(first, size)) - link.round_trip)
        cpu = proxied.cpu
        share = min(size, _BULK // _CONNECTIONS)
        together([partial(download, each, share) for each in connections])
        capacity = share * _CONNECTIONS / 1e6 / (proxied.cpu - cpu)
    opened, round_trip = statistics.median(openings), statistics.median(trips)
    return Checked(opened=opened, round_trip=round_trip, down=down, up=up, capacity=capacity)


def _most(link: Link) -> float:
    """Give the bytes a second that the link lets through on one connection, or those of the machine."""
    window = link.window / link.round_trip if link.round_trip else _MACHINE
    return min(window, link.bandwidth or _MACHINE, link.total or _MACHINE, _MACHINE)


@contextmanager
def source() -> Iterator[str]:
    """Run a server that sends or reads as many bytes as a line asks for: `down 5` or `up 5`; give its URL."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        threading.Thread(target=_accept, args=(listener,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)  # wakes the thread


def connect(endpoint: str) -> socket.socket:
    """Open a connection."""
    place = urlsplit(endpoint)
    connection = socket.create_connection((place.hostname, place.port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def download(connection: socket.socket, size: int) -> None:
    """Read bytes from the server."""
    connection.sendall(b"down %d\n" % size)
    buffer = memoryview(bytearray(min(size, MiB)))
    while size:
        got = connection.recv_into(buffer, min(size, len(buffer)))
        if not got:
            raise ConnectionResetError("the connection was closed too early")
        size -= got


def upload(connection: socket.socket, size: int) -> None:
    """Send bytes to the server, and wait until it has them."""
    connection.sendall(b"up %d\n" % size)
    _send(connection, size)
    if connection.recv(1) != b"\n":
        raise ConnectionResetError("the connection was closed too early")


def together(calls: list[Callable[[], None]]) -> None:
    """Run calls in threads of their own."""
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _accept(listener: socket.socket) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:  # the end of the check
            return
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_answer, args=(connection,), daemon=True).start()


def _answer(connection: socket.socket) -> None:
    buffer = memoryview(bytearray(MiB))
    with suppress(ConnectionError), connection, connection.makefile("rb") as lines:  # the client may leave at any time
        while line := lines.readline():
            verb, count = line.split()
            left = int(count)
            if verb == b"down":
                _send(connection, left)
                continue
            while left:
                got = lines.readinto1(buffer[: min(left, MiB)])
                if not got:
                    return
                left -= got
            connection.sendall(b"\n")


def _send(connection: socket.socket, size: int) -> None:
    while size:
        size -= connection.send(_ZEROS[: min(size, MiB)])


def _seconds(call: Callable[[], None]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started
