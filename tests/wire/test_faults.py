"""Faults of the network: each gives one typed error in time, and the connections work afterwards."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from bucketry import S3Provider, SessionPool
from bucketry._core.options import WriteOptions
from bucketry._core.units import KiB, MiB
from bucketry._core.values import FileRange, MultipartUpload, Part
from bucketry.errors import (
    AccessDeniedError,
    BucketNotFoundError,
    ConnectionFailedError,
    IncompleteBodyError,
    NotFoundError,
    PoolTimeoutError,
    RequestTimeoutError,
    StorageError,
    ThrottledError,
    TransientError,
    UnreachableError,
)
from tests.wire.raw import DATA, LIST, READ_TIMEOUT, Peer, bytes_of, client_of, faulty, make, sockets_to
from tests.wire.scripted import Answer, error
from tests.wire.test_requests import FileSink

UPLOAD = MultipartUpload(key="k", upload_id="u1")
PARTS = [Part(part_number=1, size=10, etag='"p1"', checksum="00000000")]
LATE = 1.5  # a timeout must be noticed within so many seconds, even on a busy machine
HEAD = bytes_of(Answer(200, b"", {"ETag": '"e1"', "Content-Length": str(len(DATA))}))
WRITTEN = bytes_of(Answer(200, b"", {"ETag": '"e1"'}))

Kind = Callable[[S3Provider, int], Awaitable[object]]


async def get(provider: S3Provider, _: int) -> object:
    """Read on the event loop."""
    async with provider.open_body("k") as body:
        return await body.read()


async def fetch(provider: S3Provider, fd: int) -> object:
    """Read into a file, in a lane."""
    return await provider.fetch_range("k", FileSink(fd))


async def put(provider: S3Provider, _: int) -> object:
    """Write on the event loop."""
    return await provider.put_object("k", b"small", WriteOptions())


async def part(provider: S3Provider, fd: int) -> object:
    """Write from a file, in a lane."""
    return await provider.put_part(UPLOAD, 1, FileRange(fd, 0, MiB))


READS = pytest.mark.parametrize("kind", [get, fetch], ids=lambda kind: kind.__name__)
WRITES = pytest.mark.parametrize("kind", [put, part], ids=lambda kind: kind.__name__)
ALL = pytest.mark.parametrize("kind", [get, fetch, put, part], ids=lambda kind: kind.__name__)


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    """Give an open file of 16 MiB of zeros."""
    path = tmp_path / "file"
    path.write_bytes(b"")
    os.truncate(path, 16 * MiB)
    found = os.open(path, os.O_RDWR)
    yield found
    os.close(found)


@contextmanager
def within(seconds: float, *, least: float = 0.0) -> Iterator[None]:
    """Check that the block takes no longer than a time."""
    begun = time.monotonic()
    yield
    assert least <= time.monotonic() - begun <= seconds + LATE


def answering(
    *pieces: bytes, then: Callable[[Peer], Awaitable[None]] = Peer.nothing
) -> Callable[[Peer], Awaitable[None]]:
    """Give a talk that takes one request, sends these bytes, and then does `then`."""

    async def talk(peer: Peer) -> None:
        await peer.request()
        await peer.send(*pieces)
        await then(peer)

    return talk


async def closes(peer: Peer) -> None:
    """Close."""


async def resets(peer: Peer) -> None:
    """Reset the connection."""
    await asyncio.sleep(0.05)  # a reset would drop the bytes that were just sent
    peer.reset()


async def half_closes(peer: Peer) -> None:
    """Close one direction."""
    peer.end()
    await peer.nothing()


class TestBeforeTheHead:
    """The server sends no head, or one that cannot be parsed."""

    @ALL
    @pytest.mark.parametrize("how", [closes, resets, half_closes], ids=lambda how: how.__name__)
    @pytest.mark.parametrize("sent", [b"", HEAD[:9], HEAD[:-2]], ids=["nothing", "a line", "all but its end"])
    async def test_closed(self, kind: Kind, how: Callable[[Peer], Awaitable[None]], sent: bytes, fd: int) -> None:
        """A connection that ends before the head is complete is an error."""
        async with faulty(answering(sent, then=how)) as (provider, server):
            with within(0), pytest.raises(ConnectionFailedError) as caught:
                await kind(provider, fd)
            assert type(caught.value) is ConnectionFailedError
            assert (caught.value.key, caught.value.bucket) == ("k", "bkt")
            assert len(server.requests) == 1

    @ALL
    @pytest.mark.slow
    @pytest.mark.parametrize("sent", [b"", HEAD[:9], HEAD[:-2]], ids=["nothing", "a line", "all but its end"])
    async def test_stalled(self, kind: Kind, sent: bytes, fd: int) -> None:
        """If a server stalls before its head is complete, the request ends after `read_timeout`."""
        async with faulty(answering(sent)) as (provider, server):
            with within(READ_TIMEOUT, least=READ_TIMEOUT), pytest.raises(RequestTimeoutError):
                await kind(provider, fd)
            assert len(server.requests) == 1

    @ALL
    @pytest.mark.parametrize(
        "sent",
        [
            b"SSH-2.0-OpenSSH_9.6\r\n",
            b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03",
            hashlib.sha512(b"random").digest().replace(b"H", b"h"),
            b"\0" * 100,
            b"\r\n\r\n",
            b"HTTP/2.0 200 OK\r\n\r\n",
            b"HTTP/1.1 2000 OK\r\n\r\n",
            b"HTTP/1.1 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nabcde",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nabcde",
            b"HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\nabcde",
            b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n" + b"".join(b"x-%d: y\r\n" % number for number in range(1000)) + b"\r\n",
        ],
        ids=lambda sent: ascii(sent[:60].replace(b"HTTP/1.1 ", b"")),
    )
    async def test_garbage(self, kind: Kind, sent: bytes, fd: int) -> None:
        """Bytes that are not HTTP/1.1, or ambiguous, end the request at once."""
        async with faulty(answering(sent)) as (provider, server):
            with within(0), pytest.raises(ConnectionFailedError) as caught:
                await kind(provider, fd)
            assert type(caught.value) is ConnectionFailedError
            assert server.connections == 1

    @ALL
    @pytest.mark.parametrize(
        ("beginning", "again"),
        [
            (b"HTTP/1.1 200 OK\r\n", b"X-Filler: " + b"x" * 1000 + b"\r\n"),
            (b"HTTP/1.1 200 OK\r\nX-Long: ", b"x" * 1000),
            (b"HTTP/1.1 ", b"2" * 1000),
            (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
            (b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"),
        ],
        ids=["headers", "a header", "a line", "100", "103"],
    )
    async def test_endless(self, kind: Kind, beginning: bytes, again: bytes, fd: int) -> None:
        """An endless head, or endless interim answers, are refused at a limit."""

        async def for_ever(peer: Peer) -> None:
            while True:
                await peer.send(again)
                await asyncio.sleep(0)

        async with faulty(answering(beginning, then=for_ever)) as (provider, _):
            with within(1), pytest.raises(ConnectionFailedError) as caught:
                await kind(provider, fd)
            assert type(caught.value) is ConnectionFailedError

    @ALL
    async def test_some_interim_answers(self, kind: Kind, fd: int) -> None:
        """A few interim answers are skipped."""
        interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\nX: y\r\n\r\n"
        final = HEAD + DATA if kind in (get, fetch) else WRITTEN
        async with faulty(answering(interim, final, then=Peer.well)) as (provider, server):
            await kind(provider, fd)
            assert len(server.requests) == 1


class TestInTheBody:
    """Faults after a correct head."""

    @READS
    @pytest.mark.parametrize("how", [closes, resets, half_closes], ids=lambda how: how.__name__)
    @pytest.mark.parametrize("count", [0, 1, len(DATA) // 2, len(DATA) - 1])
    async def test_cut(self, kind: Kind, how: Callable[[Peer], Awaitable[None]], count: int, fd: int) -> None:
        """A body that ends before its length is incomplete, for every kind of end."""
        async with faulty(answering(HEAD + DATA[:count], then=how)) as (provider, server):
            with within(0), pytest.raises(IncompleteBodyError):
                await kind(provider, fd)
            assert len(server.requests) == 1

    async def test_what_came_is_in_the_file(self, fd: int) -> None:
        """If a body for a file is cut, the file has exactly the received bytes: a transfer requests the rest."""
        for count in (0, 1, 5 * KiB, len(DATA) // 2, len(DATA) - 1):
            async with faulty(answering(HEAD + DATA[:count], then=closes)) as (provider, _):
                sink = FileSink(fd)
                with pytest.raises(IncompleteBodyError):
                    await provider.fetch_range("k", sink)
                assert sink.position == count
                assert os.pread(fd, count, 0) == DATA[:count]

    @READS
    @pytest.mark.slow
    @pytest.mark.parametrize("count", [0, 1, len(DATA) // 2])
    async def test_stalled(self, kind: Kind, count: int, fd: int) -> None:
        """A body that stalls is incomplete after `read_timeout`."""
        async with faulty(answering(HEAD + DATA[:count])) as (provider, _):
            with within(2 * READ_TIMEOUT, least=READ_TIMEOUT), pytest.raises(IncompleteBodyError, match="stalled"):
                await kind(provider, fd)

    @READS
    async def test_longer_than_its_length(self, kind: Kind, fd: int) -> None:
        """Bytes after the body's length are ignored, and their connection is not used again."""
        async with faulty(answering(HEAD + DATA + b"HTTP/1.1 200 OK\r\n\r\n")) as (provider, server):
            found = await kind(provider, fd)
            assert found == DATA if kind is get else os.pread(fd, len(DATA) + 1, 0) == DATA + b"\0"
            await asyncio.sleep(0)
            await provider.head("k")
            assert server.connections == 2

    @READS
    async def test_without_a_length(self, kind: Kind, fd: int) -> None:
        """A body without a length ends with the connection, so it may be incomplete: it is refused."""
        endless = HEAD.replace(b"Content-Length", b"X-Length") + DATA
        async with faulty(answering(endless, then=closes)) as (provider, _):
            with pytest.raises(TransientError):
                await kind(provider, fd)

    @READS
    async def test_chunks(self, kind: Kind, fd: int) -> None:
        """A chunked body is refused, with correct or wrong chunks: the object's size is not known."""
        head = HEAD.replace(b"Content-Length: %d" % len(DATA), b"Transfer-Encoding: chunked")
        for chunks in (b"5\r\nabcde\r\n0\r\n\r\n", b"zz\r\nabcde", b"5\r\nab"):
            async with faulty(answering(head + chunks, then=closes)) as (provider, _):
                with within(0), pytest.raises(TransientError):
                    await kind(provider, fd)

    @pytest.mark.parametrize("count", [0, 10, len(LIST) - 1])
    @pytest.mark.parametrize("how", [closes, resets], ids=lambda how: how.__name__)
    async def test_a_listing_that_is_cut(self, count: int, how: Callable[[Peer], Awaitable[None]]) -> None:
        """An incomplete page of a listing is an error."""
        page = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(LIST) + LIST[:count]
        async with faulty(answering(page, then=how)) as (provider, _):
            with pytest.raises(TransientError):
                await provider.list_page()

    @pytest.mark.slow
    async def test_a_listing_that_stalls(self) -> None:
        """If a page stalls, the request ends after `read_timeout`."""
        page = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(LIST) + LIST[:10]
        async with faulty(answering(page)) as (provider, _):
            with within(READ_TIMEOUT), pytest.raises(TransientError):
                await provider.list_page()

    @pytest.mark.slow
    async def test_an_error_whose_body_stalls(self, fd: int) -> None:
        """An error's XML that stalls ends after `read_timeout`, like every body."""
        head = b"HTTP/1.1 503 Slow Down\r\nContent-Length: 100\r\n\r\n<Error>"
        for kind in (get, fetch, put, part):
            async with faulty(answering(head)) as (provider, _):
                with within(2 * READ_TIMEOUT), pytest.raises(TransientError):
                    await kind(provider, fd)

    async def test_an_error_without_an_end(self, fd: int) -> None:
        """An endless error body is read only up to a limit."""

        async def for_ever(peer: Peer) -> None:
            while True:
                await peer.send(b" " * 64 * KiB)

        head = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 999999999999\r\n\r\n<Error>"
        for kind in (get, fetch, put, part):
            async with faulty(answering(head, then=for_ever)) as (provider, _):
                with within(1), pytest.raises(StorageError):
                    await kind(provider, fd)


