"""Open multipart uploads of a local directory: a directory each, with a record and the parts as files.

Blocking, as `local_store` is: generators are run step by step.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import stat
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from bucketry._core.multipart import check_part_number, in_order
from bucketry._core.os_errors import local_error
from bucketry._core.values import Body, ByteRange, MultipartUpload, ObjectInfo, Part, WriteOptions
from bucketry._providers.local_bytes import PIECE, copy_steps, write_body
from bucketry._providers.local_details import Details
from bucketry._providers.local_paths import ABSENT, Place, etag_of
from bucketry._providers.local_store import StagedFile, acquire, locked, publish_locked, seal, staged
from bucketry.errors import IncompleteBodyError, InvalidRequestError, UploadNotFoundError

MAX_LISTED = 1_000
_RECORD = "upload.json"
_UPLOAD_ID = re.compile(r"[0-9a-f]{32}")


def create(place: Place, key: str, options: WriteOptions) -> MultipartUpload:
    """Open an upload."""
    place.path(key)
    upload = MultipartUpload(key=key, upload_id=secrets.token_hex(16), initiated=datetime.now(UTC))
    record = {"key": key, "initiated": str(upload.initiated), **Details.of(options).record}
    directory = place.own("uploads", upload.upload_id)
    with staged(place) as file:
        os.write(file.fd, json.dumps(record).encode())
        os.makedirs(directory)
        try:
            os.replace(file.path, os.path.join(directory, _RECORD))
        except BaseException:
            os.rmdir(directory)
            raise
    return upload


def put_part(place: Place, upload: MultipartUpload, part_number: int, body: Body) -> Generator[None, None, Part]:
    """Store a part; it replaces an earlier one of the same number.

    Raises:
        UploadNotFoundError: The upload was completed or aborted.
    """
    _open_record(place, upload)
    check_part_number(part_number, place.limits, place.locate(upload.key))
    with staged(place) as file:
        size = yield from write_body(body, file.fd, place.locate(upload.key))
        return _keep_part(place, upload, part_number, file, size)


def copy_part(
    place: Place, upload: MultipartUpload, part_number: int, source: tuple[int, ByteRange]
) -> Generator[None, None, Part]:
    """Store a part made of a range of an open file.

    Raises:
        UploadNotFoundError: The upload was completed or aborted.
    """
    _open_record(place, upload)
    where = place.locate(upload.key)
    check_part_number(part_number, place.limits, where)
    fd, wanted = source
    with staged(place) as file:
        copied = yield from copy_steps(fd, wanted.start, wanted.size, file.fd, 0)
        if copied != wanted.size:
            raise IncompleteBodyError(f"{where}: the source of part {part_number} shrank while it was copied")
        return _keep_part(place, upload, part_number, file, copied)


def complete(
    place: Place, upload: MultipartUpload, parts: Sequence[Part], conditions: WriteOptions
) -> Generator[None, None, ObjectInfo]:
    """Publish the object made of the parts, then forget the upload.

    Raises:
        InvalidRequestError: A part is not the one that is stored.
        UploadNotFoundError: The upload was completed or aborted.
    """
    record = _open_record(place, upload)
    where = place.locate(upload.key)
    details = Details(record["metadata"], record["content_type"], record["storage_class"])
    options = replace(details.options, if_none_match=conditions.if_none_match, if_match=conditions.if_match)
    ordered = in_order(parts, place.limits, where)
    with staged(place) as file:
        position = since = 0
        for part in ordered:
            if since >= PIECE:
                since = 0
                yield
            with _part_file(place, upload, part) as fd:
                copied = yield from copy_steps(fd, 0, part.size, file.fd, position)
            position += copied
            since += copied
        total = sum(part.size for part in ordered)
        with locked(place, upload.key) as lock:
            yield from acquire(lock)
            _open_record(place, upload)  # gone when another completion was faster
            info = publish_locked(place, file, total, upload.key, options)
            gone = _close(place, upload)
    shutil.rmtree(gone, ignore_errors=True)
    return info


def abort(place: Place, upload: MultipartUpload) -> None:
    """Throw an upload away; there need not be one."""
    if _UPLOAD_ID.fullmatch(upload.upload_id):
        shutil.rmtree(_close(place, upload), ignore_errors=True)


def list_parts(place: Place, upload: MultipartUpload, after: int) -> tuple[Part, ...]:
    """Give the parts of an open upload whose numbers are higher than `after`.

    Raises:
        UploadNotFoundError: The upload was completed or aborted.
    """
    _open_record(place, upload)
    found = []
    try:
        names = sorted(os.listdir(place.own("uploads", upload.upload_id)))
        for name in [name for name in names if name.isdecimal() and int(name) > after][:MAX_LISTED]:
            status = os.stat(_part_path(place, upload, int(name)))
            found.append(Part(part_number=int(name), size=status.st_size, etag=etag_of(status)))
    except FileNotFoundError as error:
        raise _gone(place, upload) from error
    return tuple(found)


def list_open(place: Place, prefix: str) -> tuple[MultipartUpload, ...]:
    """Give the open uploads of keys that begin with `prefix`, in order of key and time; what is none is passed over.

    Raises:
        LocalFileError: The directory of the uploads, or a record in it, cannot be read.
    """
    directory = place.own("uploads")
    try:
        entries = (_listed(place, name) for name in os.listdir(directory) if _UPLOAD_ID.fullmatch(name))
        found = [upload for upload in entries if upload is not None and upload.key.startswith(prefix)]
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise local_error(error, error.filename or directory, place.locate()) from error
    found.sort(key=lambda upload: (upload.key, str(upload.initiated)))
    return tuple(found[:MAX_LISTED])


def _listed(place: Place, upload_id: str) -> MultipartUpload | None:
    try:
        record = _read_record(place, upload_id)
        initiated = datetime.fromisoformat(record["initiated"])
        return MultipartUpload(key=str(record["key"]), upload_id=upload_id, initiated=initiated)
    except OSError as error:
        if error.errno not in ABSENT:  # else just closed, or just being opened
            raise
    except (ValueError, LookupError, TypeError):
        pass  # no record of ours
    return None


def _gone(place: Place, upload: MultipartUpload) -> UploadNotFoundError:
    return UploadNotFoundError(
        f"{place.locate(upload.key)}: upload {upload.upload_id} was completed or aborted, or never was",
        key=upload.key,
    )


def _close(place: Place, upload: MultipartUpload) -> str:
    """Take an upload out of sight in one step: no part can arrive in a directory that is half gone."""
    path, gone = place.own("uploads", upload.upload_id), place.own("staging", secrets.token_hex(16))
    try:
        os.rename(path, gone)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise local_error(error, path, place.locate(upload.key)) from error
    return gone


def _read_record(place: Place, upload_id: str) -> dict[str, Any]:
    with open(place.own("uploads", upload_id, _RECORD), encoding="utf-8") as file:
        record: dict[str, Any] = json.load(file)
    return record


def _open_record(place: Place, upload: MultipartUpload) -> dict[str, Any]:
    if not _UPLOAD_ID.fullmatch(upload.upload_id):  # else it could name another directory
        raise _gone(place, upload)
    try:
        record = _read_record(place, upload.upload_id)
    except OSError as error:
        if error.errno in ABSENT:
            raise _gone(place, upload) from error
        raise local_error(error, place.own("uploads", upload.upload_id), place.locate(upload.key)) from error
    except ValueError as error:  # no record of ours
        raise _gone(place, upload) from error
    if record["key"] != upload.key:
        raise _gone(place, upload)
    return record


def _part_path(place: Place, upload: MultipartUpload, part_number: int) -> str:
    return place.own("uploads", upload.upload_id, f"{part_number:05}")


def _keep_part(place: Place, upload: MultipartUpload, part_number: int, file: StagedFile, size: int) -> Part:
    status = seal(file, size, place.locate(upload.key))
    try:
        os.replace(file.path, _part_path(place, upload, part_number))
    except FileNotFoundError as error:
        raise _gone(place, upload) from error
    return Part(part_number=part_number, size=size, etag=etag_of(status))


@contextmanager
def _part_file(place: Place, upload: MultipartUpload, part: Part) -> Iterator[int]:
    where = place.locate(upload.key)
    try:
        fd = os.open(_part_path(place, upload, part.part_number), os.O_RDONLY)
    except FileNotFoundError as error:
        _open_record(place, upload)
        raise InvalidRequestError(f"{where}: part {part.part_number} was never stored", key=upload.key) from error
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or (status.st_size, etag_of(status)) != (part.size, part.etag):
            raise InvalidRequestError(f"{where}: part {part.part_number} was replaced since; name the new one")
        yield fd
    finally:
        os.close(fd)
