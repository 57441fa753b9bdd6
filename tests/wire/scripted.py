"""A server on the loopback that sends the answers of a test and records the requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Self

REASONS = {200: "OK", 206: "Partial Content", 301: "Moved Permanently", 307: "Temporary Redirect", 404: "Not Found"}


@dataclass(frozen=True, slots=True)
class Request:
    """A received request: header names in lower case, the target exactly as received."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """The part of the target after the question mark."""
        return self.target.partition("?")[2]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to send.

    Attributes:
        status: Of the answer.
        body: Its bytes.
        headers: In addition to `Content-Length`; a value given here replaces it, and `None` removes it.
        cut: Bytes of the body after which the connection is closed.
        stall: Send nothing more after `cut` bytes (all, if there is no cut), and keep the connection open.
        chunked: Send the body in chunks, without a length.
        drop: Send no answer at all and close; with `stall`, keep the connection open.
        after: Send nothing before this event.
        hold: Send the head, and the body only after this event.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str | None] = field(default_factory=dict)
    cut: int | None = None
    stall: bool = False
    chunked: bool = False
    drop: bool = False
    after: asyncio.Event | None = None
    hold: asyncio.Event | None = None


Script = Callable[[Request], Answer]


def error(code: str, status: int, message: str = "said the server", **headers: str) -> Answer:
    """Give S3's XML for an error; `headers` with underscores for hyphens."""
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{code}</Code><Message>{message}</Message><RequestId>REQ7</RequestId></Error>"
    ).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, body, {"x-amz-request-id": "REQ7", **named})


def created(upload_id: str) -> Answer:
    """Answer CreateMultipartUpload."""
    return _document("InitiateMultipartUploadResult", f"<UploadId>{upload_id}</UploadId>")


def completed(etag: str) -> Answer:
    """Answer CompleteMultipartUpload."""
    return _document("CompleteMultipartUploadResult", f"<ETag>{etag}</ETag>")


def _document(name: str, inside: str) -> Answer:
    return Answer(200, f'<{name} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{inside}</{name}>'.encode())


def content(data: bytes, request: Request, etag: str = '"e1"', **more: str) -> Answer:
    """Answer a GET as S3 does: the requested range, `Content-Range`, the etag; 412 for another `If-Match`."""
    if request.headers.get("if-match", etag) != etag:
        return error("PreconditionFailed", 412)
    headers = {"ETag": etag, "Last-Modified": "Wed, 21 Oct 2026 07:28:00 GMT", **more}
    asked = request.headers.get("range")
    if asked is None:
        return Answer(200, data, headers)
    start, _, last = asked.removeprefix("bytes=").partition("-")
    first, end = int(start), min(int(last) + 1, len(data))
    headers["Content-Range"] = f"bytes {first}-{end - 1}/{len(data)}"
    return Answer(206, data[first:end], headers)


class Scripted:
    """The server: a function gives the answers, or a list of answers is used in order."""

    def __init__(self, script: Script | Iterable[Answer], *, keep: bool = True) -> None:
        """Store the script, and whether to keep the received bodies; no I/O."""
        self._keep = keep
        self._script = script if callable(script) else _from_list(script)
        self.requests: list[Request] = []
        self.connections = 0
        self._server: asyncio.Server | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    @property
    def url(self) -> str:
        """The server's URL."""
        assert self._server is not None
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"http://{host}:{port}"

    @property
    def asked(self) -> list[str]:
        """Method and path of every request."""
        return [f"{request.method} {request.path}" for request in self.requests]

    async def __aenter__(self) -> Self:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *ended: object) -> None:
        """Close all connections."""
        assert self._server is not None
        self._server.close()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        for writer in self._writers:
            writer.transport.abort()  # unread bytes would keep the connection open after the loop's end
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        self._writers.append(writer)
        self.connections += 1
        try:
            while (request := await _read(reader, keep=self._keep)) is not None:
                self.requests.append(request)
                if not await _send(writer, self._script(request), request):
                    break
        except (ConnectionError, asyncio.CancelledError):
            pass  # the client has gone, or the test has ended
        finally:
            writer.close()
            self._running.discard(task)


@asynccontextmanager
async def serving(script: Script | Iterable[Answer], *, keep: bool = True) -> AsyncIterator[Scripted]:
    """Run a scripted server."""
    async with Scripted(script, keep=keep) as server:
        yield server


def _from_list(answers: Iterable[Answer]) -> Script:
    remaining = iter(answers)

    def script(request: Request) -> Answer:
        return next(remaining, error("ScriptIsOver", 418, f"{request.method} {request.target} was not expected"))

    return script


async def _read(reader: asyncio.StreamReader, *, keep: bool) -> Request | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    pairs = (line.partition(":") for line in lines if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    body = b""
    if headers.get("transfer-encoding") == "chunked":
        while size := int((await reader.readline()).split(b";")[0], 16):
            body += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readuntil(b"\r\n")
    elif (length := int(headers.get("content-length", "0"))) and keep:
        body = await reader.readexactly(length)
    else:
        while length:
            length -= len(await reader.readexactly(min(length, 1 << 16)))
    return Request(method, target, headers, body)


async def _send(writer: asyncio.StreamWriter, answer: Answer, request: Request) -> bool:
    """Send the answer; `False`: close the connection now."""
    if answer.drop and not answer.stall:
        return False
    if answer.drop:
        await asyncio.get_running_loop().create_future()
    body = b"" if request.method == "HEAD" else answer.body
    headers: dict[str, str | None] = {"Content-Length": str(len(answer.body)), **answer.headers}
    if answer.chunked:
        headers |= {"Content-Length": None, "Transfer-Encoding": "chunked"}
        body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (body, b""))
    lines = [f"HTTP/1.1 {answer.status} {REASONS.get(answer.status, 'Whatever')}"]
    lines += [f"{name}: {value}" for name, value in headers.items() if value is not None]
    if answer.after is not None:
        await answer.after.wait()
    head, sent = "\r\n".join([*lines, "", ""]).encode(), body if answer.cut is None else body[: answer.cut]
    if answer.hold is not None:
        writer.write(head)
        await answer.hold.wait()
        head = b""
    writer.write(head + sent)
    await writer.drain()
    if answer.stall:
        await asyncio.get_running_loop().create_future()
    return answer.cut is None
