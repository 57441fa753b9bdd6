"""Credentials and signatures must not be in logs of any library, errors, error reports and reprs."""

from __future__ import annotations

import asyncio
import base64
import logging
import pickle
import re
import socket
import traceback
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from bucketry import S3Provider, SessionPool, StorageProviderFactory
from bucketry._core.options import WriteOptions
from bucketry._core.s3_config import S3Config
from bucketry._core.units import MiB
from bucketry.errors import ConfigError, InvalidRequestError, StorageError, UnsupportedError
from tests.wire.conftest import ACCESS, SECRET, TOKEN, Provide
from tests.wire.scripted import Answer, Request, content, error, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

CUSTOMER_KEY = "canary customer key of 32 bytes!"
CUSTOMER = {CUSTOMER_KEY, base64.b64encode(CUSTOMER_KEY.encode()).decode()}
SECRETS = {SECRET, TOKEN, *CUSTOMER}
ENTRIES = {"session_token": TOKEN, "sse_customer_key": CUSTOMER_KEY.encode()}
OK = Answer(200, b"", {"ETag": '"e1"'})
DATA = b"some bytes " * 100
COPIED = Answer(200, b'<CopyObjectResult><ETag>"e1"</ETag></CopyObjectResult>')
LISTED = Answer(200, b"<ListBucketResult><Name>bkt</Name><IsTruncated>false</IsTruncated></ListBucketResult>")


def signature_of(request: Request) -> str:
    """Give the signature that a request was sent with."""
    return request.headers["authorization"].rpartition("Signature=")[2]


def assert_none_of(secrets: set[str], texts: list[str]) -> None:
    """Search for secrets, unchanged and as encoded in a URL."""
    text = "\n".join(texts)
    found = [secret for secret in secrets if secret in text or quote(secret, safe="") in text]
    places = [text[max(0, text.find(secret) - 300) : text.find(secret)] for secret in found]
    assert not found, places[0]


def reprs_of(value: object, depth: int = 4) -> list[str]:
    """Give the reprs of a value and of all values inside it."""
    held = vars(value).values() if depth and hasattr(value, "__dict__") else ()
    return [repr(value), *(text for one in held for text in reprs_of(one, depth - 1))]


async def test_nowhere_but_in_the_request(provide: Provide, caplog: pytest.LogCaptureFixture) -> None:
    """Logs at DEBUG, errors with their causes, and reprs hold no secret, no token and no signature."""
    seen: list[str] = []

    def script(request: Request) -> Answer:
        secrets.add(signature_of(request))
        assert request.headers["x-amz-security-token"] == TOKEN
        if request.method == "GET" and "list-type" not in request.query:
            return Answer(200, DATA, {"ETag": '"e1"'}, cut=3)
        return error("SignatureDoesNotMatch", 403) if request.method == "HEAD" else error("InternalError", 500)

    secrets = set(SECRETS)
    caplog.set_level(logging.DEBUG)
    async with serving(script) as server:
        provider = provide(server, **ENTRIES, max_attempts=2)
        for request in (
            provider.connect(),
            provider.get("k"),
            provider.put("k", DATA, if_none_match="*"),
            provider.put("k", DATA),
            provider.list_files(),
            provider.delete_many(["k"]),
            provider.copy("a", "b"),
            provider.create_multipart("k", WriteOptions()),
        ):
            with pytest.raises(StorageError) as caught:
                await request
            seen += [str(caught.value), repr(caught.value), *traceback.format_exception(caught.value)]
            seen.append(repr(pickle.loads(pickle.dumps(caught.value)).__dict__))
        seen += reprs_of(provider)
    assert len(secrets) > len(SECRETS) + 6
    assert_none_of(secrets, [*seen, caplog.text])
    assert "authorization" not in "\n".join(seen).lower().replace("authorizationheader", "")


async def test_not_in_the_log_of_what_succeeds(
    provide: Provide, transport: str, caplog: pytest.LogCaptureFixture
) -> None:
    """No logger of any library logs them at DEBUG, for any kind of request or a signed URL or form."""
    secrets = set(SECRETS)

    def script(request: Request) -> Answer:
        secrets.add(signature_of(request))
        if "x-amz-copy-source" in request.headers:
            return COPIED
        if "list-type" in request.query:
            return LISTED
        return content(DATA, request) if request.method in {"GET", "HEAD"} else OK

    caplog.set_level(logging.DEBUG)
    async with serving(script) as server:
        provider = provide(server, **ENTRIES)
        await provider.get("k")
        await provider.put("k", DATA)
        await provider.put("k", bytes(MiB))
        await provider.copy("a", "b")
        await provider.list_files()
        await provider.delete("k")
        signing = provide(server, session_token=TOKEN)
        url = await signing.presign("k")
        form = await signing.presign_post("k")
    secrets |= set(re.findall("X-Amz-Signature=([0-9a-f]+)", url))
    secrets |= {value for name, value in form["fields"].items() if name.lower() in {"x-amz-signature", "policy"}}
    assert len(secrets) > len(SECRETS) + 7
    theirs = [record for record in caplog.records if record.name.startswith("botocore")]
    assert bool(theirs) == (transport == "aiobotocore")
    assert_none_of(secrets, [caplog.text])


