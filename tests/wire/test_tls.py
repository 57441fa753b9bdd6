"""TLS: which servers are trusted, and that everything works as without TLS."""

from __future__ import annotations

import asyncio
import os
import ssl
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bucketry import SessionPool
from bucketry._core.options import ReadOptions, WriteOptions
from bucketry._core.units import KiB, MiB
from bucketry._core.values import ByteRange, FileRange
from bucketry.errors import ConfigError, IncompleteBodyError, RequestTimeoutError, StorageError, TransientError
from tests.wire.certificates import certificate
from tests.wire.raw import DATA, READ_TIMEOUT, Peer, RawServer, bytes_of, client_of, faulty, make, sockets_to
from tests.wire.scripted import Answer
from tests.wire.test_faults import (
    ALL,
    HEAD,
    READS,
    UPLOAD,
    WRITTEN,
    Kind,
    answering,
    closes,
    fetch,
    get,
    resets,
    within,
)
from tests.wire.test_requests import FileSink

Trusted = tuple[ssl.SSLContext, str]


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Trusted:
    """Make a certificate for the loopback."""
    return certificate(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    """Give an open file of random bytes."""
    path = tmp_path / "file"
    path.write_bytes(os.urandom(3 * MiB))
    found = os.open(path, os.O_RDWR)
    yield found
    os.close(found)


class TestTrust:
    """Trusted and refused servers."""

    @staticmethod
    async def refused(context: ssl.SSLContext, kind: Kind, fd: int, **config: str) -> StorageError:
        """Give the error of a request to a server; no request was sent, and nothing stays open."""
        server = RawServer()
        await server.open(context, None)
        try:
            async with SessionPool() as pool:
                provider = make(server.port, pool, scheme="https", read_timeout=5, **config)
                with pytest.raises(StorageError) as caught:
                    await kind(provider, fd)
                assert (await client_of(provider)).pool.busy == 0
            await asyncio.sleep(0)
            assert server.requests == []
            assert sockets_to(server.port) == 0
        finally:
            await server.close()
        return caught.value

    @ALL
    async def test_a_certificate_of_nobody(self, trusted: Trusted, kind: Kind, fd: int) -> None:
        """A self-signed certificate is refused, and the error says what to set."""
        error = await self.refused(trusted[0], kind, fd)
        assert type(error) is ConfigError
        assert "was refused: self-signed certificate; ca_bundle names the authorities" in str(error)

    @ALL
    async def test_a_certificate_that_is_trusted(self, trusted: Trusted, kind: Kind, fd: int) -> None:
        """With `ca_bundle`, a self-signed certificate is accepted."""
        context, pem = trusted
        async with faulty(tls=context, ca_bundle=pem, read_timeout=5) as (provider, server):
            await kind(provider, fd)
            assert len(server.requests) == 1

    @ALL
    async def test_a_variable_names_the_bundle(
        self, trusted: Trusted, kind: Kind, fd: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """AWS's variable for the authorities to trust is used."""
        context, pem = trusted
        monkeypatch.setenv("AWS_CA_BUNDLE", pem)
        async with faulty(tls=context, read_timeout=5) as (provider, _):
            await kind(provider, fd)

    @ALL
    async def test_another_host(self, tmp_path: Path, kind: Kind, fd: int) -> None:
        """A trusted certificate of another host is refused, and the error says so."""
        context, pem = certificate(tmp_path, "other.example")
        error = await self.refused(context, kind, fd, ca_bundle=pem)
        assert type(error) is ConfigError
        assert "it belongs to another host; check endpoint_url" in str(error)

    @ALL
    async def test_a_certificate_that_has_expired(self, tmp_path: Path, kind: Kind, fd: int) -> None:
        """An expired certificate is refused, and the error says so."""
        context, pem = certificate(tmp_path, days=-1)
        error = await self.refused(context, kind, fd, ca_bundle=pem)
        assert type(error) is ConfigError
        assert "certificate has expired; the server needs a new one" in str(error)

    @ALL
    async def test_old_versions(self, trusted: Trusted, tmp_path: Path, kind: Kind, fd: int) -> None:
        """A server with TLS 1.1 or older is refused."""
        context, pem = certificate(tmp_path)
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings(action="ignore"):
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        assert isinstance(await self.refused(context, kind, fd, ca_bundle=pem), (ConfigError, TransientError))

    @ALL
    async def test_a_server_without_tls(self, kind: Kind, fd: int) -> None:
        """A server without TLS at an https endpoint is refused, and gets no request."""

        async def talk(peer: Peer) -> None:
            await peer.read(100)
            await peer.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

        server = RawServer(talk)
        await server.open(None, None)
        try:
            async with SessionPool() as pool:
                provider = make(server.port, pool, scheme="https")
                with within(0), pytest.raises((ConfigError, TransientError)):
                    await kind(provider, fd)
                assert (await client_of(provider)).pool.busy == 0
        finally:
            await server.close()


class TestBytes:
    """Bodies over TLS."""

    async def test_a_download(self, trusted: Trusted, fd: int) -> None:
        """Ranges are written at the right positions of the file, over one connection."""
        context, pem = trusted
        os.ftruncate(fd, 0)
        async with faulty(tls=context, ca_bundle=pem, read_timeout=5) as (provider, server):
            for start in range(0, len(DATA), 300 * KiB):
                sink = FileSink(fd)
                sink.position = start
                part = ByteRange(start, min(start + 300 * KiB, len(DATA)))
                await provider.fetch_range("k", sink, ReadOptions(byte_range=part))
            assert os.pread(fd, len(DATA) + 1, 0) == DATA
            assert server.connections == 1

    @pytest.mark.parametrize("source", ["file", "memory"])
    async def test_an_upload(self, trusted: Trusted, source: str, fd: int) -> None:
        """A part from a file and one from memory arrive complete."""
        context, pem = trusted
        whole = os.pread(fd, 3 * MiB, 0)
        arrived = bytearray()

        async def talk(peer: Peer) -> None:
            request = await peer.head()
            while len(arrived) < int(request.headers["content-length"]):
                arrived.extend(await peer.read(64 * KiB))
            assert request.headers["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
            await peer.send(WRITTEN)
            await peer.well()

        body = FileRange(fd, 5, 2 * MiB) if source == "file" else memoryview(whole)[5 : 2 * MiB]
        async with faulty(talk, tls=context, ca_bundle=pem, read_timeout=5) as (provider, _):
            assert (await provider.put_part(UPLOAD, 1, body)).etag == '"e1"'
        assert arrived == whole[5 : 2 * MiB]

    async def test_small_bodies(self, trusted: Trusted) -> None:
        """Small requests share one connection, for all sizes of their bodies."""
        context, pem = trusted
        async with faulty(tls=context, ca_bundle=pem, read_timeout=5) as (provider, server):
            for size in (0, 1, 16 * KiB, 256 * KiB):
                await provider.put_object("k", bytes(size), WriteOptions())
            assert await provider.get("k") == DATA
            assert server.connections == 1


class TestFaults:
    """Faults inside a TLS connection."""

    @READS
    @pytest.mark.parametrize("how", [closes, resets], ids=lambda how: how.__name__)
    async def test_cut(self, trusted: Trusted, kind: Kind, how: Callable[[Peer], object], fd: int) -> None:
        """A body that ends before its length is incomplete."""
        context, pem = trusted
        talk = answering(HEAD + DATA[:500_000], then=how)  # type: ignore[arg-type]
        async with faulty(talk, tls=context, ca_bundle=pem, read_timeout=5) as (provider, _):
            with within(0), pytest.raises(IncompleteBodyError):
                await kind(provider, fd)

    @READS
    @pytest.mark.slow
    async def test_stalled(self, trusted: Trusted, kind: Kind, fd: int) -> None:
        """A body that stalls is incomplete after `read_timeout`."""
        context, pem = trusted
        async with faulty(answering(HEAD + DATA[:500_000]), tls=context, ca_bundle=pem) as (provider, _):
            with within(2 * READ_TIMEOUT, least=READ_TIMEOUT), pytest.raises(IncompleteBodyError, match="stalled"):
                await kind(provider, fd)

    @ALL
    @pytest.mark.slow
    async def test_silent(self, trusted: Trusted, kind: Kind, fd: int) -> None:
        """If a server never answers, the request ends after `read_timeout`."""
        context, pem = trusted
        async with faulty(answering(), tls=context, ca_bundle=pem) as (provider, _):
            with within(2 * READ_TIMEOUT, least=READ_TIMEOUT), pytest.raises(RequestTimeoutError):
                await kind(provider, fd)

    @pytest.mark.slow
    async def test_an_upload_that_nobody_reads(self, trusted: Trusted, fd: int) -> None:
        """If a server reads no byte of a body, the request ends after `read_timeout`."""
        context, pem = trusted
        os.ftruncate(fd, 16 * MiB)

        async def talk(peer: Peer) -> None:
            await peer.head()
            peer._writer.transport.pause_reading()  # type: ignore[attr-defined]
            await peer.nothing()

        async with faulty(talk, tls=context, ca_bundle=pem, receive_buffer=64 * KiB) as (provider, _):
            with within(2 * READ_TIMEOUT, least=READ_TIMEOUT), pytest.raises(RequestTimeoutError):
                await provider.put_part(UPLOAD, 1, FileRange(fd, 0, 16 * MiB))

    @ALL
    async def test_a_stale_connection(self, trusted: Trusted, kind: Kind, fd: int) -> None:
        """A connection that was closed while idle is replaced, and the request is sent once."""
        context, pem = trusted
        answer = HEAD + DATA if kind in (get, fetch) else WRITTEN
        async with faulty(answering(answer, then=closes), tls=context, ca_bundle=pem, read_timeout=5) as (
            provider,
            server,
        ):
            await kind(provider, fd)
            await asyncio.sleep(0.05)
            await kind(provider, fd)
            assert (server.connections, len(server.requests)) == (2, 2)

    async def test_an_answer_that_is_redirected(self, trusted: Trusted, fd: int) -> None:
        """A redirect to plain http is not followed."""
        context, pem = trusted
        async with faulty() as (other, elsewhere):
            answer = bytes_of(Answer(307, b"", {"Location": f"http://127.0.0.1:{elsewhere.port}/bkt/k"}))
            talk = answering(answer, then=Peer.well)
            async with faulty(talk, tls=context, ca_bundle=pem, read_timeout=5) as (provider, _):
                with pytest.raises(StorageError):
                    await provider.head("k")
            assert elsewhere.connections == 0
            assert await other.exists("k")
