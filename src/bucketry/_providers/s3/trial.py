"""Requests to one bucket beyond the limits of its row, which `bucketry doctor` makes to compare server and row.

A `Trial` sends conditions, versions and tags also if the row does not promise them. It can send a request that a
correct server refuses, such as one with a wrong checksum. Programs that store objects use a provider instead.
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Mapping
from dataclasses import replace
from html import unescape
from types import TracebackType
from typing import Self
from urllib.parse import unquote_plus, urlsplit

from bucketry._core.capabilities import Capabilities
from bucketry._core.frozen import dataclass
from bucketry._core.s3_config import S3FamilyConfig
from bucketry._core.units import MiB
from bucketry._core.values import NOTHING, ListPage
from bucketry._providers.s3.dates import seconds_of
from bucketry._providers.s3.headers import checksum_headers
from bucketry._providers.s3.requests import S3Requests
from bucketry._providers.s3.wire.plane import WirePlane
from bucketry._providers.s3.xml.documents import error_fields
from bucketry._session.pool import SessionPool
from bucketry._vendors.row import Vendor
from bucketry._wire.client import Call, OriginClient
from bucketry._wire.connect import Origin
from bucketry._wire.errors import WireError
from bucketry._wire.probe import Way, find_addresses, try_way
from bucketry._wire.sigv4 import Credentials, encode_path, encode_query
from bucketry.errors import StorageError

_LARGEST = 1 * MiB  # the most bytes of a response's body that are read
_ATTEMPTS = 3  # few, because some servers answer 500 to what they do not support
_KEY = re.compile(r"<Key>([^<]*)</Key>")
_REFUSED = 400  # this status and all above


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialAnswer:
    """A response, not judged.

    Attributes:
        status: The HTTP status.
        headers: The headers by lower-case name.
        body: The body.
        seconds: The time from the request to the end of the response.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float

    @property
    def refused(self) -> bool:
        """Whether the response is an error."""
        return self.status >= _REFUSED

    @property
    def code(self) -> str:
        """The status, and the error's code if the response has one: `"412 PreconditionFailed"`."""
        return f"{self.status} {error_fields(self.body).get('Code', '')}".rstrip()

    @property
    def date(self) -> float | None:
        """The server's time in seconds since 1970; `None`: the response has no `Date`."""
        return seconds_of(self.headers.get("date"))


