"""The pool that providers share: for each endpoint, connections of the data plane and clients of aiobotocore."""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from bucketry._runtime.loop_local import LoopLocal
from bucketry._runtime.threads import in_thread
from bucketry._session.authorities import authorities
from bucketry._session.endpoint import Endpoint
from bucketry._session.environment import Environment
from bucketry._session.standard import is_proxied
from bucketry._session.state import EndpointState
from bucketry._session.versions import fitting
from bucketry._wire.client import CredentialSource, EndpointClient, OriginClient
from bucketry._wire.connect import Origin
from bucketry._wire.sigv4 import Credentials
from bucketry._wire.slots import Slots
from bucketry.errors import ConfigError

if TYPE_CHECKING:
    from bucketry._session.clients import Clients


class SessionPool:
    """Connections for any number of providers; all providers of one endpoint share its connections.

    Use one pool for a whole application: `async with SessionPool() as pool: …`. Connections are opened on first use.
    Without `async with`, a pool that is still referenced is closed when the event loop shuts down. A pool can be
    pickled; only its configuration is. Open connections belong to one process and one event loop: after a fork, in a
    spawned process or in another `asyncio.run`, the pool opens new connections by itself.

    Args:
        max_connections: The largest number of sockets for each endpoint; `None`: the largest number in the
            configurations of the endpoint's providers. Calls through aiobotocore have a separate, equal limit.
        environ: The mapping with `AWS_CA_BUNDLE`, `AWS_USE_FIPS_ENDPOINT`, `AWS_USE_DUALSTACK_ENDPOINT` and the
            variables for proxies; `None`: this process's environment. For AWS's profile, configuration files and
            credential chain, botocore always reads the process's environment.
    """

    def __init__(self, *, max_connections: int | None = None, environ: Mapping[str, str] | None = None) -> None:
        """Store the arguments; no I/O."""
        if max_connections is not None:
            _check_limit("max_connections", max_connections)
        self.max_connections = max_connections
        self._environ = None if environ is os.environ else environ
        environment = Environment(os.environ if environ is None else environ, of_process=self._environ is None)
        self._live: LoopLocal[_LoopState] = LoopLocal(lambda: _LoopState(self.state, environment))
        self._states: dict[Endpoint, EndpointState] = {}

    async def __aenter__(self) -> Self:
        """Return the pool itself; connections open on first use."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections of this event loop."""
        await self.close()

    async def close(self) -> None:
        """Close all connections of this event loop; a connection in use is closed after its request.

        Later calls open new connections.
        """
        live = self._live.pop()
        if live is not None:
            await live.close()

    @asynccontextmanager
    async def client(self, endpoint: Endpoint) -> AsyncIterator[Any]:
        """Yield aiobotocore's client of an endpoint; it stays open at least until the context is left."""
        async with self._live.get().client_for(self._limited(endpoint)) as client:
            yield client

    @asynccontextmanager
    async def request(self, endpoint: Endpoint) -> AsyncIterator[tuple[Any, Slots]]:
        """Yield aiobotocore's client and the endpoint's slots; one slot is taken until the context is left.

        Raises:
            WireError: No slot became free, and no byte moved, for `pool_timeout` seconds.
        """
        endpoint = self._limited(endpoint)
        live = self._live.get()
        async with live.client_for(endpoint) as client:
            slots = live.slots(endpoint)
            if not slots.take_slot():
                await slots.wait_for_slot(endpoint.timeouts.pool)
            try:
                yield client, slots
            finally:
                slots.give_slot()

    def has_free_slot(self, endpoint: Endpoint) -> bool:
        """Return whether a request through aiobotocore would begin at once."""
        return self._live.get().slots(self._limited(endpoint)).has_free

    async def origin_client(self, endpoint: Endpoint, host: str) -> OriginClient | None:
        """Return the data plane's client for a host of an endpoint; `None`: only aiobotocore can reach it.

        Args:
            endpoint: The endpoint and the credentials.
            host: For virtual addressing the bucket, which is put before the endpoint's host; else empty.

        Raises:
            WireError: Certificates or configuration files cannot be read.
        """
        client = await self._live.get().endpoint_client(self._limited(endpoint))
        if client is None or endpoint.standard_url is None:
            return None
        origin = Origin.of(endpoint.standard_url)
        return client.at(replace(origin, host=f"{host}.{origin.host}") if host else origin, endpoint.timeouts)

    def limit_connections(self, endpoint: Endpoint, limit: int) -> None:
        """Change the limit of an endpoint's connections in the running event loop.

        Providers that are used later do not change the limit. With a higher limit, waiting calls continue at once. With
        a lower limit, requests under way are not interrupted. Surplus idle connections are closed: those of the data
        plane at once, those of aiobotocore when they were idle for 12 s.

        Args:
            endpoint: The endpoint of any provider; the limit applies to all providers that share it.
            limit: The largest number of sockets; calls through aiobotocore have a separate limit of the same size.

        Raises:
            ConfigError: The limit is not a positive int.
        """
        _check_limit("limit_connections", limit)
        self._live.get().limit(self._limited(endpoint), limit)

    def state(self, endpoint: Endpoint) -> EndpointState:
        """Return the endpoint's clock and retry budget, which all providers of the endpoint in this process share."""
        return self._states.setdefault(self._limited(endpoint), EndpointState())

    def _limited(self, endpoint: Endpoint) -> Endpoint:
        return endpoint if self.max_connections is None else replace(endpoint, max_connections=self.max_connections)

    @property
    def given_environ(self) -> dict[str, str] | None:
        """The variables in `environ` that are used; `None`: those of the present process are used."""
        return None if self._environ is None else Environment(self._environ, of_process=False).read

    def __getstate__(self) -> dict[str, Any]:
        """Return the configuration, which is all that is pickled."""
        return {"max_connections": self.max_connections, "environ": self.given_environ}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the configuration; nothing is open."""
        self.__init__(**state)  # type: ignore[misc]  # the state is the constructor's arguments

    def __repr__(self) -> str:
        """Return a text with the configuration."""
        return f"SessionPool(max_connections={self.max_connections})"


def _check_limit(name: str, limit: object) -> None:
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        message = f"SessionPool: {name}: must be a positive int, not {limit!r}"
        raise ConfigError(message)


@dataclass(slots=True)
class _Limit:
    """The limit of an endpoint's connections, and the largest number that a provider asked for.

    `fixed` is true if `limit_connections` has set the limit. Then providers do not change it.
    """

    now: int = 0
    asked: int = 0
    fixed: bool = False


class _LoopState:
    """Everything that is open in one event loop."""

    def __init__(self, state: Callable[[Endpoint], EndpointState], environment: Environment) -> None:
        self._state = state
        self._environment = environment
        self._endpoints: dict[Endpoint, EndpointClient | None] = {}
        self._clients: Clients | None = None
        self._slots: dict[Endpoint, Slots] = {}
        self._limits: defaultdict[Endpoint, _Limit] = defaultdict(_Limit)
        self._opening = asyncio.Lock()
        self._closing = False
        self._watch: AsyncGenerator[None, None] | None = None

    @asynccontextmanager
    async def client_for(self, endpoint: Endpoint) -> AsyncIterator[Any]:
        clients = self._clients or await self._load_clients()
        try:
            async with clients.client_for(endpoint, self._state(endpoint).clock) as client:
                yield client
        finally:
            if self._closing:
                await self.close()

    def slots(self, endpoint: Endpoint) -> Slots:
        """Return the slots for an endpoint's requests through aiobotocore."""
        limit = self._note_limit(endpoint)
        if endpoint not in self._slots:
            self._slots[endpoint] = Slots(limit)
        return self._slots[endpoint]

    def limit(self, endpoint: Endpoint, limit: int) -> None:
        """Change the limit of an endpoint's connections, for both transports."""
        self._limits[endpoint].fixed = True
        self._resize(endpoint, limit)

    def _resize(self, endpoint: Endpoint, limit: int) -> None:
        self._limits[endpoint].now = limit
        for each in (self._slots.get(endpoint), self._endpoints.get(endpoint)):
            if each is not None:
                each.resize(limit)

    def _note_limit(self, endpoint: Endpoint) -> int:
        """Store the number of connections that a provider asks for, and return the present limit."""
        limit = self._limits[endpoint]
        if endpoint.max_connections > limit.asked:
            limit.asked = endpoint.max_connections
            if limit.asked > limit.now and not limit.fixed:
                self._resize(endpoint, limit.asked)
        return limit.now

    async def endpoint_client(self, endpoint: Endpoint) -> EndpointClient | None:
        """Return the data plane's client for an endpoint; `None`: only aiobotocore can reach it."""
        self._note_limit(endpoint)
        if endpoint not in self._endpoints:
            async with self._opening:
                if endpoint not in self._endpoints:
                    client = await self._open(endpoint)
                    if self._closing and client is not None:  # the pool was closed meanwhile
                        client.close()
                    self._endpoints[endpoint] = client
        return self._endpoints[endpoint]

    async def _open(self, endpoint: Endpoint) -> EndpointClient | None:
        if endpoint.standard_url is None:
            return None
        if self._environment.may_name_proxy and await in_thread(is_proxied, endpoint, self._environment):
            return None
        await self._watch_loop()
        environment = self._environment
        if endpoint.url is None and (environment.fips or environment.dualstack):
            return None
        trusted = authorities(endpoint, environment)
        source: CredentialSource = None
        if endpoint.access_key is not None:
            source = Credentials(endpoint.access_key, endpoint.secret_key or "", endpoint.session_token)
        if (source is None and not endpoint.anonymous) or endpoint.profile is not None:
            clients = self._clients or await self._load_clients()
            facts = await clients.facts(endpoint)
            if endpoint.url is None and not facts.usual:
                return None
            trusted = authorities(endpoint, environment, facts.profile, facts.ca_bundle)
            if source is None and not endpoint.anonymous:
                source = await clients.credentials(endpoint)
        tls = await in_thread(trusted.context) if Origin.of(endpoint.standard_url).secure else None
        return EndpointClient(
            region=endpoint.region,
            source=source,
            limit=self._note_limit(endpoint),
            tls=tls,
            clock=self._state(endpoint).clock,
        )

    async def _load_clients(self) -> Clients:
        await self._watch_loop()
        made = await in_thread(_new_clients, self._environment)
        self._clients = self._clients or made
        return self._clients

    async def _watch_loop(self) -> None:
        if self._watch is None:
            self._watch = self._close_with_loop()
            await anext(self._watch)

    async def _close_with_loop(self) -> AsyncGenerator[None, None]:
        # This `finally` closes a pool that the user did not close. It runs then, because asyncio.run (like uvloop and
        # pytest-asyncio) closes every suspended asynchronous generator before it closes its loop.
        try:
            yield
        finally:
            for client in self._endpoints.values():
                if client is not None:
                    client.close(at_once=True)
            if self._clients is not None:
                await self._clients.close()

    async def close(self) -> None:
        self._closing = True
        for client in self._endpoints.values():
            if client is not None:
                client.close()
        self._endpoints.clear()
        if self._clients is None or not self._clients.users:
            if self._watch is not None:
                await self._watch.aclose()
            if self._clients is not None:
                await self._clients.close()


def _new_clients(environment: Environment) -> Clients:
    with fitting():
        from bucketry._session.clients import Clients

    return Clients(environment)
