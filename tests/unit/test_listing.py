"""Pages of listings: the same result as botocore's, for all pieces; anything other than a page is refused."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random
from typing import Any
from urllib.parse import quote, quote_plus, unquote_plus

import pytest
from botocore.handlers import decode_list_object_v2
from botocore.parsers import create_parser
from botocore.session import Session
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bucketry._core.values import CommonPrefix, ListPage, ObjectInfo
from bucketry._providers.s3.answers import list_page
from bucketry._providers.s3.xml.documents import (
    LARGEST_ANSWER,
    LARGEST_CHILD,
    MOST_MARKUP,
    AnswerIsErrorError,
    MalformedXMLError,
)
from bucketry._providers.s3.xml.listing import MOST_ENTRIES, CutListingError, ListingParser, unquoted
from tests.amounts import examples

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
EPOCH = datetime.fromtimestamp(0, UTC)
URL = "<EncodingType>url</EncodingType>"
LAST = "<IsTruncated>false</IsTruncated>"

AWS = f"""<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="{NAMESPACE}"><Name>b</Name><Prefix>p%2B</Prefix>\
<NextContinuationToken>1ue/+=</NextContinuationToken><KeyCount>3</KeyCount><MaxKeys>3</MaxKeys><Delimiter>/</Delimiter>{URL}<IsTruncated>true</IsTruncated>\
<Contents><Key>a+b%2Fc%25.bin</Key><LastModified>2026-10-21T07:28:00.000Z</LastModified>\
<ETag>&quot;d41d8cd98f00b204e9800998ecf8427e-2&quot;</ETag><ChecksumAlgorithm>CRC32</ChecksumAlgorithm>\
<ChecksumAlgorithm>SHA1</ChecksumAlgorithm><ChecksumType>COMPOSITE</ChecksumType><Size>5368709121</Size>\
<Owner><ID>75aa</ID><DisplayName>owner</DisplayName></Owner><StorageClass>GLACIER</StorageClass>\
<RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress></RestoreStatus></Contents>\
<Contents><Key>%F0%9F%98%80</Key><LastModified>2026-10-21T07:28:01Z</LastModified><ETag>"e"</ETag><Size>0</Size></Contents>\
<CommonPrefixes><Prefix>a%0Ab/</Prefix></CommonPrefixes></ListBucketResult>"""
AWS_PAGE = ListPage(
    (
        CommonPrefix("a\nb/"),
        ObjectInfo(
            key="a b/c%.bin",
            size=5368709121,
            etag='"d41d8cd98f00b204e9800998ecf8427e-2"',
            last_modified=datetime(2026, 10, 21, 7, 28, tzinfo=UTC),
            storage_class="GLACIER",
        ),
        ObjectInfo(key="😀", size=0, etag='"e"', last_modified=datetime(2026, 10, 21, 7, 28, 1, tzinfo=UTC)),
    ),
    "1ue/+=",
)


def parse(*pieces: bytes | str, token: str | None = None) -> ListPage:
    """Feed the pieces one after another, and give the page."""
    parser = ListingParser()
    for piece in pieces:
        parser.feed(piece.encode() if isinstance(piece, str) else piece)
    return parser.close(token)


def page(inner: str) -> str:
    """Give a page with these elements, its names not encoded."""
    return f"<ListBucketResult>{inner}</ListBucketResult>"


def listed(inner: str) -> ObjectInfo:
    """Give the only object of a page, from its elements."""
    (entry,) = parse(page(f"{LAST}<Contents>{inner}</Contents>")).entries
    assert isinstance(entry, ObjectInfo)
    return entry


@cache
def judge() -> Callable[[bytes, str | None], ListPage]:
    """Give a function that reads a page with botocore."""
    shape = Session().get_service_model("s3").operation_model("ListObjectsV2").output_shape
    parser = create_parser("rest-xml")

    def made_by_botocore(body: bytes, token: str | None) -> ListPage:
        answer: dict[str, Any] = parser.parse({"status_code": 200, "headers": {}, "body": body}, shape)
        decode_list_object_v2(answer, {"encoding_type_auto_set": True})
        return list_page(answer, token)

    return made_by_botocore


# --- generated pages ---------------------------------------------------------------------------------------------

_CHARACTERS = st.characters(exclude_categories=["Cs"])
_XML_CHARACTERS = st.one_of(
    st.sampled_from("&<>\"'%+/ \t\n]"), st.characters(min_codepoint=0x20, exclude_categories=["Cs"])
).filter(lambda character: character not in "\ufffe\uffff")
_NAMES = st.one_of(
    st.text(_CHARACTERS, max_size=12).map(quote),
    st.text(_CHARACTERS, max_size=12).map(quote_plus),
    st.text(st.sampled_from("%+aAfF09é&<"), max_size=12),  # invalid escapes, and incomplete UTF-8
    st.text(_XML_CHARACTERS, max_size=12),
)
_ZONES = (".000Z", "Z", ".76Z", ".123456789Z", "+00:00", "-02:30")
_TOKENS = ("", "<NextContinuationToken/>", *(f"<NextContinuationToken>{x}</NextContinuationToken>" for x in "atz"))
_ENCODINGS = (URL, URL, URL, "", "<EncodingType/>", "<EncodingType>other</EncodingType>")
_HEADS = ("", '<?xml version="1.0" encoding="UTF-8"?>\n', "<!-- nothing -->", "\ufeff")
_NAMESPACES = ("", f' xmlns="{NAMESPACE}"', " xmlns='urn:other'")


def written(text: str, random: Random) -> str:
    """Write a text in one of XML's notations."""
    how = random.choice(["entities", "references", "section", "comment"])
    if how == "references":
        return "".join(character if character.isalnum() else f"&#{ord(character)};" for character in text)
    if how == "section" and "]]>" not in text:
        return f"<![CDATA[{text}]]>"
    middle = len(text) // 2 if how == "comment" else 0
    halves = (
        half.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") for half in (text[:middle], text[middle:])
    )
    return "<!-- > -->".join(halves)


