"""The delay proxy of the benchmarks: what it delays, what it limits, and how connections through it end.

Times come from the machine's clock, and a busy machine only makes them longer. So the tests hold the shortest time that
the link allows; that it is not much longer is checked before each measurement, and tested with invented figures.
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest

if sys.platform != "linux":
    pytest.skip("the proxy needs epoll and splice", allow_module_level=True)

from benchmarks.harness.proxy import Link, Proxy, proxy
from benchmarks.harness.proxy_check import Checked, connect, download, faults, source, upload

KiB = 1024
ROUND_TRIP = 0.02


def seconds(action: object, *arguments: object) -> float:
    """Measure a call."""
    assert callable(action)
    started = time.perf_counter()
    action(*arguments)
    return time.perf_counter() - started


@contextmanager
def server(link: Link) -> Iterator[Proxy]:
    """Run a server behind a proxy."""
    with source() as endpoint, proxy(endpoint, link) as found:
        yield found


def test_a_later_request_takes_one_round_trip() -> None:
    """A byte waits for one half of the round trip in each direction."""
    with server(Link(round_trip=ROUND_TRIP)) as proxied, connect(proxied.endpoint) as connection:
        download(connection, 1)
        assert seconds(download, connection, 1) >= ROUND_TRIP


def test_opening_a_connection_takes_one_round_trip_more() -> None:
    """The first bytes of a connection wait for the round trip that opens it."""

    def first(endpoint: str) -> None:
        with connect(endpoint) as connection:
            download(connection, 1)

    with server(Link(round_trip=ROUND_TRIP)) as proxied:
        assert seconds(first, proxied.endpoint) >= 2 * ROUND_TRIP


def test_bytes_are_delayed_together() -> None:
    """Many bytes in one direction take far less than a round trip for each of the proxy's reads."""
    with server(Link(round_trip=ROUND_TRIP)) as proxied, connect(proxied.endpoint) as connection:
        for _ in range(64):
            connection.sendall(b"down 1000\n")
        got = 0
        taken = time.perf_counter()
        while got < 64_000:
            got += len(connection.recv(64_000))
        taken = time.perf_counter() - taken
    assert taken < 64 * ROUND_TRIP


@pytest.mark.parametrize("action", [download, upload])
@pytest.mark.parametrize("link", [Link(bandwidth=4e6), Link(total=4e6)])
def test_the_bandwidth_is_limited_in_each_direction(link: Link, action: object) -> None:
    """A connection passes no more bytes a second than its own limit, and than the limit of all together."""
    with server(link) as proxied, connect(proxied.endpoint) as connection:
        assert seconds(action, connection, 400_000) >= 0.1


def test_the_window_limits_the_bytes_of_a_round_trip() -> None:
    """A connection passes one window in a round trip, and what the kernel holds on both sides."""
    link = Link(round_trip=ROUND_TRIP, window=64 * KiB)
    with server(link) as proxied, connect(proxied.endpoint) as connection:
        download(connection, 1)
        assert seconds(download, connection, 512 * KiB) >= 4 * ROUND_TRIP


def test_all_bytes_arrive_in_their_order() -> None:
    """A body of many reads, more than the window, is the same on the other side."""
    body = b"".join(number.to_bytes(4, "big") for number in range(300_000))
    link = Link(round_trip=0.001, window=256 * KiB)
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        proxy(f"http://127.0.0.1:{listener.getsockname()[1]}", link) as proxied,
        connect(proxied.endpoint) as near,
    ):
        near.settimeout(10)
        near.sendall(b"to the server")
        far, _ = listener.accept()
        with far:
            far.settimeout(10)
            assert far.recv(100) == b"to the server"
            sender = threading.Thread(target=far.sendall, args=(body,))
            sender.start()
            with near.makefile("rb") as answer:
                got = answer.read(len(body))
            sender.join()
    assert got == body


def test_an_end_is_passed_on_after_the_bytes_before_it() -> None:
    """A client that has sent all closes its direction, and still gets the answer, in both orders."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        proxy(f"http://127.0.0.1:{listener.getsockname()[1]}", Link(round_trip=0.002)) as proxied,
        connect(proxied.endpoint) as near,
    ):
        near.settimeout(10)
        near.sendall(b"request")
        near.shutdown(socket.SHUT_WR)
        far, _ = listener.accept()
        with far, far.makefile("rb") as request:
            far.settimeout(10)
            assert request.read() == b"request"
            far.sendall(b"answer")
        with near.makefile("rb") as answer:
            assert answer.read() == b"answer"


def test_a_closed_server_closes_the_connection_of_the_client() -> None:
    """A client behind the proxy sees the end of a connection that the server resets."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        proxy(f"http://127.0.0.1:{listener.getsockname()[1]}", Link()) as proxied,
        connect(proxied.endpoint) as near,
    ):
        near.settimeout(10)
        far, _ = listener.accept()
        far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        far.close()
        with suppress(ConnectionResetError):
            assert not near.recv(1)


def test_a_client_that_leaves_frees_the_server() -> None:
    """A server that sends to a client that is gone gets an error, and the proxy serves the next client."""
    with server(Link(round_trip=0.002)) as proxied:
        with connect(proxied.endpoint) as connection:
            connection.sendall(b"down 50000000\n")
            connection.recv(1)
        with connect(proxied.endpoint) as connection:
            download(connection, 10)


def test_a_refused_connection_is_closed() -> None:
    """Without a server, the client's connection is closed instead of waiting."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with proxy(endpoint, Link()) as proxied, connect(proxied.endpoint) as connection:
        connection.settimeout(10)
        assert not connection.recv(1)


def test_the_process_ends_with_the_block() -> None:
    """Nothing listens at the port afterwards, and the proxy has told its CPU time before."""
    with server(Link()) as proxied:
        assert proxied.cpu > 0
    with pytest.raises(ConnectionRefusedError):
        connect(proxied.endpoint)


def test_what_is_refused_before_a_measurement() -> None:
    """A proxy that is late, early, slow, too quick or costly is named as such."""
    link = Link(round_trip=0.02)  # one connection passes 210 MB/s
    fine = Checked(opened=0.0405, round_trip=0.0204, down=190.0, up=200.0, capacity=3_000.0)
    assert faults(link, fine) == []
    assert faults(link, replace(fine, round_trip=0.024)) == ["round trip"]
    assert faults(link, replace(fine, round_trip=0.019)) == ["round trip"]
    assert faults(link, replace(fine, opened=0.021)) == ["first round trip"]
    assert faults(link, replace(fine, down=100.0)) == ["throughput down"]
    assert faults(link, replace(fine, up=400.0)) == ["throughput up"]
    assert faults(link, replace(fine, capacity=1_000.0)) == ["capacity"]
    limited = Link(round_trip=0.02, bandwidth=10e6)
    assert faults(limited, fine) == ["throughput down", "throughput up"]
    assert faults(limited, replace(fine, down=9.7, up=9.8, capacity=500.0)) == []
    assert faults(limited, replace(fine, down=9.7, up=9.8, capacity=200.0)) == ["capacity"]
