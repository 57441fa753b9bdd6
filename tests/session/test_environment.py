"""Given variables replace this process's variables in all our own code."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from bucketry import S3Provider, SessionPool, storage_provider_from_env
from bucketry.errors import ConfigError, UnreachableError
from tests.session.test_planes import KEYS, proxy

TRANSPORTS = pytest.mark.parametrize("transport", ["auto", "aiobotocore"])
HERE = {"bucket_name": "bkt", "endpoint_url": "https://127.0.0.1:9", "max_attempts": 1, **KEYS}
AWAY = {"bucket_name": "bkt", "endpoint_url": "http://storage.invalid:9000", "allow_http": True, **KEYS}
MISSING = {"AWS_CA_BUNDLE": "/no-such-bundle.pem"}
VARIABLES = {
    "STORAGE_PROVIDER": "s3",
    "AWS_BUCKET_NAME": "bkt",
    "AWS_ENDPOINT_URL_S3": "https://127.0.0.1:9",
    "AWS_ACCESS_KEY_ID": "a",
    "AWS_SECRET_ACCESS_KEY": "b",
    "BUCKETRY_MAX_ATTEMPTS": "1",
}


@TRANSPORTS
async def test_authorities(monkeypatch: pytest.MonkeyPatch, transport: str) -> None:
    """The certificate authorities come from the given variables, never from the process's."""
    config: dict[str, Any] = HERE | {"transport": transport}
    async with SessionPool(environ=MISSING) as pool:
        with pytest.raises(ConfigError, match=r"no-such-bundle.*AWS_CA_BUNDLE"):
            await S3Provider(config, pool=pool).head("k")
    monkeypatch.setenv("AWS_CA_BUNDLE", "/no-such-bundle.pem")
    async with SessionPool(environ={}) as pool:
        with pytest.raises(UnreachableError):
            await S3Provider(config, pool=pool).head("k")


@TRANSPORTS
async def test_a_proxy(monkeypatch: pytest.MonkeyPatch, transport: str) -> None:
    """The proxy comes from the given variables, for all variables of the process."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    async with proxy() as (url, seen), SessionPool(environ={"http_proxy": url}) as pool:
        await S3Provider(AWAY | {"max_attempts": 1, "transport": transport}, pool=pool).head("k")
    assert seen == ["HEAD http://storage.invalid:9000/bkt/k HTTP/1.1"]


@TRANSPORTS
async def test_no_proxy(monkeypatch: pytest.MonkeyPatch, transport: str) -> None:
    """Hosts that the given variables exclude from the proxy are reached directly, and without a proxy all hosts are."""
    async with proxy() as (url, seen):
        monkeypatch.setenv("http_proxy", url)
        for given in ({}, {"http_proxy": url, "no_proxy": "storage.invalid"}):
            async with SessionPool(environ=given) as pool:
                with pytest.raises(UnreachableError):  # the host name does not exist
                    await S3Provider(AWAY | {"max_attempts": 1, "transport": transport}, pool=pool).head("k")
    assert seen == []


@pytest.mark.parametrize(
    ("variable", "host"),
    [("AWS_USE_FIPS_ENDPOINT", "s3-fips.us-east-1"), ("AWS_USE_DUALSTACK_ENDPOINT", "s3.dualstack.us-east-1")],
)
async def test_other_endpoints_of_aws(variable: str, host: str) -> None:
    """AWS's variables for other endpoints are used if they are given, not those of the process."""
    async with SessionPool(environ={variable: "true"}) as pool:
        provider = S3Provider({"bucket_name": "bkt", **KEYS}, pool=pool)
        assert f"//bkt.{host}.amazonaws.com/k?" in await provider.presign("k")


@pytest.mark.parametrize("variable", ["AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"])
async def test_usual_endpoints_of_aws(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """If the given variables ask for no other endpoint, the process's variables for it are ignored."""
    monkeypatch.setenv(variable, "true")
    config = {"bucket_name": "bkt", "region": "eu-west-1", **KEYS}
    for given, host in ({}, "s3"), (None, "s3-fips" if "FIPS" in variable else "s3.dualstack"):
        async with SessionPool(environ=given) as pool:
            provider = S3Provider(config, pool=pool)
            async with pool.client(provider._bucket.endpoint) as client:
                assert client.meta.endpoint_url == f"https://{host}.eu-west-1.amazonaws.com"
            assert f"//bkt.{host}.eu-west-1.amazonaws.com/k?" in await provider.presign("k")


async def test_a_provider_of_variables() -> None:
    """Without a pool, a provider made from given variables uses them for its connections, also after pickling."""
    provider = storage_provider_from_env(VARIABLES | MISSING)
    for each in (provider, pickle.loads(pickle.dumps(provider))):
        with pytest.raises(ConfigError, match="no-such-bundle"):
            await each.head("k")
        await each.disconnect()


def test_what_is_pickled() -> None:
    """The process's variables are not pickled: another process uses its own."""
    assert b"AWS_ACCESS" not in pickle.dumps(S3Provider(HERE))
    given = {"AWS_CA_BUNDLE": "b", "https_proxy": "c", "REQUEST_METHOD": "GET"}
    pool = SessionPool(environ={**given, "AWS_SECRET_ACCESS_KEY": "canary"})
    assert b"canary" not in pickle.dumps(pool)
    assert pickle.loads(pickle.dumps(pool)).given_environ == given
    assert pickle.loads(pickle.dumps(SessionPool())).given_environ is None
    assert "no-such-bundle" not in repr(SessionPool(environ=MISSING))
