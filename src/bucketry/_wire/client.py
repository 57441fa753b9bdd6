"""Signs requests to a standard S3 endpoint, and sends them on the event loop or in a lane (a worker thread).

All users of one endpoint in one event loop share an `EndpointClient`, which has the slots, connections, credentials and
clock. An `OriginClient` sends requests to one origin of the endpoint: a scheme, host and port. With virtual addressing,
each bucket has its own origin.
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
from bucketry._wire.connect import Connector, Origin
from bucketry._wire.errors import WireError
from bucketry._wire.heads import SignedHeads
from bucketry._wire.http1 import AnswerHead
from bucketry._wire.lanes import Lanes, Write
from bucketry._wire.pool import Pool
from bucketry._wire.sigv4 import EMPTY_SHA256, UNSIGNED_PAYLOAD, Credentials, Signer
from bucketry._wire.threads import LaneThreads
from bucketry._wire.unary import Connection, Request, Unary
from bucketry.errors import InvalidRequestError

_log = logging.getLogger("bucketry")

KEPT_MEMORY = 4 * MiB
"""The size of a block that is allocated and freed once, because glibc then keeps freed blocks up to this size for later
bodies. Otherwise glibc maps new memory for each body, with a page fault for every 4 KiB. This raised GETs of 128 KiB
from 7,600 to 17,400 a second. https://man7.org/linux/man-pages/man3/mallopt.3.html, M_MMAP_THRESHOLD"""

_NO_TEXT = "the request cannot be sent: a header, or the session token, is not valid Unicode"

CredentialSource: TypeAlias = Credentials | Callable[[], Awaitable[Credentials]] | None
Describe: TypeAlias = Callable[[str], Mapping[str, str]]


class Call(NamedTuple):
    """One request, before it is signed; a tuple, because many are made.

    Attributes:
        method: The method, in capitals.
        path: The path, percent-encoded by `encode_path`.
        query: The query, encoded by `encode_query`.
        headers: The headers by lower-case name, without `host` and the headers that signing adds.
        repeatable: Whether sending the request twice has the same effect as sending it once.
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
        source: Credentials, or a function that returns them; `None`: requests are not signed, for public buckets.
        limit: The largest number of connections; `resize` changes it.
        tls: The TLS settings for `https`; `None`: for `http`.
        clock: The clock for the time in signatures.

    Attributes:
        pool: The slots and idle connections.
        secure: Whether TLS protects the bytes.
        threads: The threads that lanes run in; they end when the client is closed and its last request is done.
        signer: The signer for the endpoint's region.
        clock: The clock for the time in signatures.
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
        """Store the arguments; nothing is opened yet."""
        bytes(KEPT_MEMORY)  # allocated and freed at once, see `KEPT_MEMORY`
        self.secure = tls is not None
        self.threads = LaneThreads()
        self.pool = Pool(limit, self.threads.end)
        self.tls = tls
        self._source = source
        self.signer = Signer(region)
        self._heads = SignedHeads(self.signer)
        self.clock = clock
        self._origins: dict[tuple[Origin, Timeouts], OriginClient] = {}
        self._connectors: dict[Origin, Connector] = {}

    def at(self, origin: Origin, timeouts: Timeouts) -> OriginClient:
        """Return the client for an origin and these timeouts; all clients of an origin share its connections."""
        if (origin, timeouts) not in self._origins:
            self._origins[origin, timeouts] = OriginClient(self, origin, timeouts)
        return self._origins[origin, timeouts]

    def connector(self, origin: Origin) -> Connector:
        """Return what opens connections to an origin; all clients of the origin share it, and so its TLS session."""
        if origin not in self._connectors:
            self._connectors[origin] = Connector(origin, self.tls)
        return self._connectors[origin]

    def resize(self, limit: int) -> None:
        """Change the limit of connections, also while requests are under way; idle lane threads end."""
        self.pool.resize(limit)
        self.threads.end()

    async def credentials(self) -> Credentials | None:
        """Return the credentials, refreshed if they are about to expire; `None`: requests are not signed."""
        source = self._source
        return source if source is None or isinstance(source, Credentials) else await source()

    def sign(self, credentials: Credentials | None, host: str, call: Call, payload_hash: str, length: int) -> bytes:
        """Return the signed head of a request with a body of `length` bytes; safe to call from any thread."""
        try:
            return self._heads.head(
                credentials,
                self.clock.now(),
                host,
                call.method,
                call.path,
                call.query,
                call.headers,
                payload_hash,
                length,
            )
        except WireError as exc:
            problem = exc.problem
        except UnicodeError:
            problem = _NO_TEXT
        # Raised after `except`: the caught error would be its context, whose frames have the token in local variables.
        raise WireError(InvalidRequestError, problem)

    def close(self, *, at_once: bool = False) -> None:
        """Close idle connections now, and busy connections after their requests; `at_once` closes all of them now."""
        self.pool.close(at_once=at_once)


class BodyDownload:
    """A request with a large body in its response; see `LaneRequest`."""

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
        """Return the signed head of the request."""
        return self._endpoint.sign(credentials, self._host, self._call, EMPTY_SHA256, 0)


class BodyUpload:
    """A request with a large body; see `LaneRequest`.

    Attributes:
        digest: The body's checksum in hex; `None` until `head` has computed it.
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
        """Compute the body's checksums, and return the signed head with them.

        The head is sent before the body, so a file with checksums is read twice.
        """
        algorithm, call = self._algorithm, self._call
        payload = hashlib.sha256() if not self._endpoint.secure or algorithm == "sha256" else None
        checksum = payload if algorithm == "sha256" else checksums.new(algorithm) if algorithm else None
        sums = {each for each in (payload, checksum) if each is not None}  # one hash may have both uses
        for view in slices if sums else ():
            for each in sums:
                each.update(view)
        if checksum is not None:
            self.digest = checksum.hexdigest()
            call = call._replace(headers={**call.headers, **self._describe(self.digest)})
        payload_hash = UNSIGNED_PAYLOAD if payload is None else payload.hexdigest()
        return self._endpoint.sign(credentials, self._host, call, payload_hash, body_size(self.body))

    def accept(self, _: AnswerHead) -> None:
        """Return `None`, so that `Lane.exchange` returns the response's body, which is small."""