async def test_a_customers_key_is_not_pickled(provide: Provide) -> None:
    """A provider that has one refuses to be pickled or copied, in whatever protocol, and says what to do."""
    provider = provide("http://127.0.0.1:9", sse_customer_key=CUSTOMER_KEY.encode())
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        for one in (provider, provider._config):
            with pytest.raises(UnsupportedError, match="BUCKETRY_SSE_CUSTOMER_KEY") as caught:
                pickle.dumps(one, protocol)
            assert_none_of(CUSTOMER, [str(caught.value), *reported(caught.value)])
    assert pickle.loads(pickle.dumps(provide("http://127.0.0.1:9"))).locate() == provider.locate()


async def test_not_in_a_pickle_of_the_pool(provide: Provide, pool: SessionPool) -> None:
    """A pool's pickle has only its configuration, not its clients and their credentials."""
    async with serving([OK]) as server:
        await provide(server).put("k", b"x")
        assert SECRET.encode() not in pickle.dumps(pool)


def all_of(exc: BaseException | None) -> Iterator[BaseException]:
    """Give an exception, its causes and its contexts, even those that tracebacks do not show."""
    waiting, seen = [exc], set()
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [one.__cause__, one.__context__, *getattr(one, "exceptions", ())]


def reported(error: BaseException) -> list[str]:
    """Give the report of an error as a reporter makes it that shows the locals of each frame."""
    texts = []
    for one in all_of(error):
        told = traceback.TracebackException.from_exception(one, capture_locals=True)
        texts += [repr(one), repr(one.args), repr(vars(one)), *told.format(chain=False)]
    return texts


async def outcome(request: Awaitable[object]) -> StorageError | None:
    """Give the error of a request; its traceback begins here, without the test's frames."""
    try:
        await request
    except StorageError as exc:
        return exc
    return None


def quoting(request: Request) -> Answer:
    """Refuse a signature as AWS does: the answer quotes the request."""
    token = request.headers["x-amz-security-token"]
    key = request.headers.get("x-amz-server-side-encryption-customer-key", "")
    quoted = f"<SignatureProvided>{signature_of(request)}</SignatureProvided><Canonical>{token} {key}</Canonical>"
    body = f"<Error><Code>SignatureDoesNotMatch</Code><Message>no</Message>{quoted}<Token-0>{token}</Token-0></Error>"
    return Answer(403, body.encode())


FAULTS: dict[str, Callable[[Request], Answer]] = {
    "no answer": lambda _: Answer(drop=True),
    "cut body": lambda _: Answer(200, DATA, {"ETag": '"e1"'}, cut=3),
    "cut large body": lambda _: Answer(200, bytes(3 * MiB), {"ETag": '"e1"'}, cut=2 * MiB),
    "403": quoting,
    "404": lambda _: error("NoSuchKey", 404),
    "500": lambda _: error("InternalError", 500),
    "timeout": lambda _: Answer(drop=True, stall=True),
    "timeout in the body": lambda _: Answer(200, DATA, {"ETag": '"e1"'}, cut=3, stall=True),
    "malformed": lambda _: Answer(200, DATA, {"a header": "of two words", "ETag": '"e1"'}),
    "malformed length": lambda _: Answer(200, DATA, {"Content-Length": "many"}),
    "no XML": lambda _: Answer(200, b"<html>"),
}


async def read_in_pieces(provider: Any) -> None:
    """Read a body by a stream."""
    async with provider.stream("k") as chunks:
        async for _ in chunks:
            pass


