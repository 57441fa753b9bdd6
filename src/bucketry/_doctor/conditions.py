"""Looks for the promises about conditions: create only, replace only this version, read only this version."""

from __future__ import annotations

from bucketry._core.options import ReadOptions, WriteOptions
from bucketry._doctor.subject import WRONG_ETAG, Probe, Subject
from bucketry._doctor.values import Finding
from bucketry.errors import AlreadyExistsError, NotFoundError, PreconditionFailedError

_CREATE = WriteOptions(if_none_match="*")
_REPLACE_WRONG = WriteOptions(if_match=WRONG_ETAG)
_HELD = (AlreadyExistsError, PreconditionFailedError, NotFoundError)
"""Errors that show that the server compared the condition; some servers answer a wrong `If-Match` with 404."""


async def _create_only(subject: Subject) -> list[Finding]:
    scratch, name = subject.scratch, "put_if_none_match"
    await scratch.put("create-new", b"1", _CREATE)
    await scratch.put("create", b"first")
    try:
        await scratch.put("create", b"second", _CREATE)
    except _HELD:
        return [Finding(name=name, found=True, text="If-None-Match: * on an existing key is refused with 412")]
    return [Finding(name=name, found=False, text="If-None-Match: * is ignored: the PUT replaced an existing object")]


async def _replace_only(subject: Subject) -> list[Finding]:
    scratch, name = subject.scratch, "put_if_match"
    info = await scratch.put("replace", b"first")
    try:
        await scratch.put("replace", b"second", _REPLACE_WRONG)
    except _HELD:
        await scratch.put("replace", b"third", WriteOptions(if_match=info.etag))
        return [Finding(name=name, found=True, text="If-Match with a wrong etag is refused, with the right one not")]
    return [Finding(name=name, found=False, text="If-Match is ignored: a PUT with a wrong etag replaced the object")]


async def _complete_create_only(subject: Subject) -> list[Finding]:
    await subject.scratch.put("complete-create", b"first")
    held = await _completes(subject, "complete-create", _CREATE)
    text = "If-None-Match: * is refused with 412" if held else "If-None-Match: * is ignored: the object was replaced"
    return [Finding(name="complete_if_none_match", found=held, text=f"completing an upload: {text}")]


async def _complete_replace_only(subject: Subject) -> list[Finding]:
    await subject.scratch.put("complete-replace", b"first")
    held = await _completes(subject, "complete-replace", _REPLACE_WRONG)
    text = "a wrong If-Match is refused" if held else "a wrong If-Match is ignored: the object was replaced"
    return [Finding(name="complete_if_match", found=held, text=f"completing an upload: {text}")]


async def _completes(subject: Subject, name: str, options: WriteOptions) -> bool:
    """Complete an upload under a condition that does not hold, and return whether the server refused it."""
    requests = subject.requests
    upload = await subject.scratch.open_upload(name, options)
    part = await requests.put_part(upload, 1, b"second")
    try:
        await requests.complete_multipart(upload, [part], options)
    except _HELD:
        await requests.abort_multipart(upload)
        return True
    return False


async def _read_matching(subject: Subject) -> list[Finding]:
    name, key = "get_if_match", (await subject.scratch.put("read", b"first")).key
    if subject.direct is not None:
        trial, plane = subject.direct
        answer = await trial.send(plane, "GET", key, headers={"if-match": WRONG_ETAG})
        held, seen = answer.refused, f"a GET with a wrong If-Match is answered with {answer.code}"
        return [Finding(name=name, found=held, text=seen)]
    try:
        async with subject.requests.open_body(key, ReadOptions(if_match=WRONG_ETAG)) as body:
            await body.read()
    except PreconditionFailedError:
        return [Finding(name=name, found=True, text="a read of another etag is refused")]
    return [Finding(name=name, found=False, text="a read of another etag is answered")]


async def _copy_matching(subject: Subject) -> list[Finding]:
    name, key = "copy_source_if_match", (await subject.scratch.put("copy-source", b"first")).key
    try:
        await subject.requests.copy_object(key, subject.scratch.key("copy-refused"), if_match=WRONG_ETAG)
    except _HELD:
        return [Finding(name=name, found=True, text="a copy of another etag is refused")]
    return [Finding(name=name, found=False, text="a copy of another etag is made: the condition is ignored")]


PROBES = (
    Probe(_create_only, ("put_if_none_match",)),
    Probe(_replace_only, ("put_if_match",)),
    Probe(_complete_create_only, ("complete_if_none_match",)),
    Probe(_complete_replace_only, ("complete_if_match",)),
    Probe(_read_matching, ("get_if_match",)),
    Probe(_copy_matching, ("copy_source_if_match",)),
)
