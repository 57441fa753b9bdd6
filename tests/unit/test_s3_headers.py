"""Headers of the data plane's requests and answers."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketry._core.options import WriteOptions
from bucketry._core.values import ByteRange
from bucketry._providers.s3.headers import (
    base64_of,
    checksum_headers,
    expect_range,
    hex_of,
    http_date,
    info_of,
    range_header,
    read_info,
    replacing_headers,
    stored_checksums,
    version_of,
    write_headers,
    written,
)
from bucketry.errors import IntegrityError

DATE = "Wed, 21 Oct 2026 07:28:00 GMT"
MOMENT = datetime(2026, 10, 21, 7, 28, tzinfo=UTC)
HEADERS = {"etag": '"e"', "last-modified": DATE, "content-type": "text/css", "content-length": "5"}


def test_an_object() -> None:
    """The value has everything from a HEAD answer, and nothing else."""
    more = {
        "x-amz-storage-class": "GLACIER",
        "x-amz-version-id": "v1",
        "x-amz-meta-run": "7",
        "x-amz-meta-": "nameless",
        "x-amz-checksum-crc32": "AAAAAA==",
        "x-amz-request-id": "1",
    }
    shown = {
        "cache-control": "no-store",
        "content-disposition": "inline",
        "content-encoding": "gzip",
        "content-language": "da",
    }
    info = info_of("k", HEADERS | more | shown, 5)
    assert (info.cache_control, info.content_disposition) == ("no-store", "inline")
    assert (info.content_encoding, info.content_language) == ("gzip", "da")
    assert (info.key, info.size, info.etag, info.last_modified) == ("k", 5, '"e"', MOMENT)
    assert (info.content_type, info.storage_class, info.version_id) == ("text/css", "GLACIER", "v1")
    assert info.metadata == {"run": "7", "": "nameless"}
    assert info.checksums == {"crc32": "00000000"}


def test_an_object_of_which_little_is_said() -> None:
    """Headers that were not sent give empty values, with and without metadata."""
    plain = info_of("k", {"etag": '"e"'}, 5)
    assert (plain.content_type, plain.storage_class, plain.version_id) == (None, None, None)
    assert (plain.metadata, plain.checksums) == ({}, {})
    assert plain.last_modified == datetime.fromtimestamp(0, UTC)
    assert info_of("k", {"last-modified": DATE}, 5).etag == ""
    with_metadata = info_of("k", {"etag": '"e"', "x-amz-meta-a": "1"}, 5)
    assert {name: getattr(plain, name) for name in plain.__slots__ if name != "metadata"} == {
        name: getattr(with_metadata, name) for name in plain.__slots__ if name != "metadata"
    }


def test_no_answer_of_s3() -> None:
    """An answer without etag and time is refused: it is a proxy's page."""
    with pytest.raises(ValueError, match="neither"):
        info_of("k", {"content-type": "text/html"}, 5)


def test_the_mark_of_a_write_is_no_metadata() -> None:
    """The write token is removed from the metadata."""
    info = info_of("k", HEADERS | {"x-amz-meta-bucketry-write": "t", "x-amz-meta-a": "1"}, 5)
    assert (info.metadata, info.write_token) == ({"a": "1"}, "t")


def test_what_was_written() -> None:
    """A write's answer gives etag, time and version; the other values are those of the request."""
    options = WriteOptions(metadata={"a": "1"}, content_type="text/css", storage_class="GLACIER")
    headers = {"date": DATE, "x-amz-version-id": "v1", "x-amz-checksum-crc32": "AAAAAA=="}
    info = written("k", headers, '"e"', 5, options)
    assert (info.key, info.size, info.etag, info.last_modified) == ("k", 5, '"e"', MOMENT)
    assert (info.content_type, info.storage_class, info.version_id) == ("text/css", "GLACIER", "v1")
    assert (info.metadata, info.checksums) == ({"a": "1"}, {"crc32": "00000000"})


@pytest.mark.parametrize("date", [None, "", "yesterday", "Wed, 99 Oct 2026 07:28:00 GMT"])
def test_a_write_without_a_time(date: str | None) -> None:
    """If the answer has no readable time, this machine's time is used."""
    before = datetime.now(UTC)
    info = written("k", {} if date is None else {"date": date}, '"e"', 5, WriteOptions())
    assert before <= info.last_modified <= datetime.now(UTC)


