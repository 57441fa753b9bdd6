"""The media type for a key's suffix: the same on every provider and every machine."""

from __future__ import annotations

from functools import lru_cache


def content_type_of(key: str) -> str | None:
    """Give the media type for a key, by its last suffix; `None` if Python's own table does not know the suffix.

    The result for a compressed file is `None`, because the table knows only the type of its content.
    """
    name = key[key.rfind("/") + 1 :]
    dot = name.rfind(".")
    return _of_suffix(name[dot:]) if dot > 0 else None


@lru_cache(maxsize=1_024)
def _of_suffix(suffix: str) -> str | None:
    # Imported on first use: a program that only reads does not need it.
    from mimetypes import MimeTypes

    # An own instance, because the module's table depends on files of the machine.
    content_type, encoding = MimeTypes(()).guess_type(f"name{suffix}")
    return content_type if encoding is None else None
