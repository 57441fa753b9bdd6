"""Checks of keys and metadata before any byte moves."""

from __future__ import annotations

import ntpath
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bucketry._core.capabilities import Capabilities
from bucketry._core.checks import WRITE_TOKEN, check_key, check_metadata, check_write, etag_matches, local_parts
from bucketry._core.options import WriteOptions
from bucketry._core.values import ByteRange
from bucketry._transfer.tree.download_directory import DownloadDirectory
from bucketry.errors import (
    InvalidKeyError,
    InvalidMetadataError,
    InvalidRangeError,
    InvalidRequestError,
    StorageError,
    UnsafeKeyError,
    UnsupportedError,
)

LIMITS = Capabilities()
HOSTILE = st.lists(
    st.sampled_from(
        ["..", ".", "/", "//", "\\", "\0", ":", "C:", "CON", "a", "é", "e\u0301", " ", "\n", "~", "%2e", "\udc80"]
    ),
    max_size=9,
).map("".join)

REFUSED = [
    "../../etc/passwd",
    "/abs",
    "//abs",
    "a/../../b",
    "a/..",
    "data//../x",
    "a//b",
    "..",
    ".",
    "a/./b",
    "./a",
    "",
    "/",
    "a/",
    "dir/",
    "a\0b",
    "\0",
    "C:\\x",
    "C:x",
    "c:/x",
    "a:b",
    "a/C:b",
    "a/\\b",
    "\\\\host\\share",
    "\\abs",
    "..\\x",
    "a\\..\\..\\x",
    "a/..\\..\\x",
    "x" * 256,
    "a/" + "é" * 128,
]
ALLOWED = [
    "CON",
    "ab:c",
    "dot.",
    "space ",
    " space",
    "new\nline",
    "~",
    "~root",
    "-rf",
    "a\\b",
    "...",
    "..a",
    "a..",
    "é" * 127,
]


def lands_below(root: str, parts: tuple[str, ...]) -> bool:
    """Tell whether the real path is below the root, and not the root itself."""
    path = os.path.realpath(os.path.join(root, *parts))
    return path.startswith(os.path.realpath(root) + os.sep)


class TestLocalParts:
    """A key as a path below a directory."""

    @pytest.mark.parametrize("key", REFUSED, ids=ascii)
    def test_refused(self, key: str) -> None:
        """Keys that are absolute, have "..", or an unclear name are refused, and the error names the key."""
        with pytest.raises(UnsafeKeyError) as caught:
            local_parts(key, "below /data")
        assert caught.value.key == key
        assert repr(key) in str(caught.value)

    @pytest.mark.parametrize("key", ALLOWED, ids=ascii)
    def test_allowed(self, key: str) -> None:
        """Unusual names that stay inside the directory are allowed, unchanged."""
        assert local_parts(f"d/{key}") == ("d", key)

    @given(key=HOSTILE)
    @example(key="a\ud800b")
    def test_no_key_leaves_the_directory(self, key: str) -> None:
        """Every key is refused as unsafe, or its real path is below the root, with one name for each segment."""
        with tempfile.TemporaryDirectory() as root:
            try:
                parts = local_parts(key)
            except UnsafeKeyError:
                return
            assert "/".join(parts) == key
            assert lands_below(root, parts)

    @given(key=HOSTILE)
    @example(key="a/C:b")
    @example(key="a/\\b")
    def test_no_key_leaves_it_by_the_rules_of_windows(self, key: str) -> None:
        """The parts stay below the root also by the rules of Windows, with backslashes and drives."""
        try:
            parts = local_parts(key)
        except UnsafeKeyError:
            return
        path = ntpath.normpath(ntpath.join("R:\\root", *parts))
        assert path == "R:\\root" or path.startswith("R:\\root\\")

    @given(key=HOSTILE)
    def test_a_download_directory_makes_nothing_outside(self, key: str) -> None:
        """A prefix download's paths, and the directories made for them, are inside the target for every key."""
        with tempfile.TemporaryDirectory() as place:
            root = Path(place) / "root"
            root.mkdir()
            try:
                path = DownloadDirectory(str(root), "pre/").path_of(f"pre/{key}")
            except StorageError:
                path = None
            if path is not None:
                assert os.path.realpath(path).startswith(os.path.realpath(root) + os.sep)
            assert [entry.name for entry in Path(place).iterdir()] == ["root"]


