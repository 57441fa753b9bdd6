"""ObjectTransfers: methods that transfer one object, with one limit of concurrency and one memory budget for all."""

from __future__ import annotations

import time
from collections.abc import AsyncIterable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar, Unpack

from bucketry._core.config import TransferConfig
from bucketry._core.facts import Facts, fills_in_facts
from bucketry._core.options import WriteKeywords, WriteOptions
from bucketry._core.provider import StrPath
from bucketry._core.requests import ObjectRequests
from bucketry._core.retry import RetryPolicy
from bucketry._core.values import ObjectInfo, TransferResult
from bucketry._runtime.loading import load_content_types
from bucketry._runtime.loop_local import LoopLocal
from bucketry._transfer.cache.object_cache import ObjectCache
from bucketry._transfer.checked_config import checked_config
from bucketry._transfer.limits import Limits, gates_of
from bucketry._transfer.one.cached import cached_path
from bucketry._transfer.one.copy import (
    UNCHANGED,
    CopyOptions,
    copy,
    copy_between,
    copy_listed,
    refuse_itself,
    same_server,
)
from bucketry._transfer.one.download import DownloadTransfer, Listed
from bucketry._transfer.one.parts import OpenUpload, adopt, start
from bucketry._transfer.one.read import pinned_head
from bucketry._transfer.one.staging import staged_name
from bucketry._transfer.one.upload import UploadTransfer
from bucketry._transfer.one.write import new_token, with_token
from bucketry._transfer.options import write_options
from bucketry._transfer.plan import single_limit
from bucketry._transfer.progress import Meter, ProgressCallback


