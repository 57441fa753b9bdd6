"""Progress over a slow line: the total is known at once, and bytes are counted as they move, not by part."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from bucketry import Progress, SessionPool, TransferConfig, TransferManager
from bucketry._core.units import MiB
from tests.wire.raw import Peer, RawServer, Talk, make

SIZE = 12 * MiB  # one request, and more than the kernel's buffers for a connection
HEAD = f'HTTP/1.1 200 OK\r\nETag: "e1"\r\nContent-Length: {SIZE}\r\n\r\n'.encode()


class Reports:
    """Collects reports; `partly` is set by a report of some of the bytes, but not all."""

    def __init__(self) -> None:
        self.all: list[Progress] = []
        self.partly = asyncio.Event()

    def __call__(self, report: Progress) -> None:
        """Store a report."""
        self.all.append(report)
        if 0 < report.transferred < SIZE:
            self.partly.set()


async def running(*talks: Talk) -> RawServer:
    """Run a server that reads slowly."""
    server = RawServer(*talks)
    await server.open(None, 64 * 1024)
    return server


def manager_of(server: RawServer, pool: SessionPool) -> TransferManager:
    """Make a manager that uses one request for an object of this size."""
    config = TransferConfig(part_size=2 * SIZE, multipart_threshold=2 * SIZE)
    return TransferManager(make(server.port, pool, read_timeout=10), config)


@pytest.mark.slow
async def test_a_download(tmp_path: Path) -> None:
    """While an object's only body is received, its bytes are reported, and the total before the first of them."""
    reports = Reports()

    async def body(peer: Peer) -> None:
        await peer.request()
        await peer.send(HEAD + bytes(SIZE // 2))
        await reports.partly.wait()  # the second half is sent only after the first was reported
        await peer.send(bytes(SIZE // 2))

    server = await running(body)
    async with SessionPool() as pool:
        await manager_of(server, pool).download("k", tmp_path / "file", progress=reports)
    await server.close()
    check(reports)


@pytest.mark.slow
async def test_an_upload(tmp_path: Path) -> None:
    """While a body is sent, its bytes are reported."""
    reports = Reports()
    source = tmp_path / "source"
    source.write_bytes(bytes(SIZE))

    async def slowly(peer: Peer) -> None:
        await peer.head()
        await reports.partly.wait()  # the server reads the body only after some of it was reported
        await peer.body(SIZE)
        await peer.send(b'HTTP/1.1 200 OK\r\nETag: "e1"\r\nContent-Length: 0\r\n\r\n')

    server = await running(slowly)
    async with SessionPool() as pool:
        await manager_of(server, pool).upload(source, "k", progress=reports)
    await server.close()
    check(reports)


def check(reports: Reports) -> None:
    """Check the reports."""
    first, *_, last = reports.all
    assert (first.transferred, first.total, first.increment) == (0, SIZE, 0)
    assert (last.transferred, last.total) == (SIZE, SIZE)
    assert sum(report.increment for report in reports.all) == SIZE
    assert any(0 < report.transferred < SIZE for report in reports.all)


@pytest.mark.slow
async def test_a_callback_that_fails_while_a_body_moves(tmp_path: Path) -> None:
    """The error of a callback ends the transfer, even in the middle of a body, and nothing is published."""
    failed = asyncio.Event()

    async def body(peer: Peer) -> None:
        await peer.request()
        await peer.send(HEAD + bytes(SIZE // 2))
        await failed.wait()
        await peer.send(bytes(SIZE // 2))

    def broken(report: Progress) -> None:
        if report.transferred:
            failed.set()
            raise ZeroDivisionError(report.key)

    server = await running(body)
    async with SessionPool() as pool:
        with pytest.raises(ZeroDivisionError):
            await manager_of(server, pool).download("k", tmp_path / "file", progress=broken)
    await server.close()
    assert not os.listdir(tmp_path)