def test_a_copy_says_what_it_replaces() -> None:
    """Without options everything is kept; with them all but the tags is replaced, and the tags if some are given."""
    assert replacing_headers(None) == {}
    assert replacing_headers(WriteOptions()) == {"x-amz-metadata-directive": "REPLACE"}
    assert replacing_headers(WriteOptions(tags={"a": "b"}, cache_control="no-store")) == {
        "x-amz-metadata-directive": "REPLACE",
        "x-amz-tagging-directive": "REPLACE",
        "x-amz-tagging": "a=b",
        "cache-control": "no-store",
    }


def test_options_become_headers() -> None:
    """Each given option is one header."""
    assert write_headers(WriteOptions()) == {}
    shown = WriteOptions(
        cache_control="no-store",
        content_disposition="inline",
        content_encoding="gzip",
        content_language="da",
        tags={"b": "ö &", "a": "+="},
    )
    assert write_headers(shown) == {
        "cache-control": "no-store",
        "content-disposition": "inline",
        "content-encoding": "gzip",
        "content-language": "da",
        "x-amz-tagging": "a=%2B%3D&b=%C3%B6%20%26",
    }
    assert written("k", {}, '"e"', 5, shown).content_encoding == "gzip"
    full = WriteOptions(metadata={"a": "1"}, content_type="t/x", storage_class="C", if_none_match="*", if_match='"e"')
    assert write_headers(full) == {
        "content-type": "t/x",
        "x-amz-storage-class": "C",
        "if-none-match": "*",
        "if-match": '"e"',
        "x-amz-meta-a": "1",
    }


def test_checksums_become_headers() -> None:
    """MD5 has its own header; the other checksums name their algorithm twice if the server needs it."""
    assert checksum_headers(None, None, sdk=True) == {}
    assert checksum_headers("crc32", None, sdk=True) == {}
    assert checksum_headers("md5", "00" * 16, sdk=True) == {"content-md5": "AAAAAAAAAAAAAAAAAAAAAA=="}
    assert checksum_headers("crc32", "00000000", sdk=False) == {"x-amz-checksum-crc32": "AAAAAA=="}
    assert checksum_headers("crc32c", "00000000", sdk=True) == {
        "x-amz-checksum-crc32c": "AAAAAA==",
        "x-amz-sdk-checksum-algorithm": "CRC32C",
    }


def test_ranges_name_their_last_byte() -> None:
    """The range in the header includes its last byte."""
    assert range_header(ByteRange(0, 1)) == "bytes=0-0"
    assert range_header(ByteRange(5, 10)) == "bytes=5-9"


@pytest.mark.parametrize(
    ("header", "length", "asked", "size"),
    [
        ("", 7, None, 7),
        ("bytes 5-9/100", 5, ByteRange(5, 10), 100),
        ("bytes 95-99/100", 5, ByteRange(95, 200), 100),
        ("bytes 0-99/100", 100, ByteRange(0, 100), 100),
    ],
)
def test_the_range_asked_for(header: str, length: int, asked: ByteRange | None, size: int) -> None:
    """The object's size is taken from `Content-Range`."""
    assert expect_range(header, length, asked) == size


@pytest.mark.parametrize(
    ("header", "length"),
    [
        ("", 5),
        ("bytes 5-9", 5),
        ("bytes 5-9/*", 5),
        ("bytes */100", 5),
        ("items 5-9/100", 5),
        ("bytes 6-10/100", 5),
        ("bytes 5-8/100", 4),
        ("bytes 5-9/100", 4),
        ("bytes 5-9/7", 5),
        ("bytes -5-9/100", 5),
        ("bytes 5-9/100, bytes 20-24/100", 5),
    ],
)
def test_another_range(header: str, length: int) -> None:
    """Any other range than the requested one is refused, with the range in the message."""
    with pytest.raises(IntegrityError, match="bytes 5 to 10 were requested"):
        expect_range(header, length, ByteRange(5, 10))


