"""A local directory as object storage: each method is one request, and its work runs in worker threads.

Objects are plain files: the key is the path below the base directory. Metadata, open uploads and staged files are in
`.bucketry/` in the base directory. Any number of processes on a POSIX system can use the directory at the same time.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from io import BufferedReader

from bucketry._core.capabilities import Capabilities
from bucketry._core.conditions import cut_range, judge_read
from bucketry._core.config import LocalConfig
from bucketry._core.facts import Facts, fills_in_facts
from bucketry._core.optional import RangeSink
from bucketry._core.options import WHOLE, ReadOptions, WriteOptions
from bucketry._core.os_errors import local_error
from bucketry._core.requests import BodyReader, ObjectRequests
from bucketry._core.values import BatchResult, Body, ByteRange, ListPage, MultipartUpload, ObjectInfo, Part
from bucketry._providers.local import store, uploads
from bucketry._providers.local.bytes import fill_sink, write_body
from bucketry._providers.local.listing import ListedObjects
from bucketry._providers.local.paths import LocalRoot, etag_of
from bucketry._providers.stored.listing import last_seen, take_page
from bucketry._runtime.file_copies import BLOCK, copy_steps
from bucketry._runtime.threads import in_steps, in_thread
from bucketry._runtime.walk import NameCache
from bucketry._vendors.row import Vendor
from bucketry.errors import (
    IncompleteBodyError,
    InvalidRequestError,
    PreconditionFailedError,
    StorageError,
)

_DELETES_AT_ONCE = 100  # after so many deletes, the batch can be cancelled


@fills_in_facts
class LocalRequests(ObjectRequests):
    """The requests of one directory. An instance has no open files, because each call opens and closes its files."""

    def __init__(self, config: LocalConfig, vendor: Vendor) -> None:
        """Make the base directory's path absolute; no I/O."""
        base = os.path.abspath(config.base_path)  # a process that unpickles this may have another current directory
        self._root = LocalRoot(os.fsdecode(base), vendor.capabilities)
        self._names = NameCache()
        self._name = vendor.name

    @property
    def name(self) -> str:
        """The provider's name."""
        return self._name

    @property
    def capabilities(self) -> Capabilities:
        """The limits and promises of the vendor's row."""
        return self._root.limits

    def locate(self, key: str = "") -> str:
        """Return `file:///base/key`."""
        return self._root.locate(key)

    async def connect(self) -> None:
        """Make the base directory if it does not exist, and check that it can be written to.

        Raises:
            LocalFileError: The directory cannot be made or written to, or is no directory; the error's `path` names it.
        """
        await in_thread(store.open_base, self._root)

    async def disconnect(self) -> None:
        """Do nothing, because no file is kept open."""

    async def head(self, key: str, *, version_id: str | None = None) -> ObjectInfo:
        del version_id  # always None, because the row has no versions
        return await in_thread(self._head, key)

    @asynccontextmanager
    async def open_body(self, key: str, options: ReadOptions = WHOLE) -> AsyncIterator[BodyReader]:
        opened: list[BufferedReader] = []
        try:
            yield await in_thread(self._open_body, key, options, opened)
        finally:
            for file in opened:
                if not file.closed:
                    await in_thread(file.close)  # waits for a read that still runs after a cancellation

    async def fetch_range(self, key: str, sink: RangeSink, options: ReadOptions = WHOLE) -> ObjectInfo:
        """Write a range of the object into an open file; the kernel copies the bytes if the sink need not see them.

        Raises:
            NotFoundError: There is no such object.
            PreconditionFailedError: A condition does not hold.
            InvalidRangeError: The range begins at or beyond the object's end.
            IntegrityError: Another program changed the file in place meanwhile.
            LocalFileError: A file cannot be read or written.

        Cost: a few system calls for each MiB, in a worker thread.
        """
        return await in_steps(self._fetch(key, sink, options))

    async def put_object(self, key: str, body: Body, options: WriteOptions) -> ObjectInfo:
        return await in_steps(self._put(key, body, options))

    async def list_page(
        self,
        prefix: str = "",
        *,
        delimiter: str | None = None,
        start_after: str | None = None,
        token: str | None = None,
    ) -> ListPage:
        """Return up to `capabilities.max_list_keys` entries whose keys begin with the literal prefix.

        Args:
            prefix: Literal text; `"bus"` matches `"bush/a"`.
            delimiter: Groups the keys that have the same text between the prefix and the delimiter.
            start_after: Only keys that sort after this key are listed.
            token: The `next_token` of the previous page.

        Cost: one read of each directory that the page touches, not of the whole tree.
        """
        after = last_seen(start_after, token)
        return await in_thread(self._page, prefix, delimiter, after)

    async def delete(self, remote_path: str, *, version_id: str | None = None) -> None:
        """Remove the object and the directories that become empty; succeeds when there is no such object.

        Cost: a few system calls, in a worker thread.
        """
        del version_id  # always None, because the row has no versions
        await in_steps(store.remove(self._root, remote_path))

    async def delete_batch(self, keys: Sequence[str]) -> BatchResult:
        limit = self.capabilities.max_delete_keys
        if len(keys) > limit:
            raise InvalidRequestError(f"{self.locate()}: {len(keys)} keys in one batch; {limit} is the limit")
        return await in_steps(self._delete_batch(keys))

    async def copy_object(
        self,
        source: str,
        destination: str,
        *,
        if_match: str | None = None,
        options: WriteOptions | None = None,
    ) -> ObjectInfo:
        return await in_steps(self._copy(source, destination, if_match, options))

    async def copy_part(
        self, upload: MultipartUpload, part_number: int, source: str, byte_range: ByteRange, *, if_match: str
    ) -> Part:
        return await in_steps(self._copy_part(upload, part_number, source, byte_range, if_match))

    async def create_multipart(self, key: str, options: WriteOptions) -> MultipartUpload:
        return await in_thread(uploads.create, self._root, key, options)

    async def put_part(self, upload: MultipartUpload, part_number: int, body: Body) -> Part:
        return await in_steps(uploads.put_part(self._root, upload, part_number, body))

    async def complete_multipart(
        self,
        upload: MultipartUpload,
        parts: Sequence[Part],
        options: WriteOptions,
        *,
        checksum: str | None = None,
    ) -> ObjectInfo:
        """Publish the object made of the parts, in order of their numbers.

        Args:
            upload: The open upload.
            parts: Every part, in any order.
            options: Only the preconditions are used here.
            checksum: Not compared, because a directory stores no checksums.

        Raises:
            UploadNotFoundError: The upload was completed or aborted.
            AlreadyExistsError: `if_none_match="*"` and the object exists now.
            PreconditionFailedError: `if_match` does not hold.

        Cost: a copy of the bytes in a worker thread; some file systems share the blocks instead.
        """
        return await in_steps(uploads.complete(self._root, upload, parts, options))

    async def abort_multipart(self, upload: MultipartUpload) -> None:
        await in_thread(uploads.abort, self._root, upload)

    async def list_parts(self, upload: MultipartUpload, *, after: int = 0) -> tuple[Part, ...]:
        return await in_thread(uploads.list_parts, self._root, upload, after)

    async def list_multiparts(
        self, prefix: str = "", *, after: MultipartUpload | None = None
    ) -> tuple[MultipartUpload, ...]:
        return await in_thread(uploads.list_open, self._root, prefix, after)

    async def get_tags(self, key: str) -> dict[str, str]:
        return await in_thread(self._tags, key)

    async def put_tags(self, key: str, tags: Mapping[str, str]) -> None:
        await in_steps(store.put_tags(self._root, key, tags))

    def _head(self, key: str) -> ObjectInfo:
        fd, info, _ = store.open_object(self._root, key)
        os.close(fd)
        return info

    def _tags(self, key: str) -> dict[str, str]:
        fd, _, details = store.open_object(self._root, key)
        os.close(fd)
        return dict(details.tags)

    def _open_body(self, key: str, options: ReadOptions, opened: list[BufferedReader]) -> _LocalBody:
        fd, info, _ = store.open_object(self._root, key)
        file = os.fdopen(fd, "rb")
        opened.append(file)  # at once, so that `open_body` closes the file even if it is cancelled meanwhile
        judge_read(info, options, self.locate(key))
        wanted = cut_range(info, options.byte_range, self.locate(key))
        file.seek(wanted.start)
        body = _LocalBody(info, file, wanted.size, self.locate(key), Facts(self.name, "get", key))
        if wanted.size <= BLOCK:
            body.read_now()
            file.close()
        return body

    def _fetch(self, key: str, sink: RangeSink, options: ReadOptions) -> Generator[None, None, ObjectInfo]:
        where = self.locate(key)
        fd, info, _ = store.open_object(self._root, key)
        try:
            judge_read(info, options, where)
            wanted = cut_range(info, options.byte_range, where)
            sink.begin(info)
            reached = yield from fill_sink(fd, wanted.start, wanted.end, sink)
            _check_read(fd, info, wanted.end - reached, where)
        except StorageError:
            raise
        except OSError as error:
            raise local_error(error, f"the file with descriptor {sink.fd}", where) from error
        finally:
            os.close(fd)
        return info

    def _put(self, key: str, body: Body, options: WriteOptions) -> Generator[None, None, ObjectInfo]:
        self._root.path(key)
        with store.staged(self._root) as file:
            size = yield from write_body(body, file.fd, self.locate(key))
            return (yield from store.publish(self._root, file, size, key, options))

    def _copy(
        self, source: str, destination: str, if_match: str | None, options: WriteOptions | None
    ) -> Generator[None, None, ObjectInfo]:
        self._root.path(destination)
        fd, info, details = store.open_object(self._root, source)
        try:
            judge_read(info, ReadOptions(if_match=if_match), self.locate(source))
            if options is None:
                options = replace(details.options, content_type=info.content_type)
            elif not options.tags:
                options = replace(options, tags=details.tags)  # as on S3, a copy keeps the tags unless it gets new tags
            with store.staged(self._root) as file:
                copied = yield from copy_steps(fd, 0, info.size, file.fd, 0)
                _check_read(fd, info, info.size - copied, self.locate(source))
                return (yield from store.publish(self._root, file, copied, destination, options))
        finally:
            os.close(fd)

    def _copy_part(
        self, upload: MultipartUpload, part_number: int, source: str, byte_range: ByteRange, if_match: str
    ) -> Generator[None, None, Part]:
        fd, info, _ = store.open_object(self._root, source)
        try:
            judge_read(info, ReadOptions(if_match=if_match), self.locate(source))
            wanted = cut_range(info, byte_range, self.locate(source))
            return (yield from uploads.copy_part(self._root, upload, part_number, (fd, wanted)))
        finally:
            os.close(fd)

    def _page(self, prefix: str, delimiter: str | None, after: str) -> ListPage:
        objects = ListedObjects(self._root, self._names, prefix=prefix, after=after)
        limit = self.capabilities.max_list_keys
        return take_page(objects, prefix=prefix, delimiter=delimiter, after=after, limit=limit, skip=objects.skip)

    def _delete_batch(self, keys: Sequence[str]) -> Generator[None, None, BatchResult]:
        failed: dict[str, StorageError] = {}
        for number, key in enumerate(keys, start=1):
            try:
                yield from store.remove(self._root, key)
            except StorageError as error:
                failed[key] = error
            if number % _DELETES_AT_ONCE == 0:
                yield
        return BatchResult(succeeded=tuple(key for key in keys if key not in failed), failed=failed)


