"""AWS Signature Version 4 for S3: signs requests and presigned URLs.

This module has no I/O and no clock: it takes text and returns text. The caller chooses the headers, and all of them are
signed. The caller passes the body's hash, not the body. Aws-chunked bodies and Signature Version 4A are not supported.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
"""

from __future__ import annotations

import hmac
import json
import re
import time
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import field
from functools import lru_cache
from hashlib import sha256
from urllib.parse import quote

from bucketry._core.frozen import dataclass

UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
"""The value instead of a body's hash if the body is protected by TLS and not by the signature."""

EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
"""The hash of an empty body."""

_UNRESERVED = re.compile(r"[A-Za-z0-9._~/-]*")
_RESERVED = re.compile(r"[^A-Za-z0-9._~/-]")
_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Credentials:
    """The keys to sign with; temporary credentials also have a token.

    `found_by` is the member of AWS's credential chain that found the keys, such as `"iam-role"`; empty if they were
    given.
    """

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    found_by: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class _Second:
    """The values that all signatures with the same credentials in the same second share.

    `mac` is an HMAC that has hashed the signing key of the day.
    """

    second: int
    credentials: Credentials
    amz_date: str
    scope: str
    mac: hmac.HMAC


@dataclass(frozen=True, slots=True)
class PreparedSignature:
    """The part of a signature that all requests with the same headers in the same second share.

    Attributes:
        headers: The headers to send: the given ones, and the `x-amz-*` headers for date, body and token.
        authorization: The value of the header `authorization`, which is also sent; the signature follows it.
    """

    headers: Mapping[str, str] = field(repr=False)
    authorization: str
    _now: _Second
    _canonical: str = field(repr=False)

    def signature(self, method: str, path: str, query: str) -> str:
        """Return the signature of one request.

        Args:
            method: The method, in capitals.
            path: The path, encoded by `encode_path`, exactly as it is sent.
            query: The query, encoded by `encode_query`, exactly as it is sent; it may be empty.
        """
        return _signature(self._now, f"{method}\n{path}\n{query}\n{self._canonical}")


