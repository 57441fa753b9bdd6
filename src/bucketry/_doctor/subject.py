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
from bucketry.errors import AccessDeniedError, StorageError, UnsupportedError

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
    """Run a probe; an error becomes the finding of each promise that the probe did not reach.

    Raises:
        StorageError: No response came, or the credentials are refused, so later probes would fail, too.
    """
    try:
        found = await probe.run(subject)
    except StorageError as error:
        found = [from_error(name, error) for name in probe.names]
    return found


def not_direct(subject: Subject, name: str, *, nothing: object) -> list[Finding]:
    """Return the finding of a check that needs a server; `nothing`: what a provider without a server does."""
    if subject.trial is None:
        return [Finding(name=name, found=nothing, text="the provider does not have it")]
    return [unknown(name, ONLY_AIOBOTOCORE)]


def from_error(name: str, error: StorageError) -> Finding:
    """Return the finding for an error that ended a check."""
    if isinstance(error, AccessDeniedError):
        return unknown(name, f"access denied: {shortened(error)}")
    if error.retryable and error.status is None:
        return unknown(name, f"no usable answer: {shortened(error)}")
    gated = isinstance(error, UnsupportedError) and error.status is None
    text = "the provider does not have it" if gated else f"the server refuses it: {shortened(error)}"
    return Finding(name=name, found=False, text=text, refused=True)


def shortened(error: StorageError) -> str:
    """Return an error's code and status if it has them, else its message."""
    parts = [str(part) for part in (error.status, error.code) if part]
    return " ".join(parts) if error.code or error.status else str(error)
