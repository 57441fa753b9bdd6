"""The form of manifests: what is written, and what is refused when it is read."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketry._manage.manifest import FORMAT, ManifestReader, format_time, from_json, to_json
from bucketry.errors import IntegrityError, UnsupportedError

_TEXT = st.text(max_size=20)


def _reader(**entries: object) -> ManifestReader:
    return ManifestReader(entries, "memory://m.json")


@given(st.dictionaries(_TEXT, _TEXT, max_size=5), st.lists(st.integers(min_value=0), max_size=5))
def test_what_is_written_is_read(metadata: dict[str, str], sizes: list[int]) -> None:
    """Any texts and numbers are read as they were written, and the digest holds."""
    data = to_json({"metadata": metadata, "files": [{"size": size} for size in sizes]})
    read = from_json(data, "m")
    assert read.texts("metadata") == metadata
    assert [item.number("size") for item in read.each("files")] == sizes


def test_the_bytes_are_canonical() -> None:
    """The order of the entries does not change the bytes."""
    assert to_json({"a": "1", "b": {"y": 1, "x": 2}}) == to_json({"b": {"x": 2, "y": 1}, "a": "1"})


def test_another_layout_of_the_same_entries_is_accepted() -> None:
    """The digest is of the entries, so that a manifest that was only reformatted is still valid."""
    data = to_json({"name": "é", "size": 5})
    assert from_json(json.dumps(json.loads(data), indent=4).encode(), "m").text("name") == "é"


@pytest.mark.parametrize("change", [{"name": "other"}, {"more": 1}, {"sha256": "0" * 64}, {"sha256": None}])
def test_a_changed_entry_is_refused(change: dict[str, object]) -> None:
    """A manifest that was edited after it was written is an error that names it."""
    content = json.loads(to_json({"name": "n"})) | change
    with pytest.raises(IntegrityError, match=r"memory://m.json.*digest"):
        from_json(json.dumps(content).encode(), "memory://m.json")


def test_a_newer_format_says_to_upgrade() -> None:
    """A manifest of a newer format is refused before its digest, which may be another one there."""
    content = {"format": FORMAT + 1, "sha256": "unknown"}
    with pytest.raises(UnsupportedError, match="upgrade bucketry"):
        from_json(json.dumps(content).encode(), "m")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe\x00",
        b"not json",
        b"[]",
        b'"text"',
        b"{}",
        b'{"format": 0}',
        b'{"format": true}',
        b'{"format": "1"}',
        b'{"format": 1, "format": 1}',
        b'{"format": 1, "size": 1.5}',
        b'{"format": 1, "size": NaN}',
        b'{"format": 1, "size": ' + b"9" * 5_000 + b"}",
        b"[" * 200_000,
    ],
)
def test_what_is_no_manifest_is_refused(data: bytes) -> None:
    """Anything that `to_json` cannot have written is an `IntegrityError` that names the place."""
    with pytest.raises(IntegrityError, match=r"^memory://m.json: is not a manifest"):
        from_json(data, "memory://m.json")


@pytest.mark.parametrize("value", [None, 5, ["x"], {}])
def test_a_text_must_be_one(value: object) -> None:
    """An entry of another type than a text is refused by name."""
    with pytest.raises(IntegrityError, match="'a' must be a text"):
        _reader(a=value).text("a")


@pytest.mark.parametrize("value", [None, -1, True, "5", []])
def test_a_number_must_be_one(value: object) -> None:
    """An entry that is no whole number of 0 or more is refused by name."""
    with pytest.raises(IntegrityError, match="'a' must be a whole number"):
        _reader(a=value).number("a")


@pytest.mark.parametrize("value", ["yesterday", "2026-01-31T12:00:00", ""])
def test_a_time_must_be_aware(value: str) -> None:
    """A time without an offset, or another text, is refused by name."""
    with pytest.raises(IntegrityError, match="'a' must be a time"):
        _reader(a=value).time("a")


def test_a_time_is_read_in_utc() -> None:
    """A time is written in UTC, whatever its zone, and read as the same moment."""
    time = datetime(2026, 1, 31, 12, tzinfo=timezone(timedelta(hours=2)))
    assert format_time(time) == "2026-01-31T10:00:00+00:00"
    assert _reader(a=format_time(time)).time("a") == time
    assert _reader(a=format_time(time)).time("a").tzinfo is UTC


@pytest.mark.parametrize("value", [None, [], {"x": 1}])
def test_metadata_must_map_texts(value: object) -> None:
    """A mapping with other values than texts is refused by name."""
    with pytest.raises(IntegrityError, match="'a' must map texts to texts"):
        _reader(a=value).texts("a")


@pytest.mark.parametrize("value", [None, {}, ["x"], [{}, 1]])
def test_a_list_must_hold_objects(value: object) -> None:
    """A list with other items than objects is refused by name."""
    with pytest.raises(IntegrityError, match="'a' must be a list of objects"):
        _reader(a=value).each("a")


def test_an_item_of_a_list_is_named() -> None:
    """The error about an item of a list says which item it is."""
    with pytest.raises(IntegrityError, match=r"a\[1\]: the manifest's entry 'size'"):
        _reader(a=[{"size": 1}, {}]).each("a")[1].number("size")
