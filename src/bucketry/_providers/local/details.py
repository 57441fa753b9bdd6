"""What a file cannot hold of an object: metadata, headers, tags, storage class, in a JSON file of its own.

The file's name is the fingerprint of the object's file, and it is written before that one takes its key:
one rename publishes both. What other programs put or changed in the directory simply has no details.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from bucketry._core.options import WriteOptions
from bucketry._core.os_errors import local_error
from bucketry._core.values import NOTHING
from bucketry._providers.local.paths import LocalRoot

_log = logging.getLogger("bucketry")


@dataclass(frozen=True, slots=True)
class Details:
    """What is kept of the options of a write."""

    metadata: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    content_type: str | None = None
    cache_control: str | None = None
    content_disposition: str | None = None
    content_encoding: str | None = None
    content_language: str | None = None
    storage_class: str | None = None
    tags: Mapping[str, str] = field(default_factory=lambda: NOTHING)

    @classmethod
    def of(cls, options: WriteOptions) -> Details:
        """Take them from a write's options."""
        return cls(**{each.name: getattr(options, each.name) for each in fields(cls)})

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Details:
        """Take them from a record; one of an older version has fewer names.

        Raises:
            KeyError: A name that every version writes is missing.
        """
        known = {each.name: record[each.name] for each in fields(cls) if each.name in record}
        return cls(**known | {"metadata": record["metadata"]})

    @property
    def options(self) -> WriteOptions:
        """Give them as options of another write."""
        return WriteOptions(**{each.name: getattr(self, each.name) for each in fields(self)})

    @property
    def record(self) -> dict[str, object]:
        """Give them as JSON knows them."""
        return asdict(replace(self, metadata=dict(self.metadata), tags=dict(self.tags)))


def save(root: LocalRoot, key: str, version: str, details: Details) -> None:
    """Keep the details of the file whose fingerprint is `version`, if there are any."""
    if details == Details():
        return
    directory = _directory(root, key)
    os.makedirs(directory, exist_ok=True)
    try:
        with open(os.path.join(directory, f"{version}.json"), "w", encoding="utf-8") as file:
            json.dump({"key": key, **details.record}, file)
    except BaseException:
        drop(root, key, version)
        raise


def update(root: LocalRoot, key: str, version: str, details: Details, staged_path: str) -> None:
    """Replace the details of a file whose fingerprint is `version` in one step; the staged file is used for it."""
    with open(staged_path, "w", encoding="utf-8") as file:
        json.dump({"key": key, **details.record}, file)
    directory = _directory(root, key)
    os.makedirs(directory, exist_ok=True)
    os.replace(staged_path, os.path.join(directory, f"{version}.json"))


def load(root: LocalRoot, key: str, version: str) -> Details | None:
    """Give the details of the file whose fingerprint is `version`; `None` where none are kept."""
    path = os.path.join(_directory(root, key), f"{version}.json")
    try:
        with open(path, encoding="utf-8") as file:
            record = json.load(file)
        return Details.from_record(record)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise local_error(error, path, root.locate(key)) from error
    except (ValueError, KeyError, TypeError):
        _log.warning("%s: %s is damaged; the object is read without its metadata", root.locate(key), path)
        return Details()


def drop(root: LocalRoot, key: str, version: str) -> None:
    """Forget the details of one version."""
    directory = _directory(root, key)
    with suppress(OSError):  # what stays belongs to no file, and goes with the next write
        os.unlink(os.path.join(directory, f"{version}.json"))
    with suppress(OSError):
        os.rmdir(directory)


def drop_all_but(root: LocalRoot, key: str, version: str | None) -> None:
    """Forget the details of every version but the one that was just published; `None`: there is none now."""
    try:
        names = os.listdir(_directory(root, key))
    except OSError:
        return
    for name in names:
        if name != f"{version}.json":
            drop(root, key, name.removesuffix(".json"))


def _directory(root: LocalRoot, key: str) -> str:
    return root.own("meta", hashlib.sha256(key.encode()).hexdigest())
