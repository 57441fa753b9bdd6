"""XML of versions and tags: read and written as botocore does; other documents are refused."""

from __future__ import annotations

from functools import cache
from typing import Any
from urllib.parse import unquote_plus
from xml.etree import ElementTree as ET

import pytest
from botocore.model import OperationModel
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from botocore.session import Session

from bucketry._core.values import VersionPage
from bucketry._providers.s3.answers import marker_of, version_page
from bucketry._providers.s3.xml.documents import NAMESPACE, AnswerIsErrorError, MalformedXMLError
from bucketry._providers.s3.xml.versions import tags, tags_request, versions

TIME = "2026-10-21T07:28:00.000Z"
ANSWER = f"""<?xml version="1.0" encoding="UTF-8"?>
<ListVersionsResult xmlns="{NAMESPACE}"><Name>b</Name><Prefix/><EncodingType>url</EncodingType>
<Version><Key>a%26b%C3%B6+c</Key><VersionId>v2</VersionId><IsLatest>true</IsLatest>
<LastModified>2026-10-21T09:28:00.000+02:00</LastModified><ETag>&quot;e2&quot;</ETag><Size>7</Size>
<Owner><ID>x</ID></Owner><StorageClass>STANDARD</StorageClass></Version>
<DeleteMarker><Key>gone</Key><VersionId>v3</VersionId><IsLatest>true</IsLatest><LastModified>{TIME}</LastModified>
<Owner><ID>x</ID></Owner></DeleteMarker>
<Version><Key>gone</Key><VersionId>null</VersionId><IsLatest>false</IsLatest><LastModified>{TIME}</LastModified>
<ETag>&quot;e1&quot;</ETag><Size>0</Size><StorageClass>GLACIER</StorageClass></Version>
<IsTruncated>true</IsTruncated><NextKeyMarker>go+ne%26</NextKeyMarker><NextVersionIdMarker>null</NextVersionIdMarker>
</ListVersionsResult>""".encode()


@cache
def operation(name: str) -> OperationModel:
    """Give botocore's model of an operation."""
    return Session().get_service_model("s3").operation_model(name)


def test_versions_as_botocore_reads_them() -> None:
    """Every field of versions and delete markers is read, and both kinds are distinguished."""
    answer: dict[str, Any] = {"status_code": 200, "headers": {}, "body": ANSWER}
    theirs = create_parser("rest-xml").parse(answer, operation("ListObjectVersions").output_shape)
    ours, fields = versions(ANSWER)
    assert [(one.key, one.is_delete_marker) for one in ours] == [("a&bö c", False), ("gone", True), ("gone", False)]
    read = {one.version_id: one for one in ours}
    for entry in [*theirs["Versions"], *theirs["DeleteMarkers"]]:
        one = read[entry["VersionId"]]
        assert (one.key, one.is_latest) == (unquote_plus(entry["Key"]), entry["IsLatest"])
        assert (one.last_modified, one.size) == (entry["LastModified"], entry.get("Size", 0))
        assert (one.etag, one.storage_class) == (entry.get("ETag", ""), entry.get("StorageClass"))
    assert str(read["v2"].last_modified.tzinfo) == "UTC"
    assert fields["NextKeyMarker"] == "go ne&"


def test_a_page_of_versions_and_the_way_on() -> None:
    """By key, the newest first; the token carries both markers, whatever is in the key."""
    ours, fields = versions(ANSWER)
    page = version_page(ours[::-1], fields, None)
    assert [one.version_id for one in page.entries] == ["v2", "v3", "null"]
    assert marker_of(page.next_token) == {"key-marker": "go ne&", "version-id-marker": "null"}
    assert marker_of(None) == {}
    with pytest.raises(ValueError, match="no new token for the next page"):
        version_page(ours, fields, page.next_token)
    with pytest.raises(ValueError, match="no new token for the next page"):
        version_page(ours, {"IsTruncated": "true"}, None)
    with pytest.raises(ValueError, match="IsTruncated"):
        version_page(ours, {}, None)
    assert version_page([], {"IsTruncated": False}, None) == VersionPage(entries=())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"<Key>gone</Key>", b""),
        (b"<VersionId>null</VersionId>", b""),
        (b"<Size>7</Size>", b"<Size>seven</Size>"),
        (f"<LastModified>{TIME}</LastModified>".encode(), b"<LastModified>now</LastModified>"),
        (f"<LastModified>{TIME}</LastModified>".encode(), b""),
        (b"</ListVersionsResult>", b""),
        (b"ListVersionsResult", b"ListBucketResult"),
    ],
)
def test_malformed_versions(old: bytes, new: bytes) -> None:
    """A version without what every version has is not given, and no answer cut short is believed."""
    with pytest.raises(MalformedXMLError):
        versions(ANSWER.replace(old, new))


def test_tags_as_botocore_writes_and_reads_them() -> None:
    """The document is the same, and what it says comes back, whatever XML has to escape."""
    given = {"<&>'\"": "ö = \u2028", "b": ""}
    tagging = {"TagSet": [{"Key": name, "Value": value} for name, value in given.items()]}
    parameters = {"Bucket": "b", "Key": "k", "Tagging": tagging}
    theirs = create_serializer("rest-xml").serialize_to_request(parameters, operation("PutObjectTagging"))["body"]
    body = tags_request(given)
    assert ET.canonicalize(body.decode()) == ET.canonicalize(theirs.decode())
    assert tags(body) == given
    assert tags(tags_request({})) == {}
    with pytest.raises(ValueError, match="cannot represent"):
        tags_request({"a": "\0"})


def test_malformed_tags() -> None:
    """A tag without a name, and another document, are refused."""
    with pytest.raises(MalformedXMLError, match="no Key"):
        tags(b"<Tagging><TagSet><Tag><Value>1</Value></Tag></TagSet></Tagging>")
    with pytest.raises(MalformedXMLError):
        tags(b"<html/>")


def test_an_error_in_place_of_an_answer() -> None:
    """An error with status 200 is raised."""
    for read in (versions, tags):
        with pytest.raises(AnswerIsErrorError, match="SlowDown"):
            read(b"<Error><Code>SlowDown</Code></Error>")
