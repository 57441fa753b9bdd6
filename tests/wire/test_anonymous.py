"""Public buckets: requests are not signed, and no credentials are searched."""

from __future__ import annotations

from typing import Any

import pytest

from bucketry import S3Provider, SessionPool
from bucketry.errors import AccessDeniedError, UnsupportedError
from tests.wire.scripted import Answer, Request, Scripted, content, error, serving

DATA = b"for everybody"
BOTH = pytest.mark.parametrize("transport", ["auto", "aiobotocore"])


def script(request: Request) -> Answer:
    """Serve one public object, and refuse writes."""
    return content(DATA, request) if request.method == "GET" else error("AccessDenied", 403)


def make(server: Scripted, pool: SessionPool, transport: str, **more: Any) -> S3Provider:
    """Make an anonymous provider."""
    config = {"bucket_name": "bkt", "endpoint_url": server.url, "anonymous": True, "transport": transport}
    return S3Provider(config | more, pool=pool)


@BOTH
async def test_nothing_is_signed(transport: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests have no signature and no token, even if the environment has credentials."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-the-environment")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-the-environment")
    async with serving(script) as server, SessionPool() as pool:
        provider = make(server, pool, transport)
        assert await provider.get("k") == DATA
        assert await provider.get_range("k", 1, 3) == DATA[1:3]
        with pytest.raises(AccessDeniedError):
            await provider.put("k", bytes(300_000))
    assert server.requests
    for request in server.requests:
        assert "authorization" not in request.headers
        assert "x-amz-security-token" not in request.headers


@BOTH
async def test_nobody_cannot_sign_a_url(transport: str) -> None:
    """A signed URL needs credentials: the error says which entries to give."""
    async with serving(script) as server, SessionPool() as pool:
        provider = make(server, pool, transport)
        with pytest.raises(UnsupportedError, match="anonymous"):
            await provider.presign("k")
        with pytest.raises(UnsupportedError, match="anonymous"):
            await provider.presign_post("k")
    assert not server.requests


def test_no_proof_is_promised_that_a_signature_holds() -> None:
    """If only the signature protects bodies, and requests are unsigned, the capabilities name no checksum."""
    config = {"bucket_name": "bkt", "endpoint_url": "http://127.0.0.1:1", "anonymous": True}
    generic = S3Provider(config).capabilities
    assert (generic.put_checksum, generic.multipart_checksum) == (None, None)
    assert S3Provider(config | {"server": "aws"}).capabilities.put_checksum == "crc32"