def entry_of(name: str, random: Random) -> str:
    """Give a common prefix, or an object with any of its fields, and some unknown fields."""
    key = written(name, random)
    if random.random() < 0.25:
        return f"<CommonPrefixes><Prefix>{key}</Prefix></CommonPrefixes>"
    moment = datetime.fromtimestamp(random.randrange(4_000_000_000), UTC).strftime("%Y-%m-%dT%H:%M:%S")
    optional = {
        "LastModified": moment + random.choice(_ZONES),
        "ETag": written(random.choice(['"0cc1"', "0cc1", ""]), random),
        "Size": str(random.randrange(1 << 50)),
        "StorageClass": random.choice(["STANDARD", ""]),
        "ChecksumAlgorithm": "CRC32",
        "Owner": "<ID>x</ID><Key>not the key</Key><Size>1</Size>",
    }
    chosen = random.sample(sorted(optional), random.randint(0, len(optional)))
    fields = [f"<{name}>{optional[name]}</{name}>" for name in chosen]
    fields.insert(random.randint(0, len(fields)), f"<Key>{key}</Key>")
    return f"<Contents>{random.choice(['', ' '])}{''.join(fields)}</Contents>"


def page_of(names: list[str], random: Random) -> bytes:
    """Give a page with these names, as a server might write it."""
    parts = [entry_of(name, random) for name in names]
    truncated = random.choice([LAST, "<IsTruncated>true</IsTruncated>"])
    for field in (truncated, random.choice(_TOKENS), random.choice(_ENCODINGS), "<Prefix>%20</Prefix>"):
        parts.insert(random.randint(0, len(parts)), field)
    head, blank = random.choice(_HEADS), random.choice(["", "\n  "])
    root = f"ListBucketResult{random.choice(_NAMESPACES)}"
    return f"{head}<{root}>{blank}{blank.join(parts)}</ListBucketResult>{blank}".encode()


