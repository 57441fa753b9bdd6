"""Examines what the credentials allow: the bucket, its region, and the permissions to list, read, write and delete."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

from bucketry._core.options import WriteOptions
from bucketry._core.values import CommonPrefix
from bucketry._doctor.scratch import SCRATCH
from bucketry._doctor.subject import Subject, shortened
from bucketry._doctor.values import Check, Group, Outcome
from bucketry._providers.s3.trial import Trial
from bucketry.errors import (
    AccessDeniedError,
    AuthenticationError,
    BucketNotFoundError,
    ConfigError,
    NotFoundError,
    StorageError,
)

_GROUP: Group = "access"
_WRITTEN = "written"
_NO_WRITES = "--read-only"


async def examine_access(subject: Subject, *, read_only: bool) -> AsyncIterator[Check]:
    """Examine credentials, bucket and region, then each permission; end at an error that all requests would have."""
    if subject.direct is not None:
        async for check in _region(subject):
            yield check
    if subject.trial is not None:
        opened = await _bucket(subject.trial)
        yield opened
        if opened.outcome == "failed":
            return
    yield await _permission("list", lambda: subject.requests.list_page(subject.scratch.prefix))
    if read_only:
        yield await _permission("read", lambda: _read_any(subject))
        for name in ("write", "multipart", "delete"):
            yield _check(name, "not tested", _NO_WRITES)
        return
    wrote = await _permission("write", lambda: subject.scratch.put(_WRITTEN, b"written by bucketry doctor"))
    yield wrote
    if wrote.outcome != "allowed":
        yield await _permission("read", lambda: _read_any(subject))
        yield _check("multipart", "not tested", "writes are not allowed")
        yield _check("delete", "not tested", "writes are not allowed")
        return
    yield await _permission("read", lambda: _read(subject))
    yield await _permission("multipart", lambda: _multipart(subject))
    yield await _permission("delete", lambda: subject.requests.delete(subject.scratch.key("never-written")))


async def _bucket(trial: Trial) -> Check:
    try:
        await trial.connect()
    except StorageError as error:
        return _refused(error)
    return _check("bucket", "ok", "the server accepts the credentials, and the bucket exists")


async def _region(subject: Subject) -> AsyncIterator[Check]:
    assert subject.direct is not None  # noqa: S101 - the caller has checked it
    trial, plane = subject.direct
    try:
        answer = await trial.send(plane, "HEAD")
    except StorageError:
        return  # the next request reports it
    found = answer.headers.get("x-amz-bucket-region")
    if found is None:
        yield _check("region", "not tested", "the server does not say where the bucket is")
    elif found == trial.region:
        yield _check("region", "ok", f"the bucket is in {found}, as configured")
    else:
        text = f"the bucket is in {found}, and the configuration says {trial.region}"
        yield _check("region", "failed", text, advice=f'region = "{found}" (--region {found})')


def _refused(error: StorageError) -> Check:
    """Return the check for a bucket that cannot be opened."""
    if isinstance(error, BucketNotFoundError):
        return _check("bucket", "failed", str(error), error=error, advice="check the bucket's name, and the region")
    if isinstance(error, AuthenticationError):
        advice = "check the key's id, its secret, and this machine's clock"
        return _check("credentials", "failed", str(error), error=error, advice=advice)
    if isinstance(error, AccessDeniedError):
        advice = "let the credentials read this bucket, or give others"
        return _check("bucket", "denied", str(error), error=error, advice=advice)
    advice = "correct this entry" if isinstance(error, ConfigError) else ""
    return _check("bucket", "failed", str(error), error=error, advice=advice)


async def _permission(name: str, request: Callable[[], Awaitable[object]]) -> Check:
    try:
        await request()
    except AccessDeniedError as error:
        advice = f"let the credentials {name} below this prefix, if a program needs it"
        return _check(name, "denied", f"denied ({shortened(error)})", error=error, advice=advice)
    except StorageError as error:
        return _check(name, "failed", str(error), error=error)
    return _check(name, "allowed", "allowed")


async def _read_any(subject: Subject) -> None:
    """Read the properties of some object, which needs the same permission as its bytes."""
    key = f"{subject.scratch.prefix}missing"
    with suppress(StorageError):  # perhaps listing is denied
        page = await subject.requests.list_page(subject.scratch.base.removesuffix(SCRATCH))
        keys = [entry.key for entry in page.entries if not isinstance(entry, CommonPrefix)]
        key = keys[0] if keys else key
    with suppress(NotFoundError):  # the answer shows that reading is allowed
        await subject.requests.head(key)


async def _read(subject: Subject) -> None:
    async with subject.requests.open_body(subject.scratch.key(_WRITTEN)) as body:
        await body.read()


async def _multipart(subject: Subject) -> None:
    if subject.requests.capabilities.multipart:
        upload = await subject.scratch.open_upload("permission", WriteOptions())
        await subject.requests.put_part(upload, 1, b"1")
        await subject.requests.list_multiparts(subject.scratch.prefix)
        await subject.requests.abort_multipart(upload)


def _check(name: str, outcome: Outcome, text: str, *, advice: str = "", error: StorageError | None = None) -> Check:
    return Check(group=_GROUP, name=name, outcome=outcome, text=text, advice=advice, error=error)