class Nowhere:
    """A sink for the bytes of a lane."""

    position = 0
    fd = -1
    needs_bytes = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Count them."""
        self.position += len(data)


REQUESTS: dict[str, Callable[[Any, Path], Awaitable[object]]] = {
    "get": lambda provider, _: provider.get("k"),
    "stream": lambda provider, _: read_in_pieces(provider),
    "download": lambda provider, path: provider.download("k", path / "file"),
    "fetch": lambda provider, _: provider.fetch_range("k", Nowhere()),
    "head": lambda provider, _: provider.head("k"),
    "put": lambda provider, _: provider.put("k", DATA),
    "large put": lambda provider, _: provider.put("k", bytes(MiB)),
    "list": lambda provider, _: provider.list_files(),
    "copy": lambda provider, _: provider.copy_object("a", "b"),
}


async def reports(provider: Any, path: Path) -> dict[str, list[str]]:
    """Make every kind of request, all at once because some wait for a timeout; give the reports of those that fail."""
    outcomes = await asyncio.gather(*(outcome(request(provider, path)) for request in REQUESTS.values()))
    return {name: reported(exc) for name, exc in zip(REQUESTS, outcomes, strict=True) if exc is not None}


@pytest.mark.parametrize("fault", FAULTS)
async def test_not_in_a_report_with_locals(provide: Provide, tmp_path: Path, fault: str) -> None:
    """The locals of a traceback's frames, and of the frames of all causes, hold no secret, token or signature."""
    secrets = set(SECRETS)

    def script(request: Request) -> Answer:
        secrets.add(signature_of(request))
        return FAULTS[fault](request)

    async with serving(script) as server:
        told = await reports(provide(server, **ENTRIES, max_attempts=1, total_timeout=1.0), tmp_path)
    assert "list" in told
    assert len(told) > 3
    assert len(secrets) > len(SECRETS) + 1
    for texts in told.values():
        assert_none_of(secrets, texts)


async def test_not_in_a_report_of_a_refused_connection(provide: Provide, tmp_path: Path) -> None:
    """The same if no server listens: the signatures were made, but never sent."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        told = await reports(provide(url, **ENTRIES, max_attempts=1), tmp_path)
    assert told.keys() == REQUESTS.keys()
    for texts in told.values():
        assert_none_of({*SECRETS, "Signature="}, texts)


@pytest.mark.parametrize("wrong", ["\x7f", "\udcff"], ids=["control", "no text"])
async def test_not_in_a_report_of_a_request_that_cannot_be_sent(
    provide: Provide, pool: SessionPool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wrong: str
) -> None:
    """The same if a token from the environment is not valid in a header."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN + wrong)
    await pool.close()  # it would use the other token
    provider = provide(
        "http://127.0.0.1:9",
        access_key_id=None,
        secret_access_key=None,
        sse_customer_key=CUSTOMER_KEY.encode(),
        max_attempts=1,
    )
    told = await reports(provider, tmp_path)
    await pool.close()
    assert told.keys() == REQUESTS.keys()
    for texts in told.values():
        assert_none_of({*SECRETS, "Signature="}, texts)


def refused(kind: Callable[..., object], *args: object, **entries: object) -> ConfigError:
    """Give the error of a constructor; its traceback begins here."""
    with pytest.raises(ConfigError) as caught:
        kind(*args, **entries)
    del args, entries  # of this frame, which is in the traceback
    return caught.value


@pytest.mark.parametrize(
    "entries",
    [
        {"sse_customer_key": CUSTOMER_KEY * 2},
        {"unknown": 1},
        {"endpoint_url": "http://host.example", "allow_http": True},
        {"server": "generic"},
    ],
    ids=["length", "name", "http", "row"],
)
async def test_not_in_a_report_of_a_wrong_configuration(entries: dict[str, Any]) -> None:
    """The frames of constructors, of the factory and of the configuration's checks show no secret."""
    given = {
        "bucket_name": "bkt",
        "endpoint_url": "https://host.example",
        "server": "aws",
        "access_key_id": ACCESS,
        "secret_access_key": SECRET,
        **ENTRIES,
        **entries,
    }
    calls = [refused(S3Provider, given), refused(StorageProviderFactory.create, {"provider_type": "s3", **given})]
    if "sse_customer_key" in entries:
        calls.append(refused(S3Config, **given))
    for refusal in calls:
        assert_none_of(SECRETS, reported(refusal))


async def test_a_report_shows_a_provider_that_was_not_made() -> None:
    """The repr of a provider whose constructor failed raises no error."""
    assert repr(S3Provider.__new__(S3Provider)) == "<S3Provider (not configured)>"


async def test_not_in_the_error_of_a_signature_that_cannot_be_made(
    provide: Provide, pool: SessionPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token that is not valid Unicode is a refused request also for signed URLs and forms."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN + "\udcff")
    await pool.close()  # it would use the other token
    provider = provide("http://127.0.0.1:9", access_key_id=None, secret_access_key=None)
    told = [await outcome(provider.presign("k"))]
    if provider._config.transport == "auto":  # json writes any character of a policy in ASCII
        told.append(await outcome(provider.presign_post("k")))
    await pool.close()
    assert isinstance(told[0], InvalidRequestError)
    for refusal in filter(None, told):
        assert_none_of(SECRETS, reported(refusal))
