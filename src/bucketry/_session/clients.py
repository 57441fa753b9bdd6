"""aiobotocore's sessions and clients: made in threads, one for each identity. Imported on first use."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore import UNSIGNED
from botocore.exceptions import BotoCoreError
from botocore.handlers import add_expect_header

from bucketry._runtime.threads import in_thread
from bucketry._session.authorities import authorities
from bucketry._session.botocore_errors import exception_class, said_by
from bucketry._session.chain import Chain
from bucketry._session.endpoint import Endpoint
from bucketry._session.frames import without_frames
from bucketry._session.log_filter import keep_secrets
from bucketry._session.transport import Transport, refuse_region_redirects, sign_by
from bucketry._session.versions import fitting
from bucketry._wire.clock import Clock
from bucketry._wire.errors import WireError
from bucketry._wire.pool import KEEP_ALIVE
from bucketry._wire.sigv4 import Credentials

if TYPE_CHECKING:
    from aiobotocore.client import AioBaseClient

_UNUSUAL_S3 = ("use_accelerate_endpoint", "use_dualstack_endpoint", "payload_signing_enabled", "use_arn_region")
_NO_FILES = {  # an endpoint with its own credentials, perhaps not AWS, must not depend on AWS settings of this machine
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
    "defaults_mode": ("defaults_mode", None, "legacy", None),
}


class Clients:
    """The open objects of aiobotocore in one event loop: sessions by profile, clients by endpoint.

    Attributes:
        users: How many callers use a client now.
    """

    def __init__(self) -> None:
        """Open nothing yet."""
        keep_secrets()
        self._sessions: dict[tuple[str | None, bool], AioSession] = {}
        self._warm: set[int] = set()  # ids of sessions; safe, because `_sessions` keeps the sessions
        self._chains: dict[int, Chain] = {}  # as above
        self._clients: dict[Endpoint, AioBaseClient] = {}
        self._stack = AsyncExitStack()
        self._opening = asyncio.Lock()
        self.users = 0

    @asynccontextmanager
    async def lend(self, endpoint: Endpoint, clock: Clock) -> AsyncIterator[AioBaseClient]:
        """Give the client of an endpoint for a `with` block; it signs with the time of `clock`."""
        self.users += 1
        try:
            client = self._clients.get(endpoint)
            if client is None:
                async with self._opening:
                    client = self._clients.get(endpoint) or await self._open(endpoint, clock)
            yield client
        finally:
            self.users -= 1

    async def facts(self, endpoint: Endpoint) -> SessionFacts:
        """Give the settings of the AWS configuration that the data plane needs.

        Raises:
            WireError: The configuration cannot be read.
        """
        outer = sys.exception()
        try:
            session = await self._session(endpoint)
            with fitting():
                return await in_thread(_facts, session)
        except BotoCoreError as exc:
            raise WireError(exception_class(exc), said_by(exc)) from without_frames(exc, outer)

    async def credentials(self, endpoint: Endpoint) -> Callable[[], Awaitable[Credentials]]:
        """Give a function that gives the session's credentials and refreshes them before they expire."""
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
        trusted = authorities(endpoint, facts.profile, facts.ca_bundle)
        if trusted.path is not None:
            await in_thread(trusted.context)  # aiobotocore would report a missing file as a connection error
        if endpoint.access_key is None and not endpoint.anonymous:
            await self._chain(session).ask()  # else making a client would search for them on the loop
        with fitting():
            if id(session) not in self._warm:
                await in_thread(_warm, session)
                self._warm.add(id(session))
            client: AioBaseClient = await self._stack.enter_async_context(_create_client(session, endpoint))
            # R2 and others never answer `Expect: 100-continue`; on all others it costs a round trip.
            client.meta.events.unregister("before-call.s3", add_expect_header)
            client.meta.events.register_first("needs-retry.s3", refuse_region_redirects)
            sign_by(client, clock)
        keep_secrets()  # for the loggers of modules imported meanwhile
        self._clients[endpoint] = client
        return client


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """Settings from AWS's configuration files and variables.

    Attributes:
        usual: Whether requests go to AWS's standard endpoint of the region (no FIPS, dual-stack, acceleration, …).
        profile: The profile in use; `None`: the default one.
        ca_bundle: Path of the certificate authorities to trust, if one is set.
    """

    usual: bool
    profile: str | None
    ca_bundle: str | None


def _facts(session: AioSession) -> SessionFacts:
    s3 = session.get_config_variable("s3") or {}
    said = [session.get_config_variable(name) for name in ("use_fips_endpoint", "use_dualstack_endpoint")]
    said += [s3.get(name) for name in _UNUSUAL_S3]
    usual = not any(str(each).lower() == "true" for each in said)
    return SessionFacts(usual=usual, profile=session.profile, ca_bundle=session.get_config_variable("ca_bundle"))


def _load_session(profile: str | None, chain: bool) -> AioSession:  # noqa: FBT001 - called in a thread
    """Build a session; blocks, because it reads the configuration files.

    Args:
        profile: Of the shared AWS configuration files.
        chain: Take credentials from the environment and those files; else, without a profile, read neither.
    """
    return AioSession(profile=profile) if chain or profile else AioSession(session_vars=_NO_FILES)


def _warm(session: AioSession) -> None:
    """Build a client and drop it: this reads and parses the service model, 60 to 130 ms; a later client takes 3 ms."""

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
            # Presigning would still choose version 2 in old regions.
            signature_version=UNSIGNED if endpoint.anonymous else "s3v4",
            ignore_configured_endpoint_urls=True,  # our own configuration is where endpoints are checked
            max_pool_connections=endpoint.max_connections,
            # A proxy cannot reach the loopback of this machine.
            proxies={} if endpoint.loopback else None,
            connect_timeout=endpoint.connect_timeout,
            read_timeout=endpoint.read_timeout,
            # Only the provider repeats requests: it knows every vendor's throttling answers.
            retries={"total_max_attempts": 1, "mode": "standard"},
            # Checksums are sent as headers, by the vendor's row: botocore's chunked trailers fail on R2 and others.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            connector_args={"keepalive_timeout": KEEP_ALIVE},
            user_agent_extra="bucketry",
            s3={
                "addressing_style": endpoint.addressing_style,
                # Over https, TLS protects the body, and so does the checksum header if the server checks it.
                "payload_signing_enabled": endpoint.signs_bodies or (endpoint.url or "").startswith("http://"),
            },
        ),
    )