class OriginClient:
    """Sends requests to one origin.

    Attributes:
        endpoint: The endpoint's client, which all origins of the endpoint share.
        origin: Scheme, host and port of the requests.
        lanes: Makes requests with large bodies; see `download` and `upload`.
    """

    def __init__(self, endpoint: EndpointClient, origin: Origin, timeouts: Timeouts) -> None:
        """Store the arguments; nothing is opened yet."""
        self.endpoint = endpoint
        self.origin = origin
        self._host = origin.header
        self._longest_wait = timeouts.pool
        connector = endpoint.connector(origin)
        self._unary = Unary(connector, endpoint.pool, timeouts)
        self.lanes = Lanes(connector, endpoint.pool, endpoint.threads, endpoint.credentials, timeouts)

    @property
    def closed(self) -> bool:
        """Whether the endpoint's client is closed."""
        return self.endpoint.pool.closed

    async def open(self, call: Call, body: bytes = b"", payload_hash: str | None = None) -> Connection:
        """Make a request on the loop, and return the connection when the response's head was read.

        The caller reads the body, and then calls `done` with the connection.

        Args:
            call: The request.
            body: At most `unary.MAX_BODY` bytes.
            payload_hash: The body's SHA-256 in hex, which is signed; `None`: with TLS the body is not signed, and
                without TLS this method computes the hash.

        Raises:
            WireError: No response came.
        """
        if not body:
            payload_hash = EMPTY_SHA256
        elif payload_hash is None:
            payload_hash = UNSIGNED_PAYLOAD if self.endpoint.secure else hashlib.sha256(body).hexdigest()
        pool = self.endpoint.pool
        if not pool.take_slot():
            await pool.wait_for_slot(self._longest_wait)
        try:  # signed after the wait for a slot, because a signature becomes invalid after some minutes
            head = self.endpoint.sign(await self.endpoint.credentials(), self._host, call, payload_hash, len(body))
        except BaseException:
            pool.give_slot()
            raise
        connection = await self._unary.send(Request(call.method, head, body, call.repeatable))
        self.log(call, connection.answer)
        return connection

    def done(self, connection: Connection) -> None:
        """Take back a connection that `open` returned."""
        self._unary.done(connection)

    async def ask(
        self, call: Call, body: bytes = b"", payload_hash: str | None = None, *, limit: int | None = None
    ) -> tuple[AnswerHead, bytes]:
        """Make a request on the loop, and return its complete response.

        Args:
            call: The request.
            body: At most `unary.MAX_BODY` bytes.
            payload_hash: As for `open`.
            limit: The largest number of bytes of the response's body to return.
        """
        connection = await self.open(call, body, payload_hash)
        try:
            return connection.answer, await connection.body(limit)
        finally:
            self._unary.done(connection)

    def download(self, call: Call, accept: Callable[[AnswerHead], Write | None]) -> BodyDownload:
        """Return a request for `lanes.exchange`; the function that `accept` returns gets the response's body."""
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
        """Return a request for `lanes.exchange` with a body from memory or from a file.

        Args:
            call: The request, without the headers that depend on the body.
            body: The body, of any size.
            algorithm: The algorithm of the checksum to send; `"sha256"` is also the signed hash; `None`: no checksum.
            describe: A function that takes the checksum in hex, and returns the headers for it.
            where: The beginning of messages about the body's file.
            sent: The counter of the body's bytes that were sent.
        """
        return BodyUpload(self.endpoint, self._host, call, body, where, sent or ByteCounter(), algorithm, describe)

    async def _signing(self) -> Credentials:
        credentials = await self.endpoint.credentials()
        assert credentials is not None  # noqa: S101 - the provider refuses to sign without credentials
        return credentials

    async def presign(self, call: Call, expires: int) -> str:
        """Return a URL with which anybody can make the request for `expires` seconds; no request is sent here."""
        endpoint, credentials = self.endpoint, await self._signing()
        headers = {"host": self._host}
        try:
            query = endpoint.signer.query(
                credentials, endpoint.clock.now(), call.method, call.path, call.query, headers, expires
            )
        except UnicodeError:
            query = None
        if query is None:  # raised after `except`, because the caught error would be its context, and has the token
            raise WireError(InvalidRequestError, _NO_TEXT)
        return f"{self.origin}{call.path}?{query}"

    async def sign_form(self, conditions: list[object], expires: int) -> dict[str, str]:
        """Return the fields of a form that a browser may post for `expires` seconds under these conditions."""
        credentials = await self._signing()
        try:
            return self.endpoint.signer.form(credentials, self.endpoint.clock.now(), conditions, expires)
        except UnicodeError:
            pass
        raise WireError(InvalidRequestError, _NO_TEXT)  # after `except`, for the same reason as in `presign`

    def log(self, call: Call, head: AnswerHead) -> None:
        """Log an answered request at the level DEBUG."""
        if _log.isEnabledFor(logging.DEBUG):
            query = f"?{call.query}" if call.query else ""
            _log.debug("%s %s%s%s: %d", call.method, self.origin, call.path, query, head.status)