class TestSlow:
    """Slow servers that are not idle."""

    @ALL
    @pytest.mark.slow
    async def test_a_head_that_trickles(self, kind: Kind, fd: int) -> None:
        """With a byte every 0.05 s, a timeout of 0.2 s does not expire."""

        async def talk(peer: Peer) -> None:
            await peer.request()
            whole = HEAD + DATA if kind in (get, fetch) else WRITTEN
            await peer.send(*(whole[at : at + 1] for at in range(10)), pause=0.05)
            await peer.send(whole[10:])
            await peer.well()

        async with faulty(talk) as (provider, server):
            with within(0.5, least=0.5):
                await kind(provider, fd)
            assert len(server.requests) == 1

    @READS
    @pytest.mark.slow
    async def test_a_body_that_trickles(self, kind: Kind, fd: int) -> None:
        """The same for the body."""

        async def talk(peer: Peer) -> None:
            await peer.request()
            await peer.send(HEAD, DATA[:-10])
            await peer.send(*(DATA[at : at + 1] for at in range(len(DATA) - 10, len(DATA))), pause=0.05)
            await peer.well()

        async with faulty(talk) as (provider, server):
            with within(0.5, least=0.4):
                await kind(provider, fd)
            assert len(server.requests) == 1

    @pytest.mark.slow
    @pytest.mark.parametrize("source", ["file", "memory"])
    async def test_an_upload_that_nobody_reads(self, source: str, fd: int) -> None:
        """If a server reads no byte of a body, the request ends after `read_timeout`."""

        async def talk(peer: Peer) -> None:
            await peer.head()
            await peer.nothing()

        body = FileRange(fd, 0, 16 * MiB) if source == "file" else bytes(16 * MiB)
        async with faulty(talk, receive_buffer=64 * KiB) as (provider, _):
            with within(2 * READ_TIMEOUT, least=READ_TIMEOUT), pytest.raises(RequestTimeoutError):
                await provider.put_part(UPLOAD, 1, body)

    @pytest.mark.slow
    @pytest.mark.parametrize("source", ["file", "memory"])
    async def test_an_upload_that_is_read_slowly(self, source: str, fd: int) -> None:
        """An upload continues while the server reads some bytes."""

        async def talk(peer: Peer) -> None:
            left = int((await peer.head()).headers["content-length"])
            while left > 0:
                left -= len(await peer.read(64 * KiB))
                await asyncio.sleep(0.03)
            await peer.send(WRITTEN)
            await peer.well()

        size = 3 * MiB
        body = FileRange(fd, 0, size) if source == "file" else bytes(size)
        async with faulty(talk, receive_buffer=64 * KiB) as (provider, server):
            with within(10, least=3 * READ_TIMEOUT):
                assert (await provider.put_part(UPLOAD, 1, body)).etag == '"e1"'
            assert len(server.requests) == 1

    @pytest.mark.slow
    async def test_an_answer_that_takes_its_time(self, fd: int) -> None:
        """Several idle times, each shorter than `read_timeout`, cause no error."""

        async def talk(peer: Peer) -> None:
            for _ in range(4):
                await peer.request()
                await asyncio.sleep(0.1)
                await peer.send(WRITTEN)
            await peer.well()

        async with faulty(talk) as (provider, server):
            for _ in range(4):
                await put(provider, fd)
            assert server.connections == 1


