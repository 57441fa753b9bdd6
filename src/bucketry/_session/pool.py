"""Sessions and clients: opened lazily off the loop, shared by identity, closed exactly once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore.handlers import add_expect_header

from bucketry._core.loop_local import LoopLocal
from bucketry._core.threads import in_thread
from bucketry._session.transport import Transport, refuse_region_redirects
from bucketry._vendors.endpoint import Endpoint
from bucketry.errors import ConfigError

if TYPE_CHECKING:
    from aiobotocore.client import AioBaseClient

KEEPALIVE_TIMEOUT = 12.0  # below the 15 s after which R2 drops an idle connection

_NO_FILES = {  # whose credentials are given, and perhaps no AWS's, must not depend on somebody's AWS settings
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
    "defaults_mode": ("defaults_mode", None, "legacy", None),
}


class SessionPool:
    """Clients for any number of providers: one for each endpoint identity, with its connections.

    Hold one for an application's life: `async with SessionPool() as pool: …`. Without `async with` it opens
    on first use and, as long as it is referenced, is closed when the event loop shuts down. It pickles
    (configuration only), and what is live belongs to one process and one event loop: after a fork, in a
    spawned process or in another `asyncio.run` it opens anew by itself.

    Args:
        max_connections: Sockets for each endpoint at most; `None`: each provider's configuration decides.
    """

    def __init__(self, *, max_connections: int | None = None) -> None:
        """Remember the limit; no I/O."""
        if max_connections is not None and (
            not isinstance(max_connections, int) or isinstance(max_connections, bool) or max_connections < 1
        ):
            message = f"SessionPool: max_connections: must be a positive int, not {max_connections!r}"
            raise ConfigError(message)
        self.max_connections = max_connections
        self._live: LoopLocal[_LiveClients] = LoopLocal(_LiveClients)

    async def __aenter__(self) -> Self:
        """Give the pool itself; clients open on first use."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the clients of this loop."""
        await self.close()

    async def close(self) -> None:
        """Close this loop's clients, each open body's when that body is closed; later calls open new ones."""
        live = self._live.pop()
        if live is not None:
            await live.close()

    @asynccontextmanager
    async def client(self, endpoint: Endpoint) -> AsyncIterator[Any]:
        """Lend the client of an endpoint; it stays open at least until the context is left."""
        if self.max_connections is not None:
            endpoint = replace(endpoint, max_connections=self.max_connections)
        async with self._live.get().lend(endpoint) as client:
            yield client

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the configuration only."""
        return {"max_connections": self.max_connections}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Begin closed."""
        self.__init__(**state)  # type: ignore[misc]  # the state is the constructor's arguments

    def __repr__(self) -> str:
        """Show the configuration."""
        return f"SessionPool(max_connections={self.max_connections})"


class _LiveClients:
    """What is open in one event loop: sessions by profile, clients by endpoint, and how many use them."""

    def __init__(self) -> None:
        self._sessions: dict[tuple[str | None, bool], AioSession] = {}
        self._clients: dict[Endpoint, AioBaseClient] = {}
        self._stack = AsyncExitStack()
        self._opening = asyncio.Lock()
        self._users = 0
        self._closing = False
        self._watch: AsyncGenerator[None, None] | None = None

    @asynccontextmanager
    async def lend(self, endpoint: Endpoint) -> AsyncIterator[AioBaseClient]:
        self._users += 1
        try:
            client = self._clients.get(endpoint)
            if client is None:
                async with self._opening:
                    client = self._clients.get(endpoint) or await self._open(endpoint)
            yield client
        finally:
            self._users -= 1
            if self._closing:
                await self.close()

    async def _open(self, endpoint: Endpoint) -> AioBaseClient:
        if self._watch is None:
            self._watch = self._close_with_loop()
            await anext(self._watch)
        identity = (endpoint.profile, endpoint.access_key is None)
        session = self._sessions.get(identity)
        if session is None:
            session = await in_thread(_warm_session, *identity)
            self._sessions[identity] = session
        client: AioBaseClient = await self._stack.enter_async_context(_create_client(session, endpoint))
        # R2 and others never answer `Expect: 100-continue`, and waiting for it costs a round trip everywhere.
        client.meta.events.unregister("before-call.s3", add_expect_header)
        client.meta.events.register_first("needs-retry.s3", refuse_region_redirects)
        self._clients[endpoint] = client
        return client

    async def _close_with_loop(self) -> AsyncGenerator[None, None]:
        # asyncio.run (like uvloop and pytest-asyncio) closes every suspended asynchronous generator before
        # it closes its loop: a pool that nobody closed ends up in this `finally`.
        try:
            yield
        finally:
            await self._close_clients()

    async def close(self) -> None:
        self._closing = True
        if self._watch is not None and not self._users:
            await self._watch.aclose()

    async def _close_clients(self) -> None:
        self._clients.clear()
        await self._stack.aclose()


def _warm_session(profile: str | None, chain: bool) -> AioSession:  # noqa: FBT001 - called in a thread
    """Build a session, and a client to throw away, so that the service model is read and parsed here.

    It takes 60 to 130 ms; a second client of the same session takes 3 ms. Runs in a worker thread.

    Args:
        profile: Of the shared AWS configuration files.
        chain: Credentials come from the environment and those files; otherwise neither is looked at.
    """
    session = AioSession(profile=profile) if chain or profile else AioSession(session_vars=_NO_FILES)

    async def warm() -> None:
        async with session.create_client(
            "s3",
            region_name="us-east-1",
            aws_access_key_id="warm",
            aws_secret_access_key="up",  # noqa: S106
            config=AioConfig(ignore_configured_endpoint_urls=True),
        ):
            pass

    asyncio.run(warm())
    return session


def _create_client(session: AioSession, endpoint: Endpoint) -> Any:  # noqa: ANN401 - botocore border
    return session.create_client(
        "s3",
        endpoint_url=endpoint.url,
        region_name=endpoint.region,
        aws_access_key_id=endpoint.access_key,
        aws_secret_access_key=endpoint.secret_key,
        aws_session_token=endpoint.session_token,
        verify=endpoint.ca_bundle,
        config=AioConfig(
            http_session_cls=Transport,
            signature_version="s3v4",  # presigning would still choose version 2 in old regions
            ignore_configured_endpoint_urls=True,  # our own configuration is where endpoints are checked
            max_pool_connections=endpoint.max_connections,
            # A proxy of the environment leads nowhere from here.
            proxies={} if endpoint.loopback else None,
            connect_timeout=endpoint.connect_timeout,
            read_timeout=endpoint.read_timeout,
            # One owner of repeats: the provider's own, which knows every vendor's throttling answers.
            retries={"total_max_attempts": 1, "mode": "standard"},
            # Checksums go as headers, by the vendor's row: botocore's chunked trailers fail on R2 and others.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            connector_args={"keepalive_timeout": KEEPALIVE_TIMEOUT},
            user_agent_extra="bucketry",
            s3={
                "addressing_style": endpoint.addressing_style,
                # Over TLS the body is protected by it and by the checksum header.
                "payload_signing_enabled": endpoint.url is not None and endpoint.url.startswith("http://"),
            },
        ),
    )
