"""Stores, in a JSON file, the details of an object that its file cannot store: metadata, headers, tags, storage class.

The JSON file is named after the fingerprint of the object's file. It is written before the object's file is renamed to
its key, so one rename publishes both. Files that other programs wrote or changed have no details.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, field, fields, replace
from typing import Any

from bucketry._core.frozen import dataclass
from bucketry._core.options import WriteOptions
from bucketry._core.os_errors import local_error
from bucketry._core.values import NOTHING
from bucketry._providers.local.own_files import digest_of, encode_record, read_record
from bucketry._providers.local.paths import LocalRoot

_log = logging.getLogger("bucketry")


@dataclass(frozen=True, slots=True)
class Details:
    """The options of a write that are stored with the object."""

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
        """Return the details in the options of a write."""
        return cls(**{each.name: getattr(options, each.name) for each in fields(cls)})

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Details:
        """Return the details in a record; a record of an older version of this package has fewer names.

        Raises:
            KeyError: A name that every version writes is missing.
        """
        known = {each.name: record[each.name] for each in fields(cls) if each.name in record}
        return cls(**known | {"metadata": record["metadata"]})

    @property
    def options(self) -> WriteOptions:
        """The details as options of another write."""
        return WriteOptions(**{each.name: getattr(self, each.name) for each in fields(self)})

    @property
    def record(self) -> dict[str, object]:
        """The details as a dictionary that JSON can represent."""
        return asdict(replace(self, metadata=dict(self.metadata), tags=dict(self.tags)))


def save(root: LocalRoot, key: str, version: str, details: Details) -> None:
    """Store the details of the file with the fingerprint `version`, if there are any."""
    if details == Details():
        return
    directory = _directory(root, key)
    os.makedirs(directory, exist_ok=True)
    try:
        _write(os.path.join(directory, f"{version}.json"), key, details)
    except BaseException:
        drop(root, key, version)
        raise


def update(root: LocalRoot, key: str, version: str, details: Details, staged_path: str) -> None:
    """Replace the details of the file with the fingerprint `version` in one step, by renaming the staged file."""
    _write(staged_path, key, details)
    directory = _directory(root, key)
    os.makedirs(directory, exist_ok=True)
    os.replace(staged_path, os.path.join(directory, f"{version}.json"))


def load(root: LocalRoot, key: str, version: str) -> Details | None:
    """Return the details of the file with the fingerprint `version`; `None`: no details are stored."""
    path = os.path.join(_directory(root, key), f"{version}.json")
    try:
        return Details.from_record(read_record(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise local_error(error, path, root.locate(key)) from error
    except (ValueError, KeyError, TypeError):
        _log.warning("%s: %s is damaged; the object is read without its metadata", root.locate(key), path)
        return Details()


def _write(path: str, key: str, details: Details) -> None:
    with open(path, "wb") as file:
        file.write(encode_record({"key": key, **details.record}))


def drop(root: LocalRoot, key: str, version: str) -> None:
    """Delete the details of one version."""
    directory = _directory(root, key)
    with suppress(OSError):  # details that remain belong to no file, and the next write deletes them
        os.unlink(os.path.join(directory, f"{version}.json"))
    with suppress(OSError):
        os.rmdir(directory)


def drop_all_but(root: LocalRoot, key: str, version: str | None) -> None:
    """Delete the details of all versions except `version`, which was just published; `None`: delete all details."""
    try:
        names = os.listdir(_directory(root, key))
    except OSError:
        return
    for name in names:
        if name != f"{version}.json":
            drop(root, key, name.removesuffix(".json"))


def _directory(root: LocalRoot, key: str) -> str:
    return root.own("meta", digest_of(key))
