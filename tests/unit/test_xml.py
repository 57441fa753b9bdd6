"""XML of errors and deletions: read and written as botocore does; other documents are refused."""

from __future__ import annotations

from functools import cache
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from botocore.handlers import escape_xml_payload
from botocore.model import OperationModel
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from botocore.session import Session
from hypothesis import given, settings
from hypothesis import strategies as st

from bucketry._providers.s3.xml.documents import (
    LARGEST_CHILD,
    NAMESPACE,
    AnswerIsErrorError,
    MalformedXMLError,
    XMLReader,
    deletion_request,
    deletions,
    error_fields,
    escaped,
)

_KEYS = st.text(
    st.one_of(st.sampled_from("&<>\"'%+/ \t\n\r]"), st.characters(min_codepoint=0x20, exclude_categories=["Cs"])),
    min_size=1,
    max_size=12,
).filter(lambda key: not {"\ufffe", "\uffff"} & {*key})


@cache
def operation() -> OperationModel:
    """Give botocore's model of DeleteObjects."""
    return Session().get_service_model("s3").operation_model("DeleteObjects")


def read_by_botocore(body: bytes, status: int = 200) -> dict[str, Any]:
    """Give botocore's result for an answer to DeleteObjects."""
    answer = {"status_code": status, "headers": {}, "body": body}
    read: dict[str, Any] = create_parser("rest-xml").parse(answer, operation().output_shape)
    return read


def written_by_botocore(keys: list[str]) -> bytes:
    """Give the body that botocore sends to delete `keys`."""
    wish: dict[str, Any] = {"Objects": [{"Key": key} for key in keys]}
    request = create_serializer("rest-xml").serialize_to_request({"Bucket": "b", "Delete": wish}, operation())
    escape_xml_payload(request)
    body: bytes = request["body"]
    return body


# --- errors --------------------------------------------------------------------------------------------------------


def test_an_error_is_read() -> None:
    """Only the needed fields are taken from an error, and none that may contain a secret."""
    body = b"""<?xml version="1.0" encoding="UTF-8"?>
    <Error><Code>AuthorizationHeaderMalformed</Code><Message>the region &apos;a&apos; is wrong</Message>
    <Region>eu-west-1</Region><StringToSign>AWS4-HMAC-SHA256</StringToSign><RequestId>4442587FB7D0A2F9</RequestId>
    <HostId/></Error>"""
    assert error_fields(body) == {
        "Code": "AuthorizationHeaderMalformed",
        "Message": "the region 'a' is wrong",
        "Region": "eu-west-1",
        "RequestId": "4442587FB7D0A2F9",
    }


@pytest.mark.parametrize("namespace", ["", f' xmlns="{NAMESPACE}"', ' xmlns="urn:b2"'])
def test_an_error_may_be_of_any_namespace(namespace: str) -> None:
    """An error is read with and without a namespace."""
    assert error_fields(f"<Error{namespace}><Code>SlowDown</Code></Error>".encode()) == {"Code": "SlowDown"}


def test_an_errors_fields_are_direct_and_the_first_counts() -> None:
    """A nested code is ignored, of two codes the first is used, and an empty one is empty."""
    body = b"<Error><A><Code>a</Code></A><Code>b</Code><Code>c</Code><Message/></Error>"
    assert error_fields(body) == {"Code": "b", "Message": ""}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"<html><body>Bad Gateway</body></html>",
        b"<!DOCTYPE html><html></html>",
        b'<!DOCTYPE Error [<!ENTITY a "b">]><Error><Code>&a;</Code></Error>',
        b"<Error><Code>SlowDown</Code>",
        b"<Error><Code>SlowDown</Code></Error>more",
        b"<Error><Code>&a;</Code></Error>",
        b"<Error><Code xmlns='urn:other'>SlowDown</Code></Error>",
        b"<Errors><Code>SlowDown</Code></Errors>",
        b"<Error><Message>" + b"x" * 2 * LARGEST_CHILD + b"</Message></Error>",
        "<Error><Code>SlowDown</Code></Error>".encode("utf-16"),
        b"\xff\xfe\x00",
    ],
)
def test_what_is_no_error_has_no_fields(body: bytes) -> None:
    """An empty body, a proxy's page and an incomplete document give no fields and no error."""
    assert error_fields(body) == {}


@settings(deadline=None)
@given(st.one_of(st.binary(), st.builds(bytes.__add__, st.just(b"<Error><Code>"), st.binary())))
def test_random_bytes_are_no_error_and_raise_nothing(body: bytes) -> None:
    """Reading an error document never fails, because the request has failed already."""
    assert error_fields(body) == {}


