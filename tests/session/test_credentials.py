"""Who signs: credentials of AWS's chain are used by the data plane as aiobotocore finds and refreshes them."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import sys
import textwrap
from base64 import b64decode
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from bucketry import S3Provider, SessionPool
from bucketry._providers.s3_wire import WirePlane
from bucketry.errors import AuthenticationError, ConfigError, StorageError
from tests.wire.scripted import Answer, Request, Scripted, content, error, serving

DATA = b"some bytes"


def script(request: Request) -> Answer:
    """Serve one object, and take what is put."""
    return content(DATA, request) if request.method == "GET" else Answer(200, b"", {"ETag": '"e1"'})


def signer(request: Request) -> str:
    """Give the access key that a request was signed with."""
    found = re.search(r"Credential=([^/]+)/", request.headers["authorization"])
    assert found is not None
    return found[1]


def make(server: Scripted, pool: SessionPool, **config: Any) -> S3Provider:
    """Make a provider without keys of its own."""
    given = {"bucket_name": "bkt", "endpoint_url": server.url, "server": "aws", "max_attempts": 2}
    return S3Provider(given | config, pool=pool)


async def by_the_data_plane(provider: S3Provider) -> bool:
    """Tell whether a provider's requests go by the data plane."""
    return isinstance(await provider._planes.data(), WirePlane)


