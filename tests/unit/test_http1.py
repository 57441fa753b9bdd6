"""HTTP/1.1 without sockets: the result for an answer does not depend on the pieces in which it arrives.

Answers are generated together with the expected result, and h11 checks that result.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise, product

import h11
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bucketry._wire.errors import WireError
from bucketry._wire.http1 import MAX_HEAD, MAX_HEADERS, MAX_INTERIM, AnswerReader, ProtocolError, request_head
from bucketry.errors import ConnectionFailedError, InvalidRequestError
from tests.amounts import examples

MANY = settings(max_examples=examples(400, nightly=40_000))


@dataclass(frozen=True)
class Seen:
    """The state of a reader; without arguments, the state before the head is complete."""

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None
    keep_alive: bool = False
    body: bytes = b""
    done: bool = False
    surplus: bool = False
    reusable: bool = False
    complete: bool = False


def read(method: str, pieces: Iterable[bytes]) -> Seen | None:
    """Feed a reader, then end the connection; `None`: the answer was refused."""
    reader = AnswerReader(method)
    fed, body = 0, b""
    try:
        for piece in pieces:
            fed += len(piece)
            body += reader.feed(memoryview(piece))
            assert len(body) == reader.received <= fed
    except ProtocolError:
        return None
    head, done, surplus, reusable = reader.head, reader.done, reader.surplus, reader.reusable
    told = Seen(body=body, done=done, surplus=surplus, reusable=reusable, complete=reader.feed_eof())
    if head is None:
        return told
    if not done and head.length is not None:
        assert reader.remaining == head.length - len(body)
    return replace(told, status=head.status, headers=head.headers, length=head.length, keep_alive=head.keep_alive)


def split(wire: bytes, cuts: Iterable[int]) -> Iterator[bytes]:
    """Split bytes at these positions, each taken modulo the length."""
    places = sorted({0, len(wire), *(cut % (len(wire) + 1) for cut in cuts)})
    return (wire[start:end] for start, end in pairwise(places))


def bytewise(wire: bytes) -> Iterator[bytes]:
    """Split into single bytes."""
    return split(wire, range(len(wire)))


@dataclass(frozen=True)
class Answer:
    """One answer, with its expected result.

    `framing` is `length`, `chunked` or `end`; `extra` comes after the answer, unless it ends with the connection.
    """

    method: str = "GET"
    version: str = "1.1"
    status: int = 200
    reason: bytes = b" OK"
    interim: tuple[bytes, ...] = ()
    headers: tuple[tuple[bytes, bytes], ...] = ()
    framing: str = "length"
    connection: bytes = b""
    padding: bytes = b" "
    extra: bytes = b""
    chunks: tuple[bytes, ...] = ()
    chunk_extension: bytes = b""
    trailer: bytes = b""

    @property
    def bodiless(self) -> bool:
        """Whether there is no body, for all headers."""
        return self.method == "HEAD" or self.status in {204, 304}

    @property
    def framed(self) -> list[tuple[bytes, bytes]]:
        """The headers that decide where the answer ends."""
        framing = {
            "length": [(b"Content-Length", b"%d" % len(b"".join(self.chunks)))],
            "chunked": [(b"Transfer-Encoding", b"chunked")],
            "end": [],
        }[self.framing]
        connection = [(b"Connection", self.connection)] if self.connection else []
        return [*framing, *connection]

    @property
    def head(self) -> bytes:
        """The bytes before the body, with interim answers."""
        own = b"".join([b"%s:%s%s%s\r\n" % (name, self.padding, value, self.padding) for name, value in self.headers])
        # No space at the end of these lines, because after a length or a coding we may refuse it.
        others = b"".join([b"%s:%s%s\r\n" % (name, self.padding, value) for name, value in self.framed])
        status = b"HTTP/%s %d%s\r\n" % (self.version.encode(), self.status, self.reason)
        return b"".join(self.interim) + status + own + others + b"\r\n"

    @property
    def pieces(self) -> list[tuple[bytes, bool]]:
        """The bytes after the head, each with a flag: it belongs to the body."""
        if self.bodiless:
            return []
        if self.framing != "chunked":
            return [(chunk, True) for chunk in self.chunks]
        sized = [
            piece
            for chunk in self.chunks
            if chunk
            for piece in ((b"%x%s\r\n" % (len(chunk), self.chunk_extension), False), (chunk, True), (b"\r\n", False))
        ]
        return [*sized, (b"0%s\r\n%s\r\n" % (self.chunk_extension, self.trailer), False)]

    @property
    def wire(self) -> bytes:
        """All bytes."""
        return self.head + b"".join([piece for piece, _ in self.pieces]) + self.extra

    def meaning(self, arrived: int) -> Seen:
        """Give the expected state after so many bytes and the end of the connection."""
        if arrived < len(self.head):
            return Seen()
        length = len(b"".join(self.chunks)) if self.framing == "length" else None
        to_the_end = self.framing == "end" and not self.bodiless
        headers: dict[str, str] = {}
        for name, value in [*self.headers, *self.framed]:
            known, text = name.decode().lower(), value.decode("utf-8", "surrogateescape")
            headers[known] = f"{headers[known]}, {text}" if known in headers else text
        body, at = b"", len(self.head)
        for piece, is_body in self.pieces:
            body += piece[: max(0, arrived - at)] if is_body else b""
            at += len(piece)
        options = self.connection.lower()
        keeps = b"close" not in options and (self.version == "1.1" or b"keep-alive" in options) and not to_the_end
        done = arrived >= at and not to_the_end
        surplus = done and arrived > at
        return Seen(
            self.status, headers, length, keeps, body, done, surplus, done and keeps and not surplus, done or to_the_end
        )


INTERIM = [
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\nconnection: close\r\n\r\n",
    b"HTTP/1.1 102\r\nContent-Length: 3\r\n\r\n",
]
NAMES = [b"ETag", b"x-amz-meta-a", b"X-AMZ-META-A", b"Server", b"x!#$%&'*+.^_`|~-"]
VALUES = [b'"abc"', b"", b"a, b", b"a:\tb", "ü€".encode(), b"\xff\x80", b"chunked", b"HTTP/1.1 200 OK", b"x" * 50]
CHUNKS = [b"a", b"\r\n", b"0\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"\0\xff" * 9, b"b" * 300]
EXTRAS = [
    b"",
    b"",
    b"",
    b"x",
    b"\r\n",
    b"\n",
    b"\n\r\n\r\n",
    b"H",
    b"0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
]

# Drawn together, because each draw of Hypothesis is slow.
LINES = product(
    ["GET", "HEAD", "PUT"],
    ["1.1", "1.0"],
    [200, 206, 204, 304, 307, 404, 503, 599],
    [b" OK", b" ", b"", b" Not\t  \xfcblich"],
)
FRAMES = product(
    ["length", "chunked", "end"],
    [b"", b"close", b"Keep-Alive", b"x, Close", b"keep-alive, x"],
    [b" ", b"", b" \t "],
    EXTRAS,
)
CHUNKING = product(
    [b"", b";a=b", b';a="b\\"c"'], [b"", b"x-amz-checksum-crc32: AAAAAA==\r\n", b"connection: close\r\nETag: x\r\n"]
)


def made(
    line: tuple[str, str, int, bytes],
    frame: tuple[str, bytes, bytes, bytes],
    chunking: tuple[bytes, bytes],
    parts: tuple[list[bytes], list[tuple[bytes, bytes]], list[bytes]],
) -> Answer:
    """Give an answer; one that ends with the connection has no extra bytes, because they would be its body."""
    interim, headers, chunks = map(tuple, parts)
    answer = Answer(*line, interim, headers, *frame, chunks, *chunking)
    return replace(answer, extra=b"") if answer.framing == "end" and not answer.bodiless else answer


answers = st.builds(
    made,
    st.sampled_from([*LINES]),
    st.sampled_from([*FRAMES]),
    st.sampled_from([*CHUNKING]),
    st.tuples(
        st.lists(st.sampled_from(INTERIM), max_size=2),
        st.lists(st.sampled_from([*product(NAMES, VALUES)]), max_size=3),
        st.lists(st.sampled_from(CHUNKS), max_size=3),
    ),
)
cuts = st.lists(st.integers(0, 2_000), max_size=6)


def judged(method: str, wire: bytes) -> tuple[int, bytes] | None:
    """Give status and body as h11 reads them; `None`: h11 refuses the answer, or it is incomplete."""
    peer = h11.Connection(h11.CLIENT, max_incomplete_event_size=10 * MAX_HEAD)
    peer.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
    peer.send(h11.EndOfMessage())
    status, body = 0, b""
    try:
        peer.receive_data(wire)
        closed = False
        while True:
            match peer.next_event():
                case h11.Response(status_code=status):
                    pass
                case h11.Data(data=data):
                    body += data
                case h11.EndOfMessage():
                    return status, body
                case h11.ConnectionClosed():
                    return None
                case h11.NEED_DATA if not closed:
                    peer.receive_data(b"")
                    closed = True
    except h11.RemoteProtocolError:
        return None


@pytest.mark.slow
class TestAnswers:
    """Complete answers, and answers that end early."""

    @MANY
    @given(answers, cuts)
    @example(Answer(framing="chunked", chunks=(b"a",), extra=b"\r\n"), [])
    @example(Answer(framing="chunked", chunks=(b"a",), extra=b"\n\r\n\r\n"), [])
    @example(Answer(framing="chunked", connection=b"close", extra=b"x"), [])
    def test_its_meaning_does_not_depend_on_the_pieces(self, answer: Answer, places: list[int]) -> None:
        """In one piece, in any pieces and byte by byte, an answer gives the expected result."""
        wire = answer.wire
        meaning = answer.meaning(len(wire))
        assert read(answer.method, [wire]) == meaning
        assert read(answer.method, split(wire, places)) == meaning
        assert read(answer.method, bytewise(wire)) == meaning

    @MANY
    @given(answers, cuts, st.integers(0, 10_000))
    def test_a_broken_connection_is_noticed(self, answer: Answer, places: list[int], arrived: int) -> None:
        """After an end at any byte, all body bytes so far are given, and `done` is right."""
        arrived %= len(answer.wire) + 1
        wire = answer.wire[:arrived]
        assert read(answer.method, split(wire, places)) == answer.meaning(arrived)

    @MANY
    @given(answers.map(lambda answer: replace(answer, extra=b"")))
    def test_h11_reads_the_same(self, answer: Answer) -> None:
        """A parser that shares no code with ours finds the same status and body."""
        meaning = answer.meaning(len(answer.wire))
        assert judged(answer.method, answer.wire) == (meaning.status, meaning.body)

    def test_progress_is_told_in_words(self) -> None:
        """`progress` has the number of received bytes, and the length if it is known."""
        for framing, words in (("length", "2 of 3 bytes"), ("end", "2 bytes")):
            reader = AnswerReader("GET")
            assert reader.progress == "0 bytes"
            reader.feed(Answer(framing=framing, chunks=(b"abc",)).wire[:-1])
            assert reader.progress == words

    @pytest.mark.parametrize(
        "answer",
        [
            Answer(chunks=(b"abc",), interim=tuple(INTERIM), extra=b"x"),
            Answer(framing="chunked", chunks=(b"abc", b"d"), chunk_extension=b";a", trailer=b"a: b\r\n", extra=b"\r\n"),
            Answer(framing="end", chunks=(b"abc\r\n\r\n",)),
            Answer(method="HEAD", chunks=(b"abc",), extra=b"abc"),
        ],
        ids=["length", "chunked", "end", "HEAD"],
    )
    def test_every_pair_of_cuts(self, answer: Answer) -> None:
        """Split at any two positions, an answer gives the same result."""
        wire = answer.wire
        meaning = answer.meaning(len(wire))
        for first in range(len(wire)):
            for second in range(first, len(wire)):
                assert read(answer.method, [wire[:first], wire[first:second], wire[second:]]) == meaning


def mutated(wire: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    """Replace some bytes by others."""
    for place, length, bytes_ in changes:
        at = place % (len(wire) + 1)
        wire = wire[:at] + bytes_ + wire[at + length :]
    return wire


TOKENS = [
    b"",
    b"\r",
    b"\n",
    b"\r\n",
    b"\r\n\r\n",
    b" ",
    b"\t",
    b"\0",
    b":",
    b"-",
    b"+",
    b"0",
    b"1",
    b"9",
    b"f",
    b",",
    b";",
]
TOKENS += [b"HTTP/2.0 ", b"content-length: 1\r\n", b"transfer-encoding: chunked\r\n", b"HTTP/1.1 200 OK\r\n", b"\xff"]


@pytest.mark.slow
class TestDamage:
    """Damaged answers."""

    @MANY
    @given(
        answers,
        st.lists(st.tuples(st.integers(0, 400), st.integers(0, 3), st.sampled_from(TOKENS)), min_size=1, max_size=3),
        cuts,
    )
    @example(Answer(), [(0, 0, b"\r\n")], [])
    @example(Answer(), [(5, 3, b"2.0")], [])
    def test_it_is_refused_or_read_whatever_the_pieces(
        self, answer: Answer, changes: list[tuple[int, int, bytes]], places: list[int]
    ) -> None:
        """Damage raises only `ProtocolError`, gives the same result in all pieces, and agrees with h11."""
        wire = mutated(answer.wire, changes)
        seen = read(answer.method, [wire])
        assert read(answer.method, split(wire, places)) == seen
        assert read(answer.method, bytewise(wire)) == seen
        theirs = judged(answer.method, wire)
        if seen is not None and seen.status is not None and theirs is not None:
            assert (seen.status, seen.body, seen.complete) == (*theirs, True)

    @pytest.mark.parametrize(
        "line",
        [
            b"HTTP/1.1 20 OK",
            b"HTTP/1.1 2000 OK",
            b"HTTP/1.1 +20 OK",
            b"HTTP/1.1 0xC OK",
            b"HTTP/1.1 000 OK",
            b"HTTP/1.1 099 OK",
            b"HTTP/1.1 OK",
            b"HTTP/1.1  200 OK",
            b"HTTP/1.1\t200 OK",
            b"HTTP/1.1 101 Switching Protocols",
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c",
            b"HTTP/0.9 200 OK",
            b"HTTP/1.2 200 OK",
            b"HTTP/2.0 200 OK",
            b"HTTP/11 200 OK",
            b"HTTP/ 200 OK",
            b"http/1.1 200 OK",
            b"RTSP/1.0 200 OK",
            b"ICE/1.0 200 OK",
            b"GET / HTTP/1.1",
            b" HTTP/1.1 200 OK",
            b"\r\nHTTP/1.1 200 OK",
            b"\r\n\r\nHTTP/1.1 200 OK",
            b"HTTP/1.1 200 O\rK",
            b"<html>",
            b"\x16\x03\x01\x02\x00",
            b"",
        ],
    )
    def test_a_status_line_that_is_none(self, line: bytes) -> None:
        """Garbage in place of a status line is refused, in one piece and byte by byte."""
        wire = line + b"\r\nContent-Length: 0\r\n\r\n"
        assert read("GET", [wire]) is None
        assert read("GET", bytewise(wire)) is None

    @pytest.mark.parametrize(
        "header",
        [
            b"Content-Length: -1",
            b"Content-Length: +1",
            b"Content-Length: 0x1",
            b"Content-Length: 1.0",
            b"Content-Length: 1 1",
            b"Content-Length: 1, 1",
            b"Content-Length: 1_0",
            b"Content-Length: \xd9\xa1",
            b"Content-Length: ",
            b"Content-Length: one",
            b"Content-Length: 18446744073709551617",
            b"Content-Length: 9223372036854775808",
            b"Content-Length: 1\r\nContent-Length: 2",
            b"Content-Length: 1\r\nContent-Length: 1",
            b"Content-Length: 1\r\nTransfer-Encoding: chunked",
            b"Transfer-Encoding: chunked\r\nContent-Length: 1",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            b"Transfer-Encoding: chunked, chunked",
            b"Transfer-Encoding: gzip, chunked",
            b"Transfer-Encoding: gzip",
            b"Transfer-Encoding: identity",
            b"Transfer-Encoding: chun\xe2\x84\xaaed",
            b"Transfer-Encoding: xchunked",
            b"Transfer-Encoding: chunked\t",
            b"Transfer-Encoding: chunked;a",
            b"Content-Length : 1",
            b"Content-Length\t: 1",
            b" Content-Length: 1",
            b"Content-Length: 1\r\n 0",
            b"a: b\r\n c",
            b"a: b\0c",
            b"a: b\rc",
            b"a: b\nc: d",
            b"a: b\x01c",
            b"a: b\x7fc",
            b": b",
            b"a b: c",
            b"a",
            b"\xffa: b",
            b"a\0: b",
        ],
    )
    def test_a_header_that_could_be_read_differently(self, header: bytes) -> None:
        """Two lengths, other codings, folded lines and control characters are refused, in any pieces."""
        wire = b"HTTP/1.1 200 OK\r\n" + header + b"\r\n\r\na"
        assert read("GET", [wire]) is None
        assert read("GET", bytewise(wire)) is None

    @pytest.mark.parametrize(
        "chunks",
        [
            b"-1\r\na\r\n0\r\n\r\n",
            b"+1\r\na\r\n0\r\n\r\n",
            b"0x1\r\na\r\n0\r\n\r\n",
            b" 1\r\na\r\n0\r\n\r\n",
            b"\r\n0\r\n\r\n",
            b";a\r\n0\r\n\r\n",
            b"g\r\n0\r\n\r\n",
            b"1\na\n0\n\n",
            b"1\r\nab\r\n0\r\n\r\n",
            b"2\r\na\r\n0\r\n\r\n",
            b"fffffffffffffffff\r\na",
            b"1\r\na0\r\n\r\n",
            b"0\r\na b: c\r\n\r\n",
            b"1;a\nb\r\na\r\n0\r\n\r\n",
        ],
    )
    def test_a_chunk_that_is_none(self, chunks: bytes) -> None:
        """Chunk sizes and ends that RFC 9112 does not allow are refused."""
        wire = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
        assert read("GET", [wire]) is None
        assert read("GET", bytewise(wire)) is None

    def test_a_refusal_is_a_broken_connection(self) -> None:
        """The user gets a connection error, which is retried."""
        with pytest.raises(ProtocolError) as caught:
            AnswerReader("GET").feed(b"SSH-2.0-OpenSSH")
        assert caught.value.kind is ConnectionFailedError


def sized(length: int) -> bytes:
    """Give a head of this length, without a body."""
    beginning = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nx: "
    return beginning + b"x" * (length - len(beginning) - 4) + b"\r\n\r\n"


class TestLimits:
    """Endless answers."""

    @pytest.mark.parametrize("step", [1_000, MAX_HEAD - 1, MAX_HEAD, MAX_HEAD + 1, 10 * MAX_HEAD])
    def test_the_longest_head(self, step: int) -> None:
        """A head of exactly the limit is read, and one byte more is refused, for all pieces."""
        for interim in (b"", INTERIM[0]):
            longest, longer = (interim + sized(length) for length in (MAX_HEAD, MAX_HEAD + 1))
            seen = read("GET", split(longest, range(0, len(longest), step)))
            assert seen is not None
            assert seen.done
            assert read("GET", split(longer, range(0, len(longer), step))) is None

    @pytest.mark.parametrize("beginning", [b"HTTP/1.1 200 OK\r\nx: ", b"HTTP/1.1 200 "])
    def test_a_head_without_end(self, beginning: bytes) -> None:
        """An endless head is refused at the limit, and not collected."""
        reader = AnswerReader("GET")
        reader.feed(beginning)
        reader.feed(b"x" * (MAX_HEAD - len(beginning)))
        with pytest.raises(ProtocolError, match="longer"):
            reader.feed(b"x")

    @pytest.mark.parametrize("beginning", [b"<", b"HTTP/2", b"\x15\x03", b"HTTP 1", b"\r", b"\n"])
    def test_what_cannot_become_an_answer(self, beginning: bytes) -> None:
        """Bytes that cannot be an answer are refused at the first wrong byte: the sender may wait."""
        assert read("GET", [beginning]) is None
        assert read("GET", bytewise(beginning)) is None

    @pytest.mark.parametrize("each", [b"x-%d: y\r\n", b"x: %d\r\n"], ids=["different", "repeated"])
    def test_the_number_of_headers(self, each: bytes) -> None:
        """The largest number of headers is read, and one more is refused, even if all have the same name."""
        for count, is_read in ((MAX_HEADERS, True), (MAX_HEADERS + 1, False)):
            lines = b"".join([each % number for number in range(count - 1)])
            wire = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + lines + b"\r\n"
            assert (read("GET", [wire]) is not None) == is_read

    def test_the_number_of_interim_answers(self) -> None:
        """The largest number of interim answers is skipped, and one more is refused."""
        for count, is_read in ((MAX_INTERIM, True), (MAX_INTERIM + 1, False)):
            wire = count * INTERIM[0] + sized(100)
            assert (read("GET", [wire]) is not None) == is_read
            assert (read("GET", bytewise(wire)) is not None) == is_read

    @pytest.mark.slow
    def test_many_small_chunks(self) -> None:
        """A body in chunks of one byte is accepted."""
        wire = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + 100_000 * b"1\r\na\r\n" + b"0\r\n\r\n"
        for step in (7, 65_536, len(wire)):
            seen = read("GET", split(wire, range(0, len(wire), step)))
            assert seen is not None
            assert seen.reusable
            assert seen.body == 100_000 * b"a"

    @pytest.mark.parametrize("flood", [b"1;" + 2 * MAX_HEAD * b"x", b"0\r\nx: " + 2 * MAX_HEAD * b"x"])
    def test_chunks_that_hold_next_to_nothing(self, flood: bytes) -> None:
        """Endless chunk extensions or trailers without a body are refused."""
        wire = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + flood
        for step in (1_000, MAX_HEAD, len(wire)):
            assert read("GET", split(wire, range(0, len(wire), step))) is None


METHOD = re.compile(r"[A-Z]+")
TARGET = re.compile(r"[!-~]+")
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
VALUE = re.compile(r"[\t\x20-\x7e\x80-\ud7ff\ue000-\U0010ffff]*")
"""Valid header values: they contain nothing that could end a line on any machine."""
PLAIN = re.compile(r"[\x20-\x7e]*")
"""What must be."""
BREAKS = [
    "\r",
    "\n",
    "\0",
    "\r\n",
    "\r\n\r\n",
    "\r\nevil: 1",
    " ",
    "\t",
    ":",
    ": ",
    "é",
    "\x7f",
    "\x85",
    "\u2028",
    "\ud800",
    "",
]

hostile = st.lists(st.sampled_from([*BREAKS, "a", "HTTP/1.1", "x-b"]), max_size=4).map("".join)


class TestRequestHeads:
    """Heads of requests."""

    @pytest.mark.slow
    @MANY
    @given(
        method=st.sampled_from(["GET", "PUT", "DELETE"]) | hostile,
        target=st.sampled_from(["/", "/b/k%20?a=b&c="]) | hostile,
        headers=st.dictionaries(
            st.sampled_from(["etag", "x-amz-meta-a", "range"]) | hostile,
            st.sampled_from(["", "bytes=0-9", "a  b"]) | hostile,
            max_size=3,
        ),
    )
    @example("GET", "/", {"a: b": "c"})
    @example("GET", "/", {"a": "b\r\nc: d"})
    @example("GET", "/ HTTP/1.1\r\na: b\r\n\r\nGET /", {})
    def test_it_is_read_as_it_was_meant_or_refused(self, method: str, target: str, headers: dict[str, str]) -> None:
        """Every head is refused, or well-formed and read correctly by a parser that shares no code with ours."""
        headers = {"host": "x", **headers}
        lines = METHOD.fullmatch(method) and TARGET.fullmatch(target) and all(map(TOKEN.fullmatch, headers))
        try:
            head = request_head(method, target, headers)
        except WireError as error:
            assert error.kind is InvalidRequestError  # noqa: PT017 - it may be raised, and need not be
            assert not lines or not all(map(PLAIN.fullmatch, headers.values()))
            return
        assert lines
        assert all(map(VALUE.fullmatch, headers.values()))
        server = h11.Connection(h11.SERVER)
        server.receive_data(head)
        request = server.next_event()
        assert isinstance(request, h11.Request)
        assert (request.method, request.target, request.http_version) == (method.encode(), target.encode(), b"1.1")
        assert [*request.headers] == [
            (name.lower().encode(), value.strip(" \t").encode()) for name, value in headers.items()
        ]

    @pytest.mark.parametrize("bad", ["a\rb", "a\nb", "a\r\nb: c", "a\0b", "a\x1fb", "a\x7fb"])
    def test_a_refusal_hides_the_value(self, bad: str) -> None:
        """The error for a header with a line break shows its name, not its value, which may be a token."""
        with pytest.raises(WireError, match="x-amz-security-token") as caught:
            request_head("GET", "/", {"host": "x", "x-amz-security-token": bad})
        assert bad not in str(caught.value)
        assert repr(bad)[1:-1] not in str(caught.value)
