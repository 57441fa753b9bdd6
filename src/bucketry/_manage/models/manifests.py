"""Converts versions to manifests and back, checks their metadata, and sorts versions. No I/O."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from bucketry._core.units import KiB
from bucketry._manage.manifest import Json, ManifestReader, format_time, to_json
from bucketry._manage.models.keys import number_of, sha256_of
from bucketry._manage.models.values import ModelFile, ModelKind, ModelVersion
from bucketry._manage.paths import check_paths
from bucketry.errors import InvalidRequestError, UnsafeKeyError

METADATA_LIMIT = 64 * KiB  # bytes of JSON; small, because a list of versions reads the metadata of each version


def in_order(versions: Iterable[ModelVersion]) -> list[ModelVersion]:
    """Return the versions, oldest first: by the time of their publication, but numbered versions by their number.

    The clocks of two machines can differ, so a numbered version may have an earlier time than the version with the
    number before. Then both count as published at the later time.
    """
    versions = list(versions)
    numbered = sorted(
        ((number, one) for one in versions if (number := number_of(one.version)) is not None), key=lambda pair: pair[0]
    )
    times = {one.version: one.created for one in versions}
    latest = None
    for _, one in numbered:
        latest = one.created if latest is None else max(latest, one.created)
        times[one.version] = latest
    return sorted(versions, key=lambda one: (times[one.version], number_of(one.version) or 0, one.version))


def metadata_text(metadata: Mapping[str, Any] | None) -> str:
    """Check the metadata of a version, and return it as JSON.

    The manifest has this JSON as one text, because a manifest itself must not have fractions.

    Raises:
        InvalidRequestError: The metadata is not a mapping from texts to JSON values, or is too large.
    """
    if metadata is None:
        return "{}"
    if not isinstance(metadata, Mapping) or not all(isinstance(name, str) for name in metadata):
        message = f"metadata must map texts to JSON values, and is {metadata!r:.80}"
        raise InvalidRequestError(message)
    try:
        text = json.dumps(dict(metadata), allow_nan=False)
        same = json.loads(text) == metadata
    except (TypeError, ValueError, RecursionError) as exc:
        message = (
            f"{_wrong_entry(metadata)}: {exc}; give only texts, finite numbers, booleans, None, lists and dictionaries "
            "of these"
        )
        raise InvalidRequestError(message) from exc
    if not same:
        message = (
            f"{_wrong_entry(metadata)}: the names in dictionaries must be texts, and lists must be lists, as in JSON"
        )
        raise InvalidRequestError(message)
    if len(text) > METADATA_LIMIT:
        message = f"metadata has {len(text)} bytes as JSON, and {METADATA_LIMIT} is the limit; store it as a file"
        raise InvalidRequestError(message)
    return text


def _wrong_entry(metadata: Mapping[str, Any]) -> str:
    """Return how a message names the first entry that JSON cannot hold."""
    for name, value in metadata.items():
        try:
            same = json.loads(json.dumps(value, allow_nan=False)) == value
        except (TypeError, ValueError, RecursionError):
            same = False
        if not same:
            return f"metadata[{name!r}]"
    return "metadata"


def manifest_of(version: ModelVersion) -> bytes:
    """Return the manifest of a version."""
    files: list[Json] = [
        {
            "path": file.path,
            "size": file.size,
            "sha256": file.sha256,
            "checksums": dict(file.checksums),
            "executable": int(file.executable),
            "blob": file.blob,
            **({"etag": file.etag} if file.etag else {}),
        }
        for file in version.files
    ]
    return to_json(
        {
            "name": version.name,
            "version": version.version,
            "created": format_time(version.created),
            "kind": version.kind,
            "metadata": json.dumps(version.metadata, allow_nan=False),
            "backup_id": version.backup_id,
            "files": files,
        }
    )


def version_from(entries: ManifestReader) -> ModelVersion:
    """Return the version that a manifest describes.

    Raises:
        IntegrityError: This is not the manifest of a version.
    """
    kind = kind_from(entries)
    files = tuple(map(_file_from, entries.each("files")))
    check_files(entries, kind, [file.path for file in files])
    return ModelVersion(
        name=entries.text("name"),
        version=entries.text("version"),
        created=entries.time("created"),
        size=sum(file.size for file in files),
        kind=kind,
        files=files,
        metadata=_metadata_from(entries),
        backup_id=entries.text("backup_id"),
    )


def kind_from(entries: ManifestReader) -> ModelKind:
    """Return what a manifest says of its files: that they are one file, or a directory.

    Raises:
        IntegrityError: It says something else.
    """
    kind = entries.text("kind")
    if kind == "file":
        return "file"
    return "directory" if kind == "directory" else entries.refuse("kind", "must be 'file' or 'directory'")


def check_files(entries: ManifestReader, kind: ModelKind, paths: list[str]) -> None:
    """Check the paths of a manifest's files.

    Raises:
        IntegrityError: They cannot all be files below one directory; or there is none, or more than the one file.
    """
    if not paths or (kind == "file" and len(paths) > 1):
        entries.refuse("files", "must name at least one file; of one file only that")
    try:
        check_paths(paths, "files")
    except UnsafeKeyError as error:
        entries.refuse("files", f"is not safe: {error.message}")


def _file_from(entries: ManifestReader) -> ModelFile:
    sha256, blob = entries.sha256("sha256"), entries.text("blob")
    if sha256_of(blob) != sha256:
        entries.refuse("blob", "must begin with the file's SHA-256 in hex")
    return ModelFile(
        path=entries.text("path"),
        size=entries.number("size"),
        sha256=sha256,
        checksums=entries.texts("checksums"),
        executable=bool(entries.number("executable")),
        blob=blob,
        etag=entries.optional_text("etag"),
    )


def _metadata_from(entries: ManifestReader) -> dict[str, Any]:
    try:
        metadata = json.loads(entries.text("metadata"))
    except (ValueError, RecursionError):
        metadata = None
    if not isinstance(metadata, dict):
        entries.refuse("metadata", "must be a JSON object as a text")
    return metadata
