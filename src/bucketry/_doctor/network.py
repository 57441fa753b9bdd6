"""Examines the network between this machine and the server: DNS, TCP, TLS, clocks, round trips, throughput."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from statistics import median

from bucketry._core.units import MiB
from bucketry._doctor.subject import Direct, Subject, shortened
from bucketry._doctor.values import Check, Group, Outcome
from bucketry.errors import StorageError

_GROUP: Group = "network"
SLIGHT_SKEW = 60.0  # seconds; servers accept it, and lifetimes of signed URLs are wrong by as much
_SMALLEST_SKEW = 0.5  # seconds; servers send whole seconds, so no smaller difference can be seen
LARGE_SKEW = 900.0  # seconds; S3 refuses signatures whose time is more wrong than this
_SOON = 14.0  # days before a certificate ends
_ROUND_TRIPS = 5
_BODY = 8 * MiB
_DAY = 86_400.0


async def examine_network(subject: Subject, *, signed: bool) -> AsyncIterator[Check]:
    """Examine the way to the server, up to the first step that fails.

    Args:
        subject: What is examined.
        signed: Whether requests can be signed; if not, none is made.
    """
    if subject.direct is None:
        yield _check("network", "not tested", subject.why_not_direct)
        return
    trial, plane = subject.direct
    origin = plane.client.origin
    try:
        began = time.monotonic()
        addresses = await trial.addresses(plane)
        milliseconds = (time.monotonic() - began) * 1000
        if addresses == (origin.host,):
            yield _check("dns", "ok", f"not needed: {origin.host} is an address")
        else:
            yield _check("dns", "ok", f"{origin.host} has {', '.join(addresses)} ({milliseconds:.0f} ms)")
        way, problem = await trial.way(plane)
        yield _check("tcp", "ok", f"connected to {way.address} port {origin.port} ({way.tcp * 1000:.0f} ms)")
    except StorageError as error:
        advice = "check the endpoint's name and port, and that the server runs and can be reached from this machine"
        yield _check("connection", "failed", str(error), error=error, advice=advice)
        return
    if problem is not None:
        advice = (
            "for a certificate of your own authority, name its file (--ca-bundle); "
            "for a server without TLS, write http:// in the endpoint's URL"
        )
        yield _check("tls", "failed", str(problem), error=problem, advice=advice)
        return
    if way.tls is None:
        yield _check("tls", "not tested", f"the endpoint is {origin}, without TLS")
    else:
        yield _certificate(way.version, way.subject, way.issuer, way.expires or 0.0, way.tls)
    if signed:
        async for check in _round_trips(subject.direct):
            yield check


def _certificate(version: str, subject: str, issuer: str, expires: float, seconds: float) -> Check:
    days = (expires - time.time()) / _DAY
    text = f"{version}, certificate of {subject}, signed by {issuer}, valid for {days:.0f} more days"
    outcome: Outcome = "warning" if days < _SOON else "ok"
    advice = "renew the server's certificate soon" if outcome == "warning" else ""
    return _check("tls", outcome, f"{text} ({seconds * 1000:.0f} ms)", advice=advice)


async def _round_trips(direct: Direct) -> AsyncIterator[Check]:
    trial, plane = direct
    answers, offsets = [], []
    try:
        for _ in range(_ROUND_TRIPS + 1):
            began = time.time()
            answer = await trial.send(plane, "HEAD")
            answers.append(answer)
            if answer.date is not None:
                # On average, the whole seconds of a `Date` are half a second behind.
                offsets.append(answer.date + 0.5 - (began + time.time()) / 2)
    except StorageError as error:
        yield _check("round_trip", "failed", str(error), error=error)
        return
    if offsets:
        skew = clock_check(median(offsets))
        if skew.outcome == "failed":
            trial.correct_clock(time.time() + median(offsets))
        yield skew
    else:
        yield _check("clock", "not tested", "the server sends no Date")
    # The first request is left out, because it opens the connection.
    middle = median(answer.seconds for answer in answers[1:]) * 1000
    yield _check("round_trip", "ok", f"{middle:.1f} ms (median of {_ROUND_TRIPS} HEAD requests)")


def clock_check(offset: float) -> Check:
    """Judge the difference between the server's clock and this machine's.

    Args:
        offset: Seconds by which the server's clock is ahead.
    """
    behind = "behind" if offset > 0 else "ahead of"
    text = f"this machine's clock is {abs(offset):.0f} s {behind} the server's"
    if abs(offset) < _SMALLEST_SKEW:
        text = "this machine's clock agrees with the server's"
    if abs(offset) > LARGE_SKEW:
        advice = "set this machine's clock (NTP): servers refuse signatures that are more than 15 minutes wrong"
        return _check("clock", "failed", text, advice=advice)
    if abs(offset) > SLIGHT_SKEW:
        return _check("clock", "warning", text, advice="set this machine's clock, for example by NTP")
    return _check("clock", "ok", text)


async def measure_throughput(subject: Subject) -> Check:
    """Store an object of 8 MiB and read it again."""
    data = bytes(_BODY)
    try:
        began = time.monotonic()
        info = await subject.scratch.put("throughput", data)
        stored = time.monotonic()
        async with subject.requests.open_body(info.key) as body:
            count = sum([len(chunk) async for chunk in body])
        ended = time.monotonic()
    except StorageError as error:
        return _throughput("failed", f"8 MiB cannot be stored and read: {shortened(error)}", error=error)
    if count != _BODY:
        return _throughput("failed", f"{_BODY:,} bytes were stored, and {count:,} read")
    rates = [_BODY / MiB / max(seconds, 1e-6) for seconds in (stored - began, ended - stored)]
    return _throughput("ok", f"{rates[0]:.1f} MiB/s up, {rates[1]:.1f} MiB/s down (one request of 8 MiB)")


def _throughput(outcome: Outcome, text: str, *, error: StorageError | None = None) -> Check:
    return Check(group="throughput", name="throughput", outcome=outcome, text=text, error=error)


def _check(name: str, outcome: Outcome, text: str, *, advice: str = "", error: StorageError | None = None) -> Check:
    return Check(group=_GROUP, name=name, outcome=outcome, text=text, advice=advice, error=error)