@settings(deadline=None)
@given(_KEYS, _KEYS)
def test_an_error_is_what_botocore_reads(code: str, text: str) -> None:
    """Code and message are the same as botocore's."""
    body = f"<Error><Code>{escaped(code)}</Code><Message>{escaped(text)}</Message></Error>".encode()
    assert error_fields(body) == read_by_botocore(body, 400)["Error"] == {"Code": code, "Message": text}


# --- deletions -----------------------------------------------------------------------------------------------------


def test_deletions_are_read() -> None:
    """Deleted and failed keys are read with their errors; keys are not URL-decoded."""
    body = f"""<?xml version="1.0" encoding="UTF-8"?>
    <DeleteResult xmlns="{NAMESPACE}"><RequestCharged/><Deleted><Key>a+%41&#x9;</Key><VersionId>v</VersionId></Deleted>
    <Error><Key>b&amp;</Key><Code>AccessDenied</Code><Message>No</Message></Error>
    <Deleted><DeleteMarker>true</DeleteMarker></Deleted><Error><Code>InternalError</Code></Error></DeleteResult>"""
    assert deletions(body.encode()) == (
        ["a+%41\t", ""],
        [
            {"Key": "b&", "Code": "AccessDenied", "Message": "No"},
            {"Key": "", "Code": "InternalError", "Message": ""},
        ],
    )


@pytest.mark.parametrize("body", [b"<DeleteResult/>", b"<DeleteResult xmlns='a'></DeleteResult>\n"])
def test_a_quiet_answer_names_nothing(body: bytes) -> None:
    """An empty result is valid."""
    assert deletions(body) == ([], [])


def test_an_error_in_place_of_deletions_is_told_apart() -> None:
    """An `<Error>` with status 200 is an error with its fields."""
    with pytest.raises(AnswerIsErrorError, match=r"SlowDown \(\)") as caught:
        deletions(b"<Error><Code>SlowDown</Code><Key>k</Key></Error>")
    assert caught.value.fields == {"Code": "SlowDown"}


@pytest.mark.parametrize(
    "body", [b"", b"<ListBucketResult/>", b"<DeleteResult>", b"<html/>", b"<!DOCTYPE a><DeleteResult/>"]
)
def test_what_is_no_result_is_refused(body: bytes) -> None:
    """Another document, or an incomplete one, is refused."""
    with pytest.raises(MalformedXMLError):
        deletions(body)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.lists(_KEYS, max_size=5), st.lists(st.tuples(_KEYS, _KEYS), max_size=3))
def test_deletions_are_what_botocore_reads(keys: list[str], refused: list[tuple[str, str]]) -> None:
    """Keys, codes and messages are the same as botocore's."""
    inner = [f"<Deleted><Key>{escaped(key)}</Key></Deleted>" for key in keys] + [
        f"<Error><Key>{escaped(key)}</Key><Code>Code</Code><Message>{escaped(said)}</Message></Error>"
        for key, said in refused
    ]
    body = f'<DeleteResult xmlns="{NAMESPACE}">{"".join(inner)}</DeleteResult>'.encode()
    answer = read_by_botocore(body)
    expected = [entry["Key"] for entry in answer.get("Deleted", ())], answer.get("Errors", [])
    assert deletions(body) == expected
    assert expected[0] == keys


# --- what is sent --------------------------------------------------------------------------------------------------


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.lists(_KEYS, min_size=1, max_size=5))
def test_a_request_is_what_botocore_sends(keys: list[str]) -> None:
    """The document is equal to botocore's, and contains the same keys."""
    request = deletion_request(keys)
    assert request == written_by_botocore(keys)
    found = ET.fromstring(request).iterfind("{*}Object/{*}Key")  # noqa: S314 - of our own making
    assert [element.text for element in found] == keys


@pytest.mark.parametrize("character", ["\x00", "\x01", "\x0b", "\x1f", "\ud800", "\ufffe", "\uffff"])
def test_a_key_that_xml_cannot_carry_is_refused(character: str) -> None:
    """A key that XML cannot represent is refused, and not sent in a changed form."""
    with pytest.raises(ValueError, match="cannot represent"):
        deletion_request(["fine", f"not{character}"])


# --- the reader ----------------------------------------------------------------------------------------------------


def test_children_are_given_once_each_when_they_are_complete() -> None:
    """A child is given only when the next one begins, or the document ends."""
    reader = XMLReader("a", fields=("c",))
    assert [*reader.feed(b"<a><b><c>1</c></b>")] == []
    assert [[*reader.texts(child)] for child in reader.feed(b"<b><c>2</c>")] == [["1"]]
    assert [*reader.feed(b"</b></a>")] == []
    assert [[*reader.texts(child)] for child in reader.close()] == [["2"]]
