"""The provider's own files in a local directory: their names, the JSON in them, and how directories are removed.

The functions import the modules that they need, because a listing needs none of them, and they take 6 ms to load.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any


def new_id() -> str:
    """Return a new name for a file: 32 random hexadecimal digits."""
    return os.urandom(16).hex()


def digest_of(key: str) -> str:
    """Return the SHA-256 of a key in hex, for the name of a file, because a key can be longer than a name."""
    from hashlib import sha256

    return sha256(key.encode()).hexdigest()


def read_record(path: str) -> dict[str, Any]:
    """Return the dictionary in a JSON file.

    Raises:
        ValueError: The file is not JSON.
    """
    with open(path, "rb") as file:
        text = file.read()
    from json import loads

    record: dict[str, Any] = loads(text)
    return record


def encode_record(record: Mapping[str, object]) -> bytes:
    """Return a dictionary as JSON."""
    from json import dumps

    return dumps(record).encode()


def remove_tree(path: str) -> None:
    """Remove a directory and all that is in it, as far as possible."""
    from shutil import rmtree

    rmtree(path, ignore_errors=True)
