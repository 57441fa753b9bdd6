"""Chooses the media type for a key by its suffix; the result is the same on every provider and every machine."""

from __future__ import annotations

from functools import lru_cache


def loaded() -> bool:
    """Return whether Python's table was read; if not, the first type takes about 10 ms."""
    return _of_suffix.cache_info().currsize > 0


def load() -> None:
    """Read Python's table. Blocks, because Python then also reads the tables in files of this machine."""
    _of_suffix(".bin")


def content_type_of(key: str) -> str | None:
    """Return the media type for a key, by its last suffix; `None` if Python's own table does not have the suffix.

    The result for a compressed file is `None`, because the table has only the type of the uncompressed content.
    """
    name = key[key.rfind("/") + 1 :]
    dot = name.rfind(".")
    return _of_suffix(name[dot:]) if dot > 0 else None


@lru_cache(maxsize=1_024)
def _of_suffix(suffix: str) -> str | None:
    # Imported on first use, because a program that only reads objects does not need this module.
    from mimetypes import MimeTypes

    # A separate instance, because the module's own table also contains entries from files of this machine.
    content_type, encoding = MimeTypes(()).guess_type(f"name{suffix}")
    return content_type if encoding is None else None
