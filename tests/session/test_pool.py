"""One pool has one client for each endpoint identity, few sockets, and leaves nothing open."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import pickle
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiobotocore.session import AioSession
from botocore.loaders import JSONFileLoader

from bucketry import S3Provider, SessionPool
from bucketry._providers.s3.wire.plane import WirePlane
from bucketry.errors import AuthenticationError, ConfigError, IncompleteBodyError
from bucketry.testing import EmbeddedS3, embedded_s3

MANY = 100
TRANSPORTS = pytest.mark.parametrize("transport", ["auto", "aiobotocore"])


def sockets_to(port: int) -> int:
    """Count this process's connections to a port of the loopback."""
    inodes = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    with open("/proc/net/tcp", encoding="ascii") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    return sum(row[9] in inodes and int(row[2].split(":")[1], 16) == port for row in rows)


@pytest.mark.slow
@TRANSPORTS
async def test_many_providers_share_few_sockets(
    server: EmbeddedS3, monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    """A hundred providers with one pool and one endpoint share one client and `max_connections` sockets."""
    opened = []
    make = AioSession.create_client

    def spy(self: AioSession, *args: Any, **options: Any) -> Any:
        if options.get("endpoint_url"):
            opened.append(options)
        return make(self, *args, **options)

    monkeypatch.setattr(AioSession, "create_client", spy)
    limit = 8
    port = urlsplit(server.endpoint_url).port or 0
    seen = []
    async with SessionPool(max_connections=limit) as pool:
        providers = [S3Provider(server.config | {"transport": transport}, pool=pool) for _ in range(MANY)]
        await providers[0].put("shared", b"x" * 10_000)

        async def use(provider: S3Provider, number: int) -> None:
            assert await provider.get("shared") == b"x" * 10_000
            if number == 1:  # to count them takes longer than a request
                seen.append(sockets_to(port))

        await asyncio.gather(*(use(provider, number) for provider in providers for number in range(3)))
        planes = [await provider._planes.data() for provider in providers]
        if transport == "auto":
            assert len({plane.client.endpoint for plane in planes if isinstance(plane, WirePlane)}) == 1
            assert len([plane for plane in planes if isinstance(plane, WirePlane)]) == MANY
    assert len(opened) == (transport == "aiobotocore")
    assert 1 < max(seen) <= limit
    assert sockets_to(port) == 0


async def test_lanes_share_the_limit_too(server: EmbeddedS3, tmp_path: Path) -> None:
    """Transfers of files and small requests together use at most `max_connections` sockets, and wait for them."""
    limit = 2
    port = urlsplit(server.endpoint_url).port or 0
    for number in range(4):
        (tmp_path / f"source-{number}").write_bytes(bytes(2 * 2**20))
    seen = []
    async with SessionPool(max_connections=limit) as pool:
        provider = S3Provider(server.config, pool=pool)

        async def one(number: int) -> None:
            await provider.upload(tmp_path / f"source-{number}", f"lane/{number}")
            seen.append(sockets_to(port))
            await provider.head(f"lane/{number}")
            await provider.download(f"lane/{number}", tmp_path / f"target-{number}")
            seen.append(sockets_to(port))

        await asyncio.gather(*(one(number) for number in range(4)))
    assert max(seen) <= limit
    assert sockets_to(port) == 0
    assert all((tmp_path / f"target-{number}").stat().st_size == 2 * 2**20 for number in range(4))


async def test_endpoints_that_differ_do_not_share_a_client(server: EmbeddedS3) -> None:
    """Other credentials are another identity: requests are always signed with the provider's own key."""
    async with SessionPool() as pool:
        one = S3Provider(server.config, pool=pool)
        other = S3Provider(server.config | {"access_key_id": "somebody-else"}, pool=pool)
        assert "X-Amz-Credential=embedded" in await one.presign("k")
        assert "X-Amz-Credential=somebody-else" in await other.presign("k")


async def test_a_proxy_of_the_environment_is_not_asked_for_the_loopback(
    server: EmbeddedS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server on this machine is reached without a proxy, even if the environment names one."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    provider = S3Provider(server.config | {"max_attempts": 1})
    await provider.put("direct", b"1")
    await provider.disconnect()
    with embedded_s3("another") as other:
        assert other.bucket == "another"


async def test_disconnect_leaves_a_shared_pool_open(server: EmbeddedS3) -> None:
    """A provider closes only the pool it made itself."""
    async with SessionPool() as pool:
        one, other = (S3Provider(server.config, pool=pool) for _ in range(2))
        await one.put("left-open", b"1")
        await one.disconnect()
        async with pool.client(one._bucket.endpoint) as before:
            await other.get("left-open")
        async with pool.client(one._bucket.endpoint) as after:
            assert before is after
        planes = [await provider._planes.data() for provider in (one, other)]
        assert all(isinstance(plane, WirePlane) and not plane.closed for plane in planes)


@TRANSPORTS
async def test_an_open_body_keeps_its_connection(server: EmbeddedS3, transport: str) -> None:
    """Closing the pool, or disconnecting, does not interrupt a body that is read; afterwards nothing stays open."""
    provider = S3Provider(server.config | {"transport": transport})
    await provider.put("long", bytes(8 * 2**20))
    async with provider.stream("long", chunk_size=64 * 1024) as chunks:
        read = 0
        async for chunk in chunks:
            if not read:
                await provider.disconnect()
            read += len(chunk)
    assert read == 8 * 2**20
    await provider.disconnect()
    await asyncio.sleep(0)
    assert sockets_to(urlsplit(server.endpoint_url).port or 0) == 0


@TRANSPORTS
async def test_a_pool_can_be_used_again_after_it_was_closed(server: EmbeddedS3, transport: str) -> None:
    """After a close, the next call opens new connections."""
    provider = S3Provider(server.config | {"transport": transport})
    await provider.put("again", b"1")
    await provider.disconnect()
    assert await provider.get("again") == b"1"
    await provider.disconnect()


@pytest.mark.slow
@pytest.mark.parametrize("call", ["put", "copy"])
async def test_the_service_model_is_read_off_the_loop(
    server: EmbeddedS3, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """If aiobotocore is needed, the event loop's thread reads no file of botocore and builds no session."""
    load = JSONFileLoader.load_file
    readers: list[tuple[threading.Thread, bool]] = []

    def spy(self: JSONFileLoader, path: str) -> Any:
        found = load(self, path)
        readers.append((threading.current_thread(), found is not None))
        return found

    monkeypatch.setattr(JSONFileLoader, "load_file", spy)
    await S3Provider(server.config).put("warm", b"1")
    assert readers == []
    provider = S3Provider(server.config | {"transport": "aiobotocore"})
    await (provider.put("warm", b"1") if call == "put" else provider.copy("warm", "copy"))
    await provider.disconnect()
    assert [reader for reader, found in readers if found]
    assert threading.current_thread() not in {reader for reader, found in readers if found}


async def test_a_second_session_is_warmed_off_the_loop_too(server: EmbeddedS3, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another session of the same pool reads its service model in a worker thread as well."""
    load = JSONFileLoader.load_file
    readers: set[threading.Thread] = set()

    def spy(self: JSONFileLoader, path: str) -> Any:
        readers.add(threading.current_thread())
        return load(self, path)

    monkeypatch.setattr(JSONFileLoader, "load_file", spy)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-the-chain")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-the-chain")
    of_the_chain = {name: value for name, value in server.config.items() if "key" not in name}
    async with SessionPool() as pool:
        await S3Provider(server.config | {"transport": "aiobotocore"}, pool=pool).exists("k")
        readers.clear()
        await S3Provider(of_the_chain | {"transport": "aiobotocore"}, pool=pool).exists("k")
    assert readers
    assert threading.current_thread() not in readers


@pytest.mark.parametrize("limit", [0, -1, 1.5, True, "8"])
def test_a_malformed_limit_is_refused(limit: Any) -> None:
    """The pool's limit is a positive int, checked when the pool is made."""
    with pytest.raises(ConfigError, match="max_connections"):
        SessionPool(max_connections=limit)


def test_a_pool_pickles_as_configuration() -> None:
    """A pool's pickle has only its limit."""
    assert pickle.loads(pickle.dumps(SessionPool(max_connections=7))).max_connections == 7


@pytest.mark.slow
def test_standard_requests_load_no_botocore(server: EmbeddedS3, tmp_path: Path) -> None:
    """With configured keys, the data plane never loads botocore, not even for copies and signed URLs."""
    source = tmp_path / "source"
    source.write_bytes(bytes(11 * 2**20))
    script = """
        import asyncio, json, sys
        from bucketry import S3Provider, TransferConfig
        async def main():
            config = TransferConfig(part_size=5 * 2**20, multipart_threshold=5 * 2**20)
            provider = S3Provider(json.loads(sys.argv[1]), transfer=config)
            await provider.connect()
            await provider.put("standard/a", b"1")
            assert await provider.get("standard/a") == b"1"
            assert await provider.list_files("standard/") == ["standard/a"]
            assert (await provider.upload(sys.argv[2], "standard/b")).parts == 3
            await provider.download("standard/b", sys.argv[2] + ".copy")
            await provider.delete_many(["standard/a", "standard/b"])
            await provider.put("standard/a", b"1")
            await provider.copy("standard/a", "standard/c")
            await provider.presign("k")
            await provider.presign_post("k")
            print(sorted({"botocore", "aiobotocore", "aiohttp"} & set(sys.modules)))
            await provider.disconnect()
            provider = S3Provider({**json.loads(sys.argv[1]), "transport": "aiobotocore"})
            await provider.exists("k")
            print(sorted({"botocore", "aiobotocore", "aiohttp"} & set(sys.modules)))
            await provider.disconnect()
        asyncio.run(main())
    """
    assert run(script, server.config, str(source)) == "[]\n['aiobotocore', 'aiohttp', 'botocore']\n"


@TRANSPORTS
async def test_an_unknown_profile_is_a_configuration_error(server: EmbeddedS3, transport: str) -> None:
    """For an unknown profile, every request raises our error with botocore's message."""
    config = {name: value for name, value in server.config.items() if "key" not in name}
    provider = S3Provider(config | {"profile": "nobody-has-this", "transport": transport})
    with pytest.raises(ConfigError, match="nobody-has-this"):
        await provider.list_files()
    with pytest.raises(ConfigError, match="nobody-has-this"):
        await provider.get("k")
    await provider.disconnect()


async def test_missing_credentials_say_so(server: EmbeddedS3) -> None:
    """Without keys and without a credential chain, the error is an AuthenticationError."""
    config = {name: value for name, value in server.config.items() if "key" not in name}
    provider = S3Provider(config)
    with pytest.raises(AuthenticationError):
        await provider.list_files()
    await provider.disconnect()


def run(script: str, config: dict[str, Any], *arguments: str) -> str:
    """Run a script in a new interpreter with warnings as errors, and give its output."""
    command = [sys.executable, "-W", "error", "-X", "faulthandler", "-c", textwrap.dedent(script), json.dumps(config)]
    done = subprocess.run(
        [*command, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


@pytest.mark.slow
def test_two_consecutive_runs_work_with_one_provider(server: EmbeddedS3) -> None:
    """A second `asyncio.run` opens its own client; the first client is closed with its loop."""
    script = """
        import asyncio, gc, json, sys
        from bucketry import S3Provider
        provider = S3Provider(json.loads(sys.argv[1]))
        asyncio.run(provider.put("twice", b"1"))
        print(asyncio.run(provider.get("twice")))
        asyncio.run(provider.disconnect())
        gc.collect()
    """
    assert run(script, server.config) == "b'1'\n"


@pytest.mark.slow
@TRANSPORTS
def test_nothing_is_unclosed_when_nobody_closes(server: EmbeddedS3, transport: str) -> None:
    """A hundred providers that are never disconnected leave no warning at exit."""
    script = """
        import asyncio, gc, json, sys
        from bucketry import S3Provider, SessionPool
        async def main():
            pool = SessionPool()
            providers = [S3Provider(json.loads(sys.argv[1]), pool=pool) for _ in range(100)]
            await providers[0].put("unclosed", b"1")
            await asyncio.gather(*(provider.get("unclosed") for provider in providers))
            stream = providers[0].stream("unclosed")
            reader = await stream.__aenter__()
            print(reader.info.size)
        asyncio.run(main())
        gc.collect()
    """
    assert run(script, server.config | {"transport": transport}) == "1\n"


@TRANSPORTS
async def test_a_body_that_is_left_early_gives_its_connection_up(server: EmbeddedS3, transport: str) -> None:
    """A stream that is left early does not leak its connection and does not block the next call."""
    provider = S3Provider(server.config | {"max_connections": 1, "transport": transport})
    await provider.put("early", bytes(4 * 2**20))
    for _ in range(3):
        async with provider.stream("early", chunk_size=1024) as chunks:
            async for _chunk in chunks:
                break
    assert await provider.get_range("early", 0, 4) == bytes(4)
    await provider.disconnect()
    gc.collect()


def test_the_body_error_is_one_that_resuming_mends() -> None:
    """An incomplete body is transient, so that transfers resume it."""
    assert IncompleteBodyError("cut").retryable
