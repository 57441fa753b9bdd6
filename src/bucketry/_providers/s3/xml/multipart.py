"""The XML of multipart uploads: bodies of requests and responses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import chain

from bucketry._core.values import Part
from bucketry._providers.s3.xml.documents import (
    NAMESPACE,
    AnswerIsErrorError,
    MalformedXMLError,
    XMLReader,
    escaped,
    keep_error_field,
)

_UPLOAD_FIELDS = ("Key", "UploadId", "Initiated")
_PART_FIELDS = ("PartNumber", "Size", "ETag")


def answer_fields(body: bytes, *roots: str) -> dict[str, str]:
    """Return the texts directly below the root, by name; empty for an empty response. `roots` are the accepted roots.

    Raises:
        AnswerIsErrorError: The response is an `<Error>`, which S3 sends if it fails after it began to answer.
        MalformedXMLError: The response has another root, or is no complete XML.
    """
    text = body.lstrip()  # the server sends blanks while it is still working
    if not text:
        return {}
    reader = XMLReader(*roots, "Error")
    fields: dict[str, str] = {}
    error: dict[str, str] = {}
    for child in chain(reader.feed(text), reader.close()):
        name = reader.name(child)
        if reader.root == "Error":
            keep_error_field(error, name, child)
        else:
            fields.setdefault(name, child.text or "")
    if reader.root == "Error":
        raise AnswerIsErrorError(error)
    return fields


def completion_request(parts: Iterable[Mapping[str, str]]) -> bytes:
    """Return the `<CompleteMultipartUpload>` document; `parts` are the fields of each part, sorted by part number."""
    listed = "".join(
        "<Part>" + "".join(f"<{name}>{escaped(value)}</{name}>" for name, value in part.items()) + "</Part>"
        for part in parts
    )
    return f'<CompleteMultipartUpload xmlns="{NAMESPACE}">{listed}</CompleteMultipartUpload>'.encode()


def open_uploads(body: bytes) -> list[tuple[str, str, datetime | None]]:
    """Return the key, id and start time of each upload in a `<ListMultipartUploadsResult>`; keys are not URL-encoded.

    Raises:
        AnswerIsErrorError: The response is an `<Error>`.
        MalformedXMLError: The response has another root, or is no complete XML.
    """
    found = []
    for key, upload_id, initiated in _texts(body, "ListMultipartUploadsResult", "Upload", _UPLOAD_FIELDS):
        if not key or not upload_id:
            raise MalformedXMLError("an upload of the answer has no Key or no UploadId")
        found.append((key, upload_id, _moment(initiated)))
    return found


def stored_parts(body: bytes) -> tuple[Part, ...]:
    """Return the parts in a `<ListPartsResult>`, sorted by part number as S3 sends them; without checksums.

    Raises:
        AnswerIsErrorError: The response is an `<Error>`.
        MalformedXMLError: The response has another root, or is no complete XML.
    """
    found = []
    for number, size, etag in _texts(body, "ListPartsResult", "Part", _PART_FIELDS, "ListPartsResponse"):
        if number is None or size is None or not (number.isdecimal() and size.isdecimal()):
            raise MalformedXMLError("a part of the answer has no number or no size")
        found.append(Part(part_number=int(number), size=int(size), etag=etag or ""))
    return tuple(found)


def _texts(body: bytes, root: str, name: str, fields: tuple[str, str, str], *others: str) -> list[list[str | None]]:
    """Return the texts of `fields` of each element `name` in a response; `others` are other accepted roots.

    Raises:
        AnswerIsErrorError: The response is an `<Error>`.
        MalformedXMLError: The response has another root, or is no complete XML.
    """
    reader = XMLReader(root, *others, "Error", fields=fields)
    found: list[list[str | None]] = []
    error: dict[str, str] = {}
    for child in chain(reader.feed(body), reader.close()):
        child_name = reader.name(child)
        if reader.root == "Error":
            keep_error_field(error, child_name, child)
        elif child_name == name:
            found.append(list(reader.texts(child)))
    if reader.root == "Error":
        raise AnswerIsErrorError(error)
    return found


def _moment(text: str | None) -> datetime | None:
    try:
        return None if text is None else datetime.fromisoformat(text)
    except ValueError as exc:
        raise MalformedXMLError(f"Initiated is {text!r}, which is not a time") from exc
