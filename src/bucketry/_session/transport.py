"""An HTTP session for aiobotocore that follows no redirects and sends no request twice.

By default, aiobotocore lets aiohttp follow redirects to any host, with bodies and security tokens. aiohttp also repeats
idempotent requests after a lost connection. A repeated PUT that must only create an object then fails, because its own
first attempt has created the object. This module prevents both. A test for each fails if the code here stops working.
"""

from __future__ import annotations

import logging
import time
from base64 import b64encode
from hashlib import md5
from typing import Any

from aiobotocore.httpsession import AIOHTTPSession
from aiohttp import ClientResponseError, RequestInfo
from botocore.auth import AUTH_TYPE_MAPS, S3SigV4Auth, S3SigV4PostAuth, S3SigV4QueryAuth
from multidict import CIMultiDict, CIMultiDictProxy

from bucketry._session.versions import fitting
from bucketry._wire.clock import Clock

_log = logging.getLogger("bucketry")


class Transport(AIOHTTPSession):  # type: ignore[misc]  # untyped library
    """A session that sends each request once, and only to the host in the request's URL."""

    async def _get_session(self, proxy_url: str | None) -> _Direct:
        with fitting():
            session = await super()._get_session(proxy_url)
            session._retry_connection = False  # noqa: SLF001 - aiohttp has no public way; its own test client sets it too
        return _Direct(session)


class _Direct:
    """Makes aiohttp's requests without following redirects."""

    def __init__(self, session: Any) -> None:  # noqa: ANN401 - aiohttp's session, or a replacement in tests
        self._session = session

    async def request(self, method: str, **options: Any) -> Any:  # noqa: ANN401 - handed on as they come
        try:
            answer = await self._session.request(method, allow_redirects=False, **options)
        except ClientResponseError as exc:
            sent = exc.request_info
            exc.request_info = RequestInfo(sent.url, sent.method, CIMultiDictProxy(CIMultiDict()), sent.real_url)
            exc.args = ()  # because request_info and args contain the sent headers
            raise
        _log.debug("%s %s: %d", method, options.get("url"), answer.status)
        return answer


def refuse_region_redirects(request_dict: dict[str, Any], **_: Any) -> None:  # noqa: ANN401 - a botocore event's arguments
    """Mark the request as redirected, so that botocore does not redirect it to another region.

    The user gets an error that names the region instead.
    """
    request_dict["context"].setdefault("s3_redirect", {})["redirected"] = True


def sum_by_md5(params: dict[str, Any], **_: Any) -> None:  # noqa: ANN401 - as above
    """Send the checksum of a body as `Content-MD5`, because not all vendors know botocore's newer checksum headers.

    botocore computes its own checksum after this event only if the context contains an algorithm, so the algorithm is
    removed.
    """
    body = params["body"]
    digest = md5(body.encode() if isinstance(body, str) else body, usedforsecurity=False).digest()
    params["headers"]["Content-MD5"] = b64encode(digest).decode()
    checksum = params["context"].get("checksum", {})
    checksum.pop("request_algorithm", None)
    checksum.pop("request_algorithm_header", None)


_STANDARD_SIGNERS = {
    "s3v4": S3SigV4Auth,
    "s3v4-query": S3SigV4QueryAuth,
    "s3v4-presign-post": S3SigV4PostAuth,
}
# With this prefix, the names stand for botocore's signers in Python, even if awscrt replaces those of the usual names.
_OURS = "bucketry-"
AUTH_TYPE_MAPS.update({_OURS + name: signer for name, signer in _STANDARD_SIGNERS.items()})


def sign_by(client: Any, clock: Clock) -> None:  # noqa: ANN401 - botocore border
    """Make a client sign its requests with the endpoint's clock, if this clock was corrected."""

    def choose(signature_version: str, **_: object) -> str | None:
        return _OURS + signature_version if clock.offset and signature_version in _STANDARD_SIGNERS else None

    def prepare(request: Any, **_: object) -> None:  # noqa: ANN401 - as above
        if clock.offset:
            request.context = _Signing(request.context, clock)

    client.meta.events.register("choose-signer.s3", choose)
    client.meta.events.register("before-sign.s3", prepare)


class _Signing(dict[str, Any]):
    """A request's context that replaces the time of the signature, which botocore's signers store in the context."""

    def __init__(self, context: dict[str, Any], clock: Clock) -> None:
        super().__init__(context)
        self._clock = clock

    def __setitem__(self, name: str, value: object) -> None:
        if name == "timestamp":
            value = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._clock.now()))
        super().__setitem__(name, value)
