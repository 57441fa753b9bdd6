"""A bit that changes during transmission is detected: wrong bytes are never stored or returned."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import pytest
import pytest_asyncio

from bucketry import S3Provider, SessionPool, TransferConfig
from bucketry._core.units import KiB, MiB
from bucketry.errors import IntegrityError
from bucketry.providers import (
    BackblazeProvider,
    CloudflareR2Provider,
    DigitalOceanProvider,
    StorageProvider,
    WasabiProvider,
)
from tests.contract.servers import S3Server
from tests.contract.verifying import Bucket, Buckets
from tests.wire.certificates import certificate
from tests.wire.conftest import HALVES, TRANSPORTS
from tests.wire.corrupting import CorruptingProxy, Flip
from tests.wire.scripted import Scripted

pytestmark = pytest.mark.asyncio(loop_scope="session")

PART_SIZE = 5 * MiB  # the smallest part size that every vendor accepts
TRANSFER = TransferConfig(part_size=PART_SIZE, multipart_threshold=PART_SIZE)
SMALL, LARGE, IN_PARTS = 2 * KiB, 600 * KiB, PART_SIZE + 64 * KiB
SCHEMES = ("http", "https")
ROWS: dict[str, tuple[type[Any], dict[str, str]]] = {
    "aws": (S3Provider, {"server": "aws"}),
    "generic": (S3Provider, {"server": "generic"}),
    "r2": (CloudflareR2Provider, {}),
    "b2": (BackblazeProvider, {}),
    "wasabi": (WasabiProvider, {}),
    "spaces": (DigitalOceanProvider, {}),
}
# The uploads, and the request that is changed in each: a few KiB, and sizes that a thread sends.
UPLOADS = {
    "put": (SMALL, ""),
    "large-put": (LARGE, ""),
    "part": (IN_PARTS, "partNumber=1&"),
    "last-part": (IN_PARTS, "partNumber=2&"),
}

over = pytest.mark.parametrize("scheme", SCHEMES)
by = pytest.mark.parametrize("transport", TRANSPORTS)
often = pytest.mark.parametrize("always", [False, True], ids=["once", "always"])


class Trusted(NamedTuple):
    """The files that a server needs for TLS, and that a client needs to verify the server."""

    server: ssl.SSLContext
    ca_bundle: str


Proxies: TypeAlias = dict[str, CorruptingProxy]
Open: TypeAlias = Callable[[str], Awaitable[Proxies]]


@pytest.fixture(scope="session")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Trusted:
    """Make a certificate for the loopback address."""
    return Trusted(*certificate(tmp_path_factory.mktemp("certificates")))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def open_proxies(trusted: Trusted) -> AsyncIterator[Open]:
    """Give a function that starts a proxy in front of a server, for HTTP and HTTPS."""
    async with AsyncExitStack() as stack:

        async def opened(server: str) -> Proxies:
            made = {"http": CorruptingProxy(server), "https": CorruptingProxy(server, trusted.server)}
            return {scheme: await stack.enter_async_context(proxy) for scheme, proxy in made.items()}

        yield opened


@pytest.fixture(scope="session")
def buckets() -> Buckets:
    """Give the buckets of the verifying server."""
    return Buckets()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def before_buckets(buckets: Buckets, open_proxies: Open) -> AsyncIterator[Proxies]:
    """Run the verifying server, and give the proxies in front of it."""
    async with Scripted(buckets) as server:
        yield await open_proxies(server.url)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def before_moto(moto: S3Server, open_proxies: Open) -> Proxies:
    """Give the proxies in front of moto."""
    return await open_proxies(moto.endpoint_url)


class ProxiedBucket(NamedTuple):
    """A bucket, and a provider whose requests go through a proxy."""

    provider: StorageProvider
    bucket: Bucket
    proxy: CorruptingProxy


@pytest.fixture(params=ROWS)
def proxied(
    request: pytest.FixtureRequest,
    before_buckets: Proxies,
    buckets: Buckets,
    pool: SessionPool,
    trusted: Trusted,
    transport: str,
    scheme: str,
) -> ProxiedBucket:
    """Give an empty bucket for each vendor, which verifies the checksum of the vendor's row."""
    kind, config = ROWS[request.param]
    row = kind({**HALVES[kind.__name__], **config, "bucket_name": "any", "endpoint_url": "http://127.0.0.1:1"})
    name, bucket = buckets.new(row.capabilities)
    given = {
        **HALVES[kind.__name__],
        **config,
        "bucket_name": name,
        "endpoint_url": before_buckets[scheme].url,
        "ca_bundle": trusted.ca_bundle,
        "transport": transport,
    }
    return ProxiedBucket(kind(given, pool=pool, transfer=TRANSFER), bucket, before_buckets[scheme])


