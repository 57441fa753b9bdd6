"""For tests of programs that use bucketry: planned faults, and an embedded S3 server.

For a store in memory, use `MemoryProvider` from `bucketry`. This module makes its requests fail on purpose, and runs
a real S3 server.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import urllib.request
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from bucketry._providers.wrapped import WrappedRequests
from bucketry.errors import UnsupportedError
from bucketry.providers.provider import StorageProvider

__all__ = ["EmbeddedS3", "Fault", "FaultyProvider", "embedded_s3"]

_T = TypeVar("_T")

_VERSIONING = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault of one request.

    Attributes:
        operation: The provider method, such as `"put_part"`, `"fetch_range"` or `"complete_multipart"`.
        nth: The number of the call of that method, from 1.
        error: The error to raise; `None`: none.
        after: Raise after the request succeeded, as if its answer was lost.
        hook: Awaited before the request, for example to change the object.
        hang: Never return: wait until cancelled.
    """

    operation: str
    nth: int = 1
    error: Exception | None = None
    after: bool = False
    hook: Callable[[], Awaitable[object]] | None = None
    hang: bool = False


class FaultyProvider(WrappedRequests, StorageProvider):
    """Another provider with faults; each fault happens once, at its request.

    Args:
        inner: The provider that does the work, such as `MemoryProvider()`.
        faults: The faults, each for one request.

    Attributes:
        calls: The number of started requests by method.
        running: The number of requests under way.
        most_running: The largest number of requests that were under way at the same time.
    """

    def __init__(self, inner: StorageProvider, faults: tuple[Fault, ...] = ()) -> None:
        """Store the faults; no I/O."""
        WrappedRequests.__init__(self, inner)
        StorageProvider.__init__(self, inner.transfer.config)
        self.faults = faults
        self.calls: Counter[str] = Counter()
        self.running = 0
        self.most_running = 0

    async def around(self, operation: str, request: Callable[[], Awaitable[_T]]) -> _T:
        """Make a request with its faults, if it has any."""
        self.calls[operation] += 1
        number = self.calls[operation]
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            faults = [fault for fault in self.faults if (fault.operation, fault.nth) == (operation, number)]
            for fault in faults:
                if fault.hook is not None:
                    await fault.hook()
                if fault.hang:
                    await asyncio.get_running_loop().create_future()
                if fault.error is not None and not fault.after:
                    raise fault.error
            result = await request()
            for fault in faults:
                if fault.error is not None:
                    raise fault.error
            return result
        finally:
            self.running -= 1


@dataclass(frozen=True, slots=True)
class EmbeddedS3:
    """A running S3 server on the loopback interface.

    Attributes:
        endpoint_url: The server's URL.
        bucket: The bucket that it has.
    """

    endpoint_url: str
    bucket: str
    config: dict[str, Any] = field(init=False)
    """The configuration for `S3Provider`."""

    def __post_init__(self) -> None:
        """Make the configuration."""
        config = {
            "bucket_name": self.bucket,
            "endpoint_url": self.endpoint_url,
            "access_key_id": "embedded",
            "secret_access_key": "embedded",
            "server": "aws",
        }
        object.__setattr__(self, "config", config)


@contextmanager
def embedded_s3(bucket: str = "bucketry-demo", *, versioning: bool = False) -> Iterator[EmbeddedS3]:
    """Run moto's S3 server with one bucket, in a thread of this process, on a free port of the loopback interface.

    The server keeps objects in memory, and supports AWS's conditions and checksums. It accepts any credentials, and it
    ignores encryption keys.

    Args:
        bucket: The bucket's name.
        versioning: Keep the versions of overwritten and deleted objects.

    Raises:
        UnsupportedError: moto is not installed.
    """
    with _moto() as url:
        from moto.core.models import DEFAULT_ACCOUNT_ID
        from moto.s3.models import s3_backends

        logging.getLogger("werkzeug").setLevel(logging.ERROR)  # else it logs a line for each request
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy cannot reach the loopback
        for query, body in (("", b""), ("?versioning", _VERSIONING))[: 1 + versioning]:
            kind = {"Content-Type": "application/xml"}
            request = urllib.request.Request(f"{url}/{bucket}{query}", body, kind, method="PUT")  # noqa: S310 - our own
            with contextlib.closing(direct.open(request, timeout=10)):
                pass
        try:
            yield EmbeddedS3(url, bucket)
        finally:
            # moto keeps its buckets until the process ends; without this, the next server would have them too.
            s3_backends.bucket_accounts.pop(bucket, None)
            s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets.pop(bucket, None)


@contextmanager
def _moto() -> Iterator[str]:
    """Run moto's server in a thread, and give its URL."""
    try:
        from moto.server import ThreadedMotoServer
    except ImportError as exc:
        message = (
            'the embedded S3 server needs moto: install the extra "demo" (in a clone: python -m pip install ".[demo]")'
        )
        raise UnsupportedError(message) from exc

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        running = server._server  # noqa: SLF001 - moto has no public access to its application
        assert running is not None  # noqa: S101 - it was started
        running.app = _OneServer(running.app)
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


class _OneServer:
    """A WSGI application whose `Server` header is removed, because the HTTP server sends its own.

    aiohttp refuses two such headers when it parses strictly, which it does in Python's development mode.
    """

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request."""

        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:  # noqa: ANN401 - handed on
            return start_response(status, [pair for pair in headers if pair[0].lower() != "server"], *error)

        return self._app(environ, start)
