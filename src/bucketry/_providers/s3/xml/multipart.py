"""The XML of multipart uploads: what asks for them, and what answers."""

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
    """Give the texts right below the root of an answer, one of `roots`, by name; none of an empty answer.

    Raises:
        AnswerIsErrorError: It is an `<Error>`, sent with status 200 because the answer had been begun.
        MalformedXMLError: It is anything else.
    """
    text = body.lstrip()  # blanks say that the server is still at it
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
    """Give the `<CompleteMultipartUpload>` document; each part as its fields, in order of their numbers."""
    listed = "".join(
        "<Part>" + "".join(f"<{name}>{escaped(value)}</{name}>" for name, value in part.items()) + "</Part>"
        for part in parts
    )
    return f'<CompleteMultipartUpload xmlns="{NAMESPACE}">{listed}</CompleteMultipartUpload>'.encode()


def open_uploads(body: bytes) -> list[tuple[str, str, datetime | None]]:
    """Give key, id and beginning of each upload that a `<ListMultipartUploadsResult>` names; keys are plain.

    Raises:
        AnswerIsErrorError: It is an `<Error>`.
        MalformedXMLError: It is anything else.
    """
    found = []
    for key, upload_id, initiated in _texts(body, "ListMultipartUploadsResult", "Upload", _UPLOAD_FIELDS):
        if not key or not upload_id:
            raise MalformedXMLError("an upload of the answer has no Key or no UploadId")
        found.append((key, upload_id, _moment(initiated)))
    return found


def stored_parts(body: bytes) -> tuple[Part, ...]:
    """Give the parts that a `<ListPartsResult>` names, in order of their numbers; checksums are left out.

    Raises:
        AnswerIsErrorError: It is an `<Error>`.
        MalformedXMLError: It is anything else.
    """
    found = []
    for number, size, etag in _texts(body, "ListPartsResult", "Part", _PART_FIELDS, "ListPartsResponse"):
        if number is None or size is None or not (number.isdecimal() and size.isdecimal()):
            raise MalformedXMLError("a part of the answer has no number or no size")
        found.append(Part(part_number=int(number), size=int(size), etag=etag or ""))
    return tuple(found)


def _texts(body: bytes, root: str, name: str, fields: tuple[str, str, str], *others: str) -> list[list[str | None]]:
    """Give the texts of some fields of each element of one name in an answer; `others` are what servers call its root.

    Raises:
        AnswerIsErrorError: It is an `<Error>`.
        MalformedXMLError: It is anything else.
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
        raise MalformedXMLError(f"Initiated is {text!r}, no time") from exc