def split(body: bytes, random: Random) -> list[bytes]:
    """Split the body at up to twelve positions."""
    places = sorted({0, len(body), *random.sample(range(len(body) + 1), random.randint(0, min(12, len(body))))})
    return [body[start:end] for start, end in itertools.pairwise(places)]


# --- the same as botocore ------------------------------------------------------------------------------------------


@pytest.mark.slow
@settings(max_examples=examples(200, nightly=14_000), deadline=None)
@given(st.lists(_NAMES, max_size=5), st.integers(0, 1 << 32))
def test_a_page_is_what_botocore_makes_of_it_however_it_is_cut(names: list[str], seed: int) -> None:
    """For every content and all pieces, a page gives the same result as botocore's parser."""
    for random in map(Random, range(seed, seed + 3)):  # most of the time is spent on making names
        body = page_of(names, random)
        try:
            expected = judge()(body, "t")
        except ValueError:
            with pytest.raises(CutListingError):
                parse(*split(body, random), token="t")
            continue
        found = parse(*split(body, random), token="t")
        assert found == expected
        assert all(entry.last_modified.tzinfo is UTC for entry in found.entries if isinstance(entry, ObjectInfo))


@pytest.mark.slow
@settings(max_examples=examples(100, nightly=4_000), deadline=None)
@given(st.lists(_NAMES))
@example(["%C3", "%A4", "%E4%B8a%AD", "%%41%4", "+%2B%2b", "\n%0A", ""])
def test_names_are_decoded_as_urllib_decodes_them(names: list[str]) -> None:
    """Decoding all names at once gives the same as `unquote_plus` for each name."""
    assert unquoted(names) == [unquote_plus(name) for name in names]


def test_a_page_of_aws_cut_anywhere() -> None:
    """A complete page of AWS is read in one piece, in any two pieces, and byte by byte."""
    body = AWS.encode()
    assert parse(body) == AWS_PAGE == judge()(body, None)
    assert parse(*(body[at : at + 1] for at in range(len(body)))) == AWS_PAGE
    for at in range(0, len(body), 7):
        assert parse(body[:at], body[at:]) == AWS_PAGE


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer_may_be_fed_and_used_again(kind: Callable[[bytes], Any]) -> None:
    """Bytes, a byte array and a memory view are accepted, and an array can be resized afterwards."""
    data = kind(AWS.encode())
    parser = ListingParser()
    parser.feed(data)
    if isinstance(data, bytearray):
        data.clear()
    assert parser.close(None) == AWS_PAGE


# --- each rule -----------------------------------------------------------------------------------------------------


def test_names_are_decoded_only_where_the_answer_says_that_they_are_encoded() -> None:
    """With the encoding type `url`, at any position, names are decoded; without it, they are not."""
    entries = "<Contents><Key>a+%41</Key></Contents><CommonPrefixes><Prefix>%42+/</Prefix></CommonPrefixes>"
    decoded, plain = ["B /", "a A"], ["%42+/", "a+%41"]
    for inner, names in (
        (LAST + URL + entries, decoded),
        (entries + LAST + URL, decoded),
        (entries + LAST, plain),
        (entries + LAST + "<EncodingType>URL</EncodingType>", plain),
    ):
        found = parse(page(inner)).entries
        assert sorted(entry.key if isinstance(entry, ObjectInfo) else entry.prefix for entry in found) == names


def test_entries_are_in_the_order_of_their_utf8() -> None:
    """Objects and prefixes are sorted together by the UTF-8 bytes of their names, not by UTF-16 or as sent."""
    names = ["\U00010000", "b/", "\uffee", "é", "a", "Z", "b"]
    inner = "".join(
        f"<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>"
        if name.endswith("/")
        else f"<Contents><Key>{name}</Key></Contents>"
        for name in names
    )
    found = [
        entry.key if isinstance(entry, ObjectInfo) else entry.prefix for entry in parse(page(inner + LAST)).entries
    ]
    assert found == sorted(names, key=str.encode)


def test_what_is_not_sent_has_its_default() -> None:
    """An object with only a key has size 0, the default time and no etag."""
    assert listed("<Key>k</Key>") == ObjectInfo(key="k", size=0, etag="", last_modified=EPOCH)


