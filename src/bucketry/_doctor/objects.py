"""Looks for the promises about objects: headers, ranges, copies, deletes, versions, tags, signed URLs, encryption."""

from __future__ import annotations

from collections.abc import Sequence

from bucketry._core.options import ReadOptions, WriteOptions
from bucketry._core.values import ByteRange
from bucketry._doctor.subject import Direct, Probe, Subject, not_direct
from bucketry._doctor.values import Finding, unknown
from bucketry.errors import IntegrityError, InvalidRangeError, NotFoundError

_DATA = b"0123456789"
_FORM_BOUNDARY = "bucketry-doctor-form"
_TOKEN_SPACE = 64  # bytes of metadata that are left free, because transfers add a token of their own
_OTHER_ACCOUNT = "000000000000"
_METHODS = ("GET", "HEAD", "PUT", "DELETE")


async def _headers(subject: Subject) -> list[Finding]:
    options = WriteOptions(
        metadata={"doctor": "yes"}, content_type="text/x-doctor", cache_control="max-age=60", content_language="de"
    )
    head = await subject.requests.head((await subject.scratch.put("headers", _DATA, options)).key)
    seen = {
        "metadata": head.metadata.get("doctor") == "yes",  # a server may add metadata of its own
        "content_type": head.content_type == "text/x-doctor",
        "cache_control": head.cache_control == "max-age=60",
        "content_language": head.content_language == "de",
    }
    lost = [name for name, kept in seen.items() if not kept]
    text = f"lost: {', '.join(lost)}" if lost else "metadata, content type, cache control and language are stored"
    return [Finding(name="stored_headers", found=not lost, text=text)]


async def _metadata(subject: Subject) -> list[Finding]:
    name, size = "max_metadata_size", subject.row.max_metadata_size
    value = "m" * (size - len("doctor") - _TOKEN_SPACE)
    info = await subject.scratch.put("metadata", _DATA, WriteOptions(metadata={"doctor": value}))
    kept = (await subject.requests.head(info.key)).metadata.get("doctor") == value
    text = f"{len(value):,} bytes of metadata are {'stored' if kept else 'lost'}"
    return [Finding(name=name, found=size if kept else False, text=text)]


async def _ranges(subject: Subject) -> list[Finding]:
    name, key = "ranges", (await subject.scratch.put("range", _DATA)).key
    problems = []
    for start, end in ((2, 5), (8, 99)):
        try:
            async with subject.requests.open_body(key, ReadOptions(byte_range=ByteRange(start, end))) as body:
                data = await body.read()
            problems += [f"bytes {start} to {end} are {data!r}"] if data != _DATA[start:end] else []
        except IntegrityError as error:
            problems.append(str(error).partition(": ")[2] or str(error))
    try:
        async with subject.requests.open_body(key, ReadOptions(byte_range=ByteRange(50, 60))) as body:
            await body.read()
    except InvalidRangeError:
        pass
    except IntegrityError:
        problems.append("a range behind the end of the object is not refused with 416")
    text = problems[0] if problems else "ranges are exact, and a range behind the end is refused"
    return [Finding(name=name, found=not problems, text=text)]


async def _missing(subject: Subject) -> list[Finding]:
    name, key = "missing_objects", subject.scratch.key("missing")
    try:
        await subject.requests.head(key)
    except NotFoundError:
        await subject.requests.delete(key)
        text = "HEAD of a missing object is answered with 404, and deleting it is no error"
        return [Finding(name=name, found=True, text=text)]
    return [Finding(name=name, found=False, text="HEAD of a missing object is answered as if it existed")]


async def _copy(subject: Subject) -> list[Finding]:
    options = WriteOptions(metadata={"doctor": "yes"})
    source = await subject.scratch.put("copy-from", _DATA, options)
    copied = await subject.requests.copy_object(source.key, subject.scratch.key("copy-to"))
    async with subject.requests.open_body(copied.key) as body:
        # A server may add metadata of its own.
        same = await body.read() == _DATA and body.info.metadata.get("doctor") == "yes"
    text = "a copy has the bytes and the metadata" if same else "a copy lacks the bytes or the metadata"
    return [Finding(name="copy", found=same, text=text)]


async def _bulk_delete(subject: Subject) -> list[Finding]:
    name, keys = "max_delete_keys", [(await subject.scratch.put(f"bulk/{n}&", _DATA)).key for n in range(3)]
    result = await subject.requests.delete_batch(keys)
    if result.failed:
        error = next(iter(result.failed.values()))
        return [Finding(name=name, found=False, text=f"a bulk delete fails: {error}", refused=True)]
    left = (await subject.requests.list_page(f"{subject.scratch.prefix}bulk/")).entries
    most = subject.row.max_delete_keys
    # A server that can delete several keys does more than a row with one key says.
    found = False if left else most if subject.trial is None else max(most, 2)
    text = "one request deletes several objects" if not left else "a bulk delete is answered, but deletes nothing"
    return [Finding(name=name, found=found, text=text)]


async def _versions(subject: Subject) -> list[Finding]:
    name = "versions"
    if subject.trial is None and not subject.row.versions:
        return [Finding(name=name, found=False, text="the provider does not have it")]
    first = await subject.scratch.put("version", b"first")
    second = await subject.scratch.put("version", b"second")
    if not first.version_id or first.version_id == second.version_id:
        return [unknown(name, "the bucket keeps no versions")]
    page = await subject.requests.list_versions_page(first.key)
    listed = [entry.version_id for entry in page.entries if entry.key == first.key]
    async with subject.requests.open_body(first.key, ReadOptions(version_id=first.version_id)) as body:
        data = await body.read()
    await subject.requests.delete(first.key, version_id=first.version_id)
    right = listed == [second.version_id, first.version_id] and data == b"first"
    text = "versions are listed, latest first, and the older one can be read and removed"
    return [Finding(name=name, found=right, text=text if right else "versions are not listed or read exactly")]


