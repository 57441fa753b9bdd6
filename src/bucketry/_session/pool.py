"""What providers share: connections of the data plane and clients of aiobotocore, by endpoint."""

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
    """Connections for any number of providers: one set for each endpoint.

    Hold one for an application's life: `async with SessionPool() as pool: …`. Without `async with` it opens
    on first use and, as long as it is referenced, is closed when the event loop shuts down. It pickles
    (configuration only), and what is live belongs to one process and one event loop: after a fork, in a
    spawned process or in another `asyncio.run` it opens anew by itself.

    Args:
        max_connections: Sockets for each endpoint at most; `None`: the largest number that one of the endpoint's
            providers is configured with. Calls that go through aiobotocore have as many again of their own.
        environ: Where `AWS_CA_BUNDLE`, `AWS_USE_FIPS_ENDPOINT`, `AWS_USE_DUALSTACK_ENDPOINT` and the variables of
            proxies are read; `None`: this process's environment. The profile, configuration files and credential chain
            of AWS are looked for by botocore, always in the process's environment.
    """

    def __init__(self, *, max_connections: int | None = None, environ: Mapping[str, str] | None = None) -> None:
        """Remember both; no I/O."""
        if max_connections is not None:
            _check_limit("max_connections", max_connections)
        self.max_connections = max_connections
        self._environ = None if environ is os.environ else environ
        environment = Environment(os.environ if environ is None else environ, of_process=self._environ is None)
        self._live: LoopLocal[_Live] = LoopLocal(lambda: _Live(self.state, environment))
        self._states: dict[Endpoint, EndpointState] = {}

    async def __aenter__(self) -> Self:
        """Give the pool itself; connections open on first use."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close what is open in this loop."""
        await self.close()

    async def close(self) -> None:
        """Close what is open in this loop, each connection in use when its request is done; later calls open anew."""
        live = self._live.pop()
        if live is not None:
            await live.close()

    @asynccontextmanager
    async def client(self, endpoint: Endpoint) -> AsyncIterator[Any]:
        """Lend aiobotocore's client of an endpoint; it stays open at least until the context is left."""
        async with self._live.get().lend(self._limited(endpoint)) as client:
            yield client

    @asynccontextmanager
    async def request(self, endpoint: Endpoint) -> AsyncIterator[tuple[Any, Slots]]:
        """Lend aiobotocore's client for one request, which holds one of the given slots until the context is left.

        Raises:
            WireError: No slot became free, and nothing moved.
        """
        endpoint = self._limited(endpoint)
        live = self._live.get()
        async with live.lend(endpoint) as client:
            slots = live.slots(endpoint)
            if not slots.take_slot():
                await slots.wait_for_slot(endpoint.timeouts.pool)
            try:
                yield client, slots
            finally:
                slots.give_slot()

    async def origin_client(self, endpoint: Endpoint, host: str) -> OriginClient | None:
        """Give the data plane's road to a host of an endpoint; `None`: the way there is not a standard one.

        Args:
            endpoint: Where, and as whom.
            host: Put before the endpoint's own, with a dot, where the bucket is addressed so; else empty.

        Raises:
            WireError: Certificates or configuration files cannot be read.
        """
        client = await self._live.get().endpoint_client(self._limited(endpoint))
        if client is None or endpoint.standard_url is None:
            return None
        origin = Origin.of(endpoint.standard_url)
        return client.at(replace(origin, host=f"{host}.{origin.host}") if host else origin, endpoint.timeouts)

    def limit_connections(self, endpoint: Endpoint, limit: int) -> None:
        """Change how many connections an endpoint may have, in the running event loop and from now on.

        Calls that wait go on at once where the limit is higher. Where it is lower, requests under way end as they
        would, and idle connections beyond it are closed; those of aiobotocore are closed when they were idle for 12 s.

        Args:
            endpoint: Any provider's; the limit is of all providers that share it.
            limit: Sockets at most; calls through aiobotocore have as many again of their own.

        Raises:
            ConfigError: It is no positive int.
        """
        _check_limit("limit_connections", limit)
        self._live.get().limit(self._limited(endpoint), limit)

    def state(self, endpoint: Endpoint) -> EndpointState:
        """Give what all users of an endpoint share in this process: its clock and its retry budget."""
        return self._states.setdefault(self._limited(endpoint), EndpointState())

    def _limited(self, endpoint: Endpoint) -> Endpoint:
        return endpoint if self.max_connections is None else replace(endpoint, max_connections=self.max_connections)

    @property
    def given_environ(self) -> dict[str, str] | None:
        """The variables that were given; `None`: those of whatever process this is in."""
        return None if self._environ is None else dict(self._environ)

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the configuration only."""
        return {"max_connections": self.max_connections, "environ": self.given_environ}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Begin closed."""
        self.__init__(**state)  # type: ignore[misc]  # the state is the constructor's arguments

    def __repr__(self) -> str:
        """Show the configuration."""
        return f"SessionPool(max_connections={self.max_connections})"


def _check_limit(name: str, limit: object) -> None:
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        message = f"SessionPool: {name}: must be a positive int, not {limit!r}"
        raise ConfigError(message)


@dataclass(slots=True)
class _Limit:
    """How many connections an endpoint may have, and the largest number that a provider asked for."""

    now: int = 0
    asked: int = 0


class _Live:
    """What is open in one event loop."""

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
    async def lend(self, endpoint: Endpoint) -> AsyncIterator[Any]:
        clients = self._clients or await self._load_clients()
        try:
            async with clients.lend(endpoint, self._state(endpoint).clock) as client:
                yield client
        finally:
            if self._closing:
                await self.close()

    def slots(self, endpoint: Endpoint) -> Slots:
        """Give the slots of the requests to an endpoint that go through aiobotocore."""
        limit = self._asked(endpoint)
        if endpoint not in self._slots:
            self._slots[endpoint] = Slots(limit)
        return self._slots[endpoint]

    def limit(self, endpoint: Endpoint, limit: int) -> None:
        """Change how many connections an endpoint may have, by each transport."""
        self._asked(endpoint)
        self._resize(endpoint, limit)

    def _resize(self, endpoint: Endpoint, limit: int) -> None:
        self._limits[endpoint].now = limit
        for each in (self._slots.get(endpoint), self._endpoints.get(endpoint)):
            if each is not None:
                each.resize(limit)

    def _asked(self, endpoint: Endpoint) -> int:
        """Note how many connections a provider asks for, and give how many there may be."""
        limit = self._limits[endpoint]
        if endpoint.max_connections > limit.asked:
            limit.asked = endpoint.max_connections
            if limit.asked > limit.now:
                self._resize(endpoint, limit.asked)
        return limit.now

    async def endpoint_client(self, endpoint: Endpoint) -> EndpointClient | None:
        """Give the client to an endpoint; `None`: it is not a standard one."""
        self._asked(endpoint)
        if endpoint not in self._endpoints:
            async with self._opening:
                if endpoint not in self._endpoints:
                    client = await self._open(endpoint)
                    if self._closing and client is not None:  # meanwhile: it serves this request, and no other
                        client.close()
                    self._endpoints[endpoint] = client
        return self._endpoints[endpoint]

    async def _open(self, endpoint: Endpoint) -> EndpointClient | None:
        if endpoint.standard_url is None or await in_thread(is_proxied, endpoint, self._environment):
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
            limit=self._asked(endpoint),
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
        # asyncio.run (like uvloop and pytest-asyncio) closes every suspended asynchronous generator before
        # it closes its loop: a pool that nobody closed ends up in this `finally`.
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
