"""The XML of multipart uploads: what asks for them, and what answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import chain

from bucketry._core.values import Part
from bucketry._wire.xml import NAMESPACE, AnswerIsErrorError, MalformedXMLError, XMLReader, escaped, keep_error_field


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
    reader = XMLReader("ListMultipartUploadsResult", "Error", fields=("Key", "UploadId", "Initiated"))
    found = []
    error: dict[str, str] = {}
    for child in chain(reader.feed(body), reader.close()):
        name = reader.name(child)
        if reader.root == "Error":
            keep_error_field(error, name, child)
        elif name == "Upload":
            key, upload_id, initiated = reader.texts(child)
            if not key or not upload_id:
                raise MalformedXMLError("an upload of the answer has no Key or no UploadId")
            found.append((key, upload_id, _moment(initiated)))
    if reader.root == "Error":
        raise AnswerIsErrorError(error)
    return found


def stored_parts(body: bytes) -> tuple[Part, ...]:
    """Give the parts that a `<ListPartsResult>` names, in order of their numbers; checksums are left out.

    Raises:
        AnswerIsErrorError: It is an `<Error>`.
        MalformedXMLError: It is anything else.
    """
    reader = XMLReader("ListPartsResult", "Error", fields=("PartNumber", "Size", "ETag"))
    found = []
    error: dict[str, str] = {}
    for child in chain(reader.feed(body), reader.close()):
        name = reader.name(child)
        if reader.root == "Error":
            keep_error_field(error, name, child)
        elif name == "Part":
            number, size, etag = reader.texts(child)
            if not (number or "").isdecimal() or not (size or "").isdecimal():
                raise MalformedXMLError("a part of the answer has no number or no size")
            found.append(Part(part_number=int(number or 0), size=int(size or 0), etag=etag or ""))
    if reader.root == "Error":
        raise AnswerIsErrorError(error)
    return tuple(found)


def _moment(text: str | None) -> datetime | None:
    try:
        return None if text is None else datetime.fromisoformat(text)
    except ValueError as exc:
        raise MalformedXMLError(f"Initiated is {text!r}, no time") from exc
