"""Multipart uploads of a local directory. An open upload is a directory with a record and one file for each part.

The functions block, so they run in worker threads. The generators run there step by step, as those of `store` do.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from bucketry._core.options import WriteOptions
from bucketry._core.os_errors import local_error
from bucketry._core.values import Body, ByteRange, MultipartUpload, ObjectInfo, Part
from bucketry._providers.local.bytes import write_body
from bucketry._providers.local.details import Details
from bucketry._providers.local.own_files import encode_record, new_id, read_record, remove_tree
from bucketry._providers.local.paths import ABSENT, LocalRoot, etag_of
from bucketry._providers.local.store import StagedObject, acquire, locked, publish_locked, seal, staged
from bucketry._providers.stored.multipart import MAX_LISTED, check_part_number, in_order, page_of_uploads
from bucketry._runtime.file_copies import PIECE, copy_steps
from bucketry.errors import IncompleteBodyError, InvalidRequestError, UploadNotFoundError

_RECORD = "upload.json"
_UPLOAD_ID = r"[0-9a-f]{32}"


def create(root: LocalRoot, key: str, options: WriteOptions) -> MultipartUpload:
    """Open an upload."""
    root.path(key)
    upload = MultipartUpload(key=key, upload_id=new_id(), initiated=datetime.now(UTC))
    record = {"key": key, "initiated": str(upload.initiated), **Details.of(options).record}
    directory = root.own("uploads", upload.upload_id)
    with staged(root) as file:
        os.write(file.fd, encode_record(record))
        os.makedirs(directory)
        try:
            os.replace(file.path, os.path.join(directory, _RECORD))
        except BaseException:
            os.rmdir(directory)
            raise
    return upload


def put_part(root: LocalRoot, upload: MultipartUpload, part_number: int, body: Body) -> Generator[None, None, Part]:
    """Store a part; it replaces an earlier part of the same number.

    Raises:
        UploadNotFoundError: The upload was completed or aborted.
    """
    _open_record(root, upload)
    check_part_number(part_number, root.limits, root.locate(upload.key))
    with staged(root) as file:
        size = yield from write_body(body, file.fd, root.locate(upload.key))
        return _keep_part(root, upload, part_number, file, size)


def copy_part(
    root: LocalRoot, upload: MultipartUpload, part_number: int, source: tuple[int, ByteRange]
) -> Generator[None, None, Part]:
    """Store a part made of a range of an open file.

    Raises:
        UploadNotFoundError: The upload was completed or aborted.
    """
    _open_record(root, upload)
    where = root.locate(upload.key)
    check_part_number(part_number, root.limits, where)
    fd, wanted = source
    with staged(root) as file:
        copied = yield from copy_steps(fd, wanted.start, wanted.size, file.fd, 0)
        if copied != wanted.size:
            raise IncompleteBodyError(f"{where}: the source of part {part_number} became shorter while it was copied")
        return _keep_part(root, upload, part_number, file, copied)


def complete(
    root: LocalRoot, upload: MultipartUpload, parts: Sequence[Part], conditions: WriteOptions
) -> Generator[None, None, ObjectInfo]:
    """Publish the object made of the parts, then delete the upload.

    Raises:
        InvalidRequestError: A part was never stored, or was replaced.
        UploadNotFoundError: The upload was completed or aborted.
    """
    record = _open_record(root, upload)
    where = root.locate(upload.key)
    options = replace(
        Details.from_record(record).options, if_none_match=conditions.if_none_match, if_match=conditions.if_match
    )
    ordered = in_order(parts, root.limits, where)
    with staged(root) as file:
        position = since = 0
        for part in ordered:
            if since >= PIECE:
                since = 0
                yield
            with _part_file(root, upload, part) as fd:
                copied = yield from copy_steps(fd, 0, part.size, file.fd, position)
            position += copied
            since += copied
        total = sum(part.size for part in ordered)
        with locked(root, upload.key) as lock:
            yield from acquire(lock)
            _open_record(root, upload)  # raises an error if another completion was faster
            info = publish_locked(root, file, total, upload.key, options)
            moved = _close(root, upload)
    remove_tree(moved)
    return info


def abort(root: LocalRoot, upload: MultipartUpload) -> None:
    """Delete an upload and its parts; succeeds if there is no such upload."""
    if re.fullmatch(_UPLOAD_ID, upload.upload_id):
        remove_tree(_close(root, upload))


def list_parts(root: LocalRoot, upload: MultipartUpload, after: int) -> tuple[Part, ...]:
    """Return the parts of an open upload whose numbers are higher than `after`.

    Raises:
        UploadNotFoundError: The upload was completed or aborted.
    """
    _open_record(root, upload)
    found = []
    try:
        names = sorted(os.listdir(root.own("uploads", upload.upload_id)))
        for name in [name for name in names if name.isdecimal() and int(name) > after][:MAX_LISTED]:
            status = os.stat(_part_path(root, upload, int(name)))
            found.append(Part(part_number=int(name), size=status.st_size, etag=etag_of(status)))
    except FileNotFoundError as error:
        raise _no_such_upload(root, upload) from error
    return tuple(found)


def list_open(root: LocalRoot, prefix: str, after: MultipartUpload | None) -> tuple[MultipartUpload, ...]:
    """Return the open uploads of keys that begin with `prefix`, sorted by key and id; other files are ignored.

    Raises:
        LocalFileError: The directory of the uploads, or a record in it, cannot be read.
    """
    directory = root.own("uploads")
    try:
        entries = (_listed(root, name) for name in os.listdir(directory) if re.fullmatch(_UPLOAD_ID, name))
        return page_of_uploads((upload for upload in entries if upload is not None), prefix, after)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise local_error(error, error.filename or directory, root.locate()) from error


def _listed(root: LocalRoot, upload_id: str) -> MultipartUpload | None:
    try:
        record = _read_record(root, upload_id)
        initiated = datetime.fromisoformat(record["initiated"])
        return MultipartUpload(key=str(record["key"]), upload_id=upload_id, initiated=initiated)
    except OSError as error:
        if error.errno not in ABSENT:  # if the record is absent, the upload was just closed, or is being opened
            raise
    except (ValueError, LookupError, TypeError):
        pass  # not a record of this package
    return None


def _no_such_upload(root: LocalRoot, upload: MultipartUpload) -> UploadNotFoundError:
    return UploadNotFoundError(
        f"{root.locate(upload.key)}: upload {upload.upload_id} was completed or aborted, or never existed",
        key=upload.key,
    )


def _close(root: LocalRoot, upload: MultipartUpload) -> str:
    """Move an upload's directory in one step, so that no part is added while it is deleted; return the new path."""
    path, moved = root.own("uploads", upload.upload_id), root.own("staging", new_id())
    try:
        os.rename(path, moved)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise local_error(error, path, root.locate(upload.key)) from error
    return moved


