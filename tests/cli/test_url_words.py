"""The percent codes of a URL, and the wildcards of a glob in it."""

from __future__ import annotations

import pytest

from bucketry._cli.commands import UsageError
from bucketry._cli.globs import Glob
from bucketry._cli.url_words import glob_url
from bucketry.providers.url import read_url


@pytest.mark.parametrize(
    ("path", "literal"),
    [
        ("a%2Ab%3fc%5Bd%5D", "a*b?c[d]"),
        ("%5B*%5D", "["),
        ("[*]%2A", "**"),
        ("a[b%5D", "a[b]"),
        ("%252A", "%2A"),
        ("%C3%A9", "é"),
    ],
)
def test_codes_are_plain_characters(path: str, literal: str) -> None:
    """The literal part of the glob holds the decoded characters; the query stays as it is."""
    url = read_url(glob_url(f"s3://bucket/{path}?region=%2A"))
    assert Glob(url.key).literal == literal
    assert url.query == {"region": "*"}


@pytest.mark.parametrize("path", ["a?b", "a*b", "a[!x]b", "a[%C3%A9x]b"])
def test_characters_are_wildcards(path: str) -> None:
    """The characters themselves are wildcards, and sets keep their members."""
    assert Glob(read_url(glob_url(f"s3://bucket/{path}")).key).matcher()("axb") is (path != "a[!x]b")


@pytest.mark.parametrize("code", ["%5D", "%2d", "%21"])
def test_a_code_in_a_set_is_refused(code: str) -> None:
    """A code of a character that has a meaning in a set is an error that names the set."""
    with pytest.raises(UsageError, match=rf"\[a{code}z\]: {code} has no clear meaning"):
        glob_url(f"s3://bucket/[a{code}z]")