class _LocalBody:
    """The open body of a local object, read in threads."""

    verified = None  # files have no checksum

    def __init__(self, info: ObjectInfo, file: BufferedReader, size: int, where: str, facts: Facts) -> None:
        self.info = info
        self._facts = facts
        self._file = file
        self._missing = size
        self._where = where
        self._read: bytes | None = None

    def read_now(self) -> None:
        """Read the whole body now, because switching to a thread again takes longer than reading a small body."""
        self._read = self._file.read(self._missing)
        _check_read(self._file.fileno(), self.info, self._missing - len(self._read), self._where)

    async def read(self) -> bytes:
        """Return the whole body in one piece."""
        return b"".join([chunk async for chunk in self]) if self._read is None else self._read

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        """Yield the bytes in chunks of 1 MiB."""
        if self._read is not None:
            if self._read:
                yield self._read
            return
        with self._facts:
            try:
                while self._missing and (chunk := await in_thread(self._file.read, min(BLOCK, self._missing))):
                    self._missing -= len(chunk)
                    yield chunk
            except OSError as error:
                raise local_error(error, self._where.removeprefix("file://"), self._where) from error
            await in_thread(_check_read, self._file.fileno(), self.info, self._missing, self._where)


def _check_read(fd: int, info: ObjectInfo, missing: int, where: str) -> None:
    """Raise an error if another program changed the file, or cut it short, while it was read."""
    if etag_of(os.fstat(fd)) != info.etag:
        raise PreconditionFailedError(f"{where}: another program changed the file while it was read", key=info.key)
    if missing:
        raise IncompleteBodyError(f"{where}: the file ended {missing} bytes early", key=info.key)