def test_stored_checksums() -> None:
    """Only base64 checksums of the whole object are used."""
    assert stored_checksums({}) == {}
    found = stored_checksums({"x-amz-checksum-crc64nvme": "AAAAAAAAAAA=", "x-amz-checksum-crc32c": "AAAAAA=="})
    assert found == {"crc64nvme": "00" * 8, "crc32c": "00" * 4}
    assert stored_checksums({"x-amz-checksum-crc32": "AAAAAA==-2"}) == {}
    assert stored_checksums({"x-amz-checksum-crc32": "AAAAAA==", "x-amz-checksum-type": "COMPOSITE"}) == {}
    assert stored_checksums({"x-amz-checksum-crc32": "no base64!"}) == {}
    assert stored_checksums({"x-amz-checksum-sha256": "AAAA"}) == {}


@given(st.binary(max_size=40))
def test_base64_and_back(data: bytes) -> None:
    """Hex to base64 and back gives the same text."""
    assert hex_of(base64_of(data.hex())) == data.hex()


@pytest.mark.parametrize(("sent", "version"), [({}, None), ("", None), ("null", None), ("v1", "v1")])
def test_versions(sent: str | dict[str, str], version: str | None) -> None:
    """Servers that keep no versions send none, or "null"."""
    assert version_of({"x-amz-version-id": sent} if isinstance(sent, str) else sent) == version


@given(st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2199, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - hypothesis wants naive bounds
def test_dates(moment: datetime) -> None:
    """A usual date gives the same result as the standard library."""
    text = format_datetime(moment.replace(microsecond=0), usegmt=True)
    assert http_date(text) == parsedate_to_datetime(text) == moment.replace(microsecond=0)
    assert http_date(text).tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("Wed, 21 Oct 2026 09:28:00 +0200", MOMENT),
        ("Wednesday, 21-Oct-26 07:28:00 GMT", MOMENT),
        ("Wed, 21 Oct 2026 07:28:00 -0000", MOMENT),
    ],
)
def test_other_dates(text: str, moment: datetime) -> None:
    """Other date formats are read, too, and give UTC."""
    assert http_date(text) == moment


@pytest.mark.parametrize(
    "text", ["", "now", "Wed, 21 Xxx 2026 07:28:00 GMT", "Wed, 41 Oct 2026 07:28:00 GMT", "\ud800"]
)
def test_no_dates(text: str) -> None:
    """Anything else is a ValueError."""
    with pytest.raises(ValueError):  # noqa: PT011 - the words are the standard library's or ours
        http_date(text)


@given(st.text(max_size=40))
def test_any_text_is_a_date_or_not(text: str) -> None:
    """Every text gives a date or a ValueError."""
    with suppress(ValueError):
        assert http_date(text).tzinfo is UTC


RANGE = ByteRange(0, 10)
ONE_SUM = {"etag": '"e"', "x-amz-checksum-crc32": "AAAAAA=="}
FULL_SUM = ONE_SUM | {"x-amz-checksum-type": "FULL_OBJECT"}


@pytest.mark.parametrize(
    ("headers", "status", "length", "byte_range", "kept"),
    [
        (ONE_SUM, 200, 4, None, True),
        (FULL_SUM | {"content-range": "bytes 0-3/4"}, 206, 4, RANGE, True),
        (ONE_SUM | {"content-range": "bytes 0-3/4"}, 206, 4, RANGE, False),  # perhaps COMPOSITE, without its suffix
        (FULL_SUM | {"content-range": "bytes 0-9/11"}, 206, 10, RANGE, False),  # perhaps that of the part
        (FULL_SUM, 200, 4, RANGE, True),  # the server ignores ranges
    ],
)
def test_a_checksum_that_comes_with_a_range(
    headers: dict[str, str], status: int, length: int, byte_range: ByteRange | None, *, kept: bool
) -> None:
    """With a range, a checksum is kept only if it is surely that of the whole object, and the range covers it."""
    info = read_info("k", status, headers, length, byte_range)
    assert bool(info.checksums) is kept
    assert info.size == (11 if "11" in headers.get("content-range", "") else 4)


@pytest.mark.parametrize(("status", "length", "start"), [(206, 4, 0), (200, 11, 0), (200, 4, 1)])
def test_a_response_that_is_not_the_range(status: int, length: int, start: int) -> None:
    """Without `Content-Range`, a response to a range is accepted only if it is the whole object from its first byte."""
    with pytest.raises(IntegrityError):
        read_info("k", status, ONE_SUM, length, ByteRange(start, 10))
