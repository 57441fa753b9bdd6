"""HTTP/1.1 without I/O: turns a request's head into bytes, and a response's bytes into its head and body.

There are no sockets and no waiting here, so both directions are tested as plain functions. llhttp (`httptools`) checks
heads and parses chunks. This module decides where a body ends, and is stricter than RFC 9112: it refuses a response
with two lengths, or with a length and chunks. A redirect is a response like any other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from bucketry._core.units import KiB
from bucketry._wire.errors import WireError
from bucketry.errors import ConnectionFailedError, InvalidRequestError

MAX_HEAD = 64 * KiB  # S3's own heads are below 10 KiB, metadata included
_USUAL_HEAD = 4 * KiB  # the end of a head is searched in so many bytes first, because few heads are longer
MAX_HEADERS = 256
MAX_INTERIM = 16  # 1xx responses before the final one; servers send one or two during a long copy
_OVERHEAD = 16  # allowed bytes of chunk framing for each byte of the body, besides MAX_HEAD; 1-byte chunks need 5

_METHODS = frozenset({"GET", "HEAD", "PUT", "POST", "DELETE"})
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] [1-9][0-9][0-9][ \r]")
_OLD = b"HTTP/1.0"
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked *\r\n", re.IGNORECASE)
_END = b"\r\n\r\n"
_NO_CALLBACKS = object()  # a receiver without callbacks, for a parser that only checks
_NO_BODY = frozenset({204, 304})
_SWITCHING = 101


class ProtocolError(WireError):
    """The server sent something that is not HTTP/1.1 or exceeds the limits; the connection cannot be used again."""

    def __init__(self, problem: str) -> None:
        """Store the problem."""
        super().__init__(ConnectionFailedError, f"the answer cannot be understood: {problem}")


class RequestHead(bytes):
    """The head of a request. Its repr hides the signature, because error reports show the repr of a frame's locals."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Show the size only."""
        return f"<head of {len(self)} bytes>"


def header_lines(headers: Mapping[str, str]) -> str:
    """Return the lines of a head for `request_head`.

    Args:
        headers: The headers by name, in upper or lower case; `host` must be among them.

    Raises:
        WireError: HTTP does not allow one of the headers: it contains CR, LF, NUL or another control character, or its
            name is not a token.
    """
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    content = lines.replace("\r\n", "")
    # `line_ends` is too large if an argument contains a line end. A lone CR or LF stays in `content`.
    line_ends = (len(lines) - len(content)) // 2
    names_are_fine = line_ends == len(headers) and all(map(_is_token, headers))
    values_are_fine = content.isprintable() or not _CONTROL.search(content)  # `isprintable` is quick, but refuses more
    if not names_are_fine or not values_are_fine:
        # The values are left out of the message, because they may be secret.
        wrong = [name for name, value in headers.items() if not _is_token(name) or _CONTROL.search(value)]
        raise _unsendable(f"the header {wrong[0]!r} or its value holds characters that no header can")
    return lines


def request_head(method: str, target: str, lines: str) -> RequestHead:
    """Return the head of a request.

    Args:
        method: The method, in capitals.
        target: Path and query, percent-encoded.
        lines: The headers, by `header_lines`.

    Raises:
        WireError: The method is none of S3's, or the target contains a space or another character that HTTP forbids.
    """
    if method not in _METHODS:
        raise _unsendable(f"the method {method!r} is not one of S3's")
    if not target.isascii() or not target.isprintable() or " " in target or not target:
        raise _unsendable("its path holds characters that are not percent-encoded")
    return RequestHead(f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode())


def _unsendable(problem: str) -> WireError:
    return WireError(InvalidRequestError, f"the request cannot be sent: {problem}")


class AnswerHead:
    """Status and headers of a response.

    Attributes:
        status: The status, such as 206.
        headers: The headers by lower-case name; the values of a repeated header are joined with commas.
        length: The body's length in bytes; `None`: the body ends with its last chunk, or with the connection.
        keep_alive: Whether the server allows another request on the connection.
    """

    __slots__ = ("headers", "keep_alive", "length", "status")

    def __init__(self, status: int, headers: dict[str, str], length: int | None, *, keep_alive: bool) -> None:
        self.status = status
        self.headers = headers
        self.length = length
        self.keep_alive = keep_alive


