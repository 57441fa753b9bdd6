"""aiobotocore's sessions and clients. This module is imported on first use, because it loads aiobotocore."""

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
from bucketry._session.botocore_errors import description_of, exception_class
from bucketry._session.chain import Chain
from bucketry._session.endpoint import Endpoint
from bucketry._session.environment import Environment
from bucketry._session.frames import without_frames
from bucketry._session.log_filter import keep_secrets
from bucketry._session.standard import is_proxied
from bucketry._session.transport import Transport, refuse_region_redirects, sign_by, sum_by_md5
from bucketry._session.versions import fitting
from bucketry._wire.clock import Clock
from bucketry._wire.errors import WireError
from bucketry._wire.pool import KEEP_ALIVE
from bucketry._wire.sigv4 import Credentials

if TYPE_CHECKING:
    from aiobotocore.client import AioBaseClient

_UNUSUAL_S3 = ("use_accelerate_endpoint", "use_dualstack_endpoint", "payload_signing_enabled", "use_arn_region")
# AWS settings of this machine must not change an endpoint that has its own credentials and is perhaps not AWS.
_NO_FILES = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
    "defaults_mode": ("defaults_mode", None, "legacy", None),
}


class Clients:
    """The open objects of aiobotocore in one event loop: sessions by profile, clients by endpoint and settings.

    Args:
        environment: The variables for connections.

    Attributes:
        users: The number of callers that use a client now.
    """

    def __init__(self, environment: Environment) -> None:
        """Store the environment; nothing is opened yet."""
        keep_secrets()
        self._environment = environment
        self._sessions: dict[tuple[str | None, bool], AioSession] = {}
        self._loaded: set[int] = set()  # ids of sessions; safe, because `_sessions` keeps the sessions
        self._chains: dict[int, Chain] = {}  # as above
        self._clients: dict[tuple[Endpoint, str, bool, Timeouts], AioBaseClient] = {}
        self._stack = AsyncExitStack()
        self._opening = asyncio.Lock()
        self.users = 0

    @asynccontextmanager
    async def client_for(self, endpoint: Endpoint, clock: Clock) -> AsyncIterator[AioBaseClient]:
        """Yield the client of an endpoint for a `with` block; the client signs with the time of `clock`."""
        self.users += 1
        try:
            # The settings are part of the identity, because those of a client cannot be changed. All clients of one
            # endpoint share its slots, so together they have no more requests under way than one client.
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
        """Return the settings of the AWS configuration that the data plane needs.

        Raises:
            WireError: The configuration cannot be read.
        """
        outer = sys.exception()
        try:
            session = await self._session(endpoint)
            with fitting():
                return await in_thread(_facts, session, self._environment)
        except BotoCoreError as exc:
            raise WireError(exception_class(exc), description_of(exc)) from without_frames(exc, outer)

    async def credentials(self, endpoint: Endpoint) -> Callable[[], Awaitable[Credentials]]:
        """Return a function that returns the session's credentials, and refreshes them before they expire."""
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
            await in_thread(trusted.context)  # because aiobotocore reports a missing file as a connection error
        proxies = await in_thread(_proxies, endpoint, environment)
        if endpoint.access_key is None and not endpoint.anonymous:
            await self._chain(session).ask()  # otherwise aiobotocore would search for credentials on the event loop
        with fitting():
            if id(session) not in self._loaded:
                await in_thread(_load_service_model, session)
                self._loaded.add(id(session))
            made = _create_client(session, endpoint, facts, trusted, proxies, of_process=environment.of_process)
            client: AioBaseClient = await self._stack.enter_async_context(made)
            # `Expect: 100-continue` is not sent, because R2 and some other vendors never answer it, and with all other
            # vendors it costs a round trip.
            client.meta.events.unregister("before-call.s3", add_expect_header)
            client.meta.events.register_first("needs-retry.s3", refuse_region_redirects)
            for operation in ("DeleteObjects", "PutObjectTagging"):
                client.meta.events.register(f"before-call.s3.{operation}", sum_by_md5)
            sign_by(client, clock)
        keep_secrets()  # again, for the loggers of modules that were imported meanwhile
        return client


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """Settings from AWS's configuration files and variables.

    Attributes:
        usual: Whether requests go to AWS's standard endpoint of the region (no FIPS, dual-stack, acceleration, …).
        fips: Whether requests go to AWS's FIPS endpoints.
        dualstack: Whether requests go to AWS's endpoints for IPv6 and IPv4.
        profile: The profile in use; `None`: the default profile.
        ca_bundle: Path of the file with the certificate authorities to trust; `None`: not set.
    """

    usual: bool
    fips: bool
    dualstack: bool
    profile: str | None
    ca_bundle: str | None


def _facts(session: AioSession, environment: Environment) -> SessionFacts:
    s3 = session.get_config_variable("s3") or {}
    file = session.get_scoped_config()  # the file only; `get_config_variable` also reads the process's environment
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
    """Build a session; blocks, because it reads the configuration files.

    Args:
        profile: A profile of the shared AWS configuration files.
        chain: Whether to use AWS's credential chain. If not, and without a profile, the files are not read.
    """
    return AioSession(profile=profile) if chain or profile else AioSession(session_vars=_NO_FILES)


def _load_service_model(session: AioSession) -> None:
    """Build a client and drop it, to load the service model. This takes 60 to 130 ms; a later client takes 3 ms."""

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
    """Return the proxies for botocore; `None`: botocore finds the proxies of the process. May block."""
    if endpoint.loopback:
        return {}  # a proxy cannot reach the loopback of this machine
    if environment.of_process:
        return None
    if endpoint.standard_url is None:  # only botocore knows the host
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
    no = None if of_process else False  # with `None`, botocore reads the process's environment
    return session.create_client(
        "s3",
        endpoint_url=endpoint.url,
        region_name=endpoint.region,
        aws_access_key_id=endpoint.access_key,
        aws_secret_access_key=endpoint.secret_key,
        aws_session_token=endpoint.session_token,
        verify=trusted.path or (None if of_process else True),  # `None`: as above
        config=AioConfig(
            http_session_cls=Transport,
            # "s3v4" is set, because botocore presigns with signature version 2 in old regions otherwise.
            signature_version=UNSIGNED if endpoint.anonymous else "s3v4",
            ignore_configured_endpoint_urls=True,  # because only bucketry's configuration is checked
            max_pool_connections=0,  # no limit, because the endpoint's slots limit the requests
            proxies=proxies,
            use_fips_endpoint=facts.fips or no,
            use_dualstack_endpoint=facts.dualstack or no,
            connect_timeout=endpoint.timeouts.connect,
            read_timeout=endpoint.timeouts.read,
            # botocore does not repeat requests, because the provider does, and knows every vendor's throttling codes.
            retries={"total_max_attempts": 1, "mode": "standard"},
            # The vendor's row decides which checksum is sent, in a header. botocore would send it in a chunked trailer,
            # which R2 and some other vendors refuse.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            connector_args={"keepalive_timeout": KEEP_ALIVE},
            user_agent_extra="bucketry",
            s3={
                "addressing_style": endpoint.addressing_style,
                # With https, bodies are signed only if the row's checksum is sha256, because TLS protects them, too.
                "payload_signing_enabled": endpoint.signs_bodies or (endpoint.url or "").startswith("http://"),
            },
        ),
    )