class Signer:
    """Signs the requests of one region. The latest signing key is kept, because it is the same for a whole day.

    Several threads may use one signer, because its shared value is never changed, only replaced as a whole.
    """

    def __init__(self, region: str, service: str = "s3") -> None:
        self._region = region
        self._service = service
        self._latest: _Second | None = None

    def prepare(
        self, credentials: Credentials, moment: float, headers: Mapping[str, str], payload_hash: str
    ) -> PreparedSignature:
        """Return the signature of all requests with these headers in this second, for any method, path and query.

        Args:
            credentials: The keys to sign with.
            moment: The time of signing, in seconds since 1970.
            headers: The headers by lower-case name, with `host`. All of them are signed, so leave out any header that a
                proxy may change.
            payload_hash: The body's SHA-256 in hex, or `UNSIGNED_PAYLOAD`.
        """
        now = self._at(credentials, moment)
        sent = {**headers, "x-amz-date": now.amz_date, "x-amz-content-sha256": payload_hash}
        if credentials.token:
            sent["x-amz-security-token"] = credentials.token
        names = sorted(sent)
        signed = ";".join(names)
        beginning = f"{_ALGORITHM} Credential={credentials.access_key}/{now.scope}, SignedHeaders={signed}, Signature="
        return PreparedSignature(sent, beginning, now, f"{_canonical(sent, names)}\n{signed}\n{payload_hash}")

    def query(
        self,
        credentials: Credentials,
        moment: float,
        method: str,
        path: str,
        query: str,
        headers: Mapping[str, str],
        expires: int,
    ) -> str:
        """Return the complete query string of a presigned URL; anyone who has the URL may make this one request.

        Args:
            credentials: The keys to sign with.
            moment: The time from which the URL is valid.
            method: The method that the URL is valid for.
            path: The URL's path, encoded.
            query: Further parameters of the request, encoded; may be empty.
            headers: The request must have these headers with these values; at least `host`.
            expires: How long the URL is valid, in seconds; AWS accepts 1 to 604 800.
        """
        now = self._at(credentials, moment)
        names = sorted(headers)
        signed = ";".join(names)
        signing = {
            "X-Amz-Algorithm": _ALGORITHM,
            "X-Amz-Credential": f"{credentials.access_key}/{now.scope}",
            "X-Amz-Date": now.amz_date,
            "X-Amz-Expires": str(expires),
            "X-Amz-SignedHeaders": signed,
        }
        if credentials.token:
            signing["X-Amz-Security-Token"] = credentials.token
        asked = (pair.partition("=") for pair in query.split("&") if pair)
        query = _joined([*((name, value) for name, _, value in asked), *_encoded(signing)])
        request = f"{method}\n{path}\n{query}\n{_canonical(headers, names)}\n{signed}\n{UNSIGNED_PAYLOAD}"
        return f"{query}&X-Amz-Signature={_signature(now, request)}"

    def form(self, credentials: Credentials, moment: float, conditions: list[object], expires: int) -> dict[str, str]:
        """Return the signed fields of a form; anyone who has the form may upload with it.

        Args:
            credentials: The keys to sign with.
            moment: The time from which the form is valid, in seconds since 1970.
            conditions: The policy's conditions, without those for the fields that this method adds.
            expires: How long the form is valid, in seconds.

        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html
        """
        now = self._at(credentials, moment)
        fields = {
            "x-amz-algorithm": _ALGORITHM,
            "x-amz-credential": f"{credentials.access_key}/{now.scope}",
            "x-amz-date": now.amz_date,
        }
        if credentials.token:
            fields["x-amz-security-token"] = credentials.token
        end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now.second + expires))
        policy = {"expiration": end, "conditions": [*conditions, *({name: value} for name, value in fields.items())]}
        fields["policy"] = b64encode(json.dumps(policy).encode()).decode()
        mac = now.mac.copy()
        mac.update(fields["policy"].encode())
        return fields | {"x-amz-signature": mac.hexdigest()}

    def _at(self, credentials: Credentials, moment: float) -> _Second:
        second = int(moment)
        latest = self._latest
        if latest is not None and latest.second == second and latest.credentials is credentials:
            return latest
        amz_date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))
        scope = f"{amz_date[:8]}/{self._region}/{self._service}/aws4_request"
        if latest is not None and latest.scope == scope and latest.credentials.secret_key == credentials.secret_key:
            mac = latest.mac
        else:
            mac = _mac(credentials.secret_key, scope)
        self._latest = now = _Second(second, credentials, amz_date, scope, mac)
        return now


def encode_path(path: str) -> str:
    """Percent-encode `/bucket/key`, except unreserved characters and `/`; `..` and `//` stay as they are."""
    # quote() looks at each byte of the whole path if one must be encoded, which takes up to seven times as long.
    return path if _UNRESERVED.fullmatch(path) else _RESERVED.sub(_percent_encoded, path)


def _percent_encoded(found: re.Match[str]) -> str:
    return _encoded_character(found[0])


@lru_cache(maxsize=1_024)
def _encoded_character(character: str) -> str:
    return quote(character, safe="")


def encode_query(pairs: Mapping[str, str]) -> str:
    """Encode query parameters in the form that is signed and sent: sorted, and each with a `=`."""
    return _joined(_encoded(pairs))


def _encoded(pairs: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(quote(name, safe=""), quote(value, safe="")) for name, value in pairs.items()]


def _joined(pairs: Iterable[tuple[str, str]]) -> str:
    # The pairs are sorted, not their texts, because "a=" must come before "a-b=", although "-" comes before "=".
    return "&".join([f"{name}={value}" for name, value in sorted(pairs)])


def _canonical(headers: Mapping[str, str], names: Iterable[str]) -> str:
    # As in botocore, every run of white space becomes one space, also between quotes.
    return "".join([f"{name}:{' '.join(headers[name].split())}\n" for name in names])


def _signature(now: _Second, request: str) -> str:
    mac = now.mac.copy()  # a copy takes two thirds of the time of hmac.digest(), because it has hashed the key
    digest = sha256(request.encode()).hexdigest()
    mac.update(f"{_ALGORITHM}\n{now.amz_date}\n{now.scope}\n{digest}".encode())
    return mac.hexdigest()


def _mac(secret_key: str, scope: str) -> hmac.HMAC:
    key = f"AWS4{secret_key}".encode()
    for word in scope.split("/"):
        key = hmac.digest(key, word.encode(), "sha256")
    return hmac.new(key, digestmod="sha256")