@fills_in_facts
class ObjectTransfers:
    """The methods of `TransferManager` that transfer one object; `TransferManager` adds methods for many objects."""

    FILLS_IN_FACTS: ClassVar[tuple[str, ...]] = ("upload", "upload_found", "download", "download_listed")

    def __init__(self, provider: ObjectRequests, config: TransferConfig | None = None) -> None:
        """Store provider and configuration; no I/O."""
        self.provider = provider
        self.config = checked_config(provider, config)
        self.policy = RetryPolicy.of(self.config)  # for bodies that break
        self._limits: LoopLocal[Limits] = LoopLocal(self._make_limits)

    def _make_limits(self) -> Limits:
        return Limits.of(self.config, gates_of(self.provider))

    def __getstate__(self) -> dict[str, object]:
        """Pickle provider and configuration only."""
        return {"provider": self.provider, "config": self.config}

    def __setstate__(self, state: dict[str, object]) -> None:
        """Restore provider and configuration; no slot or memory is in use."""
        self.__init__(**state)  # type: ignore[misc]  # the state is the constructor's arguments

    async def upload(
        self,
        local_path: StrPath,
        key: str,
        *,
        keep_mtime: bool = False,
        progress: ProgressCallback | None = None,
        **write: Unpack[WriteKeywords],
    ) -> TransferResult:
        """Store a local file; visible whole or not at all; in parallel parts if the file is larger than the threshold.

        Args:
            local_path: A regular file; it must not change meanwhile.
            key: The object.
            keep_mtime: Store the time of the file's last change as the metadata `mtime`, as rclone does; a `mtime` in
                `metadata` is used instead.
            progress: Called with `Progress` about 10 times a second at most.
            **write: Options of the write, see `WriteKeywords`: `metadata`, `content_type`, `tags`, `if_match`, ….

        Raises:
            LocalFileError: The file is missing, a directory, or unreadable.
            AlreadyExistsError: `if_none_match="*"` and there is an object.
            PreconditionFailedError: `if_match` does not hold.
            UnsupportedError: The provider does not enforce the condition, or does not store objects of this size.
            IntegrityError: The file changed meanwhile, or the bytes that arrived differ from those sent.

        Cost: 1 request; in parts: 1 for each part and 2 more, and 1 HEAD if the vendor neither compares a checksum of
            the whole object nor returns its final etag. The file's bytes up.
        """
        with Facts(self.provider.name, "upload", key):
            await load_content_types(key)
            options = write_options(self.provider, key, **write)
            upload = self._upload(key, options, progress)
            upload.keep_mtime = keep_mtime
            return await upload.of_file(local_path)

    async def upload_found(
        self,
        local_path: StrPath,
        key: str,
        *,
        size: int,
        mtime: int,
        ctime: int | None = None,
        keep_mtime: bool = False,
        progress: ProgressCallback | None = None,
        **write: Unpack[WriteKeywords],
    ) -> TransferResult:
        """Store exactly the version of a file that a walk found; the counterpart of `download_listed`.

        Args:
            local_path: A regular file.
            key: The object.
            size: The length in bytes that the file must have.
            mtime: The `st_mtime_ns` that the file must have.
            ctime: The `st_ctime_ns` that the file must have, which no program can set back; `None`: any time.
            keep_mtime: As in `upload`.
            progress: Called with `Progress` about 10 times a second at most.
            **write: Options of the write, see `WriteKeywords`.

        Raises:
            PreconditionFailedError: The file has another size or time, and nothing was sent; or `if_match` does not
                hold.
            StorageError: See `upload`.

        Cost: as `upload`.
        """
        with Facts(self.provider.name, "upload", key):
            await load_content_types(key)
            upload = self._upload(key, write_options(self.provider, key, **write), progress)
            upload.found = (size, mtime)
            upload.found_ctime = ctime
            upload.keep_mtime = keep_mtime
            return await upload.of_file(local_path)

    def goes_in_parts(self, size: int) -> bool:
        """Return whether a file of this size is uploaded in parts."""
        return size > single_limit(self.provider.capabilities, self.config)

    async def upload_stream(
        self,
        chunks: AsyncIterable[bytes],
        key: str,
        *,
        progress: ProgressCallback | None = None,
        **write: Unpack[WriteKeywords],
    ) -> TransferResult:
        """Store a stream of unknown length, with bounded memory; the other arguments and the errors are as in `upload`.

        Cost: 1 request if the stream fits in one part; else 1 for each part and 3 more.
        """
        await load_content_types(key)
        options = write_options(self.provider, key, **write)
        return await self._upload(key, options, progress).of_stream(chunks)

    async def download(
        self,
        key: str,
        local_path: StrPath,
        *,
        keep_mtime: bool = False,
        progress: ProgressCallback | None = None,
    ) -> TransferResult:
        """Download an object to a local file; the path always has the old file or the whole new one.

        Missing directories are made. A symbolic link is replaced, not followed.

        Args:
            key: The object.
            local_path: The file to make or replace.
            keep_mtime: Set the file's time from the object's metadata, else to the time when the object was stored.
            progress: Called with `Progress` about 10 times a second at most.

        Raises:
            NotFoundError: There is no such object.
            PreconditionFailedError: The object was replaced meanwhile.
            ChecksumMismatchError: The bytes do not match the stored checksum, not even in a second download.
            IntegrityError: The number of bytes received differs from the object's size.
            LocalFileError: The file cannot be written, or is a directory.

        Cost: 1 request for each part. The first response tells the size; the other requests follow at once. 1 HEAD
            beside the data if the provider stores checksums and the first response has none. 1 more request for an
            empty object. The object's bytes down.
        """
        with Facts(self.provider.name, "download", key):
            return await self._download(key, progress).to(local_path, keep_mtime=keep_mtime)

    async def download_listed(
        self,
        listed: ObjectInfo,
        path: str,
        *,
        keep_mtime: bool = False,
        before_write: Callable[[], None] | None = None,
        before_publish: Callable[[], None] | None = None,
        progress: ProgressCallback | None = None,
    ) -> TransferResult:
        """Download exactly the version of an object that a listing or a HEAD showed; atomic, as `download` is.

        Args:
            listed: The object's entry; the object must still have the same `size` and `etag`.
            path: The file to make or replace.
            keep_mtime: Set the file's time from the object's metadata, else to the time when the object was stored.
            before_write: Called in a worker thread before anything is written, for example to make directories; if it
                raises an error, nothing is written.
            before_publish: Called in a worker thread just before the file is renamed to `path`; if it raises an error,
                `path` is left unchanged.
            progress: Called with `Progress` about 10 times a second at most.

        Raises:
            NotFoundError: The object is gone.
            PreconditionFailedError: The object was replaced since it was listed.
            IntegrityError: The size or the bytes that arrived are not those of the entry.

        Cost: 1 request up to the size of a part; for a larger object as `download`. The object's bytes down.
        """
        with Facts(self.provider.name, "download", listed.key):
            entry = Listed(
                listed,
                pinned=True,
                keep_mtime=keep_mtime,
                before_write=before_write,
                before_publish=before_publish,
            )
            return await self._download(listed.key, progress).of_listed(entry, path)

    async def cached(self, key: str, cache: ObjectCache) -> Path:
        """Return the path of a current copy of the object in a local cache; if there is none, fetch the object.

        If several tasks or processes need the same missing object at the same time, one of them fetches it and the
        others wait. Do not change the file. The cache removes the file when other objects need its space. An open file
        can be read to its end after that.

        Raises:
            NotFoundError: There is no such object; its copy is removed.
            InvalidRequestError: The object is larger than `cache.max_bytes`.
            UnsupportedError: The provider sends no etag for the object.
            PreconditionFailedError: The object was replaced while it was fetched.
            LocalFileError: The cache cannot be read or written.

        Cost: 1 HEAD, and none for `cache.max_age` seconds after that. If the copy is not current, as `download_listed`
            in addition.
        """
        return await cached_path(self.provider, cache, key, partial(self._staged_download, key))

    async def copy(self, source: str, destination: str) -> ObjectInfo:
        """Copy an object of any size within the bucket, on the server, as `StorageProvider.copy` does.

        Cost: 2 requests (3 on S3-compatible clouds); above the limit for one copy, 1 for each 256 MiB and 4 more.
        """
        return await copy(self.provider, self._limits.get(), self.config, source, destination, token=new_token())

    async def copy_to(
        self,
        other_provider: ObjectRequests,
        key: str,
        destination_key: str,
        *,
        listed: ObjectInfo | None = None,
        keep_mtime: bool = False,
        progress: ProgressCallback | None = None,
        **write: Unpack[WriteKeywords],
    ) -> TransferResult:
        """Copy an object to another provider: on the server if that is possible, else part by part through memory.

        The server copies within one bucket (`capabilities.copy`), and between two buckets with the same endpoint,
        credentials and options (`capabilities.copy_between_buckets`), unless there is a condition. A
        destination without multipart uploads gets the object in one request: `memory_budget` must be at least twice the
        object's size.

        Args:
            other_provider: The destination.
            key: The object.
            destination_key: The key to write.
            listed: The object's entry in a listing: exactly this version is copied; `None`: the current version.
            keep_mtime: If the source has no `mtime` in its metadata, add the time when it was stored; the server does
                not do that.
            progress: Called with `Progress` of the destination's key about 10 times a second at most; a copy in one
                request on the server is reported at its end.
            **write: What differs from the source, see `WriteKeywords`: `metadata` is added to the source's metadata,
                the other properties replace those of the source. Without `storage_class`, the copy has the
                destination's default class. `if_none_match` and `if_match` are about the destination.

        Raises:
            NotFoundError: There is no such object.
            PreconditionFailedError: The object is not the listed version, or `if_match` does not hold.
            AlreadyExistsError: `if_none_match="*"` and there is an object.
            UnsupportedError: The destination does not enforce the condition, or does not store objects of this size.

        Cost: on the server as `copy`. Through memory: for an object of one part 1 GET and 1 PUT, and 1 HEAD without
            `listed`; for a larger object 1 HEAD, 2 requests for each part and 3 more, or 4 if completion does not
            return the final etag. 1 more for the tags if both vendors have tags. The bytes down and up.
        """
        await load_content_types(destination_key)
        changes = write_options(other_provider, destination_key, **write)
        if write.get("content_type") is None:
            changes = replace(changes, content_type=None)  # the source's type, not that of the key's suffix
        if not changes.conditional and same_server(self.provider, other_provider, key):
            return await self._copy_on_server(other_provider, key, destination_key, listed, changes, progress)
        wanted = CopyOptions(listed=listed, changes=changes, keep_mtime=keep_mtime, progress=progress)
        return await copy_between(
            self.provider,
            other_provider,
            self._limits.get(),
            self.config,
            key,
            destination_key,
            wanted,
            token=new_token(),
        )

    async def _copy_on_server(
        self,
        other: ObjectRequests,
        key: str,
        destination_key: str,
        listed: ObjectInfo | None,
        changes: WriteOptions,
        progress: ProgressCallback | None,
    ) -> TransferResult:
        started = time.monotonic()
        if other is self.provider and changes == UNCHANGED:
            refuse_itself(self.provider, key, destination_key)
        info = await (self.provider.head(key) if listed is None else pinned_head(self.provider, listed))
        meter = Meter(progress, destination_key, info.size)
        copied = await copy_listed(
            self.provider,
            other,
            self._limits.get(),
            self.config,
            info,
            destination_key,
            token=new_token(),
            changes=changes,
            meter=meter,
        )
        meter.finish()
        return TransferResult(
            key=destination_key,
            size=copied.size,
            etag=copied.etag,
            version_id=copied.version_id,
            concurrency=self._limits.get().concurrency(0),
            seconds=time.monotonic() - started,
        )

    async def start_upload(self, key: str, **write: Unpack[WriteKeywords]) -> OpenUpload:
        """Open a multipart upload, as `StorageProvider.start_upload` does.

        Cost: 1 request.
        """
        await load_content_types(key)
        options = with_token(write_options(self.provider, key, **write), new_token())
        return await start(self.provider, self._limits.get(), self.config, key, options)

    async def adopt_upload(self, key: str, upload_id: str) -> OpenUpload:
        """Continue an open multipart upload, as `StorageProvider.adopt_upload` does.

        Cost: none.
        """
        return adopt(self.provider, self._limits.get(), self.config, key, upload_id)

    async def put_stream(self, key: str, chunks: AsyncIterable[bytes], options: WriteOptions) -> ObjectInfo:
        """Store a stream as `upload_stream` does, and return the new object's properties."""
        upload = self._upload(key, options, None)
        await upload.of_stream(chunks)
        return upload.made

    def _upload(self, key: str, options: WriteOptions, progress: ProgressCallback | None) -> UploadTransfer:
        return UploadTransfer(self.provider, self.config, self._limits.get(), key, options, progress=progress)

    def _download(self, key: str, progress: ProgressCallback | None) -> DownloadTransfer:
        return DownloadTransfer(self.provider, self.config, self._limits.get(), key, staged_name(), progress)

    def _staged_download(self, key: str, name: str) -> DownloadTransfer:
        return DownloadTransfer(self.provider, self.config, self._limits.get(), key, name)