async def upload(provider: StorageProvider, size: int, directory: Path) -> bytes:
    """Store random bytes as `key`, from memory if it is one request, else from a file; give the bytes."""
    data = os.urandom(size)
    if size < PART_SIZE:
        await provider.put("key", data)
    else:
        (directory / "file").write_bytes(data)
        await provider.upload(directory / "file", "key")
    return data


@over
@by
@pytest.mark.parametrize("size", [SMALL, LARGE, IN_PARTS])
async def test_every_body_brings_its_proof(proxied: ProxiedBucket, size: int, tmp_path: Path) -> None:
    """Each stored body has the checksum of the vendor's row, with both transports, also over TLS."""
    stored = await upload(proxied.provider, size, tmp_path)
    row = proxied.provider.capabilities
    assert proxied.bucket.objects == {"key": stored}
    assert proxied.bucket.proofs == ([row.put_checksum] if size < PART_SIZE else [row.multipart_checksum] * 2)


@over
@by
@often
@pytest.mark.parametrize("kind", UPLOADS)
async def test_a_bit_of_an_upload(proxied: ProxiedBucket, kind: str, tmp_path: Path, *, always: bool) -> None:
    """If a bit of an uploaded body changes, the upload fails, or the body is sent again."""
    size, query = UPLOADS[kind]
    flip = Flip(method="PUT", where=lambda target: query in f"{target}&", always=always)
    try:
        with proxied.proxy.changing(flip) as changed:
            data = await upload(proxied.provider, size, tmp_path)
    except IntegrityError:
        assert proxied.bucket.objects == {}
    else:
        assert not always
        assert proxied.bucket.objects == {"key": data}
    assert changed
    assert proxied.bucket.uploads == {}


async def get(provider: StorageProvider, _: Path) -> bytes:
    """Read into memory."""
    return await provider.get("key")


async def stream(provider: StorageProvider, _: Path) -> bytes:
    """Read piece by piece."""
    async with provider.stream("key") as reader:
        return b"".join([piece async for piece in reader])


async def download(provider: StorageProvider, target: Path) -> bytes:
    """Read into a file."""
    await provider.download("key", target)
    return await asyncio.to_thread(target.read_bytes)


READS = {"get": get, "stream": stream, "download": download}


@over
@by
@often
@pytest.mark.parametrize("size", [SMALL, LARGE, pytest.param(IN_PARTS, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", READS)
async def test_a_bit_of_an_answer(
    before_moto: Proxies,
    moto: S3Server,
    pool: SessionPool,
    trusted: Trusted,
    scheme: str,
    transport: str,
    kind: str,
    size: int,
    tmp_path: Path,
    *,
    always: bool,
) -> None:
    """If a bit of a downloaded body with a stored checksum changes, the read fails, or is repeated."""
    config = moto.new_bucket()
    data = os.urandom(size)
    await S3Provider(config, pool=pool).put("key", data)
    proxy, target = before_moto[scheme], tmp_path / "target"
    config |= {"endpoint_url": proxy.url, "ca_bundle": trusted.ca_bundle, "transport": transport}
    provider = S3Provider(config, pool=pool, transfer=TRANSFER)
    try:
        with proxy.changing(Flip(method="GET", always=always, answers=True)) as changed:
            found = await READS[kind](provider, target)
    except IntegrityError:
        assert not target.exists()
    else:
        assert not always
        assert found == data
    assert changed
