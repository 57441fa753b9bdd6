"""Tools for tests of programs that use bucketry: a provider with planned faults, and an embedded S3 server.

`FaultyProvider` makes requests of another provider fail on purpose. `embedded_s3` runs a real S3 server. For a store in
memory, use `MemoryProvider` from `bucketry`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
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

_CONDITIONS = frozenset({"HTTP_IF_NONE_MATCH", "HTTP_IF_MATCH"})
_VERSIONING = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault that `FaultyProvider` causes in one request.

    Attributes:
        operation: The provider method, such as `"put_part"`, `"fetch_range"` or `"complete_multipart"`.
        nth: Which call of the method has the fault; 1 is the first call.
        error: The error to raise; `None`: no error is raised.
        after: Raise the error after the request succeeded, as if its response was lost.
        hook: A function that is called and awaited before the request, for example to change the object.
        hang: Wait until the request is cancelled, and do not make it.
    """

    operation: str
    nth: int = 1
    error: Exception | None = None
    after: bool = False
    hook: Callable[[], Awaitable[object]] | None = None
    hang: bool = False


class FaultyProvider(WrappedRequests, StorageProvider):
    """Passes requests to another provider, and causes faults; each fault happens once, in its request.

    Args:
        inner: The provider that does the work, such as `MemoryProvider()`.
        faults: The faults, each for one request.

    Attributes:
        calls: The number of started requests, for each method.
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
        """Make a request, with the faults that are planned for it."""
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
        bucket: The name of the server's bucket.
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
            # moto keeps its buckets until the process ends, so remove the bucket: the next server must not have it.
            s3_backends.bucket_accounts.pop(bucket, None)
            s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets.pop(bucket, None)


@contextmanager
def _moto() -> Iterator[str]:
    """Run moto's server in a thread, and yield its URL."""
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
    """Removes the `Server` header of a WSGI application, because the HTTP server sends its own `Server` header.

    In Python's development mode, aiohttp parses strictly and refuses a response with two such headers.

    Conditional writes are answered one after the other, because moto checks the condition before it stores the object,
    and between the two another thread could store one.
    """

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app = app
        self._writing = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request."""

        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:  # noqa: ANN401 - handed on
            return start_response(status, [pair for pair in headers if pair[0].lower() != "server"], *error)

        if environ["REQUEST_METHOD"] in {"PUT", "POST"} and _CONDITIONS & environ.keys():
            with self._writing:
                return self._app(environ, start)
        return self._app(environ, start)
