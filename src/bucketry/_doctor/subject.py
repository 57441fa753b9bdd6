"""What is examined: a provider, its row, and the requests that go beyond the row."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from bucketry._core.capabilities import Capabilities
from bucketry._core.provider import IStorageProvider
from bucketry._core.requests import ObjectRequests
from bucketry._doctor.scratch import Scratch
from bucketry._doctor.values import Finding, unknown
from bucketry._providers.s3.trial import Trial
from bucketry._providers.s3.wire.plane import WirePlane
from bucketry.errors import (
    AccessDeniedError,
    ConnectionFailedError,
    RequestTimeoutError,
    StorageError,
    UnsupportedError,
)

WRONG_ETAG = f'"{"0" * 32}"'
"""An etag in the usual form that no object of an examination has."""

ONLY_AIOBOTOCORE = "aiobotocore sends the requests of this endpoint, and cannot send this one"
ONLY_NETWORK = "this provider sends no requests over a network"


class Direct(NamedTuple):
    """A server that can be sent any request."""

    trial: Trial
    plane: WirePlane


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is examined.

    Attributes:
        provider: The provider.
        row: What the provider's row promises.
        requests: For an S3-compatible server, requests as if the row promised everything; else the provider.
        scratch: Where objects are made.
        trial: The requests of an S3-compatible server; `None`: another kind of provider.
        direct: The server, if bucketry's own client reaches it; `None`: requests go through aiobotocore, or there is no
            server.
    """

    provider: IStorageProvider
    row: Capabilities
    requests: ObjectRequests
    scratch: Scratch
    trial: Trial | None = None
    direct: Direct | None = None

    @property
    def why_not_direct(self) -> str:
        """Why some checks cannot be made."""
        return ONLY_NETWORK if self.trial is None else ONLY_AIOBOTOCORE


Run: TypeAlias = Callable[[Subject], Awaitable[list[Finding]]]


class Probe(NamedTuple):
    """A function that looks for some promises, and the names of these promises."""

    run: Run
    names: tuple[str, ...]


async def findings_of(probe: Probe, subject: Subject) -> list[Finding]:
    """Run a probe; an error becomes the finding of each of its promises.

    Raises:
        StorageError: The server does not answer any more, so that later probes would fail, too.
    """
    try:
        return await probe.run(subject)
    except (ConnectionFailedError, RequestTimeoutError) as error:
        if error.status is None:
            raise
        return [from_error(name, error, subject) for name in probe.names]
    except StorageError as error:
        return [from_error(name, error, subject) for name in probe.names]


def not_direct(subject: Subject, name: str, *, nothing: object) -> list[Finding]:
    """Return the finding of a check that needs a server; `nothing`: what a provider without a server does."""
    if subject.trial is None:
        return [Finding(name=name, found=nothing, text="the provider does not have it")]
    return [unknown(name, ONLY_AIOBOTOCORE)]


def from_error(name: str, error: StorageError, subject: Subject) -> Finding:
    """Return the finding for an error that ended a check."""
    if isinstance(error, AccessDeniedError):
        return unknown(name, f"access denied: {shortened(error)}")
    if error.status is None and error.retryable:
        return unknown(name, f"no usable answer: {shortened(error)}")
    if error.status is None and isinstance(error, UnsupportedError):
        if subject.trial is not None:  # nothing was sent, because the configuration does not allow it
            return unknown(name, shortened(error))
        if isinstance(getattr(subject.row, name, None), bool):
            return Finding(name=name, found=False, text="the provider does not have it", refused=True)
        return unknown(name, "the provider does not have what this check needs")
    return Finding(name=name, found=False, text=f"the server refuses it: {shortened(error)}", refused=True)


def shortened(error: StorageError) -> str:
    """Return an error's code and status if it has them, else its message."""
    parts = [str(part) for part in (error.status, error.code) if part]
    return " ".join(parts) if error.code or error.status else str(error)
