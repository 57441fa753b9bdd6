"""The media type that a key's suffix stands for, on every provider and every machine the same."""

from __future__ import annotations

from functools import lru_cache


def content_type_of(key: str) -> str | None:
    """Give the media type for a key, by its last suffix; `None` where Python's own table does not know it.

    Compressed files have none: theirs would be that of what is inside.
    """
    name = key[key.rfind("/") + 1 :]
    dot = name.rfind(".")
    return _of_suffix(name[dot:]) if dot > 0 else None


@lru_cache(maxsize=1_024)
def _of_suffix(suffix: str) -> str | None:
    # Loaded with the first suffix: a program that only reads needs none of it.
    from mimetypes import MimeTypes

    # Of an instance, because the module's own table depends on the machine's files.
    content_type, encoding = MimeTypes(()).guess_type(f"name{suffix}")
    return content_type if encoding is None else None
