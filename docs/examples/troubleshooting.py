"""Makes the errors of the troubleshooting page happen, and prints what they say."""

from __future__ import annotations

import asyncio
import pickle
import sys
import tempfile
import threading
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest.mock import patch

from bucketry import (
    DigitalOceanProvider,
    LocalProvider,
    MemoryProvider,
    S3Provider,
    StorageProviderFactory,
    TransferConfig,
    WasabiProvider,
)
from bucketry.testing import Fault, FaultyProvider, embedded_s3

KEYS = {"access_key_id": "example", "secret_access_key": "example"}


@contextmanager
def server_that_says(code: str, status: int) -> Iterator[dict[str, Any]]:
    """Run a server that answers every request with one error."""
    body = f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}"
        yield {"bucket_name": "my-bucket", "endpoint_url": url, "max_attempts": 1} | KEYS
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


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
    few = {"bucket_name": "my-bucket", "max_connections": 4}
    await show(lambda: S3Provider(few, transfer=TransferConfig()))
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
        ("PermanentRedirect", 301),
        ("AccessDenied", 403),
        ("SlowDown", 503),
    ):
        with server_that_says(code, status) as config:
            async with _closing(S3Provider(config)) as storage:
                await show(partial(storage.get, "report.txt"))
    gone = {"bucket_name": "my-bucket", "endpoint_url": "http://127.0.0.1:9", "max_attempts": 1} | KEYS
    async with _closing(S3Provider(gone)) as storage:
        await show(lambda: storage.get("report.txt"))
    with embedded_s3() as server:
        async with _closing(S3Provider(server.config | {"bucket_name": "no-such-bucket"})) as storage:
            await show(storage.connect)
        async with _closing(S3Provider({**server.config, "server": "generic"})) as storage:
            await show(lambda: storage.put("a", b"", if_none_match="*"))
            await show(lambda: storage.presign("a", expires_in=10**6))


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
        await streams()
        await calls(Path(directory))
        await show(without_moto)


if __name__ == "__main__":
    asyncio.run(main())
