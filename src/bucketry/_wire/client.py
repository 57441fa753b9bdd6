"""Signed requests to a standard S3 endpoint: a request is signed here and sent on the event loop or in a lane.

All users of one endpoint in one event loop share an `EndpointClient`: slots, connections, credentials, clock. An
`OriginClient` sends requests to one of its origins (with virtual addressing, each bucket has its own host).
"""

from __future__ import annotations

import hashlib
import logging
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from bucketry._core import checksums
from bucketry._core.timeouts import Timeouts
from bucketry._core.units import MiB
from bucketry._core.values import Body, ByteCounter, body_size
from bucketry._wire.clock import Clock
from bucketry._wire.connect import Origin
from bucketry._wire.errors import WireError
from bucketry._wire.http1 import AnswerHead, request_head
from bucketry._wire.lanes import Lanes, Write
from bucketry._wire.pool import Pool
from bucketry._wire.sigv4 import EMPTY_SHA256, UNSIGNED_PAYLOAD, Credentials, Signer
from bucketry._wire.threads import LaneThreads
from bucketry._wire.unary import Connection, Request, Unary
from bucketry.errors import InvalidRequestError

_log = logging.getLogger("bucketry")

USER_AGENT = "bucketry"
KEPT_MEMORY = 4 * MiB
"""After one block of this size was freed, glibc keeps freed memory up to this size. Otherwise it unmaps the memory of
each body and maps it again, with a page fault for every 4 KiB: GET of 128 KiB went from 7,600 to 17,400 a second.
https://man7.org/linux/man-pages/man3/mallopt.3.html, M_MMAP_THRESHOLD"""

_NO_TEXT = "the request cannot be sent: a header, or the session token, is not valid Unicode"

CredentialSource: TypeAlias = Credentials | Callable[[], Awaitable[Credentials]] | None
Describe: TypeAlias = Callable[[str], Mapping[str, str]]