def test_etags_are_left_as_sent() -> None:
    """Quotes around an etag are neither removed nor added."""
    assert listed("<Key>k</Key><ETag>abc</ETag>").etag == "abc"
    assert listed("<Key>k</Key><ETag>&#34;abc&#34;</ETag>").etag == '"abc"'


@pytest.mark.parametrize(
    ("sent", "moment"),
    [
        ("2026-10-21T07:28:00.000Z", datetime(2026, 10, 21, 7, 28, tzinfo=UTC)),
        ("2026-10-21T07:28:00Z", datetime(2026, 10, 21, 7, 28, tzinfo=UTC)),
        ("2026-10-21T07:28:00.76Z", datetime(2026, 10, 21, 7, 28, 0, 760_000, tzinfo=UTC)),
        ("2026-10-21T09:28:00+02:00", datetime(2026, 10, 21, 7, 28, tzinfo=UTC)),
        ("2026-10-21T07:28:00", datetime(2026, 10, 21, 7, 28, tzinfo=UTC)),
    ],
)
def test_times_are_aware_and_utc(sent: str, moment: datetime) -> None:
    """A time is read with and without a fraction, and converted to UTC from every zone, or without one."""
    found = listed(f"<Key>k</Key><LastModified>{sent}</LastModified>").last_modified
    assert found == moment
    assert found.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("inner", "problem"),
    [
        ("<LastModified>yesterday</LastModified>", "LastModified is 'yesterday'"),
        ("<LastModified/>", "LastModified is ''"),
        ("<LastModified>0001-01-01T00:00:00+23:00</LastModified>", "LastModified is '0001"),
        ("<Size/>", "Size is ''"),
        ("<Size>1.5</Size>", r"Size is '1\.5'"),
        ("<Size>-1</Size>", "Size is -1"),
        (f"<Size>{'9' * 5000}</Size>", "Size is '9999"),
    ],
)
def test_malformed_fields_are_refused(inner: str, problem: str) -> None:
    """A wrong time or size is an error that quotes it."""
    with pytest.raises(MalformedXMLError, match=problem) as caught:
        listed(f"<Key>k</Key>{inner}")
    assert len(str(caught.value)) < 100


@pytest.mark.parametrize(
    "inner",
    [
        "<Contents/>",
        "<Contents><Owner><Key>k</Key></Owner></Contents>",
        "<CommonPrefixes/>",
        f'<Contents xmlns="{NAMESPACE}"><Key>k</Key></Contents>',
    ],
)
def test_an_entry_without_a_name_is_refused(inner: str) -> None:
    """An entry whose name is missing, nested too deep or in another namespace is refused, not skipped."""
    with pytest.raises(MalformedXMLError):
        parse(page(LAST + inner))


def test_only_direct_children_count() -> None:
    """Only direct children are fields of a page or an object: the same names deeper down are ignored."""
    nested = "<Key>x</Key><Size>7</Size><IsTruncated>true</IsTruncated><Contents><Key>y</Key></Contents>"
    inner = f"<Other>{nested}</Other><Contents><Owner>{nested}</Owner><Key>k</Key></Contents>{LAST}"
    assert parse(page(inner)) == ListPage((ObjectInfo(key="k", size=0, etag="", last_modified=EPOCH),))


def test_several_prefixes_in_one_element_are_all_kept() -> None:
    """No prefix is lost if a server puts several into one element."""
    found = parse(page(f"{LAST}<CommonPrefixes><Prefix>b/</Prefix><Prefix>a/</Prefix></CommonPrefixes>"))
    assert found.entries == (CommonPrefix("a/"), CommonPrefix("b/"))


@pytest.mark.parametrize(("said", "truncated"), [("true", True), (" True\n", True), ("false", False), ("FALSE", False)])
def test_whether_there_is_more_is_what_the_answer_says(*, said: str, truncated: bool) -> None:
    """A page has the token of the next page; the last page has none."""
    inner = f"<IsTruncated>{said}</IsTruncated><NextContinuationToken>n</NextContinuationToken>"
    assert parse(page(inner), token="t").next_token == ("n" if truncated else None)


