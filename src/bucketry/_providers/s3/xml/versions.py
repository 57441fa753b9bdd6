"""The XML of versions and tags: bodies of requests and responses."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import chain
from xml.etree.ElementTree import Element

from bucketry._core.values import ObjectVersion
from bucketry._providers.s3.xml.documents import (
    NAMESPACE,
    AnswerIsErrorError,
    MalformedXMLError,
    XMLReader,
    escaped,
    keep_error_field,
)
from bucketry._providers.s3.xml.listing import unquoted

_FIELDS = ("Key", "VersionId", "IsLatest", "LastModified", "ETag", "Size", "StorageClass")
_PAGE_FIELDS = frozenset({"EncodingType", "IsTruncated", "NextKeyMarker", "NextVersionIdMarker"})


def versions(body: bytes) -> tuple[list[ObjectVersion], dict[str, str]]:
    """Return the versions and delete markers of a `<ListVersionsResult>`, in its order, and the page's own fields.

    The request asks for URL-encoded names; they are decoded if the response says that they are encoded.

    Raises:
        AnswerIsErrorError: The response is an `<Error>`.
        MalformedXMLError: The response is no such document, or is cut short.
    """
    reader = XMLReader("ListVersionsResult", "Error", fields=_FIELDS)
    found: list[tuple[Element, str]] = []
    fields: dict[str, str] = {}
    for child in chain(reader.feed(body), reader.close()):
        name = reader.name(child)
        if reader.root == "Error":
            keep_error_field(fields, name, child)
        elif name in {"Version", "DeleteMarker"}:
            found.append((child, name))
        elif name in _PAGE_FIELDS:
            fields.setdefault(name, child.text or "")
    if reader.root == "Error":
        raise AnswerIsErrorError(fields)
    encoded = fields.get("EncodingType") == "url"
    if encoded and "NextKeyMarker" in fields:
        fields["NextKeyMarker"] = unquoted([fields["NextKeyMarker"]])[0]
    return [_version(reader, child, name, encoded=encoded) for child, name in found], fields


def _version(reader: XMLReader, child: Element, name: str, *, encoded: bool) -> ObjectVersion:
    key, version_id, is_latest, modified, etag, size, storage_class = reader.texts(child)
    if not key or not version_id:
        raise MalformedXMLError("a version of the answer has no Key or no VersionId")
    try:
        moment = datetime.fromisoformat(modified or "")
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        length = int(size or 0)
    except (ValueError, OverflowError) as exc:
        raise MalformedXMLError(f"a version of the answer has no time or no size: {exc}") from exc
    return ObjectVersion(
        key=unquoted([key])[0] if encoded else key,
        version_id=version_id,
        is_latest=is_latest == "true",
        is_delete_marker=name == "DeleteMarker",
        size=length,
        etag=etag or "",
        last_modified=moment,
        storage_class=storage_class,
    )


def tags_request(tags: Mapping[str, str]) -> bytes:
    """Return the `<Tagging>` document.

    Raises:
        ValueError: A name or a value has a character that XML 1.0 cannot represent.
    """
    listed = "".join(
        f"<Tag><Key>{escaped(name)}</Key><Value>{escaped(value)}</Value></Tag>" for name, value in tags.items()
    )
    return f'<Tagging xmlns="{NAMESPACE}"><TagSet>{listed}</TagSet></Tagging>'.encode()


def tags(body: bytes) -> dict[str, str]:
    """Return the tags of a `<Tagging>` document.

    Raises:
        AnswerIsErrorError: The response is an `<Error>`.
        MalformedXMLError: The response is no such document, or is cut short.
    """
    reader = XMLReader("Tagging", "Error")
    found: dict[str, str] = {}
    error: dict[str, str] = {}
    for child in chain(reader.feed(body), reader.close()):
        name = reader.name(child)
        if reader.root == "Error":
            keep_error_field(error, name, child)
        elif name == "TagSet":
            for tag in child:
                key = tag.findtext(f"{reader.namespace}Key")
                if key is None:
                    raise MalformedXMLError("a tag of the answer has no Key")
                found[key] = tag.findtext(f"{reader.namespace}Value") or ""
    if reader.root == "Error":
        raise AnswerIsErrorError(error)
    return found
