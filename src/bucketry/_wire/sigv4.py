"""AWS Signature Version 4 for S3: what to send with a request, or in a presigned URL, so that it is believed.

Text in, text out: no I/O, no clock, no knowledge of buckets. Which headers are sent is the caller's choice, and every
one is signed; the body comes as the hash of it. Aws-chunked bodies and Signature Version 4A are not here.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
"""

from __future__ import annotations

import hmac
import json
import re
import time
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from urllib.parse import quote

UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
"""Stands for the hash of a body that only TLS and a checksum protect."""

EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
"""The hash of no body."""

_UNRESERVED = re.compile(r"[A-Za-z0-9._~/-]*")
_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who signs; the token belongs to temporary credentials."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class _Second:
    """What all signatures by the same credentials in the same second share; `mac` holds the day's signing key."""

    second: int
    credentials: Credentials
    amz_date: str
    scope: str
    mac: hmac.HMAC


class Signer:
    """Signs the requests of one region; the signing key is cached for (secret, day).

    May be used by several threads: what is shared is never changed, only replaced as a whole.
    """

    def __init__(self, region: str, service: str = "s3") -> None:
        self._region = region
        self._service = service
        self._latest: _Second | None = None

    def headers(
        self,
        credentials: Credentials,
        moment: float,
        method: str,
        path: str,
        query: str,
        headers: Mapping[str, str],
        payload_hash: str,
    ) -> dict[str, str]:
        """Give the headers to send: those given, plus `x-amz-*` for date, body and token, and `authorization`.

        Args:
            credentials: Who signs.
            moment: When, in seconds since 1970.
            method: In capitals.
            path: As `encode_path` gives it and as it is sent.
            query: As `encode_query` gives it and as it is sent; may be empty.
            headers: Lower-case names, `host` among them; every one is signed, so none that a proxy may change.
            payload_hash: Hex SHA-256 of the body, or `UNSIGNED_PAYLOAD`.
        """
        now = self._at(credentials, moment)
        sent = {**headers, "x-amz-date": now.amz_date, "x-amz-content-sha256": payload_hash}
        if credentials.token:
            sent["x-amz-security-token"] = credentials.token
        names = sorted(sent)
        signed = ";".join(names)
        request = f"{method}\n{path}\n{query}\n{_canonical(sent, names)}\n{signed}\n{payload_hash}"
        sent["authorization"] = (
            f"{_ALGORITHM} Credential={credentials.access_key}/{now.scope}, "
            f"SignedHeaders={signed}, Signature={_signature(now, request)}"
        )
        return sent

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
        """Give the whole query string of a presigned URL: whoever has it may make this one request.

        Args:
            credentials: As for `headers`, and so all up to `query`.
            moment: From when the URL is good.
            method: The one it is good for.
            path: Of the URL.
            query: What the request asks besides; may be empty.
            headers: Those that must come with the request, with these values; at least `host`.
            expires: For how long, in seconds; AWS takes 1 to 604 800.
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
        """Give the signed fields of a form by which whoever has it may upload.

        Args:
            credentials: Who signs.
            moment: From when the form is good, in seconds since 1970.
            conditions: Of the policy, beside those for the fields that are given here.
            expires: For how long, in seconds.

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
    """Encode `/bucket/key` as S3 wants it: all but unreserved characters and `/`, and no dots or slashes resolved."""
    return path if _UNRESERVED.fullmatch(path) else quote(path, safe="/")


def encode_query(pairs: Mapping[str, str]) -> str:
    """Encode parameters in canonical form, sorted and each with its `=`; the form that is sent, too."""
    return _joined(_encoded(pairs))


def _encoded(pairs: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(quote(name, safe=""), quote(value, safe="")) for name, value in pairs.items()]


def _joined(pairs: Iterable[tuple[str, str]]) -> str:
    # Sorted before they are joined: "a=" comes before "a-b=", although "-" comes before "=".
    return "&".join([f"{name}={value}" for name, value in sorted(pairs)])


def _canonical(headers: Mapping[str, str], names: Iterable[str]) -> str:
    # As botocore does: any run of white space becomes one space, not only spaces, and also between quotes.
    return "".join([f"{name}:{' '.join(headers[name].split())}\n" for name in names])


def _signature(now: _Second, request: str) -> str:
    mac = now.mac.copy()  # two thirds of what hmac.digest() takes: the key's two blocks are hashed already
    digest = sha256(request.encode()).hexdigest()
    mac.update(f"{_ALGORITHM}\n{now.amz_date}\n{now.scope}\n{digest}".encode())
    return mac.hexdigest()


def _mac(secret_key: str, scope: str) -> hmac.HMAC:
    key = f"AWS4{secret_key}".encode()
    for word in scope.split("/"):
        key = hmac.digest(key, word.encode(), "sha256")
    return hmac.new(key, digestmod="sha256")