@pytest.mark.parametrize("inner", ["", "<IsTruncated/>", "<IsTruncated>perhaps</IsTruncated>"])
def test_a_page_that_does_not_say_whether_there_is_more_is_refused(inner: str) -> None:
    """A page whose `IsTruncated` is missing or unreadable is refused, not treated as the last page."""
    with pytest.raises(MalformedXMLError, match="IsTruncated"):
        parse(page(inner))


@pytest.mark.parametrize("token", ["", "<NextContinuationToken/>", "<NextContinuationToken>t</NextContinuationToken>"])
def test_a_cut_page_that_leads_nowhere_is_refused(token: str) -> None:
    """A page that is not the last must have a token that differs from the request's."""
    with pytest.raises(CutListingError, match="the listing is truncated, but the answer has no new token"):
        parse(page(f"<IsTruncated>true</IsTruncated>{token}"), token="t")


# --- what is no page -----------------------------------------------------------------------------------------------


def test_an_error_with_status_200_is_told_apart() -> None:
    """An `<Error>` in place of a page is an error with its fields."""
    body = "<Error><Code>InternalError</Code><Message>Try &amp; again</Message><Other><Code>x</Code></Other></Error>"
    with pytest.raises(AnswerIsErrorError, match=r"InternalError \(Try & again\)") as caught:
        parse(body)
    assert caught.value.fields == {"Code": "InternalError", "Message": "Try & again"}


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("", "not complete"),
        ("<html><body>Service Unavailable</body></html>", "the answer is <html>, not <ListBucketResult>"),
        ("<!doctype html>\n<html lang=en><title>500", "not XML"),
        ("<!DOCTYPE html><html></html>", "document type"),
        ("Service Unavailable", "not XML"),
        ("<DeleteResult/>", "not <ListBucketResult>"),
        ("<s3:ListBucketResult/>", "not XML"),
        (AWS[:-1], "not complete"),
        (AWS[:700], "not complete"),
        (AWS + "<more/>", "not XML"),
        (AWS + "more", "not XML"),
        ("\n" + AWS, "not XML"),
        (AWS.encode("utf-16"), "not XML in UTF-8"),
        (AWS.encode("utf-16-be"), "not XML in UTF-8"),
        (page(LAST + "<Contents><Key>é</Key></Contents>").encode("latin-1"), "not XML"),
        (page(LAST + "<Contents><Key>&nbsp;</Key></Contents>"), "not XML"),
        (page(LAST + "<Contents><Key>&#1;</Key></Contents>"), "not XML"),
        (page(LAST + "<Contents><Key>&#xD800;</Key></Contents>"), "not XML"),
        (page(LAST + "<Contents><Key>\x00</Key></Contents>"), "not XML"),
        ('<a xmlns="}/"/>', "the answer is "),
    ],
)
def test_what_is_no_page_is_refused(body: str | bytes, problem: str) -> None:
    """A proxy's page, another document, and a page that is incomplete, has extra bytes or is not UTF-8 are refused."""
    with pytest.raises(MalformedXMLError, match=problem):
        parse(body)


def test_the_encoding_is_utf8_whatever_the_answer_says() -> None:
    """The encoding that a document names is ignored, so it cannot hide elements."""
    body = '<?xml version="1.0" encoding="cp037"?>' + page(LAST + "<Contents><Key>é</Key></Contents>")
    (entry,) = parse(body).entries
    assert isinstance(entry, ObjectInfo)
    assert entry.key == "é"


@pytest.mark.parametrize("size", [1, 5, 100])
def test_a_document_type_is_refused_however_it_is_cut(size: int) -> None:
    """A document type is refused before any of its entities is read, even in pieces."""
    body = b'<?xml version="1.0"?>\n<!DOCTYPE a [<!ENTITY b "ha">]>' + page(LAST).encode()
    with pytest.raises(MalformedXMLError, match="document type"):
        parse(*(body[at : at + size] for at in range(0, len(body), size)))


