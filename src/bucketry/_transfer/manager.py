"""TransferManager: all transfers of one provider, with one limit of concurrency and one memory budget."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Mapping
from functools import partial
from typing import ClassVar, Literal, Unpack, overload

from bucketry._core.checks import check_metadata, refuse_string
from bucketry._core.config import TransferConfig
from bucketry._core.facts import Facts, filled, fills_in_facts
from bucketry._core.options import WriteKeywords, WriteOptions
from bucketry._core.provider import StrPath
from bucketry._core.requests import ObjectRequests
from bucketry._core.retry import RetryPolicy
from bucketry._core.values import BatchResult, CommonPrefix, ObjectInfo, TransferResult
from bucketry._runtime.loop_local import LoopLocal
from bucketry._runtime.threads import in_thread
from bucketry._transfer.limits import Limits, check_connections, default_config
from bucketry._transfer.listing import as_directory, every_object
from bucketry._transfer.many import BatchCollector, collected, get_many, settled
from bucketry._transfer.one.copy import copy, copy_between
from bucketry._transfer.one.download import DownloadTransfer
from bucketry._transfer.one.parts import OpenUpload, adopt, start
from bucketry._transfer.one.staging import staged_name
from bucketry._transfer.one.upload import UploadTransfer
from bucketry._transfer.one.write import new_token, with_token
from bucketry._transfer.options import write_options
from bucketry._transfer.progress import ProgressCallback
from bucketry._transfer.tree.download_directory import DownloadDirectory
from bucketry._transfer.tree.local_files import LocalFile, local_files
from bucketry._transfer.workers import fan_out, fan_out_each
from bucketry.errors import ConfigError, InvalidRequestError, NotFoundError, StorageError


@fills_in_facts
class TransferManager:
    """Transfers objects of any size, with limits on requests, memory and bandwidth that all its transfers share.

    Downloads are atomic (the target is the old file or the whole new one), pinned to one version and verified. Uploads
    are visible whole or not at all. A transfer that fails or is cancelled leaves no parts and no temporary files.
    Every error is a `StorageError`. Memory is at most `config.memory_budget` plus 1 MiB for each of
    `config.max_concurrency` bodies; each open `get_many` has its own budget.

    `config.max_bandwidth` limits the average rate of all uploads, downloads and `get_many` together. Each request's
    body is sent at full speed, and the next body waits until the average is kept. Therefore files of more than two
    parts are transferred in parts and ranges on every provider, also on the local disk; a smaller `part_size` makes the
    rate more even. `get_many` reads each object as one body. The limit does not apply to `get`, `put` of bytes and
    `stream`.

    Args:
        provider: Any provider; the manager neither connects nor disconnects it.
        config: Part sizes, limits, verification. `None`: the defaults, with no more parallel requests than the
            provider has connections, if it has an attribute `max_connections`.

    Raises:
        ConfigError: `config.max_concurrency` is more than the provider's connections.
    """

    FILLS_IN_FACTS: ClassVar[tuple[str, ...]] = ("upload", "download")

    def __init__(self, provider: ObjectRequests, config: TransferConfig | None = None) -> None:
        """Store provider and configuration; no I/O."""
        if config is not None and not isinstance(config, TransferConfig):
            message = f"TransferManager: config must be a TransferConfig, not {type(config).__name__}"
            raise ConfigError(message)
        self.provider = provider
        self.config = default_config(provider) if config is None else check_connections(provider, config)
        self.policy = RetryPolicy.of(self.config)  # for bodies that break
        self._limits: LoopLocal[Limits] = LoopLocal(self._make_limits)

    def _make_limits(self) -> Limits:
        return Limits.of(self.config)

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
        progress: ProgressCallback | None = None,
        **write: Unpack[WriteKeywords],
    ) -> TransferResult:
        """Store a local file: visible whole or not at all; in parallel parts if it is larger than the threshold.

        Args:
            local_path: A regular file; it must not change meanwhile.
            key: The object.
            progress: Called with `Progress` about 10 times a second at most.
            **write: Options of the write, see `WriteKeywords`: `metadata`, `content_type`, `tags`, `if_match`, ….

        Raises:
            LocalFileError: The file is missing, a directory, or unreadable.
            AlreadyExistsError: `if_none_match="*"` and there is an object.
            PreconditionFailedError: `if_match` does not hold.
            UnsupportedError: The provider does not enforce the condition, or the file is larger than its objects.
            IntegrityError: The file changed meanwhile, or the bytes that arrived differ from those sent.

        Cost: 1 request; in parts: 1 for each part and 3 more. The file's bytes up.
        """
        with Facts(self.provider.name, "upload", key):
            options = write_options(self.provider, key, **write)
            return await self._upload(key, options, progress).of_file(local_path)

    async def upload_stream(
        self,
        chunks: AsyncIterable[bytes],
        key: str,
        *,
        progress: ProgressCallback | None = None,
        **write: Unpack[WriteKeywords],
    ) -> TransferResult:
        """Store a stream of unknown length, with bounded memory; arguments and errors as for `upload`.

        Cost: 1 request if it fits one part; else 1 for each part and 3 more.
        """
        options = write_options(self.provider, key, **write)
        return await self._upload(key, options, progress).of_stream(chunks)

    async def download(
        self, key: str, local_path: StrPath, *, progress: ProgressCallback | None = None
    ) -> TransferResult:
        """Download an object to a local file; the path always has the old file or the whole new one.

        Missing directories are made. A symbolic link is replaced, not followed.

        Args:
            key: The object.
            local_path: The file to make or replace.
            progress: Called with `Progress` about 10 times a second at most.

        Raises:
            NotFoundError: There is no such object.
            PreconditionFailedError: The object was replaced meanwhile.
            ChecksumMismatchError: The bytes do not match the stored checksum, also not in a second download.
            IntegrityError: The number of bytes received differs from the object's size.
            LocalFileError: The file cannot be written, or is a directory.

        Cost: 1 HEAD, and 1 request for each part. The object's bytes down.
        """
        with Facts(self.provider.name, "download", key):
            return await self._download(key, progress).to(local_path)

    async def upload_many(
        self, pairs: Iterable[tuple[StrPath, str]], *, progress: ProgressCallback | None = None
    ) -> BatchResult:
        """Upload `(local_path, key)` pairs, several at once; if one fails, the others continue.

        Cost: as `upload`, for each.
        """
        return await collected(self.upload_each(pairs, progress=progress))

    def upload_each(
        self, pairs: Iterable[tuple[StrPath, str]], *, progress: ProgressCallback | None = None
    ) -> AsyncGenerator[tuple[str, TransferResult | StorageError], None]:
        """Upload `(local_path, key)` pairs, several at once, and iterate over `(key, result or error)` as they finish.

        Results come in the order in which the uploads finish. If the consumer is slow, the uploads wait for it. Use
        `contextlib.aclosing` to leave the iteration early: it stops the unfinished uploads, and no part of them stays.

        Args:
            pairs: Read as they are needed; an endless iterable is fine.
            progress: Called with `Progress` about 10 times a second at most for each file.

        Cost: as `upload`, for each. Memory does not grow with the number of pairs.
        """

        async def one(pair: tuple[StrPath, str]) -> tuple[str, TransferResult | StorageError]:
            return await settled(pair[1], self.upload(pair[0], pair[1], progress=progress))

        return fan_out_each(pairs, one, width=self.config.max_concurrency)

    async def download_many(
        self, pairs: Iterable[tuple[str, StrPath]], *, progress: ProgressCallback | None = None
    ) -> BatchResult:
        """Download `(key, local_path)` pairs, several at once; if one fails, the others continue.

        Cost: as `download`, for each.
        """
        return await collected(self.download_each(pairs, progress=progress))

    def download_each(
        self, pairs: Iterable[tuple[str, StrPath]], *, progress: ProgressCallback | None = None
    ) -> AsyncGenerator[tuple[str, TransferResult | StorageError], None]:
        """Download `(key, local_path)` pairs, and iterate over `(key, result or error)` as they finish.

        Results come in the order in which the downloads finish. If the consumer is slow, the downloads wait for it. Use
        `contextlib.aclosing` to leave the iteration early: it stops the downloads, and no staged file remains.

        Args:
            pairs: Read as they are needed; an endless iterable is fine.
            progress: Called with `Progress` about 10 times a second at most for each object.

        Cost: as `download`, for each. Memory does not grow with the number of pairs.
        """

        async def one(pair: tuple[str, StrPath]) -> tuple[str, TransferResult | StorageError]:
            return await settled(pair[0], self.download(pair[0], pair[1], progress=progress))

        return fan_out_each(pairs, one, width=self.config.max_concurrency)

    async def upload_tree(
        self,
        local_dir: StrPath,
        prefix: str,
        *,
        metadata: Mapping[str, str] | None = None,
        progress: ProgressCallback | None = None,
    ) -> BatchResult:
        """Upload every file below a directory; each key is the prefix, `/` and the file's relative path.

        Symbolic links to files are followed. Links to directories, sockets and names that are not UTF-8 are reported as
        failed. Ignored are empty directories, temporary files of downloads (`.bucketry-<16 hex digits>.part`), and
        directories named `.bucketry`, where a local provider keeps its own files.

        Args:
            local_dir: The directory.
            prefix: Put before each path: `"models"` means `"models/"`; empty: the keys are the paths.
            metadata: User metadata of each object, printable ASCII.
            progress: Called with `Progress` about 10 times a second at most for each file.

        Raises:
            InvalidMetadataError: The metadata cannot be stored; nothing was uploaded.
            LocalFileNotFoundError: There is no such directory.
            LocalNotADirectoryError: `local_dir` is a file.

        Cost: as `upload`, for each file.
        """
        collector = BatchCollector()

        async def one(found: LocalFile) -> None:
            if found.error is not None:
                collector.note(found.key, filled(found.error, self.provider.name, "upload", found.key))
                return
            upload = self.upload(found.path, found.key, metadata=metadata, progress=progress)
            collector.note(*await settled(found.key, upload))

        check_metadata(metadata, self.provider.capabilities, self.provider.locate(prefix))
        await fan_out(local_files(os.fspath(local_dir), prefix), one, width=self.config.max_concurrency)
        return collector.result()

    async def download_tree(
        self,
        prefix: str,
        local_dir: StrPath,
        *,
        overwrite: bool = True,
        progress: ProgressCallback | None = None,
    ) -> BatchResult:
        """Download every object below a prefix; no file is written outside `local_dir`.

        Some keys fail with `UnsafeKeyError`, and the others are downloaded: a key that is not a safe relative path,
        whose path goes through a symbolic link, or that has the same file name as another key on this file system.

        Args:
            prefix: A directory of keys: `"models"` means `"models/"`.
            local_dir: The target directory; made if it is missing.
            overwrite: `False`: if the path of an object exists, it stays, the object is not fetched, and its key is in
                `succeeded` without a result.
            progress: Called with `Progress` about 10 times a second at most for each object.

        Raises:
            NotFoundError: There is no object below the prefix.

        Cost: 1 request for each 1,000 keys, 1 for each object of one part, and as `download` for larger ones.
        """
        below = as_directory(prefix)
        directory = await in_thread(DownloadDirectory, os.fspath(local_dir), below)
        collector = BatchCollector()

        async def one(entry: ObjectInfo | CommonPrefix) -> None:
            if isinstance(entry, ObjectInfo):
                collector.note(*await settled(entry.key, self._save(entry, directory, progress, overwrite=overwrite)))

        await fan_out(every_object(self.provider, below), one, width=self.config.max_concurrency)
        batch = collector.result()
        if not batch.succeeded and not batch.failed:
            message = f"{self.provider.locate(below)}: there is no object below this prefix"
            raise NotFoundError(message, key=below)
        return batch

    @overload
    def get_many(
        self, keys: Iterable[str], *, ordered: bool = True, on_error: Literal["raise"] = "raise"
    ) -> AsyncGenerator[tuple[str, bytes], None]: ...

    @overload
    def get_many(
        self, keys: Iterable[str], *, ordered: bool = True, on_error: Literal["yield"]
    ) -> AsyncGenerator[tuple[str, bytes | StorageError], None]: ...

    def get_many(
        self, keys: Iterable[str], *, ordered: bool = True, on_error: Literal["raise", "yield"] = "raise"
    ) -> AsyncGenerator[tuple[str, bytes | StorageError], None]:
        """Iterate over `(key, bytes)`; the next objects are prefetched within a memory budget.

        Args:
            keys: Read as they are needed; an endless iterable is fine.
            ordered: `True`: in the order of `keys`; `False`: in the order in which the objects arrive.
            on_error: `"raise"`: the first error ends the iteration. `"yield"`: a key that failed gives
                `(key, error)`, and the iteration continues.

        Raises:
            NotFoundError: A key has no object, and `on_error` is `"raise"`.
            InvalidRequestError: `on_error` is neither `"raise"` nor `"yield"`.

        Cost: 1 request for each object up to 1 MiB, 2 for a larger one.
        """
        with Facts(self.provider.name, "get_many"):
            refuse_string(keys, self.provider.locate())
            if on_error not in ("raise", "yield"):
                message = f"{self.provider.locate()}: on_error={on_error!r}: give 'raise' or 'yield'"
                raise InvalidRequestError(message)
        return get_many(
            self.provider,
            self._limits.get(),
            self.policy,
            keys,
            ordered=ordered,
            width=self.config.max_concurrency,
            raises=on_error == "raise",
            verify=self.config.verify,
        )

    async def copy(self, source: str, destination: str) -> ObjectInfo:
        """Copy an object of any size within the bucket, on the server, as `StorageProvider.copy` does.

        Cost: 2 requests (3 on S3-compatible clouds); above the vendor's limit for one copy 1 for each 256 MiB and 4.
        """
        return await copy(self.provider, self._limits.get(), self.config, source, destination, token=new_token())

    async def copy_to(self, other_provider: ObjectRequests, key: str, destination_key: str) -> TransferResult:
        """Copy an object to another provider: part by part through memory; on the server if it is the same one.

        A destination without multipart uploads gets the object in one request: `memory_budget` must be at least twice
        the object's size.

        Cost: on the server as `copy`; else 1 HEAD, and 2 requests for each part and 3 more. The bytes down and up.
        """
        if other_provider is self.provider and self.provider.capabilities.copy:
            copied = await self.copy(key, destination_key)
            return TransferResult(key=destination_key, size=copied.size, etag=copied.etag, version_id=copied.version_id)
        return await copy_between(
            self.provider,
            other_provider,
            self._limits.get(),
            self.config,
            key,
            destination_key,
            token=new_token(),
        )

    async def start_upload(self, key: str, **write: Unpack[WriteKeywords]) -> OpenUpload:
        """Open a multipart upload, as `StorageProvider.start_upload` does.

        Cost: 1 request.
        """
        options = with_token(write_options(self.provider, key, **write), new_token())
        return await start(self.provider, self._limits.get(), self.config, key, options)

    async def adopt_upload(self, key: str, upload_id: str) -> OpenUpload:
        """Continue an open multipart upload, as `StorageProvider.adopt_upload` does.

        Cost: none.
        """
        return adopt(self.provider, self._limits.get(), self.config, key, upload_id)

    async def put_stream(self, key: str, chunks: AsyncIterable[bytes], options: WriteOptions) -> ObjectInfo:
        """Store a stream as `upload_stream` does, and give the new object's properties."""
        upload = self._upload(key, options, None)
        await upload.of_stream(chunks)
        return upload.made

    async def _save(
        self, entry: ObjectInfo, directory: DownloadDirectory, progress: ProgressCallback | None, *, overwrite: bool
    ) -> TransferResult | None:
        with Facts(self.provider.name, "download", entry.key):
            if entry.key.endswith("/") and not entry.size:  # consoles make such an object for an empty "directory"
                await in_thread(directory.make_directory, entry.key)
                return None
            path = directory.path_of(entry.key)
            if not overwrite and await in_thread(os.path.lexists, path):
                return None
            make_way = partial(directory.make_way, entry.key, path)
            return await self._download(entry.key, progress).land(entry, path, make_way)

    def _upload(self, key: str, options: WriteOptions, progress: ProgressCallback | None) -> UploadTransfer:
        return UploadTransfer(self.provider, self.config, self._limits.get(), key, options, new_token(), progress)

    def _download(self, key: str, progress: ProgressCallback | None) -> DownloadTransfer:
        return DownloadTransfer(self.provider, self.config, self._limits.get(), key, staged_name(), progress)