@pytest.mark.slow
@pytest.mark.parametrize("token", [None, "a-session-token"])
async def test_of_the_environment(monkeypatch: pytest.MonkeyPatch, token: str | None) -> None:
    """Keys, and a token, of AWS's own variables sign the data plane's requests, small and large."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAENVIRONMENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    if token is not None:
        monkeypatch.setenv("AWS_SESSION_TOKEN", token)
    async with serving(script) as server, SessionPool() as pool:
        provider = make(server, pool)
        assert await provider.get("k") == DATA
        await provider.put("k", bytes(400_000))
        assert await by_the_data_plane(provider)
    assert [signer(request) for request in server.requests] == ["AKIAENVIRONMENT"] * 2
    assert {request.headers.get("x-amz-security-token") for request in server.requests} == {token}


@pytest.mark.slow
async def test_of_a_profile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each provider's requests are signed with the keys of its own profile."""
    file = tmp_path / "credentials"
    file.write_text(
        "".join(
            f"[{name}]\naws_access_key_id = AKIA{name.upper()}\naws_secret_access_key = secret\n"
            for name in ("default", "one", "two")
        )
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    async with serving(script) as server, SessionPool() as pool:
        for provider in (make(server, pool), make(server, pool, profile="one"), make(server, pool, profile="two")):
            assert await provider.get("k") == DATA
            assert await by_the_data_plane(provider)
    assert [signer(request) for request in server.requests] == ["AKIADEFAULT", "AKIAONE", "AKIATWO"]


@pytest.fixture
def ask_for_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], int]:
    """Install a `credential_process` whose first three keys are about to expire; give how often it was asked."""
    program, asked, config = tmp_path / "keys.py", tmp_path / "asked", tmp_path / "config"
    program.write_text(
        textwrap.dedent(f"""
            import datetime, json
            with open({str(asked)!r}, "a+") as file:
                file.write("x")
                count = file.tell()
            validity = datetime.timedelta(seconds=60) if count <= 3 else datetime.timedelta(hours=5)
            moment = datetime.datetime.now(datetime.timezone.utc) + validity
            print(json.dumps({{
                "Version": 1, "AccessKeyId": f"AKIAPROCESS{{count}}", "SecretAccessKey": "s", "SessionToken": "t",
                "Expiration": moment.isoformat(),
            }}))
        """)
    )
    command = shlex.join([sys.executable, "-I", "-S", str(program)])
    config.write_text(f"[default]\ncredential_process = {command}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    return lambda: asked.stat().st_size


@pytest.mark.slow
async def test_of_a_process(ask_for_keys: Callable[[], int]) -> None:
    """Keys that expire are asked for again before they do, and the next requests are signed with the new ones."""
    async with serving(script) as server, SessionPool() as pool:
        provider = make(server, pool)
        for _ in range(6):
            assert await provider.get("k") == DATA
        await provider.put("k", bytes(400_000))
        assert await by_the_data_plane(provider)
    signers = [signer(request) for request in server.requests]
    assert len(set(signers[:3])) > 1
    assert set(signers[3:]) == {"AKIAPROCESS4"}
    assert ask_for_keys() == 4


@pytest.mark.slow
async def test_a_process_is_asked_once_for_many(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """However many requests wait for the first keys, the process that gives them is run once."""
    asked, config, keys = tmp_path / "asked", tmp_path / "config", tmp_path / "keys"
    keys.write_text('{"Version": 1, "AccessKeyId": "AKIAPROCESS", "SecretAccessKey": "s"}')
    config.write_text(f"[default]\ncredential_process = sh -c 'echo x >> {asked}; cat {keys}'\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    async with serving(script) as server, SessionPool() as pool:
        provider = make(server, pool)
        assert await asyncio.gather(*(provider.get("k") for _ in range(8))) == [DATA] * 8
    assert asked.read_text() == "x\n"


@pytest.mark.slow
async def test_of_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A process that gives no keys is an error of ours; once there are keys, the same provider works."""
    config = tmp_path / "config"
    config.write_text(f"[default]\ncredential_process = {shlex.join([sys.executable, '-c', 'raise SystemExit(7)'])}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    async with serving(script) as server, SessionPool() as pool:
        with pytest.raises(StorageError) as caught:
            await make(server, pool).get("k")
        assert isinstance(caught.value, (AuthenticationError, ConfigError))
    assert server.requests == []


async def test_an_expired_token_is_signed_anew() -> None:
    """An answer that says the token has expired is followed by one more try."""
    answers = [error("ExpiredToken", 400), content(DATA, Request("GET", "/", {}, b""))]
    async with serving(answers) as server, SessionPool() as pool:
        provider = make(server, pool, access_key_id="a", secret_access_key="b")
        assert await provider.get("k") == DATA
    assert len(server.requests) == 2


class Ahead:
    """A server whose clock is off, and which believes signatures of its own last quarter of an hour only."""

    def __init__(self, seconds: float) -> None:
        self._off = timedelta(seconds=seconds)

    def __call__(self, request: Request) -> Answer:
        """Refuse a signature that is not of this hour."""
        now = datetime.now(UTC) + self._off
        date = {"Date": format_datetime(now, usegmt=True)}
        signed = datetime.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        answer = script(request)
        if abs(now - signed) > timedelta(minutes=15):
            answer = error("RequestTimeTooSkewed", 403)
        return Answer(answer.status, answer.body, {**answer.headers, **date})


BOTH = pytest.mark.parametrize("transport", ["auto", "aiobotocore"])


@BOTH
@pytest.mark.parametrize("seconds", [3_600, -86_400 * 400])
async def test_a_clock_that_is_off(seconds: float, transport: str) -> None:
    """After a refusal for the time, requests are signed by the server's clock: that one again, and all others."""
    async with serving(Ahead(seconds)) as server, SessionPool() as pool:
        provider = make(server, pool, access_key_id="a", secret_access_key="b", transport=transport)
        assert await provider.get("k") == DATA
        assert len(server.requests) == 2
        await provider.put("k", bytes(400_000))
        await provider.put("k", b"small")
        assert await provider.get("k") == DATA
    assert len(server.requests) == 5


@BOTH
@pytest.mark.parametrize("seconds", [3_600, -86_400])
async def test_every_signature_is_of_the_same_clock(seconds: float, transport: str) -> None:
    """A server's clock that one transport has learned holds for the other, and for signed URLs and forms."""
    async with serving(Ahead(seconds)) as server, SessionPool() as pool:
        config = {"access_key_id": "a", "secret_access_key": "b", "transport": transport}
        await make(server, pool, **config).get("k")
        assert len(server.requests) == 2
        other = make(server, pool, **config | {"transport": "aiobotocore" if transport == "auto" else "auto"})
        await other.get("k")
        assert len(server.requests) == 3
        url = await other.presign("k")
        (signed,) = parse_qs(urlsplit(url).query)["X-Amz-Date"]
        form = await other.presign_post("k")
        now = datetime.now(UTC) + timedelta(seconds=seconds)
        for each in (signed, form["fields"]["x-amz-date"]):
            assert abs(datetime.strptime(each, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC) - now) < timedelta(minutes=1)
        policy = json.loads(b64decode(form["fields"]["policy"]))
        end = datetime.fromisoformat(policy["expiration"])
        assert abs(end - now - timedelta(seconds=3_600)) < timedelta(minutes=1)


@BOTH
@pytest.mark.parametrize(
    "first",
    [
        lambda provider: provider.put("k", bytes(400_000)),
        lambda provider: provider.put("k", b"small"),
        lambda provider: provider.put("k", b"small", if_none_match="*"),
        lambda provider: provider.delete("k"),
        lambda provider: provider.head("k"),
    ],
    ids=["large", "small", "create-only", "delete", "head"],
)
async def test_a_clock_that_is_off_at_another_request(
    first: Callable[[S3Provider], Awaitable[object]], transport: str
) -> None:
    """The same where the first request is a write, or HEAD, whose refusal has no body: what was refused did nothing."""
    async with serving(Ahead(3_600)) as server, SessionPool() as pool:
        await first(make(server, pool, access_key_id="a", secret_access_key="b", transport=transport))
    assert len(server.requests) == 2