@pytest.mark.parametrize(
    ("endless", "problem"),
    [
        (b"<a>", "one entry"),
        (b"<!-- -->", "one entry"),
        (b"<?a?>", "one entry"),
        (b"x", "one entry"),
        (b"&#65;", "one entry"),
        (b" ", "one entry"),
        (b"<a/>", "tags and attributes"),
        (b"<a b=''/>", "tags and attributes"),
        (b"<a>" * 9000 + b"</a>" * 9000, "tags and attributes"),
        (b"<Contents><Key>k</Key></Contents>", "entries"),
        (b"<CommonPrefixes><Prefix>k</Prefix></CommonPrefixes>", "entries"),
        (b"<Name>" + b"n" * 60_000 + b"</Name>", "longer than"),
    ],
)
@pytest.mark.parametrize("start", [b"<ListBucketResult>", b"<ListBucketResult><Contents>"])
@pytest.mark.slow
def test_an_endless_answer_is_refused(start: bytes, endless: bytes, problem: str) -> None:
    """Every endless answer is refused before much of it is in memory."""
    piece = endless * (200_000 // len(endless) + 1)
    pieces = itertools.repeat(piece, LARGEST_ANSWER // len(piece) + 2)
    with pytest.raises(MalformedXMLError, match=problem if start.endswith(b"Result>") else "one entry"):
        parse(start, *pieces)


@pytest.mark.parametrize("token", [b"<!--", b"<Name ", b"<?a ", b"<![CDATA["])
def test_an_endless_token_is_refused(token: bytes) -> None:
    """An endless comment, tag, instruction or section is refused, also before the root."""
    for start in (b"", b"<ListBucketResult>"):
        with pytest.raises(MalformedXMLError):
            parse(start, token + b"x" * LARGEST_CHILD * 2)


def test_an_endless_key_is_refused_in_small_pieces_as_in_large_ones() -> None:
    """The limit of an entry's bytes is the same for pieces of every size."""
    pieces = itertools.repeat(b"k" * 100, LARGEST_CHILD // 100 + 1)
    with pytest.raises(MalformedXMLError, match="one entry"):
        parse(b"<ListBucketResult><Contents><Key>", *pieces)


@pytest.mark.slow
def test_a_page_may_be_as_large_as_s3_makes_it() -> None:
    """A thousand of the longest keys, with all bytes encoded, are accepted, and also more entries than S3 sends."""
    keys = [quote("é" * 509 + f"{number:06d}") for number in range(1000)]
    found = parse(page(URL + "".join(f"<Contents><Key>{key}</Key></Contents>" for key in keys) + LAST))
    assert [entry.key for entry in found.entries if isinstance(entry, ObjectInfo)] == [*map(unquote_plus, keys)]
    entry = "<Contents><Key>k</Key>" + "<ChecksumAlgorithm>CRC32</ChecksumAlgorithm>" * 12 + "</Contents>"
    assert MOST_ENTRIES * entry.count("<") < MOST_MARKUP
    assert len(parse(page(LAST + entry * MOST_ENTRIES)).entries) == MOST_ENTRIES


@pytest.mark.slow
@settings(max_examples=examples(300, nightly=10_000), deadline=None)
@given(
    st.one_of(st.none(), st.binary(max_size=200)),
    st.lists(st.tuples(st.integers(0, 1 << 12), st.binary(max_size=4), st.integers(0, 40)), max_size=5),
    st.integers(0, 1 << 32),
)
def test_bytes_that_are_no_page_raise_value_errors_only(
    body: bytes | None, changes: list[tuple[int, bytes, int]], seed: int
) -> None:
    """Random bytes, and pages with inserted, removed or changed bytes, give a page or a `ValueError`."""
    random = Random(seed)
    if body is None:
        body = page_of(["a", "%C3%A4+b", "&<>"], random)
    for place, put, taken in changes:
        at = place % (len(body) + 1)
        body = body[:at] + put + body[at + taken :]
    try:
        found = parse(*split(body, random))
    except ValueError:
        return
    assert isinstance(found, ListPage)