class Trial(S3Requests):
    """The requests of one bucket, as if its row promised everything.

    Args:
        config: The provider's configuration.
        vendor: The provider's row.
        pool: The pool, which stays open.
    """

    def __init__(self, config: S3FamilyConfig, vendor: Vendor, pool: SessionPool) -> None:
        """Check the configuration; no I/O."""
        config = replace(config, max_attempts=min(config.max_attempts, _ATTEMPTS))
        super().__init__(config, replace(vendor, capabilities=_everything(vendor.capabilities)), pool)
        self._sdk = vendor.sdk_checksum_header

    @property
    def config(self) -> S3FamilyConfig:
        """The provider's configuration."""
        return self._config

    async def __aenter__(self) -> Self:
        """Return the trial; nothing is opened."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Do nothing, because the pool belongs to the provider."""

    @property
    def endpoint_url(self) -> str:
        """The endpoint's URL; empty: botocore chooses it."""
        endpoint = self._bucket.endpoint
        return endpoint.url or endpoint.standard_url or ""

    @property
    def region(self) -> str:
        """The region in signatures."""
        return self._bucket.endpoint.region

    async def plane(self) -> WirePlane | None:
        """Return bucketry's own client, which can send any request; `None`: only aiobotocore reaches the server.

        Raises:
            StorageError: Certificates or credentials cannot be read.
        """
        found = await self._planes.signing()
        return found if isinstance(found, WirePlane) else None

    async def credentials(self, plane: WirePlane) -> Credentials | None:
        """Return the credentials that sign the requests; `None`: requests are not signed.

        Raises:
            StorageError: AWS's credential chain finds none.
        """
        try:
            return await plane.client.endpoint.credentials()
        except WireError as exc:
            raise _error(plane, exc) from exc

    # --- the network ---------------------------------------------------------------------------------

    async def addresses(self, plane: WirePlane) -> tuple[str, ...]:
        """Return the addresses of the server's host.

        Raises:
            StorageError: The host has none.
        """
        try:
            return await find_addresses(plane.client.origin)
        except WireError as exc:
            raise _error(plane, exc) from exc

    async def way(self, plane: WirePlane) -> tuple[Way, StorageError | None]:
        """Open a connection to the server, with TLS if the endpoint has it, and close it.

        Returns:
            What was seen, and why the TLS handshake failed; its message says what to do.

        Raises:
            StorageError: The connection cannot be opened; the message says what to do.
        """
        origin, tls = self._target(plane)
        try:
            way, problem = await try_way(origin, tls, self._bucket.endpoint.timeouts.connect)
        except WireError as exc:
            raise _error(plane, exc) from exc
        return way, None if problem is None else _error(plane, problem)

    def _target(self, plane: WirePlane) -> tuple[Origin, ssl.SSLContext | None]:
        return plane.client.origin, plane.client.endpoint.tls

    # --- requests ------------------------------------------------------------------------------------

    async def send(
        self,
        plane: WirePlane,
        method: str,
        key: str = "",
        *,
        query: Mapping[str, str] = NOTHING,
        headers: Mapping[str, str] = NOTHING,
        body: bytes = b"",
        payload_hash: str | None = None,
    ) -> TrialAnswer:
        """Send one signed request exactly as given, once, and return its response, whatever its status.

        Args:
            plane: From `plane()`.
            method: Such as `"PUT"`.
            key: The object; empty: the bucket.
            query: The parameters.
            headers: The headers, in addition to those that the configuration adds to every request.
            body: At most 256 KiB.
            payload_hash: The SHA-256 to sign instead of that of `body`, so that a correct server refuses the request.

        Raises:
            StorageError: No response came.
        """
        path = f"{plane.root}/{encode_path(key)}" if key else plane.root or "/"
        # An object that the provider has encrypted with the user's own key is only read with this key.
        own = plane.bucket.headers.existing if key else NOTHING
        call = plane.call(method, path, encode_query(query) if query else "", {**own, **headers})
        return await _sent(plane, plane.client, call, key, body, payload_hash)

    async def fetch_unsigned(
        self,
        plane: WirePlane,
        method: str,
        url: str,
        body: bytes = b"",
        headers: Mapping[str, str] = NOTHING,
    ) -> TrialAnswer:
        """Send a request without credentials to a URL of the bucket, such as a signed URL.

        Raises:
            StorageError: No response came.
        """
        endpoint = replace(
            self._bucket.endpoint,
            anonymous=True,
            access_key=None,
            secret_key=None,
            session_token=None,
            profile=None,
        )
        bucket = self._bucket.name if endpoint.addressing_style == "virtual" else ""
        client = await self._pool.origin_client(endpoint, bucket)
        assert client is not None  # noqa: S101 - `plane` shows that the data plane reaches this endpoint
        parts = urlsplit(url)
        return await _sent(plane, client, Call(method, parts.path or "/", parts.query, headers), "", body, None)

    async def list_pages_of(self, prefix: str, size: int) -> tuple[ListPage, ListPage]:
        """Return two pages of at most `size` entries.

        Raises:
            StorageError: The server refused one, or its first page has no token.
        """
        plane = await self._planes.data()
        first = await plane.list_page(prefix, max_keys=size)
        return first, await plane.list_page(prefix, max_keys=size, token=first.next_token)

    async def keys_as_sent(self, plane: WirePlane, prefix: str) -> list[str]:
        """Return the keys of one page in the order in which the server sends them; `list_page` sorts each page.

        Raises:
            StorageError: The server refused the listing.
        """
        query = {"list-type": "2", "encoding-type": "url", "prefix": prefix}
        answer = await self.send(plane, "GET", query=query)
        if answer.refused:
            raise plane.bucket.error(StorageError, None, "list", f"the server answered {answer.code}")
        text = answer.body.decode("utf-8", errors="replace")
        decode = unquote_plus if "<EncodingType>url<" in text else unescape
        return [decode(found) for found in _KEY.findall(text)]

    def checksum_headers(self, algorithm: str, digest: str) -> dict[str, str]:
        """Return the headers with a checksum, right or wrong; SHA-256 has none, because it is in the signature."""
        return checksum_headers(algorithm, digest, sdk=self._sdk)

    def correct_clock(self, server: float) -> None:
        """Sign later requests with the server's time."""
        self._bucket.clock.set_from(server)


async def _sent(
    plane: WirePlane, client: OriginClient, call: Call, key: str, body: bytes, payload_hash: str | None
) -> TrialAnswer:
    began = time.monotonic()
    try:
        head, answer = await client.ask(call, body, payload_hash, limit=_LARGEST)
    except WireError as exc:
        raise _error(plane, exc, key or None) from exc
    return TrialAnswer(status=head.status, headers=head.headers, body=answer, seconds=time.monotonic() - began)


def _error(plane: WirePlane, exc: WireError, key: str | None = None) -> StorageError:
    return plane.bucket.error(exc.kind, key, "doctor", exc.problem)


def _everything(row: Capabilities) -> Capabilities:
    """Return a row that promises every feature that a request can ask for; limits and checksums stay."""
    return replace(
        row,
        multipart=True,
        equal_part_sizes=False,
        max_delete_keys=max(row.max_delete_keys, 1_000),
        put_if_none_match=True,
        complete_if_none_match=True,
        put_if_match=True,
        complete_if_match=True,
        get_if_match=True,
        copy_source_if_match=True,
        copy=True,
        presign_methods=("GET", "HEAD", "PUT", "DELETE"),
        presign_post=True,
        versions=True,
        tags=True,
        key_normalization=None,
    )
