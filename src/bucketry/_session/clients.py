"""aiobotocore's sessions and clients: made off the loop, one for each identity. Loaded when one is first needed."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore import UNSIGNED
from botocore.exceptions import BotoCoreError
from botocore.handlers import add_expect_header

from bucketry._core.timeouts import Timeouts
from bucketry._runtime.threads import in_thread
from bucketry._session.authorities import Authorities, authorities
from bucketry._session.botocore_errors import exception_class, said_by
from bucketry._session.chain import Chain
from bucketry._session.endpoint import Endpoint
from bucketry._session.environment import Environment
from bucketry._session.frames import without_frames
from bucketry._session.log_filter import keep_secrets
from bucketry._session.standard import is_proxied
from bucketry._session.transport import Transport, refuse_region_redirects, sign_by
from bucketry._session.versions import fitting
from bucketry._wire.clock import Clock
from bucketry._wire.errors import WireError
from bucketry._wire.pool import KEEP_ALIVE
from bucketry._wire.sigv4 import Credentials

if TYPE_CHECKING:
    from aiobotocore.client import AioBaseClient

_UNUSUAL_S3 = ("use_accelerate_endpoint", "use_dualstack_endpoint", "payload_signing_enabled", "use_arn_region")
_NO_FILES = {  # whose credentials are given, and perhaps no AWS's, must not depend on somebody's AWS settings
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
    "defaults_mode": ("defaults_mode", None, "legacy", None),
}


class Clients:
    """What is open of aiobotocore in one event loop: sessions by profile, clients by endpoint and settings.

    Args:
        environment: What counts of the variables, beside those that botocore reads itself.

    Attributes:
        users: How many use a client just now.
    """

    def __init__(self, environment: Environment) -> None:
        """Open nothing yet."""
        keep_secrets()
        self._environment = environment
        self._sessions: dict[tuple[str | None, bool], AioSession] = {}
        self._warm: set[int] = set()  # of sessions, by identity: they live as long as this does
        self._chains: dict[int, Chain] = {}  # as above
        self._clients: dict[tuple[Endpoint, str, bool, Timeouts], AioBaseClient] = {}
        self._stack = AsyncExitStack()
        self._opening = asyncio.Lock()
        self.users = 0

    @asynccontextmanager
    async def lend(self, endpoint: Endpoint, clock: Clock) -> AsyncIterator[AioBaseClient]:
        """Lend the client of an endpoint, which signs by `clock`."""
        self.users += 1
        try:
            # A client has its settings for good. Those of one endpoint share its slots, so that together they have no
            # more requests under way than one would.
            identity = endpoint, endpoint.addressing_style, endpoint.signs_bodies, endpoint.timeouts
            client = self._clients.get(identity)
            if client is None:
                async with self._opening:
                    client = self._clients.get(identity)
                    if client is None:
                        client = self._clients[identity] = await self._open(endpoint, clock)
            yield client
        finally:
            self.users -= 1

    async def facts(self, endpoint: Endpoint) -> SessionFacts:
        """Give what the AWS configuration says that the data plane needs to know.

        Raises:
            WireError: The configuration cannot be read.
        """
        outer = sys.exception()
        try:
            session = await self._session(endpoint)
            with fitting():
                return await in_thread(_facts, session, self._environment)
        except BotoCoreError as exc:
            raise WireError(exception_class(exc), said_by(exc)) from without_frames(exc, outer)

    async def credentials(self, endpoint: Endpoint) -> Callable[[], Awaitable[Credentials]]:
        """Give a function that asks the session's credential chain, which refreshes what expires."""
        return self._chain(await self._session(endpoint)).ask

    async def close(self) -> None:
        """Close the clients."""
        self._clients.clear()
        await self._stack.aclose()

    async def _session(self, endpoint: Endpoint) -> AioSession:
        identity = (endpoint.profile, endpoint.access_key is None and not endpoint.anonymous)
        session = self._sessions.get(identity)
        if session is None:
            with fitting():
                session = await in_thread(_load_session, *identity)
            session = self._sessions.setdefault(identity, session)
        return session

    def _chain(self, session: AioSession) -> Chain:
        return self._chains.setdefault(id(session), Chain(session))

    async def _open(self, endpoint: Endpoint, clock: Clock) -> AioBaseClient:
        session = await self._session(endpoint)
        facts = await self.facts(endpoint)
        environment = self._environment
        trusted = authorities(endpoint, environment, facts.profile, facts.ca_bundle)
        if trusted.path is not None:
            await in_thread(trusted.context)  # aiobotocore would tell of a missing file as of a lost connection
        proxies = await in_thread(_proxies, endpoint, environment)
        if endpoint.access_key is None and not endpoint.anonymous:
            await self._chain(session).ask()  # making a client would look for them on the loop
        with fitting():
            if id(session) not in self._warm:
                await in_thread(_warm, session)
                self._warm.add(id(session))
            made = _create_client(session, endpoint, facts, trusted, proxies, of_process=environment.of_process)
            client: AioBaseClient = await self._stack.enter_async_context(made)
            # R2 and others never answer `Expect: 100-continue`, and waiting for it costs a round trip everywhere.
            client.meta.events.unregister("before-call.s3", add_expect_header)
            client.meta.events.register_first("needs-retry.s3", refuse_region_redirects)
            sign_by(client, clock)
        keep_secrets()  # of modules that were loaded meanwhile
        return client


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What AWS's configuration files and variables say.

    Attributes:
        usual: AWS is reached at the region's usual endpoint, in the usual way.
        fips: It is reached at its endpoints for FIPS.
        dualstack: It is reached at its endpoints for IPv6 and IPv4.
        profile: Which profile is used, if it is not the default one.
        ca_bundle: Path of the certificate authorities to trust, if one is set.
    """

    usual: bool
    fips: bool
    dualstack: bool
    profile: str | None
    ca_bundle: str | None


def _facts(session: AioSession, environment: Environment) -> SessionFacts:
    s3 = session.get_config_variable("s3") or {}
    file = session.get_scoped_config()  # of the file alone: `get_config_variable` asks the process's environment, too
    fips = _is_true(file, "use_fips_endpoint") if environment.fips is None else environment.fips
    dualstack = _is_true(file, "use_dualstack_endpoint") if environment.dualstack is None else environment.dualstack
    return SessionFacts(
        usual=not (fips or dualstack or any(_is_true(s3, name) for name in _UNUSUAL_S3)),
        fips=fips,
        dualstack=dualstack,
        profile=session.profile,
        ca_bundle=file.get("ca_bundle"),
    )


def _is_true(settings: Mapping[str, object], name: str) -> bool:
    return str(settings.get(name)).lower() == "true"


def _load_session(profile: str | None, chain: bool) -> AioSession:  # noqa: FBT001 - called in a thread
    """Build a session; blocks for the configuration files.

    Args:
        profile: Of the shared AWS configuration files.
        chain: Credentials come from the environment and those files; otherwise neither is looked at.
    """
    return AioSession(profile=profile) if chain or profile else AioSession(session_vars=_NO_FILES)


def _warm(session: AioSession) -> None:
    """Build a client to throw away, so that the service model is read and parsed here: 60 to 130 ms, then 3 ms."""

    async def build() -> None:
        async with session.create_client(
            "s3",
            region_name="us-east-1",
            aws_access_key_id="warm",
            aws_secret_access_key="up",  # noqa: S106
            config=AioConfig(ignore_configured_endpoint_urls=True),
        ):
            pass

    asyncio.run(build())


def _proxies(endpoint: Endpoint, environment: Environment) -> dict[str, str] | None:
    """Give botocore the proxies; `None`: it finds those of the process itself. May block."""
    if endpoint.loopback:
        return {}  # a proxy leads nowhere from here
    if environment.of_process:
        return None
    if endpoint.standard_url is None:  # botocore alone knows the host
        return environment.proxies()
    return environment.proxies() if is_proxied(endpoint, environment) else {}


def _create_client(
    session: AioSession,
    endpoint: Endpoint,
    facts: SessionFacts,
    trusted: Authorities,
    proxies: dict[str, str] | None,
    *,
    of_process: bool,
) -> Any:  # noqa: ANN401 - botocore border
    no = None if of_process else False  # None: botocore looks in the process's environment
    return session.create_client(
        "s3",
        endpoint_url=endpoint.url,
        region_name=endpoint.region,
        aws_access_key_id=endpoint.access_key,
        aws_secret_access_key=endpoint.secret_key,
        aws_session_token=endpoint.session_token,
        verify=trusted.path or (None if of_process else True),  # None: as above
        config=AioConfig(
            http_session_cls=Transport,
            # Presigning would still choose version 2 in old regions.
            signature_version=UNSIGNED if endpoint.anonymous else "s3v4",
            ignore_configured_endpoint_urls=True,  # our own configuration is where endpoints are checked
            max_pool_connections=0,  # no limit: the endpoint's slots are one, and it can be changed
            proxies=proxies,
            use_fips_endpoint=facts.fips or no,
            use_dualstack_endpoint=facts.dualstack or no,
            connect_timeout=endpoint.timeouts.connect,
            read_timeout=endpoint.timeouts.read,
            # One owner of repeats: the provider's own, which knows every vendor's throttling answers.
            retries={"total_max_attempts": 1, "mode": "standard"},
            # Checksums go as headers, by the vendor's row: botocore's chunked trailers fail on R2 and others.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            connector_args={"keepalive_timeout": KEEP_ALIVE},
            user_agent_extra="bucketry",
            s3={
                "addressing_style": endpoint.addressing_style,
                # Over TLS the body is protected by it and by the checksum header, where the server checks one.
                "payload_signing_enabled": endpoint.signs_bodies or (endpoint.url or "").startswith("http://"),
            },
        ),
    )
