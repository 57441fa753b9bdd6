"""The choice of the transport: the data plane for standard endpoints, aiobotocore for all others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bucketry import S3Provider, SessionPool
from bucketry._providers.s3.boto.plane import BotoPlane
from bucketry._providers.s3.wire.plane import WirePlane
from bucketry.errors import ConfigError, StorageError
from bucketry.testing import EmbeddedS3

KEYS = {"access_key_id": "a", "secret_access_key": "b"}


async def plane_of(**config: Any) -> type:
    """Give the class of the transport for a configuration; nothing is sent."""
    async with SessionPool() as pool:
        provider = S3Provider({"bucket_name": "bucket", **KEYS, **config}, pool=pool)
        return type(await provider._planes.data())


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"region": "eu-central-1"},
        {"addressing_style": "virtual"},
        {"endpoint_url": "http://127.0.0.1:9"},
        {"endpoint_url": "https://s3.example.com:9000/base"},
        {"endpoint_url": "https://s3.us-west-2.amazonaws.com"},
        {"bucket_name": "with.dots"},
        {"session_token": "t"},
    ],
    ids=str,
)
async def test_standard_ways(config: dict[str, Any]) -> None:
    """Usual endpoints and buckets use the data plane."""
    assert await plane_of(**config) is WirePlane


@pytest.mark.parametrize(
    "config",
    [
        {"transport": "aiobotocore"},
        {"bucket_name": "arn:aws:s3:us-east-1:123456789012:accesspoint/mine"},
        {"bucket_name": "bucket--use1-az4--x-s3"},
        {"bucket_name": "bucket-123--ol-s3"},
        {"endpoint_url": "https://s3-accelerate.amazonaws.com"},
        {"endpoint_url": "https://s3-accelerate.dualstack.amazonaws.com"},
        {"endpoint_url": "https://s3-fips.us-east-1.amazonaws.com"},
        {"region": "cn-north-1"},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:.*is not known to this version")
async def test_other_ways(config: dict[str, Any]) -> None:
    """Endpoints and buckets that only botocore can reach use aiobotocore."""
    assert await plane_of(**config) is BotoPlane


@pytest.mark.parametrize("name", ["AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"])
@pytest.mark.parametrize("value", ["true", "True"])
async def test_variables_that_lead_elsewhere(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """A variable for another endpoint of AWS is used if the configuration names none."""
    monkeypatch.setenv(name, value)
    assert await plane_of() is BotoPlane
    assert await plane_of(endpoint_url="http://127.0.0.1:9") is WirePlane
    monkeypatch.setenv(name, "false")
    assert await plane_of() is WirePlane


@pytest.mark.slow
@pytest.mark.parametrize(
    "lines",
    [
        "use_fips_endpoint = true",
        "use_dualstack_endpoint = true",
        "s3 =\n  use_accelerate_endpoint = true",
        "s3 =\n  use_dualstack_endpoint = true",
        "s3 =\n  payload_signing_enabled = true",
    ],
)
async def test_files_that_lead_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lines: str) -> None:
    """The same for AWS's configuration file, if the credentials come from AWS, too."""
    file = tmp_path / "config"
    keys = "aws_access_key_id = a\naws_secret_access_key = b"
    file.write_text(f"[default]\n{keys}\n{lines}\n[profile standard]\n{keys}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(file))
    none = {"access_key_id": None, "secret_access_key": None}
    assert await plane_of(**none) is BotoPlane
    assert await plane_of(**none, profile="standard") is WirePlane
    assert await plane_of(**none, endpoint_url="http://127.0.0.1:9") is WirePlane


@pytest.mark.slow
async def test_a_profile_beside_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A profile's endpoint settings, or the error for an unknown profile, apply even if keys are given."""
    file = tmp_path / "config"
    file.write_text("[profile fips]\nuse_fips_endpoint = true\n[profile standard]\nregion = us-east-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(file))
    assert await plane_of(profile="standard") is WirePlane
    assert await plane_of(profile="fips") is BotoPlane
    with pytest.raises(ConfigError, match="nobody"):
        await plane_of(profile="nobody")


@asynccontextmanager
async def proxy() -> AsyncIterator[tuple[str, list[str]]]:
    """Run a proxy that answers every request itself; give its URL and the received request lines."""
    seen: list[str] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        seen.append(head.split(b"\r\n")[0].decode())
        writer.write(b'HTTP/1.1 200 OK\r\nETag: "e"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", seen


@pytest.mark.slow
async def test_a_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that is not on this machine is reached through the environment's proxy, by aiobotocore."""
    config = {"endpoint_url": "http://storage.invalid:9000", "allow_http": True, "bucket_name": "bucket", **KEYS}
    async with proxy() as (url, seen), SessionPool() as pool:
        monkeypatch.setenv("http_proxy", url)
        provider = S3Provider(config | {"max_attempts": 1}, pool=pool)
        await provider.head("k")
        assert seen == ["HEAD http://storage.invalid:9000/bucket/k HTTP/1.1"]
        assert type(await provider._planes.data()) is BotoPlane


@pytest.mark.parametrize(
    ("variables", "plane"),
    [
        ({"https_proxy": "http://127.0.0.1:9"}, BotoPlane),
        ({"HTTPS_PROXY": "http://127.0.0.1:9"}, BotoPlane),
        ({"https_proxy": "http://127.0.0.1:9", "no_proxy": "amazonaws.com"}, WirePlane),
        ({"https_proxy": "http://127.0.0.1:9", "no_proxy": "*"}, WirePlane),
        ({"https_proxy": "http://127.0.0.1:9", "no_proxy": "example.com"}, BotoPlane),
        ({"http_proxy": "http://127.0.0.1:9"}, WirePlane),
    ],
    ids=str,
)
async def test_proxies_are_of_a_scheme(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], plane: type) -> None:
    """A proxy is used for its scheme, except for hosts that are excluded from it."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert await plane_of() is plane


async def test_the_loopback_needs_no_proxy(server: EmbeddedS3, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a server on this machine, the data plane is used without a proxy, for all proxies of the environment."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    async with SessionPool() as pool:
        provider = S3Provider(server.config | {"max_attempts": 1}, pool=pool)
        await provider.put("direct", b"1")
        assert type(await provider._planes.data()) is WirePlane


async def test_the_way_is_looked_for_once(server: EmbeddedS3) -> None:
    """The choice is made once for each loop, and again after the pool was closed."""
    async with SessionPool() as pool:
        provider = S3Provider(server.config, pool=pool)
        first = await provider._planes.data()
        assert await provider._planes.data() is first
        await pool.close()
        assert first.closed
        second = await provider._planes.data()
        assert second is not first
        await provider.list_files()


async def test_other_identities_have_other_wires(server: EmbeddedS3) -> None:
    """Providers with the same endpoint and credentials share a client of the data plane; others never do."""
    async with SessionPool() as pool:
        configs = [server.config, server.config | {"bucket_name": "other"}, server.config | {"access_key_id": "else"}]
        planes = [await S3Provider(config, pool=pool)._planes.data() for config in configs]
        wires = [plane.client.endpoint for plane in planes if isinstance(plane, WirePlane)]
        assert wires[0] is wires[1]
        assert wires[0] is not wires[2]


async def test_a_bundle_that_is_not_there_says_so(tmp_path: Path) -> None:
    """A `ca_bundle` that cannot be read is a ConfigError that names it, before anything is sent."""
    with pytest.raises(ConfigError, match="no-such-bundle"):
        await plane_of(ca_bundle=str(tmp_path / "no-such-bundle.pem"))
    (tmp_path / "broken.pem").write_text("no certificate")
    with pytest.raises(StorageError, match=r"broken\.pem"):
        await plane_of(ca_bundle=str(tmp_path / "broken.pem"))


@pytest.mark.parametrize("transport", ["auto", "aiobotocore"])
@pytest.mark.parametrize("place", ["provider's ca_bundle", "AWS_CA_BUNDLE", "profile 'mine'"])
@pytest.mark.parametrize("own_keys", [True, False])
async def test_a_bundle_that_is_not_there_says_who_names_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, transport: str, place: str, own_keys: bool
) -> None:
    """With both transports, the error names the setting; aiobotocore itself would report a lost connection."""
    bundle, file = tmp_path / "no-such-bundle.pem", tmp_path / "config"
    config: dict[str, Any] = {"bucket_name": "bkt", "endpoint_url": "https://127.0.0.1:9", "transport": transport}
    keys = "aws_access_key_id = a\naws_secret_access_key = b\n"
    file.write_text(f"[profile mine]\n{keys}" + (f"ca_bundle = {bundle}\n" if place.startswith("profile") else ""))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(file))
    config |= KEYS if own_keys else {}
    if place.startswith("profile") or not own_keys:
        config["profile"] = "mine"
    if place.startswith("provider"):
        config["ca_bundle"] = str(bundle)
    elif place.startswith("AWS"):
        monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
    async with SessionPool() as pool:
        for request in ("head", "presign"):
            with pytest.raises(ConfigError, match="no-such-bundle") as caught:
                await getattr(S3Provider(config, pool=pool), request)("k")
            assert place in str(caught.value)
