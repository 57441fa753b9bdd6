"""aiobotocore's HTTP session without its own ideas: nothing is redirected, nothing is silently sent twice.

aiobotocore lets aiohttp follow redirects, with bodies and security tokens, to any host; and aiohttp
repeats idempotent requests after a dropped connection, so that the repeat of a create-only PUT
finds the object of its own first try. A test of each fails when these hooks stop working.
"""

from __future__ import annotations

import logging
from typing import Any

from aiobotocore.httpsession import AIOHTTPSession
from aiohttp import ClientResponseError, RequestInfo
from multidict import CIMultiDict, CIMultiDictProxy

from bucketry._session.versions import fitting

_log = logging.getLogger("bucketry")


class Transport(AIOHTTPSession):  # type: ignore[misc]  # untyped library
    """A session that makes each request once, to the host it is for."""

    async def _get_session(self, proxy_url: str | None) -> _Direct:
        with fitting():
            session = await super()._get_session(proxy_url)
            session._retry_connection = False  # noqa: SLF001 - aiohttp has no public way; its own test client sets it too
        return _Direct(session)


class _Direct:
    """Makes aiohttp's requests without following redirects."""

    def __init__(self, session: Any) -> None:  # noqa: ANN401 - aiohttp's session or a double of it
        self._session = session

    async def request(self, method: str, **options: Any) -> Any:  # noqa: ANN401 - handed on as they come
        try:
            answer = await self._session.request(method, allow_redirects=False, **options)
        except ClientResponseError as exc:
            sent = exc.request_info
            exc.request_info = RequestInfo(sent.url, sent.method, CIMultiDictProxy(CIMultiDict()), sent.real_url)
            exc.args = ()  # both showed the headers that were sent
            raise
        _log.debug("%s %s: %d", method, options.get("url"), answer.status)
        return answer


def refuse_region_redirects(request_dict: dict[str, Any], **_: Any) -> None:  # noqa: ANN401 - a botocore event's arguments
    """Tell botocore's region redirector that it has followed already: the error names the region instead."""
    request_dict["context"].setdefault("s3_redirect", {})["redirected"] = True
