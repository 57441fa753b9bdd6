"""Makes the signed heads of requests. Requests with the same headers in the same second share most of the work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bucketry._wire.http1 import RequestHead, header_lines, request_head
from bucketry._wire.sigv4 import Credentials, PreparedSignature, Signer

USER_AGENT = "bucketry"
_WITH_LENGTH = frozenset({"PUT", "POST"})  # these have a Content-Length also if their body is empty
_MOST_TEMPLATES = 64  # few programs make more kinds of requests, but each range and each checksum is a kind of its own


class _Template:
    """A head without method, path, query, length and signature."""

    __slots__ = ("_lines", "_prepared")

    def __init__(self, headers: Mapping[str, str], prepared: PreparedSignature | None) -> None:
        sent = {**headers, "user-agent": USER_AGENT}  # not signed, because proxies may change it
        if prepared is not None:
            sent["authorization"] = prepared.authorization
        lines = header_lines(sent)
        self._lines: Final = lines if prepared is None else lines[: -len("\r\n")]  # the signature follows
        self._prepared: Final = prepared

    def head(self, method: str, path: str, query: str, length: int) -> RequestHead:
        target = f"{path}?{query}" if query else path
        lines = self._lines
        if length or method in _WITH_LENGTH:
            lines = f"content-length: {length}\r\n{lines}"
        if self._prepared is not None:
            lines = f"{lines}{self._prepared.signature(method, path, query)}\r\n"
        return request_head(method, target, lines)


class SignedHeads:
    """Makes the heads of requests to one endpoint; several threads may use it.

    The templates of the present second are kept. Without them, a head takes 4 µs more.
    """

    def __init__(self, signer: Signer) -> None:
        """Begin without templates."""
        self._signer = signer
        self._kept: tuple[int, Credentials | None, dict[object, _Template]] = 0, None, {}

    def head(
        self,
        credentials: Credentials | None,
        moment: float,
        host: str,
        method: str,
        path: str,
        query: str,
        headers: Mapping[str, str],
        payload_hash: str,
        length: int,
    ) -> RequestHead:
        """Return a request's head, signed if there are credentials.

        Args:
            credentials: The keys to sign with; `None`: the request is not signed.
            moment: The time of signing, in seconds since 1970.
            host: The `Host` header.
            method: The method, in capitals.
            path: The path, encoded by `encode_path`.
            query: The query, encoded by `encode_query`; may be empty.
            headers: The headers by lower-case name, without `host` and the headers that signing adds.
            payload_hash: The body's SHA-256 in hex, or `UNSIGNED_PAYLOAD`.
            length: The length of the body.

        Raises:
            WireError: HTTP does not allow one of the arguments.
            UnicodeError: A header, or the token, is not valid Unicode.
        """
        second, kept_for, templates = self._kept
        if second != int(moment) or kept_for is not credentials or len(templates) >= _MOST_TEMPLATES:
            templates = {}
            self._kept = int(moment), credentials, templates
        key = (host, payload_hash, *headers.items())
        template = templates.get(key)
        if template is None:
            template = self._template(credentials, moment, {"host": host, **headers}, payload_hash)
            templates[key] = template
        return template.head(method, path, query, length)

    def _template(
        self, credentials: Credentials | None, moment: float, headers: dict[str, str], payload_hash: str
    ) -> _Template:
        if credentials is None:
            return _Template(headers, None)
        prepared = self._signer.prepare(credentials, moment, headers, payload_hash)
        return _Template(prepared.headers, prepared)
