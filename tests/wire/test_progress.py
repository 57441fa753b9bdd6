"""Progress over a slow line: the total is there at once, and bytes count as they move, not when a part is done."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from bucketry import Progress, SessionPool, TransferConfig, TransferManager
from bucketry._core.units import MiB
from tests.wire.raw import Peer, RawServer, Talk, make

SIZE = 12 * MiB  # one request, and more than the kernel keeps for a connection
HEAD = f'HTTP/1.1 200 OK\r\nETag: "e1"\r\nContent-Length: {SIZE}\r\n\r\n'.encode()


class Reports:
    """Collects reports, and tells when one is of some of the bytes and not of all."""

    def __init__(self) -> None:
        self.all: list[Progress] = []
        self.partly = asyncio.Event()

    def __call__(self, report: Progress) -> None:
        """Note a report."""
        self.all.append(report)
        if 0 < report.transferred < SIZE:
            self.partly.set()


async def running(*talks: Talk) -> RawServer:
    """Open a server that takes little at a time."""
    server = RawServer(*talks)
    await server.open(None, 64 * 1024)
    return server


def manager_of(server: RawServer, pool: SessionPool) -> TransferManager:
    """Make a manager that takes one request for an object of this size."""
    config = TransferConfig(part_size=2 * SIZE, multipart_threshold=2 * SIZE)
    return TransferManager(make(server.port, pool, read_timeout=10), config)


@pytest.mark.slow
async def test_a_download(tmp_path: Path) -> None:
    """While the one body of an object comes, its bytes are reported, and the total before the first of them."""
    reports = Reports()

    async def head(peer: Peer) -> None:
        await peer.request()
        await peer.send(HEAD)

    async def body(peer: Peer) -> None:
        await peer.request()
        await peer.send(HEAD + bytes(SIZE // 2))
        await reports.partly.wait()  # the other half is sent only once the first was reported
        await peer.send(bytes(SIZE // 2))

    server = await running(head, body)
    async with SessionPool() as pool:
        await manager_of(server, pool).download("k", tmp_path / "file", progress=reports)
    await server.close()
    check(reports)


@pytest.mark.slow
async def test_an_upload(tmp_path: Path) -> None:
    """While a body is sent, its bytes are reported as they go out."""
    reports = Reports()
    source = tmp_path / "source"
    source.write_bytes(bytes(SIZE))

    async def slowly(peer: Peer) -> None:
        await peer.head()
        await reports.partly.wait()  # nothing of the body is read before some of it was reported
        await peer.body(SIZE)
        await peer.send(b'HTTP/1.1 200 OK\r\nETag: "e1"\r\nContent-Length: 0\r\n\r\n')

    server = await running(slowly)
    async with SessionPool() as pool:
        await manager_of(server, pool).upload(source, "k", progress=reports)
    await server.close()
    check(reports)


def check(reports: Reports) -> None:
    """Hold the reports to what they must say."""
    first, *_, last = reports.all
    assert (first.transferred, first.total, first.increment) == (0, SIZE, 0)
    assert (last.transferred, last.total) == (SIZE, SIZE)
    assert sum(report.increment for report in reports.all) == SIZE
    assert any(0 < report.transferred < SIZE for report in reports.all)


@pytest.mark.slow
async def test_a_callback_that_fails_while_a_body_moves(tmp_path: Path) -> None:
    """Its error ends the transfer also where it was called in the middle of a body, and nothing is published."""
    failed = asyncio.Event()

    async def head(peer: Peer) -> None:
        await peer.request()
        await peer.send(HEAD)

    async def body(peer: Peer) -> None:
        await peer.request()
        await peer.send(HEAD + bytes(SIZE // 2))
        await failed.wait()
        await peer.send(bytes(SIZE // 2))

    def broken(report: Progress) -> None:
        if report.transferred:
            failed.set()
            raise ZeroDivisionError(report.key)

    server = await running(head, body)
    async with SessionPool() as pool:
        with pytest.raises(ZeroDivisionError):
            await manager_of(server, pool).download("k", tmp_path / "file", progress=broken)
    await server.close()
    assert not os.listdir(tmp_path)