class TestAnswersBeforeTheEnd:
    """An answer comes while the body is still being sent."""

    @WRITES
    @pytest.mark.parametrize(
        ("answer", "expected"),
        [(error("AccessDenied", 403), AccessDeniedError), (error("SlowDown", 503), ThrottledError)],
        ids=["403", "503"],
    )
    async def test_and_the_server_reads_on(
        self, kind: Kind, answer: Answer, expected: type[StorageError], fd: int
    ) -> None:
        """The answer is the result, and the connection is not used again."""

        async def talk(peer: Peer) -> None:
            await peer.head()
            await peer.send(bytes_of(answer).replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
            with suppress(ConnectionError):
                while True:
                    await peer.read(64 * KiB)

        async with faulty(talk, receive_buffer=64 * KiB) as (provider, server):
            with within(1), pytest.raises(expected) as caught:
                await kind(provider, fd)
            assert type(caught.value) is expected
            await provider.head("k")
            assert server.connections == 2

    @pytest.mark.parametrize("status", [403, 503])
    async def test_and_the_server_closes(self, status: int, fd: int) -> None:
        """A server that closes at once may lose its own answer: then the result is a connection error."""

        async def talk(peer: Peer) -> None:
            await peer.head()
            await peer.send(bytes_of(error("AccessDenied" if status == 403 else "SlowDown", status)))

        for kind in (put, part):
            async with faulty(talk) as (provider, _):
                with within(0), pytest.raises((AccessDeniedError, ThrottledError, ConnectionFailedError)):
                    await kind(provider, fd)

    @pytest.mark.slow
    async def test_and_the_server_waits(self, fd: int) -> None:
        """A server that answers, and then neither reads nor closes, does not block the request for ever."""

        async def talk(peer: Peer) -> None:
            await peer.head()
            await peer.send(bytes_of(error("AccessDenied", 403)))
            await peer.nothing()

        async with faulty(talk, receive_buffer=64 * KiB) as (provider, _):
            with within(2 * READ_TIMEOUT), pytest.raises((AccessDeniedError, RequestTimeoutError)):
                await provider.put_part(UPLOAD, 1, FileRange(fd, 0, 16 * MiB))


class TestRedirects:
    """Answers that redirect."""

    @ALL
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    async def test_are_not_followed(self, kind: Kind, status: int, fd: int) -> None:
        """The target of a redirect gets neither a request nor a connection."""
        async with faulty() as (other, elsewhere):
            location = f"http://127.0.0.1:{elsewhere.port}/bkt/k"
            body = error("PermanentRedirect" if status == 301 else "Redirect", status).body
            answer = bytes_of(Answer(status, body, {"Location": location}))
            async with faulty(answering(answer, then=Peer.well)) as (provider, server):
                with pytest.raises(StorageError) as caught:
                    await kind(provider, fd)
                assert isinstance(caught.value, (BucketNotFoundError, TransientError))
                assert len(server.requests) == 1
            assert elsewhere.connections == 0
            assert await other.exists("k")


class TestStaleConnections:
    """The server closes an idle connection."""

    @ALL
    async def test_between_requests(self, kind: Kind, fd: int) -> None:
        """The closed idle connection is noticed, and the next request is sent once, on a new connection."""
        answer = HEAD + DATA if kind in (get, fetch) else WRITTEN
        async with faulty(answering(answer, then=closes)) as (provider, server):
            await kind(provider, fd)
            client = await client_of(provider)
            for _ in range(100):
                if not sockets_to(server.port) or kind in (fetch, part):
                    break
                await asyncio.sleep(0.005)
            assert client.pool.busy == 0
            await kind(provider, fd)
            assert (server.connections, len(server.requests)) == (2, 2)

    @ALL
    @pytest.mark.parametrize("how", [closes, resets], ids=lambda how: how.__name__)
    async def test_as_the_next_request_comes(self, kind: Kind, how: Callable[[Peer], Awaitable[None]], fd: int) -> None:
        """A repeatable request on an old connection that closes without a byte is sent once more, on a new one."""
        answer = HEAD + DATA if kind in (get, fetch) else WRITTEN

        async def talk(peer: Peer) -> None:
            await peer.request()
            await peer.send(answer)
            await peer.request()
            await how(peer)

        async with faulty(talk, answering(answer, then=Peer.well), answering(then=closes)) as (provider, server):
            await kind(provider, fd)
            await kind(provider, fd)
            assert (server.connections, len(server.requests)) == (2, 3)

    @ALL
    async def test_not_on_a_new_connection(self, kind: Kind, fd: int) -> None:
        """A new connection that closes without an answer is an error at once, because it was not idle before."""
        async with faulty(answering(then=closes)) as (provider, server):
            with pytest.raises(ConnectionFailedError):
                await kind(provider, fd)
            assert (server.connections, len(server.requests)) == (1, 1)

    @ALL
    async def test_not_after_a_byte(self, kind: Kind, fd: int) -> None:
        """After a byte of the answer, the server has seen the request: it is not repeated here."""
        answer = HEAD + DATA if kind in (get, fetch) else WRITTEN

        async def talk(peer: Peer) -> None:
            await peer.request()
            await peer.send(answer)
            await peer.request()
            await peer.send(b"HTTP/1.1 200")

        async with faulty(talk) as (provider, server):
            await kind(provider, fd)
            with pytest.raises(ConnectionFailedError):
                await kind(provider, fd)
            assert (server.connections, len(server.requests)) == (1, 2)

    @ALL
    @pytest.mark.slow
    async def test_not_after_a_silence(self, kind: Kind, fd: int) -> None:
        """An old connection that stalls gives a timeout, and no repeat."""
        answer = HEAD + DATA if kind in (get, fetch) else WRITTEN

        async def talk(peer: Peer) -> None:
            await peer.request()
            await peer.send(answer)
            await peer.request()
            await peer.nothing()

        async with faulty(talk) as (provider, server):
            await kind(provider, fd)
            with within(2 * READ_TIMEOUT), pytest.raises(RequestTimeoutError):
                await kind(provider, fd)
            assert (server.connections, len(server.requests)) == (1, 2)

    @pytest.mark.parametrize("size", [5, 300 * KiB], ids=["small", "large"])
    async def test_a_conditional_write_is_settled(self, size: int) -> None:
        """If a stale connection may have delivered a create-only put, HEAD checks the object before a repeat."""
        missing = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"

        async def talk(peer: Peer) -> None:
            await peer.request()
            await peer.send(WRITTEN)
            await peer.request()

        async def then(peer: Peer) -> None:
            if (await peer.request()).method == "HEAD":
                await peer.send(missing)
            else:
                await peer.send(WRITTEN)
            await peer.well()

        async with faulty(talk, then, then, max_attempts=3) as (provider, server):
            await provider.put_part(UPLOAD, 1, bytes(size))
            await provider.put("k", bytes(size), if_none_match="*")
            assert server.asked[1:] == ["PUT", "HEAD", "PUT"]

    async def test_a_completion_is_not_repeated(self) -> None:
        """A completion on a stale connection is sent once: the transfer finds out whether it succeeded."""

        async def talk(peer: Peer) -> None:
            await peer.request()
            await peer.send(HEAD)
            await peer.request()

        async with faulty(talk, max_attempts=3) as (provider, server):
            await provider.head("k")
            with pytest.raises(ConnectionFailedError):
                await provider.complete_multipart(UPLOAD, PARTS, WriteOptions())
            assert server.asked == ["HEAD", "POST"]

    async def test_bytes_that_nobody_asked_for(self, fd: int) -> None:
        """A connection that receives bytes while it is idle is not used again."""
        for kind, answer in ((get, HEAD + DATA), (fetch, HEAD + DATA), (put, WRITTEN), (part, WRITTEN)):
            sent = asyncio.Event()

            async def talk(peer: Peer, answer: bytes = answer, sent: asyncio.Event = sent) -> None:
                await peer.request()
                await peer.send(answer)
                await asyncio.sleep(0.02)
                await peer.send(bytes_of(Answer(404)))
                sent.set()
                await peer.nothing()

            async with faulty(talk) as (provider, server):
                await kind(provider, fd)
                await sent.wait()
                await asyncio.sleep(0.02)
                await kind(provider, fd)
                assert server.connections == 2


class TestTimeouts:
    """The timeouts of the configuration."""

    @ALL
    async def test_refused(self, kind: Kind, fd: int) -> None:
        """If no server listens, the result is a connection error, and no slot stays taken."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        async with SessionPool() as pool:
            provider = make(port, pool)
            with within(0), pytest.raises(ConnectionFailedError, match="cannot connect") as caught:
                await kind(provider, fd)
            assert type(caught.value) is UnreachableError
            assert (await client_of(provider)).pool.busy == 0

    @ALL
    @pytest.mark.slow
    async def test_a_full_backlog(self, kind: Kind, fd: int) -> None:
        """If a host accepts no connection, the request ends after `connect_timeout`."""
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            listening.listen(0)
            port = listening.getsockname()[1]
            waiting = []
            for _ in range(4):
                one = socket.socket()
                one.setblocking(False)  # noqa: FBT003 - the library's own
                with suppress(BlockingIOError):
                    one.connect(("127.0.0.1", port))
                waiting.append(one)
            async with SessionPool() as pool:
                provider = make(port, pool, connect_timeout=0.2)
                with within(0.2, least=0.2), pytest.raises(RequestTimeoutError, match=r"connecting .* 0\.2 s"):
                    await kind(provider, fd)
                assert (await client_of(provider)).pool.busy == 0
            for one in waiting:
                one.close()
            assert sockets_to(port) == 0

    @ALL
    @pytest.mark.slow
    async def test_no_handshake(self, kind: Kind, fd: int) -> None:
        """If a server makes no TLS handshake, the request ends after `connect_timeout`, and no thread keeps waiting."""

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            async with SessionPool() as pool:
                provider = make(port, pool, scheme="https", connect_timeout=0.2)
                with within(0.2, least=0.2), pytest.raises(RequestTimeoutError):
                    await kind(provider, fd)
                assert (await client_of(provider)).pool.busy == 0
            for _ in range(3):
                await asyncio.sleep(0)
            assert sockets_to(port) == 0

    @ALL
    @pytest.mark.slow
    async def test_no_free_connection(self, kind: Kind, fd: int) -> None:
        """A caller that waits longer than `pool_timeout` gets an error with the limit; requests under way continue."""

        async def slowly(peer: Peer) -> None:
            await peer.request()
            await asyncio.sleep(0.4)
            await peer.send(HEAD)
            await peer.well()

        async with faulty(slowly, max_connections=1, pool_timeout=0.1, read_timeout=5) as (provider, server):
            first = asyncio.create_task(provider.head("k"))
            await server.asked_once()
            with within(0.1, least=0.1), pytest.raises(PoolTimeoutError, match="none of the 1 connections"):
                await kind(provider, fd)
            await first
            assert server.asked == ["HEAD"]

    @ALL
    @pytest.mark.slow
    async def test_too_long_in_all(self, kind: Kind, fd: int) -> None:
        """One request with its body takes no longer than `total_timeout`, even if bytes arrive steadily."""

        async def talk(peer: Peer) -> None:
            await peer.request()
            await peer.send(HEAD if kind in (get, fetch) else b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while True:
                await peer.send(b"x", pause=0.05)

        async with faulty(talk, total_timeout=0.4, read_timeout=5) as (provider, _):
            with within(0.4, least=0.4), pytest.raises((RequestTimeoutError, IncompleteBodyError)):
                async with asyncio.timeout(1.5):
                    await kind(provider, fd)

    @ALL
    @pytest.mark.slow
    async def test_cancelled(self, kind: Kind, fd: int) -> None:
        """A cancelled request ends at once, for every state of the server, and leaves nothing open."""
        async with faulty(answering(HEAD if kind in (get, fetch) else b""), read_timeout=60) as (provider, server):
            task = asyncio.create_task(kind(provider, fd))  # type: ignore[arg-type]
            await server.asked_once()
            await asyncio.sleep(0.05)
            with within(0):
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task


async def test_a_missing_object_keeps_the_connection(fd: int) -> None:
    """After an error answer that was read to its end, the next request uses the same connection."""
    missing = bytes_of(error("NoSuchKey", 404))

    async def talk(peer: Peer) -> None:
        for _ in range(3):
            await peer.request()
            await peer.send(missing)
        await peer.well()

    for kind in (get, fetch):
        async with faulty(talk) as (provider, server):
            for _ in range(3):
                with pytest.raises(NotFoundError):
                    await kind(provider, fd)
            assert server.connections == 1
