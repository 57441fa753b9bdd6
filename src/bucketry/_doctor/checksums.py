"""Looks for the promises about checksums: a body with a wrong checksum is refused, and checksums are stored."""

from __future__ import annotations

from bucketry._core import checksums
from bucketry._core.options import WriteOptions
from bucketry._doctor.subject import Direct, Probe, Subject
from bucketry._doctor.values import Finding, unknown
from bucketry._providers.s3.headers import stored_checksums
from bucketry.errors import StorageError

_ALGORITHMS = ("crc32", "sha256", "md5")
_DATA, _OTHER = b"the bytes that are sent", b"other bytes"


async def _put(subject: Subject) -> list[Finding]:
    if subject.direct is None:
        return [unknown("put_checksum", subject.why_not_direct)]
    key = subject.scratch.key("checksum")
    return [_judged("put_checksum", "a PUT", await _verified(subject.direct, key, {}))]


async def _part(subject: Subject) -> list[Finding]:
    if subject.direct is None:
        return [unknown("multipart_checksum", subject.why_not_direct)]
    options = WriteOptions(part_checksums=subject.row.multipart_checksum is not None)
    upload = await subject.scratch.open_upload("checksum-part", options)
    query = {"partNumber": "1", "uploadId": upload.upload_id}
    found = await _verified(subject.direct, upload.key, query)
    await subject.requests.abort_multipart(upload)
    return [_judged("multipart_checksum", "a part", found)]


async def _verified(direct: Direct, key: str, query: dict[str, str]) -> dict[str, str]:
    """Return for each algorithm what the server does with a wrong checksum: `"refused"`, as it should, or another."""
    trial, plane = direct
    found = {}
    for algorithm in _ALGORITHMS:
        answers = []
        for data in (_DATA, _OTHER):
            digest = checksums.of(algorithm, data)
            headers = trial.checksum_headers(algorithm, digest)
            signed = digest if algorithm == "sha256" else None
            answers.append(
                await trial.send(plane, "PUT", key, query=query, headers=headers, body=_DATA, payload_hash=signed)
            )
        right, wrong = answers
        if right.refused:
            found[algorithm] = f"not taken, even if it is right ({right.code})"
        else:
            found[algorithm] = "refused" if wrong.refused else "accepted"
    return found


def _judged(name: str, what: str, found: dict[str, str]) -> Finding:
    outcomes = dict.fromkeys(found.values())
    seen = {outcome: [algorithm for algorithm in found if found[algorithm] == outcome] for outcome in outcomes}
    text = ", ".join(f"{' and '.join(algorithms)} {outcome}" for outcome, algorithms in seen.items())
    return Finding(name=name, found=tuple(seen.get("refused", ())), text=f"{what} with a wrong checksum: {text}")


async def _whole_object(subject: Subject) -> list[Finding]:
    name = "full_object_checksum"
    if not subject.row.full_object_checksum or subject.row.multipart_checksum is None:
        return [unknown(name, "the row does not send a checksum of the whole object")]
    algorithm, requests = subject.row.multipart_checksum, subject.requests
    upload = await subject.scratch.open_upload("checksum-whole")
    part = await requests.put_part(upload, 1, _DATA)
    try:
        await requests.complete_multipart(upload, [part], WriteOptions(), checksum=checksums.of(algorithm, _OTHER))
    except StorageError as error:
        if error.status is None and error.retryable:
            raise
        await requests.complete_multipart(upload, [part], WriteOptions(), checksum=checksums.of(algorithm, _DATA))
        return [
            Finding(name=name, found=True, text="a wrong checksum of the whole object is refused, the right one not")
        ]
    text = "completing an upload with a wrong checksum of the whole object is accepted"
    return [Finding(name=name, found=False, text=text)]


async def _stored(subject: Subject) -> list[Finding]:
    name = "stored_checksums"
    if subject.direct is None:
        info = await subject.scratch.put("checksum-stored", _DATA)
        kinds = tuple((await subject.requests.head(info.key)).checksums)
        return [Finding(name=name, found=kinds, text=f"stored with the object: {', '.join(kinds) or 'none'}")]
    trial, plane = subject.direct
    info = await subject.scratch.put("checksum-stored", _DATA)
    answer = await trial.send(plane, "HEAD", info.key, headers={"x-amz-checksum-mode": "ENABLED"})
    if answer.refused:
        return [Finding(name=name, found=False, text=f"a HEAD for checksums is refused ({answer.code})", refused=True)]
    kinds = tuple(stored_checksums(answer.headers))
    return [Finding(name=name, found=kinds, text=f"stored with the object: {', '.join(kinds) or 'none'}")]


PROBES = (
    Probe(_put, ("put_checksum",)),
    Probe(_part, ("multipart_checksum",)),
    Probe(_whole_object, ("full_object_checksum",)),
    Probe(_stored, ("stored_checksums",)),
)
