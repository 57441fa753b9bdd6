"""Makes the errors of the troubleshooting page happen, and prints what they say."""

from __future__ import annotations

import asyncio
import os
import pickle
import ssl
import sys
import tempfile
import threading
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from unittest.mock import patch

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from bucketry import (
    DigitalOceanProvider,
    LocalProvider,
    MemoryProvider,
    S3Provider,
    StorageProviderFactory,
    TransferConfig,
    WasabiProvider,
)
from bucketry.testing import EmbeddedS3, Fault, FaultyProvider, embedded_s3

KEYS = {"access_key_id": "example", "secret_access_key": "example"}


@contextmanager
def server_that_says(code: str, status: int, tls: ssl.SSLContext | None = None) -> Iterator[dict[str, Any]]:
    """Run a server that answers every request with one error; a response to HEAD has no body."""
    body = f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode() if code else b""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815 - the library's name

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Print nothing: clients that refuse a certificate break off."""

    server = Server(("127.0.0.1", 0), Answer)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
        yield {"bucket_name": "my-bucket", "endpoint_url": url, "max_attempts": 1} | KEYS
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def certificate(work: Path, address: str, *, days: int, by_an_authority: bool) -> tuple[ssl.SSLContext, Path]:
    """Make a certificate, and give it with the file of those who vouch for it."""
    key, authority = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    subject, issuer = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in (address, "Example"))
    end = datetime.now(UTC) + timedelta(days=days)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer if by_an_authority else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(end - timedelta(days=10))
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), critical=False)
        .sign(authority if by_an_authority else key, hashes.SHA256())
    )
    pem, private = work / "server.pem", work / "server.key"
    pem.write_bytes(made.public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, private)
    return context, pem


async def show(step: Callable[[], Awaitable[object] | object]) -> None:
    try:
        result = step()
        if isinstance(result, Awaitable):
            await result
    except Exception as error:  # noqa: BLE001 - whatever it is, the page quotes it
        print(f"{type(error).__name__}: {error}")


@asynccontextmanager
async def _closing(storage: S3Provider) -> AsyncIterator[S3Provider]:
    """Disconnect at the end, without having connected at the beginning."""
    try:
        yield storage
    finally:
        await storage.disconnect()


async def _chunks() -> AsyncIterator[bytes]:
    yield b"one chunk"


async def another_aiobotocore() -> None:
    async with _closing(S3Provider({"bucket_name": "my-bucket", "transport": "aiobotocore"} | KEYS)) as storage:
        with patch.dict(sys.modules, {"aiobotocore.session": None}):
            await storage.exists("report.txt")


async def configuration() -> None:
    await show(lambda: WasabiProvider({"bucket_name": "my-bucket", "access_key_id": "example"}))
    await show(lambda: WasabiProvider({"bucket": "my-bucket"} | KEYS))
    await show(lambda: StorageProviderFactory.create({"provider_type": "wasaby"}))
    remote = {"bucket_name": "my-bucket", "endpoint_url": "http://minio.example:9000"} | KEYS
    await show(lambda: S3Provider(remote).connect())
    remote["endpoint_url"] = "minio.example:9000"
    await show(lambda: S3Provider(remote))
    few = {"bucket_name": "my-bucket", "max_connections": 4}
    await show(lambda: S3Provider(few, transfer=TransferConfig(max_concurrency=8)))
    await show(lambda: TransferConfig(resume=True))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        DigitalOceanProvider({"bucket_name": "my-space", "region": "nyc9"} | KEYS)
    bundle = {"bucket_name": "my-bucket", "ca_bundle": "no-such-file.pem"}
    async with _closing(S3Provider(bundle | KEYS)) as storage:
        await show(lambda: storage.get("report.txt"))
    print(*[f"{warning.category.__name__}: {warning.message}" for warning in caught])


async def answers() -> None:
    for code, status in (
        ("InvalidAccessKeyId", 403),
        ("SignatureDoesNotMatch", 403),
        ("RequestTimeTooSkewed", 403),
        ("ExpiredToken", 400),
        ("PermanentRedirect", 301),
        ("AuthorizationHeaderMalformed", 400),
        ("AccessDenied", 403),
        ("SlowDown", 503),
        ("", 429),
    ):
        with server_that_says(code, status) as config:
            async with _closing(S3Provider(config)) as storage:
                await show(partial(storage.get, "report.txt"))
                await show(storage.connect)
    for status in (400, 403):
        with server_that_says("", status) as config:
            async with _closing(S3Provider(config)) as storage:
                await show(partial(storage.head, "report.txt"))
    gone = {"bucket_name": "my-bucket", "endpoint_url": "http://127.0.0.1:9", "max_attempts": 1} | KEYS
    async with _closing(S3Provider(gone)) as storage:
        await show(lambda: storage.get("report.txt"))
    with embedded_s3() as server:
        await without_credentials(server)
        async with _closing(S3Provider(server.config | {"bucket_name": "no-such-bucket"})) as storage:
            await show(storage.connect)
            await show(lambda: storage.get("report.txt"))
        async with _closing(S3Provider({**server.config, "server": "generic"})) as storage:
            await show(lambda: storage.put("a", b"", if_none_match="*"))
            await show(lambda: storage.presign("a", expires_in=10**6))


async def tls(work: Path) -> None:
    for address, days, by_an_authority, trusted in (
        ("127.0.0.1", 5, False, False),
        ("127.0.0.1", 5, True, False),
        ("127.0.0.1", -1, False, True),
        ("127.0.0.2", 5, False, True),
    ):
        context, pem = certificate(work, address, days=days, by_an_authority=by_an_authority)
        with server_that_says("AccessDenied", 403, context) as config:
            async with _closing(S3Provider(config | ({"ca_bundle": str(pem)} if trusted else {}))) as storage:
                await show(storage.connect)
    with server_that_says("AccessDenied", 403) as config:
        secure = config["endpoint_url"].replace("http:", "https:")
        async with _closing(S3Provider(config | {"endpoint_url": secure})) as storage:
            await show(storage.connect)


async def without_credentials(server: EmbeddedS3) -> None:
    nothing = dict.fromkeys(("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"), "no-such-file")
    place = {"bucket_name": server.bucket, "endpoint_url": server.endpoint_url}
    with patch.dict(os.environ, nothing | {"AWS_EC2_METADATA_DISABLED": "true"}):
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
            os.environ.pop(name, None)
        async with _closing(S3Provider(place)) as storage:
            await show(storage.connect)
        async with _closing(S3Provider(place | {"profile": "backup"})) as storage:
            await show(storage.connect)
        await show(lambda: S3Provider(place | {"access_key_id": "example"}))


async def streams() -> None:
    space = DigitalOceanProvider({"bucket_name": "my-space"} | KEYS)  # refused before anything is sent
    await show(lambda: space.put("a", _chunks(), if_none_match="*"))


def without_moto() -> None:
    with patch.dict(sys.modules, {"moto.server": None}), embedded_s3():
        """Never called: the import fails."""


async def calls(work: Path) -> None:
    memory = MemoryProvider()
    await show(lambda: pickle.dumps(memory))
    await show(lambda: memory.get("report.txt"))
    await show(lambda: memory.put("report.txt", "text"))  # type: ignore[arg-type]
    await show(lambda: memory.put("report.txt", b"", metadata={"author": "Jürgen"}))
    await show(lambda: LocalProvider({"base_path": work}).put("../report.txt", b""))
    await show(lambda: memory.upload(work, "report.txt"))
    report = work / "report.txt"
    report.write_bytes(bytes(2_000_000))  # up to 1 MiB would be read at once, before the request

    async def write() -> None:
        report.write_bytes(bytes(2_000_001))

    fault = Fault(operation="put_object", hook=write, after=True)
    await show(lambda: FaultyProvider(memory, (fault,)).upload(report, "report.txt"))


async def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        await show(another_aiobotocore)  # before something has loaded it
        await configuration()
        await answers()
        await tls(Path(directory))
        await streams()
        await calls(Path(directory))
        await show(without_moto)


if __name__ == "__main__":
    asyncio.run(main())