async def _tags(subject: Subject) -> list[Finding]:
    info = await subject.scratch.put("tags", _DATA)
    await subject.requests.put_tags(info.key, {"doctor": "a b+c"})
    found = await subject.requests.get_tags(info.key)
    right = found == {"doctor": "a b+c"}
    return [Finding(name="tags", found=right, text="tags are stored" if right else f"tags are stored as {found}")]


async def _signed_urls(subject: Subject) -> list[Finding]:
    names = ("presign_methods", "max_presign_expiry")
    if subject.direct is None:
        return [*not_direct(subject, names[0], nothing=()), unknown(names[1], "no URL can be signed and used here")]
    key = (await subject.scratch.put("signed", _DATA)).key
    answers = {method: await _by_url(subject.direct, key, method) for method in _METHODS}
    worked = tuple(method for method, problem in answers.items() if not problem)
    problems = "; ".join(f"{method}: {problem}" for method, problem in answers.items() if problem)
    text = f"signed URLs work without credentials: {', '.join(worked) or 'none'}"
    signs = Finding(name=names[0], found=worked, text=f"{text} ({problems})" if problems else text, refused=not worked)
    longest = subject.row.max_presign_expiry
    if not answers["GET"]:
        return [signs, Finding(name=names[1], found=longest, text=f"a URL signed for {longest:,} s is accepted now")]
    return [signs, unknown(names[1], "signed URLs for GET do not work")]


async def _by_url(direct: Direct, key: str, method: str) -> str:
    """Use a signed URL without credentials, and return the problem; `""`: none."""
    trial, plane = direct
    expiry = trial.capabilities.max_presign_expiry if method == "GET" else 60
    url = await trial.presign(key, method=method, expires_in=expiry)
    answer = await trial.fetch_unsigned(plane, method, url, b"by url" if method == "PUT" else b"")
    if answer.refused:
        return answer.code
    if method == "GET" and answer.body != _DATA:
        return "other bytes than were stored"
    return ""


async def _signed_form(subject: Subject) -> list[Finding]:
    name = "presign_post"
    if subject.direct is None:
        return not_direct(subject, name, nothing=False)
    trial, plane = subject.direct
    key = subject.scratch.key("form")
    form = await trial.presign_post(key, expires_in=60, max_size=len(_DATA))
    body = _form(list(form["fields"].items()))
    kind = {"content-type": f"multipart/form-data; boundary={_FORM_BOUNDARY}"}
    answer = await trial.fetch_unsigned(plane, "POST", form["url"], body, kind)
    if answer.refused:
        return [Finding(name=name, found=False, text=f"a signed form is refused ({answer.code})", refused=True)]
    try:
        await trial.head(key)
    except NotFoundError:
        return [Finding(name=name, found=False, text="a signed form is answered, but stores nothing")]
    return [Finding(name=name, found=True, text="a signed form uploads without credentials")]


def _form(fields: Sequence[tuple[str, str]]) -> bytes:
    lines = []
    for name, value in fields:
        lines += [f"--{_FORM_BOUNDARY}", f'Content-Disposition: form-data; name="{name}"', "", value]
    lines += [f"--{_FORM_BOUNDARY}", 'Content-Disposition: form-data; name="file"; filename="form"']
    lines += ["Content-Type: application/octet-stream", "", _DATA.decode(), f"--{_FORM_BOUNDARY}--", ""]
    return "\r\n".join(lines).encode()


async def _encryption(subject: Subject) -> list[Finding]:
    name = "encryption"
    if subject.direct is None:
        return not_direct(subject, name, nothing=())
    if "AES256" not in subject.row.encryption:
        return [unknown(name, "the row promises no encryption that needs no key")]
    trial, plane = subject.direct
    key = subject.scratch.key("encrypted")
    header = "x-amz-server-side-encryption"
    answer = await trial.send(plane, "PUT", key, headers={header: "AES256"}, body=_DATA)
    if answer.refused:
        return [Finding(name=name, found=False, text=f"AES256 is refused ({answer.code})", refused=True)]
    found = ("AES256",) if answer.headers.get(header) == "AES256" else ()
    text = "the answer confirms AES256; other kinds need a key" if found else "the answer does not confirm AES256"
    return [Finding(name=name, found=found, text=text)]


async def _owner(subject: Subject) -> list[Finding]:
    name = "expected_bucket_owner"
    if subject.direct is None:
        return not_direct(subject, name, nothing=False)
    trial, plane = subject.direct
    answer = await trial.send(plane, "HEAD", headers={f"x-amz-{name.replace('_', '-')}": _OTHER_ACCOUNT})
    text = "a request that names another owner is " + ("refused" if answer.refused else "answered")
    return [Finding(name=name, found=answer.refused, text=text)]


PROBES = (
    Probe(_headers, ("stored_headers",)),
    Probe(_metadata, ("max_metadata_size",)),
    Probe(_ranges, ("ranges",)),
    Probe(_missing, ("missing_objects",)),
    Probe(_copy, ("copy",)),
    Probe(_bulk_delete, ("max_delete_keys",)),
    Probe(_versions, ("versions",)),
    Probe(_tags, ("tags",)),
    Probe(_signed_urls, ("presign_methods", "max_presign_expiry")),
    Probe(_signed_form, ("presign_post",)),
    Probe(_encryption, ("encryption",)),
    Probe(_owner, ("expected_bucket_owner",)),
)