class AnswerReader:
    """Reads the response to one request, in pieces of any size.

    Attributes:
        head: The head of the final response; `None` until it is complete.
        received: The number of bytes of the body received so far.
        done: Whether the body is complete.
        surplus: Whether bytes came after the end of the response.
    """

    __slots__ = (
        "_body",
        "_fed",
        "_has_body",
        "_interim",
        "_parser",
        "_pending",
        "_remaining",
        "_tail",
        "done",
        "head",
        "received",
        "surplus",
    )

    def __init__(self, method: str) -> None:
        """Begin to read the response to a request with this method."""
        self.head: AnswerHead | None = None
        self.received = 0
        self.done = False
        self.surplus = False
        self._has_body = method != "HEAD"
        self._remaining: int | None = None
        self._pending = b""
        self._interim = 0
        self._fed = 0
        self._tail = b""
        self._body: list[bytes] = []
        self._parser: HttpResponseParser | None = None  # exists until the last chunk, because it refers to this reader

    @property
    def remaining(self) -> int | None:
        """The number of bytes of the body still to come; `None`: it is not known."""
        return self._remaining

    @property
    def progress(self) -> str:
        """How much of the body was received, for messages."""
        length = self.head.length if self.head is not None else None
        return f"{self.received} bytes" if length is None else f"{self.received} of {length} bytes"

    @property
    def reusable(self) -> bool:
        """Whether the connection can be used for another request."""
        return self.done and not self.surplus and self.head is not None and self.head.keep_alive

    def feed(self, data: bytes | memoryview) -> bytes | memoryview:
        """Read the next bytes of the connection, and return the bytes of the body among them.

        Raises:
            ProtocolError: The bytes are not HTTP/1.1, or exceed the limits.
        """
        if self.head is None:
            data = self._read_head(data)
            if self.head is None:
                return b""
        if self._parser is not None:
            return self._read_chunks(self._parser, data)
        if self.done:
            self.surplus = self.surplus or len(data) > 0
            return b""
        if self._remaining is None:  # the body ends with the connection
            self.received += len(data)
            return data
        if len(data) > self._remaining:
            self.surplus = True
            data = data[: self._remaining]
        self.received += len(data)
        self._remaining -= len(data)
        self.done = self._remaining == 0
        return data

    def feed_eof(self) -> bool:
        """Store that the connection has ended, and return whether the response is complete."""
        if self.head is not None and self._remaining is None and self._parser is None:
            self.done = True
        return self.done

    def _read_head(self, data: bytes | memoryview) -> bytes | memoryview:
        """Read heads up to that of the final response, and return the bytes after that head."""
        while True:
            start = len(self._pending)
            joined = self._pending + bytes(data[:_USUAL_HEAD])
            end = joined.find(_END, max(0, start - len(_END) + 1))
            if end < 0 and len(data) > _USUAL_HEAD:
                joined = self._pending + bytes(data[: MAX_HEAD + 1])
                end = joined.find(_END, max(0, start - len(_END) + 1))
            if end < 0:
                if len(joined) > MAX_HEAD:
                    raise ProtocolError(f"its head is longer than {MAX_HEAD} bytes")
                self._check_beginning(joined)
                self._pending = joined
                return b""
            end += len(_END)
            if end > MAX_HEAD:
                raise ProtocolError(f"its head is longer than {MAX_HEAD} bytes")
            self._pending = b""
            self._parse(joined[:end])
            data = data[end - start :]
            if self.head is not None:
                return data

    @staticmethod
    def _check_beginning(joined: bytes) -> None:
        """Refuse bytes that cannot be a response now, instead of waiting for the rest of a head."""
        if not b"HTTP/1.".startswith(joined[:7]):
            raise ProtocolError("it does not begin with HTTP/1")

    def _parse(self, head: bytes) -> None:
        """Check a head with the parser, then split it here, because a callback for each header would take longer."""
        if not _STATUS_LINE.match(head):
            raise ProtocolError(f"it begins {head[:20]!r}")
        try:
            HttpResponseParser(_NO_CALLBACKS).feed_data(head)
        except HttpParserUpgrade:
            raise ProtocolError("it switches to another protocol") from None
        except HttpParserError as exc:
            raise ProtocolError(str(exc)) from exc
        status = int(head[9:12])
        if status < 200:  # noqa: PLR2004 - informational, RFC 9110 § 15.2
            self._interim += 1
            if status == _SWITCHING or self._interim > MAX_INTERIM:
                raise ProtocolError(f"{self._interim} interim answers came, the last one {status}")
            return
        self._frame(status, head)

    def _frame(self, status: int, head: bytes) -> None:
        """Decide where the body ends, by RFC 9112 § 6.3; refuse a head that two programs could read differently."""
        headers = _headers(head)
        coding, length = headers.get("transfer-encoding"), headers.get("content-length")
        options = headers.get("connection", "").lower()
        keep_alive = "close" not in options and (not head.startswith(_OLD) or "keep-alive" in options)
        size: int | None = None
        if length is not None:
            if not (length.isascii() and length.isdigit()) or len(length) > 18:  # noqa: PLR2004 - below 2**63
                raise ProtocolError(f"its length is {length[:40]!r}")
            size = int(length)
        # The exact bytes are compared, because the parser may understand the header differently in any other spelling.
        if coding is not None and (size is not None or not _CHUNKED.search(head)):
            raise ProtocolError("its body is framed in a way that can be read differently")
        if not self._has_body or status in _NO_BODY:
            self.done = True
        elif coding is not None:
            self._parser = HttpResponseParser(self)
            self._parser.feed_data(head)
        elif size is None:
            keep_alive = False
        else:
            self._remaining = size
            self.done = size == 0
        self.head = AnswerHead(status, headers, size, keep_alive=keep_alive)

    def _read_chunks(self, parser: HttpResponseParser, data: bytes | memoryview) -> bytes:
        self._fed += len(data)
        try:
            parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as exc:
            if not self.done:
                raise ProtocolError(str(exc)) from exc
            self.surplus = True
        self._tail = (self._tail + bytes(data[-5:]))[-5:]
        if self.done:
            self._parser = None
            if not self._tail.endswith(_END) or self._tail[0] in b"\r\n":
                self.surplus = True  # such as empty lines after the body, which the parser skips
        body, self._body = self._body, []
        found = body[0] if len(body) == 1 else b"".join(body)
        self.received += len(found)
        if self._fed - self.received > MAX_HEAD + _OVERHEAD * self.received:
            raise ProtocolError("its chunks hold almost no bytes")
        return found

    # --- called by the parser ----------------------------------------------------------------------

    def on_body(self, body: bytes) -> None:
        """Store a piece of a chunked body."""
        if self.done:
            self.surplus = True
        else:
            self._body.append(body)

    def on_message_begin(self) -> None:
        """Store whether a response begins after the end of this one."""
        self.surplus = self.done

    def on_message_complete(self) -> None:
        """Store that the chunked body is complete."""
        if self.head is not None:
            self.done = True


def _headers(head: bytes) -> dict[str, str]:
    """Return the headers of a head that the parser has accepted."""
    text = head[: -len(_END)].decode("utf-8", "surrogateescape")
    if "\r\n " in text or "\r\n\t" in text:
        raise ProtocolError("it has a header of several lines")
    _, *lines = text.split("\r\n")
    if len(lines) > MAX_HEADERS:
        raise ProtocolError(f"it has more than {MAX_HEADERS} headers")
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip(" \t")
    return headers if len(headers) == len(lines) else _joined(lines)


def _joined(lines: list[str]) -> dict[str, str]:
    """Return the headers, with the values of repeated headers joined by a comma.

    Raises:
        ProtocolError: A header that decides the body's length is repeated.
    """
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        name, value = name.lower(), value.strip(" \t")
        if name in headers and name in {"content-length", "transfer-encoding"}:
            raise ProtocolError(f"it has two headers {name}")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


@lru_cache(maxsize=512)
def _is_token(name: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name) is not None