class Call(NamedTuple):
    """One request, before it is signed; a tuple, because many are made.

    Attributes:
        method: In capitals.
        path: Percent-encoded by `encode_path`.
        query: Encoded by `encode_query`.
        headers: Lower-case names; without `host` and the headers that signing adds.
        repeatable: Sending it twice has the same effect as sending it once.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = MappingProxyType({})
    repeatable: bool = True


class EndpointClient:
    """Everything that the users of one endpoint share in one event loop.

    Args:
        region: The region in the signatures.
        source: Credentials, or a function that gives them; `None`: requests are not signed, for public buckets.
        limit: The largest number of connections; `resize` changes it.
        tls: For `https`.
        clock: Gives the time for signatures.

    Attributes:
        pool: The slots and idle connections.
        secure: Whether TLS protects the bytes.
        threads: The threads that lanes run in; they end when the client is closed and its last request is done.
        signer: Signs for the endpoint's region.
        clock: The time to sign with.
    """

    def __init__(
        self,
        *,
        region: str,
        source: CredentialSource,
        limit: int,
        tls: ssl.SSLContext | None,
        clock: Clock,
    ) -> None:
        """Open nothing yet."""
        bytes(KEPT_MEMORY)  # made and dropped at once
        self.secure = tls is not None
        self.threads = LaneThreads(limit)
        self.pool = Pool(limit, self.threads.end)
        self.tls = tls
        self._source = source
        self.signer = Signer(region)
        self.clock = clock
        self._origins: dict[tuple[Origin, Timeouts], OriginClient] = {}

    def at(self, origin: Origin, timeouts: Timeouts) -> OriginClient:
        """Give the client for an origin and these timeouts; all clients of an origin share its connections."""
        if (origin, timeouts) not in self._origins:
            self._origins[origin, timeouts] = OriginClient(self, origin, timeouts)
        return self._origins[origin, timeouts]

    def resize(self, limit: int) -> None:
        """Change the limit of connections and lane threads, also while requests are under way."""
        self.pool.resize(limit)
        self.threads.resize(limit)

    async def credentials(self) -> Credentials | None:
        """Give the credentials, refreshed if they are about to expire; `None`: requests are not signed."""
        source = self._source
        return source if source is None or isinstance(source, Credentials) else await source()

    def sign(self, credentials: Credentials | None, host: str, call: Call, payload_hash: str, length: int) -> bytes:
        """Give the signed head of a request with a body of `length` bytes; safe to call from any thread."""
        signed: dict[str, str] = {}
        try:
            signed = headers = {"host": host, **call.headers}
            if credentials is not None:
                signed = self.signer.headers(
                    credentials, self.clock.now(), call.method, call.path, call.query, headers, payload_hash
                )
            signed["user-agent"] = USER_AGENT  # not signed, because proxies may change it
            if length or call.method in {"PUT", "POST"}:
                signed["content-length"] = str(length)
            return request_head(call.method, f"{call.path}?{call.query}" if call.query else call.path, signed)
        except WireError as exc:
            problem = exc.problem
        except UnicodeError:
            problem = _NO_TEXT
        signed.clear()  # error reports show the locals of frames: this dict holds the token, inner frames refer to it
        raise WireError(InvalidRequestError, problem)

    def close(self, *, at_once: bool = False) -> None:
        """Close idle connections now and the others when their requests are done; `at_once` closes all now."""
        self.pool.close(at_once=at_once)


class BodyDownload:
    """A request with a large body in its answer; see `LaneRequest`."""

    __slots__ = ("_call", "_endpoint", "_host", "accept", "body", "method", "repeatable", "sent", "where")

    def __init__(
        self, endpoint: EndpointClient, host: str, call: Call, accept: Callable[[AnswerHead], Write | None]
    ) -> None:
        """Store the arguments; see `OriginClient.download`."""
        self.method = call.method
        self.body: Body = b""
        self.repeatable = call.repeatable
        self.where = ""
        self.sent = ByteCounter()
        self.accept = accept
        self._endpoint = endpoint
        self._host = host
        self._call = call

    def head(self, credentials: Credentials | None, _: Iterable[memoryview]) -> bytes:
        """Sign the request."""
        return self._endpoint.sign(credentials, self._host, self._call, EMPTY_SHA256, 0)


class BodyUpload:
    """A request with a large body; see `LaneRequest`.

    Attributes:
        digest: The body's checksum in hex, after it was computed.
    """

    __slots__ = (
        "_algorithm",
        "_call",
        "_describe",
        "_endpoint",
        "_host",
        "body",
        "digest",
        "method",
        "repeatable",
        "sent",
        "where",
    )

    def __init__(
        self,
        endpoint: EndpointClient,
        host: str,
        call: Call,
        body: Body,
        where: str,
        sent: ByteCounter,
        algorithm: str | None,
        describe: Describe,
    ) -> None:
        """Store the arguments; see `OriginClient.upload`."""
        self.method = call.method
        self.body = body
        self.repeatable = call.repeatable
        self.where = where
        self.sent = sent
        self.digest: str | None = None
        self._endpoint = endpoint
        self._host = host
        self._call = call
        self._algorithm = algorithm
        self._describe = describe

    def head(self, credentials: Credentials | None, slices: Iterable[memoryview]) -> bytes:
        """Compute the body's checksums and sign the request; they are sent before the body, so a file is read twice."""
        algorithm, call = self._algorithm, self._call
        payload = hashlib.sha256() if not self._endpoint.secure or algorithm == "sha256" else None
        checksum = payload if algorithm == "sha256" else checksums.new(algorithm) if algorithm else None
        sums = {each for each in (payload, checksum) if each is not None}  # one hash may be both
        for view in slices if sums else ():
            for each in sums:
                each.update(view)
        if checksum is not None:
            self.digest = checksum.hexdigest()
            call = call._replace(headers={**call.headers, **self._describe(self.digest)})
        payload_hash = UNSIGNED_PAYLOAD if payload is None else payload.hexdigest()
        return self._endpoint.sign(credentials, self._host, call, payload_hash, body_size(self.body))

    def accept(self, _: AnswerHead) -> None:
        """Keep the answer's body: it is small."""


