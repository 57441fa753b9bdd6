"""Keeps the percent codes of a URL apart from the wildcards of a glob, and finds words that are meant as URLs."""

from __future__ import annotations

import os
import re

from bucketry._cli.commands import UsageError
from bucketry.providers.url import SCHEMES

# These are compiled when they are first used: that takes 1.5 ms, and few command lines need them.
_WILDCARD = r"[*?[]"
_NO_QUERY = r"\?(?![a-z_]+=)"
_PARTS = r"(?s)([^:]*://[^/?]*)(.*?)(\?[a-z_]+=.*)?"
_SPECIAL = r"(?i)(?P<set>\[[!^]?[^/][^\]/]*\])|\[|%(?:2A|3F|5B)"
_UNCLEAR = r"(?i)%(?:21|2D|2F|5B|5D|5E)"
_PLAIN = {"%2A": "[*]", "%3F": "[%3F]", "%5B": "[[]", "[": "[[]"}
_MISTYPED = r"(?s)([a-z0-9]+)(?::|//)/*(.*)"
_NO_BUCKET = r"(?s)([a-z0-9]+):///*(?:\?.*)?"


def mistyped_url(word: str) -> str | None:
    """Return the URL that is meant by a word such as `s3:/bucket/key` or `s3//bucket/key`; `None`: none is meant."""
    match = None if "://" in word else re.fullmatch(_MISTYPED, word)
    return None if match is None or match[1] not in SCHEMES else f"{match[1]}://{match[2] or 'BUCKET'}"


def names_no_bucket(word: str) -> str | None:
    """Return what is wrong with a URL such as `s3://`; `None`: it names a bucket, or needs none."""
    match = re.fullmatch(_NO_BUCKET, word)
    if match is None or SCHEMES.get(match[1], "local") in {"local", "memory"}:
        return None
    return f"{word}: names no bucket, and bucketry does not list buckets; write {match[1]}://BUCKET"


def glob_url(word: str) -> str:
    """Return the URL so that its decoded path is a glob in which `%2A`, `%3F` and `%5B` are plain characters.

    A `?` that does not begin a query is a wildcard. Other percent codes are left to `read_url`.

    Raises:
        UsageError: A set such as `[a%5D]` holds the code of a character that has a meaning there.
    """
    parts = re.fullmatch(_PARTS, word)
    if parts is None:
        return word
    start, path, query = parts[1], parts[2], parts[3] or ""
    return plain_url(f"{start}{re.sub(_SPECIAL, _as_glob, path)}{query}")


def plain_url(word: str) -> str:
    """Return the URL with each `?` that does not begin a query as a plain character."""
    return re.sub(_NO_QUERY, "%3F", word)


def split_path(path: str, plain: str) -> tuple[str, str]:
    """Split the path of a file URL into the directory of the store, and the key or glob in it.

    Args:
        path: The path as a glob.
        plain: The path with no wildcards.
    """
    if os.path.isdir(plain) or (path.endswith("/") and not re.search(_WILDCARD, path)):
        return plain, ""
    literal = path[: wild.start()] if (wild := re.search(_WILDCARD, path)) else path.rstrip("/")
    directory = literal.rpartition("/")[0] or "/"
    return directory, path[len(directory) :].lstrip("/")


def _as_glob(found: re.Match[str]) -> str:
    if found["set"] is None:
        return _PLAIN[found[0].upper()]
    if code := re.search(_UNCLEAR, found[0]):
        message = (
            f"{found[0]}: {code[0]} has no clear meaning in a set of characters; write the key with * or ? instead"
        )
        raise UsageError(message)
    return found[0]