class TestKeys:
    """Keys that no vendor can store."""

    @pytest.mark.parametrize("key", ["a", "a/b", "..", "a//b", "ä", "\n", "x" * 1_024, "é" * 512])
    def test_accepted(self, key: str) -> None:
        """Any Unicode text of 1 to 1,024 bytes is a key, even with "..": object storage has no directories."""
        check_key(key, LIMITS, "s3://b/")

    @pytest.mark.parametrize("key", ["", "x" * 1_025, "é" * 513, "\ud800", "a\udcffb", b"bytes", None, 1])
    def test_refused(self, key: object) -> None:
        """A key that is empty, too long in UTF-8, not encodable or no string is refused; the error names the bucket."""
        with pytest.raises(InvalidKeyError, match="s3://b/"):
            check_key(key, LIMITS, "s3://b/")  # type: ignore[arg-type]

    @given(key=st.text(max_size=600))
    def test_accepted_keys_fit_the_limit(self, key: str) -> None:
        """Exactly the keys of 1 to 1,024 bytes in UTF-8 pass."""
        try:
            check_key(key, LIMITS, "s3://b/")
        except InvalidKeyError:
            assert not 1 <= len(key.encode("utf-8", "surrogatepass")) <= 1_024
        else:
            assert 1 <= len(key.encode()) <= 1_024


class TestMetadata:
    """Metadata that headers cannot carry."""

    def test_names_are_lower_cased(self) -> None:
        """Names are returned in lower case, as servers give them."""
        assert check_metadata({"Run-Id": "7"}, LIMITS, "s3://b/k") == {"run-id": "7"}
        assert check_metadata(None, LIMITS, "s3://b/k") == {}

    @pytest.mark.parametrize(
        "metadata",
        [
            {"a": "line\r\nx-injected: 1"},
            {"a": "tab\there"},
            {"a": "ü"},
            {"a": " outer"},
            {"a": "outer "},
            {"a": "\x7f"},
            {"a b": "x"},
            {"a:": "x"},
            {"": "x"},
            {"ü": "x"},
            {"a\n": "x"},
            {"A": "1", "a": "2"},
            {"a": "x" * 2_048},
            {"a": 1},
            {1: "a"},
            {WRITE_TOKEN: "mine"},
            {WRITE_TOKEN.upper(): "mine"},
        ],
        ids=ascii,
    )
    def test_refused(self, metadata: dict[str, str]) -> None:
        """Line ends, text other than printable ASCII, equal names, large metadata and reserved names are refused."""
        with pytest.raises(InvalidMetadataError, match="s3://b/k"):
            check_metadata(metadata, LIMITS, "s3://b/k")

    @given(metadata=st.dictionaries(st.text(max_size=8), st.text(max_size=20), max_size=4))
    def test_what_passes_is_safe_in_a_header(self, metadata: dict[str, str]) -> None:
        """No accepted value can end its header, or change during the transfer."""
        try:
            clean = check_metadata(metadata, LIMITS, "s3://b/k")
        except InvalidMetadataError:
            return
        for name, value in clean.items():
            line = f"x-amz-meta-{name}: {value}"
            assert line.isascii()
            assert line.isprintable()
            assert value == value.strip()
        assert len(clean) == len(metadata)


class TestConditions:
    """Preconditions are enforced or refused."""

    @pytest.mark.parametrize("multipart", [True, False])
    @pytest.mark.parametrize("options", [WriteOptions(if_none_match="*"), WriteOptions(if_match='"e"')])
    def test_not_enforced_is_refused(self, options: WriteOptions, *, multipart: bool) -> None:
        """A condition is accepted only if the row has it, separately for single and multipart writes."""
        with pytest.raises(UnsupportedError, match="nothing was sent"):
            check_write(options, LIMITS, "s3://b/k", multipart=multipart)
        kind = "complete" if multipart else "put"
        name = "if_none_match" if options.if_none_match else "if_match"
        check_write(options, Capabilities(**{f"{kind}_{name}": True}), "s3://b/k", multipart=multipart)
        other = "put" if multipart else "complete"
        with pytest.raises(UnsupportedError):
            check_write(options, Capabilities(**{f"{other}_{name}": True}), "s3://b/k", multipart=multipart)

    @pytest.mark.parametrize(
        "options", [WriteOptions(if_none_match='"e"'), WriteOptions(if_none_match="*", if_match='"e"')]
    )
    def test_malformed(self, options: WriteOptions) -> None:
        """A write takes neither `if_none_match` with an etag nor two conditions."""
        with pytest.raises(InvalidRequestError):
            check_write(options, LIMITS, "s3://b/k", multipart=False)

    def test_etags_with_and_without_quotes_are_equal(self) -> None:
        """Etags are equal with and without quotes, because some listings and copies send none."""
        assert etag_matches('"abc"', "abc")
        assert etag_matches("abc", '"abc"')
        assert etag_matches('"abc"', "*")
        assert not etag_matches('"abc"', '"abd"')

    @pytest.mark.parametrize(("start", "end"), [(-1, 0), (2, 1), (-2, -1)])
    def test_ranges_run_forward(self, start: int, end: int) -> None:
        """A range with a negative start, or an end before its start, is refused."""
        with pytest.raises(InvalidRangeError):
            ByteRange(start, end)
