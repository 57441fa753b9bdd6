"""A proxy in front of moto that makes it behave exactly as AWS's row says, except for chosen lies."""

from __future__ import annotations

import base64
import hashlib
import http.client
import re
import zlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from email.utils import formatdate
from time import time
from urllib.parse import parse_qs, urlsplit

from tests.wire.scripted import Answer, Request, error

LIES = frozenset({"put_if_none_match", "put_checksum", "listing_order", "ranges", "clock"})
"""By the name of the check that must find the lie."""

_LINE_END, _FOR_LINE_END = "%0A", "%EE%80%80"  # moto answers 404 to keys with line ends, so they are exchanged
_MOTO_ACCOUNT = "123456789012"
_HOUR = 3_600
_HOP_BY_HOP = {"connection", "transfer-encoding", "server", "content-length", "date"}
_ENTRIES = re.compile(rb"<Contents>.*?</Contents>", re.DOTALL)


class Liar:
    """Answers requests for `tests.wire.scripted.Scripted`.

    Args:
        server: The URL of moto.
        lies: What the server does wrong; empty: nothing.
    """

    def __init__(self, server: str, lies: frozenset[str]) -> None:
        self._netloc = urlsplit(server).netloc
        self._lies = lies
        self._parts: dict[str, dict[int, bytes]] = defaultdict(dict)

    def __call__(self, request: Request) -> Answer:
        """Answer a request: refuse what AWS refuses, else ask moto."""
        query = parse_qs(request.query, keep_blank_values=True)
        refused = self._refusal(request, query)
        if refused is None:
            answer = self._from_moto(self._told(request))
            upload = query.get("uploadId", [""])[0]
            if request.method == "PUT" and upload and answer.status == http.HTTPStatus.OK:
                self._parts[upload][int(query["partNumber"][0])] = request.body
        else:
            answer = refused
        date = formatdate(time() + (_HOUR if "clock" in self._lies else 0), usegmt=True)
        return replace(answer, headers={**answer.headers, "Date": date})

    def _told(self, request: Request) -> Request:
        """Give the request as moto gets it."""
        headers = dict(request.headers)
        if "put_if_none_match" in self._lies and request.method == "PUT":
            headers.pop("if-none-match", None)
        if "ranges" in self._lies:
            headers.pop("range", None)
        return replace(request, headers=headers)

    def _from_moto(self, request: Request) -> Answer:
        connection = http.client.HTTPConnection(self._netloc, timeout=10)
        try:
            target = request.target.replace(_LINE_END, _FOR_LINE_END)
            connection.request(request.method, target, request.body, dict(request.headers))
            response = connection.getresponse()
            body = response.read().replace(_FOR_LINE_END.encode(), _LINE_END.encode())
            headers: dict[str, str | None] = {
                name: value for name, value in response.getheaders() if name.lower() not in _HOP_BY_HOP
            }
            if request.method == "HEAD" and (length := response.getheader("Content-Length")):
                headers["Content-Length"] = length
            if "listing_order" in self._lies:
                body = _reversed(body)
            return Answer(response.status, body, headers)
        finally:
            connection.close()

    def _refusal(self, request: Request, query: dict[str, list[str]]) -> Answer | None:
        """Refuse what moto accepts, and AWS does not."""
        headers = request.headers
        if headers.get("x-amz-expected-bucket-owner", _MOTO_ACCOUNT) != _MOTO_ACCOUNT:
            return error("AccessDenied", 403)
        lies = "put_checksum" in self._lies and "uploadId" not in query
        if request.method == "PUT" and request.body and not lies and _is_wrong(headers, request.body):
            return error("BadDigest", 400)
        source = headers.get("x-amz-copy-source")
        if source and (wanted := headers.get("x-amz-copy-source-if-match")):
            return None if self._etag(f"/{source}", request) == wanted else error("PreconditionFailed", 412)
        if request.method == "POST" and (upload := query.get("uploadId", [""])[0]):
            if (wanted := headers.get("if-match")) and self._etag(request.path, request) != wanted:
                return error("PreconditionFailed", 412)
            parts = self._parts[upload]
            if _is_wrong(headers, b"".join(parts[number] for number in sorted(parts)), whole=True):
                return error("BadDigest", 400)
        return None

    def _etag(self, path: str, request: Request) -> str | None:
        """Give the etag of an object, asked for with the credentials of the request; moto does not check signatures."""
        credentials = {name: request.headers[name] for name in ("authorization", "x-amz-date")}
        headers = self._from_moto(Request("HEAD", path, credentials, b"")).headers
        return next((value for name, value in headers.items() if name.lower() == "etag"), None)


def _is_wrong(headers: Mapping[str, str], body: bytes, *, whole: bool = False) -> bool:
    """Tell whether a checksum in the headers is not that of the body; `whole`: only that of a whole object counts."""
    crc32 = headers.get("x-amz-checksum-crc32")
    if crc32 and crc32 != base64.b64encode(zlib.crc32(body).to_bytes(4)).decode():
        return True
    if whole:
        return False
    md5 = headers.get("content-md5")
    if md5 and md5 != base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode():
        return True
    sha256 = headers.get("x-amz-content-sha256", "")
    return len(sha256) == 2 * hashlib.sha256().digest_size and sha256 != hashlib.sha256(body).hexdigest()


def _reversed(body: bytes) -> bytes:
    """Reverse the order of a listing's entries."""
    entries = _ENTRIES.findall(body)
    remaining = iter(reversed(entries))
    return _ENTRIES.sub(lambda _: next(remaining), body)
