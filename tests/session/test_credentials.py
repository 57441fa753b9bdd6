"""The data plane signs with credentials from AWS's chain, which aiobotocore finds and refreshes."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import re
import shlex
import subprocess
import sys
import textwrap
import threading
from base64 import b64decode
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiobotocore.session import AioSession
from botocore.loaders import JSONFileLoader

from bucketry import S3Provider, SessionPool
from bucketry._providers.s3.wire.plane import WirePlane
from bucketry._session.chain import Chain
from bucketry.errors import (
    AuthenticationError,
    ConfigError,
    StorageError,
)
from bucketry.testing import embedded_s3
from tests.wire.scripted import Answer, Request, Scripted, content, error, serving

DATA = b"some bytes"


def script(request: Request) -> Answer:
    """Serve one object, and accept uploads."""
    return content(DATA, request) if request.method == "GET" else Answer(200, b"", {"ETag": '"e1"'})


def signer(request: Request) -> str:
    """Give the access key that a request was signed with."""
    found = re.search(r"Credential=([^/]+)/", request.headers["authorization"])
    assert found is not None
    return found[1]


def make(server: Scripted, pool: SessionPool, **config: Any) -> S3Provider:
    """Make a provider without configured keys."""
    given = {"bucket_name": "bkt", "endpoint_url": server.url, "server": "aws", "max_attempts": 2}
    return S3Provider(given | config, pool=pool)


async def by_the_data_plane(provider: S3Provider) -> bool:
    """Tell whether a provider uses the data plane."""
    return isinstance(await provider._planes.data(), WirePlane)


@pytest.mark.slow
@pytest.mark.parametrize("token", [None, "a-session-token"])
async def test_of_the_environment(monkeypatch: pytest.MonkeyPatch, token: str | None) -> None:
    """Keys and a token from AWS's variables sign the data plane's requests, small and large."""
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
    """Install a `credential_process` whose first three keys expire soon; give a function for its number of runs."""
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
    """Keys are refreshed before they expire, and the next requests are signed with the new ones."""
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
    """For any number of requests that wait for the first keys, the process runs once."""
    asked, config, keys = tmp_path / "asked", tmp_path / "config", tmp_path / "keys"
    keys.write_text('{"Version": 1, "AccessKeyId": "AKIAPROCESS", "SecretAccessKey": "s"}')
    config.write_text(f"[default]\ncredential_process = sh -c 'echo x >> {asked}; cat {keys}'\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    async with serving(script) as server, SessionPool() as pool:
        provider = make(server, pool)
        assert await asyncio.gather(*(provider.get("k") for _ in range(8))) == [DATA] * 8
    assert asked.read_text() == "x\n"


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["auto", "aiobotocore"])
def test_files_are_read_off_the_loop(tmp_path: Path, transport: str) -> None:
    """Only worker threads open AWS's configuration files and botocore's models."""
    script = """
        import asyncio, sys, threading
        from bucketry import S3Provider
        from tests.wire.scripted import Answer, serving
        opened = []
        def note(event, arguments):
            if event == "open":
                opened.append((str(arguments[0]), threading.current_thread() is threading.main_thread()))
        async def main():
            given = {"bucket_name": "bkt", "server": "aws", "transport": sys.argv[2]}
            async with serving(lambda _: Answer(200, b"", {"ETag": '"e1"'})) as server:
                provider = S3Provider(given | {"endpoint_url": server.url})
                sys.addaudithook(note)
                await provider.put("k", b"1")
                await provider.presign("k")
                await provider.disconnect()
                assert "AKIAFILE" in server.requests[0].headers["authorization"]
        asyncio.run(main())
        names = (sys.argv[1], "service-2.json") if sys.argv[2] == "aiobotocore" else (sys.argv[1],)
        found = {(name, main) for path, main in opened for name in names if name in path}
        assert found == {(name, False) for name in names}, found
    """
    file = tmp_path / "credentials"
    file.write_text("[default]\naws_access_key_id = AKIAFILE\naws_secret_access_key = secret\n")
    variables = os.environ | {"AWS_SHARED_CREDENTIALS_FILE": str(file)}
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(script), str(file), transport]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=variables)
    assert (done.returncode, done.stderr) == (0, "")


class Roles:
    """A server for roles and one object: the keys of the first two roles expire soon."""

    def __init__(self) -> None:
        self.asked = 0
        self.status = 200

    def __call__(self, request: Request) -> Answer:
        """Give new keys each time."""
        if b"Action=AssumeRole" not in request.body:
            return script(request)
        if self.status != 200:
            return error("AccessDenied", self.status)
        self.asked += 1
        expires = datetime.now(UTC) + (timedelta(seconds=60) if self.asked < 3 else timedelta(hours=5))
        keys = f"<AccessKeyId>AKIAROLE{self.asked}</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"
        more = f"<SessionToken>t</SessionToken><Expiration>{expires.isoformat()}</Expiration>"
        who = "<AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/r/s</Arn></AssumedRoleUser>"
        result = f"<AssumeRoleResult><Credentials>{keys}{more}</Credentials>{who}</AssumeRoleResult>"
        return Answer(200, f"<AssumeRoleResponse>{result}</AssumeRoleResponse>".encode())


@pytest.fixture
def role(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Configure a profile that assumes a role."""
    config = tmp_path / "config"
    config.write_text(
        "[default]\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = source\nregion = us-east-1\n"
        "[profile source]\naws_access_key_id = AKIASOURCE\naws_secret_access_key = secret\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))


@pytest.mark.slow
@pytest.mark.usefixtures("role")
async def test_of_a_role(monkeypatch: pytest.MonkeyPatch) -> None:
    """A role is assumed, and assumed again before its keys expire; the loop's thread reads no model."""
    load = JSONFileLoader.load_file
    readers: set[threading.Thread] = set()

    def spy(self: JSONFileLoader, path: str) -> Any:
        readers.add(threading.current_thread())
        return load(self, path)

    monkeypatch.setattr(JSONFileLoader, "load_file", spy)
    async with serving(Roles()) as server, SessionPool() as pool:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        provider = make(server, pool)
        for _ in range(4):
            assert await provider.get("k") == DATA
        assert await by_the_data_plane(provider)
        signers = [signer(request) for request in server.requests if request.method == "GET"]
    assert signers[0] != signers[-1] == "AKIAROLE3"
    assert readers
    assert threading.current_thread() not in readers


@pytest.mark.slow
@pytest.mark.usefixtures("role")
@pytest.mark.parametrize("transport", ["auto", "aiobotocore"])
async def test_of_a_role_that_may_not_be_assumed(monkeypatch: pytest.MonkeyPatch, transport: str) -> None:
    """A refusal of the service is an authentication error, and the next request asks the service again."""
    roles = Roles()
    roles.status = 403
    async with serving(roles) as server, SessionPool() as pool:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        provider = make(server, pool, transport=transport)
        with pytest.raises(AuthenticationError, match="AssumeRole"):
            await provider.get("k")
        roles.status = 200
        assert await provider.get("k") == DATA


@pytest.mark.slow
async def test_a_process_ends_with_who_waits_for_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A cancellation while a process gives keys leaves neither the process nor a waiting thread."""
    config, started = tmp_path / "config", tmp_path / "started"
    os.mkfifo(started)
    config.write_text(f"[default]\ncredential_process = sh -c 'echo $$ > {started}; exec sleep 60'\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    async with serving(script) as server, SessionPool() as pool, asyncio.timeout(15):
        asking = asyncio.create_task(make(server, pool).get("k"))
        number = int(await asyncio.to_thread(started.read_text))
        os.kill(number, 0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)
    gc.collect()  # resources left open would give a warning


@pytest.mark.slow
async def test_of_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A process without keys is our error; when it gives keys, the same provider works."""
    config = tmp_path / "config"
    config.write_text(f"[default]\ncredential_process = {shlex.join([sys.executable, '-c', 'raise SystemExit(7)'])}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    async with serving(script) as server, SessionPool() as pool:
        with pytest.raises(StorageError) as caught:
            await make(server, pool).get("k")
        assert isinstance(caught.value, (AuthenticationError, ConfigError))
    assert server.requests == []


async def test_an_expired_token_is_signed_anew() -> None:
    """After an answer that the token has expired, the request is signed again once."""
    answers = [error("ExpiredToken", 400), content(DATA, Request("GET", "/", {}, b""))]
    async with serving(answers) as server, SessionPool() as pool:
        provider = make(server, pool, access_key_id="a", secret_access_key="b")
        assert await provider.get("k") == DATA
    assert len(server.requests) == 2


class Ahead:
    """A server with a wrong clock that accepts only signatures of its own last 15 minutes."""

    def __init__(self, seconds: float) -> None:
        self._off = timedelta(seconds=seconds)

    def __call__(self, request: Request) -> Answer:
        """Refuse a signature with another time."""
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
    """After a refusal for its time, the request and all later ones are signed with the server's time."""
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
    """The server's time that one transport learned is used by the other one, and for signed URLs and forms."""
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
    """The same if the first request is a write, or HEAD, whose refusal has no body: a refused write did nothing."""
    async with serving(Ahead(3_600)) as server, SessionPool() as pool:
        await first(make(server, pool, access_key_id="a", secret_access_key="b", transport=transport))
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("variable", "value"),
    [("AWS_PROFILE", "nobody"), ("AWS_DEFAULTS_MODE", "bogus"), ("AWS_CONFIG_FILE", "broken")],
)
async def test_given_credentials_do_not_depend_on_aws_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, value: str
) -> None:
    """With explicit credentials no profile, file or mode of an AWS environment is looked at."""
    if value == "broken":
        (tmp_path / "config").write_text("[this is no")
        value = str(tmp_path / "config")
    with embedded_s3() as server:
        monkeypatch.setenv(variable, value)
        provider = S3Provider(server.config)
        assert await provider.list_files() == []
        await provider.disconnect()


async def test_missing_credentials_say_what_to_give() -> None:
    """The error names the entries and the variables."""
    with embedded_s3() as server:
        provider = S3Provider({name: value for name, value in server.config.items() if "key" not in name})
        with pytest.raises(AuthenticationError, match="AWS_SECRET_ACCESS_KEY"):
            await provider.list_files()
        await provider.disconnect()


async def test_an_endpoint_of_the_environment_is_not_read_behind_the_configuration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A provider made from a mapping reads no variable, not even one that makes botocore fail."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "127.0.0.1:9000")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    provider = S3Provider({"bucket_name": "my-bucket", "access_key_id": "key", "secret_access_key": "canary"})
    assert (await provider.presign("k")).startswith("https://my-bucket.s3.")
    with embedded_s3() as server:
        other = S3Provider(server.config)
        assert await other.list_files() == []
        await other.disconnect()
    await provider.disconnect()


async def test_static_keys_are_the_same_value_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unchanged keys give the same object, for which the signer has its key already."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAENVIRONMENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    chain = Chain(AioSession())
    assert await chain.ask() is await chain.ask()
