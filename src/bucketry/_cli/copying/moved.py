"""The checks of a move: a source is deleted only if the copy is complete, and is certainly another object or file."""

from __future__ import annotations

import os

from bucketry._core.checks import same_etag
from bucketry._core.os_errors import local_error
from bucketry._core.provider import IStorageProvider
from bucketry._core.values import ObjectInfo, TransferResult
from bucketry.errors import (
    AccessDeniedError,
    IntegrityError,
    InvalidRequestError,
    LocalFileError,
    NotFoundError,
    PreconditionFailedError,
)


async def is_another_object(provider: IStorageProvider, source: str, other: IStorageProvider, target: str) -> bool:
    """Return whether the target is certainly another object than the source; call it before the copy.

    One bucket can have two endpoint URLs, and one object can have two keys if a server changes their Unicode form. So
    names do not show that two objects are different, but their properties do.

    Returns:
        `False` if these credentials may not look at the target, so that only the finished copy can show it.

    Raises:
        InvalidRequestError: Both names show the same object; or two objects with the same bytes and the same time.

    Cost: 1 HEAD of the target, and 1 of the source if the target exists.
    """
    try:
        there = await other.head(target)
    except NotFoundError:
        return True  # the source exists
    except AccessDeniedError:  # S3's answer for a missing object, if the credentials may not list
        return False
    if _look_the_same(await provider.head(source), there):
        message = (
            f"{provider.locate(source)}: {other.locate(target)} has the same etag, size and time, so both names may "
            "mean one object, and nothing was done; if they are two objects, delete the source"
        )
        raise InvalidRequestError(message, key=source)
    return True


async def check_object(provider: IStorageProvider, key: str, result: TransferResult) -> ObjectInfo:
    """Check that the destination is the copy that was just written; return its properties.

    Raises:
        PreconditionFailedError: It is not, so the source must stay.

    Cost: 1 request.
    """
    found = await provider.head(key)
    if found.size != result.size or (result.etag and found.etag and not same_etag(found.etag, result.etag)):
        message = f"{provider.locate(key)}: was replaced just after it was written, so the source was kept"
        raise PreconditionFailedError(message, key=key)
    return found


def check_file(path: str, result: TransferResult) -> None:
    """Check that the file has the object's length. Blocks."""
    if file_status(path).st_size != result.size:
        message = f"{path}: was replaced just after it was written, so the source was kept"
        raise IntegrityError(message, path=path)


async def delete_object(provider: IStorageProvider, copied: ObjectInfo, copy: ObjectInfo | None = None) -> None:
    """Delete the source if it is still the version that was copied.

    Args:
        provider: The source's provider.
        copied: The version that was copied.
        copy: The properties of the copy, if it is not known that it is another object.

    Raises:
        PreconditionFailedError: It was replaced meanwhile, or may be the copy, and stays.

    Cost: 2 requests.
    """
    try:
        found = await provider.head(copied.key)
    except NotFoundError:
        return  # another program deleted it; the copy exists
    if found.size != copied.size or not same_etag(found.etag, copied.etag):
        message = f"{provider.locate(copied.key)}: was replaced after it was copied, so the new version was kept"
        raise PreconditionFailedError(message, key=copied.key)
    if copy is not None and _look_the_same(found, copy):
        message = f"{provider.locate(copied.key)}: may be the same object as its copy, so it was kept"
        raise PreconditionFailedError(message, key=copied.key)
    await provider.delete(copied.key)


def _look_the_same(one: ObjectInfo, other: ObjectInfo) -> bool:
    """Return whether nothing shows that two names mean different objects, or different versions of one."""
    return same_etag(one.etag, other.etag) and all(
        getattr(one, name) == getattr(other, name) for name in ("size", "last_modified", "version_id", "write_token")
    )


def file_status(path: str) -> os.stat_result:
    """Return the properties of a file. Blocks.

    Raises:
        LocalFileError: They cannot be read.
    """
    try:
        return os.stat(path)
    except OSError as error:
        raise local_error(error, path) from error


def delete_file(path: str, copied: os.stat_result) -> None:
    """Delete the source if it is still the file that was copied; of a link, only the link. Blocks.

    Raises:
        LocalFileError: It changed meanwhile, and stays; or it cannot be deleted.
    """
    found = file_status(path)
    # If another name of the same file was deleted meanwhile, the number of its links and its ctime have changed.
    links = found.st_nlink != copied.st_nlink
    if _version(found)[: 3 if links else 4] != _version(copied)[: 3 if links else 4]:
        message = f"{path}: changed after it was copied, so it was kept"
        raise LocalFileError(message, path=path)
    try:
        os.unlink(path)
    except OSError as error:
        raise local_error(error, path, "deleting the file after it was copied") from error


def _version(found: os.stat_result) -> tuple[int, int, int, int]:
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