class OriginClient:
    """Sends requests to one origin.

    Attributes:
        endpoint: Shared with the clients of the endpoint's other origins.
        origin: Scheme, host and port of the requests.
        lanes: Makes requests with large bodies; see `download` and `upload`.
    """

    def __init__(self, endpoint: EndpointClient, origin: Origin, timeouts: Timeouts) -> None:
        """Open nothing yet."""
        self.endpoint = endpoint
        self.origin = origin
        self._host = origin.header
        self._longest_wait = timeouts.pool
        self._unary = Unary(origin, endpoint.pool, endpoint.tls, timeouts)
        self.lanes = Lanes(origin, endpoint.pool, endpoint.tls, endpoint.threads, endpoint.credentials, timeouts)

    @property
    def closed(self) -> bool:
        """Whether the endpoint's client is closed."""
        return self.endpoint.pool.closed

    async def open(self, call: Call, body: bytes = b"", payload_hash: str | None = None) -> Connection:
        """Make a request on the loop, and give the connection once the answer's head is read; return it with `done`.

        Args:
            call: The request.
            body: At most `unary.MAX_BODY` bytes.
            payload_hash: SHA-256 of the body, in hex, to be signed; `None`: over TLS the body is not signed, else it is
                hashed here.

        Raises:
            WireError: No answer came.
        """
        if not body:
            payload_hash = EMPTY_SHA256
        elif payload_hash is None:
            payload_hash = UNSIGNED_PAYLOAD if self.endpoint.secure else hashlib.sha256(body).hexdigest()
        pool = self.endpoint.pool
        if not pool.take_slot():
            await pool.wait_for_slot(self._longest_wait)
        try:  # signed only now: a signature made before a long wait for a slot would be too old
            head = self.endpoint.sign(await self.endpoint.credentials(), self._host, call, payload_hash, len(body))
        except BaseException:
            pool.give_slot()
            raise
        connection = await self._unary.send(Request(call.method, head, body, call.repeatable))
        self.log(call, connection.answer)
        return connection

    def done(self, connection: Connection) -> None:
        """Take a connection back."""
        self._unary.done(connection)

    async def ask(
        self, call: Call, body: bytes = b"", payload_hash: str | None = None, *, limit: int | None = None
    ) -> tuple[AnswerHead, bytes]:
        """Make a request on the loop, and give its complete answer.

        Args:
            call: The request.
            body: At most `unary.MAX_BODY` bytes.
            payload_hash: As for `open`.
            limit: The most bytes of the answer's body to take.
        """
        connection = await self.open(call, body, payload_hash)
        try:
            return connection.answer, await connection.body(limit)
        finally:
            self._unary.done(connection)

    def download(self, call: Call, accept: Callable[[AnswerHead], Write | None]) -> BodyDownload:
        """Make a request for `lanes.exchange`; the function that `accept` gives takes the answer's body."""
        return BodyDownload(self.endpoint, self._host, call, accept)

    def upload(
        self,
        call: Call,
        body: Body,
        algorithm: str | None,
        describe: Describe,
        where: str,
        sent: ByteCounter | None = None,
    ) -> BodyUpload:
        """Make a request for `lanes.exchange` with a body from memory or from a file.

        Args:
            call: The request, without the headers that depend on the body.
            body: Any size.
            algorithm: Of the checksum to send; `"sha256"` is also the signed hash; `None`: no checksum.
            describe: Gives the headers for that checksum, which it takes in hex.
            where: The beginning of messages about the body's file.
            sent: Counts the body's bytes as they are sent.
        """
        return BodyUpload(self.endpoint, self._host, call, body, where, sent or ByteCounter(), algorithm, describe)

    async def _signing(self) -> Credentials:
        credentials = await self.endpoint.credentials()
        assert credentials is not None  # noqa: S101 - the provider refuses to sign without credentials
        return credentials

    async def presign(self, call: Call, expires: int) -> str:
        """Give a URL with which anybody may make the request for `expires` seconds; sends no request."""
        endpoint, credentials = self.endpoint, await self._signing()
        headers = {"host": self._host}
        try:
            query = endpoint.signer.query(
                credentials, endpoint.clock.now(), call.method, call.path, call.query, headers, expires
            )
        except UnicodeError:
            query = None
        if query is None:  # raised here, because the caught error holds the token
            raise WireError(InvalidRequestError, _NO_TEXT)
        return f"{self.origin}{call.path}?{query}"

    async def sign_form(self, conditions: list[object], expires: int) -> dict[str, str]:
        """Give the fields with which a browser may post a form for `expires` seconds, under these conditions."""
        credentials = await self._signing()
        try:
            return self.endpoint.signer.form(credentials, self.endpoint.clock.now(), conditions, expires)
        except UnicodeError:
            pass
        raise WireError(InvalidRequestError, _NO_TEXT)  # raised here, because the caught error holds the token

    def log(self, call: Call, head: AnswerHead) -> None:
        """Log an answered request at the level DEBUG."""
        if _log.isEnabledFor(logging.DEBUG):
            query = f"?{call.query}" if call.query else ""
            _log.debug("%s %s%s%s: %d", call.method, self.origin, call.path, query, head.status)