def _read_record(root: LocalRoot, upload_id: str) -> dict[str, Any]:
    return read_record(root.own("uploads", upload_id, _RECORD))


def _open_record(root: LocalRoot, upload: MultipartUpload) -> dict[str, Any]:
    if not re.fullmatch(_UPLOAD_ID, upload.upload_id):  # any other text could be the path of another directory
        raise _no_such_upload(root, upload)
    try:
        record = _read_record(root, upload.upload_id)
    except OSError as error:
        if error.errno in ABSENT:
            raise _no_such_upload(root, upload) from error
        raise local_error(error, root.own("uploads", upload.upload_id), root.locate(upload.key)) from error
    except ValueError as error:  # not a record of this package
        raise _no_such_upload(root, upload) from error
    if record["key"] != upload.key:
        raise _no_such_upload(root, upload)
    return record


def _part_path(root: LocalRoot, upload: MultipartUpload, part_number: int) -> str:
    return root.own("uploads", upload.upload_id, f"{part_number:05}")


def _keep_part(root: LocalRoot, upload: MultipartUpload, part_number: int, file: StagedObject, size: int) -> Part:
    status = seal(file, size, root.locate(upload.key))
    try:
        os.replace(file.path, _part_path(root, upload, part_number))
    except FileNotFoundError as error:
        raise _no_such_upload(root, upload) from error
    return Part(part_number=part_number, size=size, etag=etag_of(status))


@contextmanager
def _part_file(root: LocalRoot, upload: MultipartUpload, part: Part) -> Iterator[int]:
    where = root.locate(upload.key)
    try:
        fd = os.open(_part_path(root, upload, part.part_number), os.O_RDONLY)
    except FileNotFoundError as error:
        _open_record(root, upload)
        raise InvalidRequestError(f"{where}: part {part.part_number} was never stored", key=upload.key) from error
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or (status.st_size, etag_of(status)) != (part.size, part.etag):
            raise InvalidRequestError(f"{where}: part {part.part_number} was replaced; give the newer part")
        yield fd
    finally:
        os.close(fd)
