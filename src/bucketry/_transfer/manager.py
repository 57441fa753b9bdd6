"""TransferManager: all transfers of one provider, with one limit of concurrency and one memory budget."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Iterable
from functools import partial
from typing import Literal, Unpack, overload

from bucketry._core.checks import refuse_string
from bucketry._core.facts import Facts, filled, fills_in_facts
from bucketry._core.options import WriteKeywords
from bucketry._core.provider import StrPath
from bucketry._core.values import BatchResult, CommonPrefix, ObjectInfo, TransferResult
from bucketry._runtime.loading import load_content_types
from bucketry._runtime.threads import in_thread
from bucketry._transfer.cache.object_cache import ObjectCache
from bucketry._transfer.listing import as_directory, every_object
from bucketry._transfer.many import BatchCollector, collected, settled
from bucketry._transfer.one.download import Listed, refuse_existing
from bucketry._transfer.one.read import exists
from bucketry._transfer.one.transfers import ObjectTransfers
from bucketry._transfer.one.write import create_only
from bucketry._transfer.options import write_options
from bucketry._transfer.prefetch import get_many
from bucketry._transfer.progress import ProgressCallback
from bucketry._transfer.tree.download_directory import DownloadDirectory
from bucketry._transfer.tree.local_files import LocalFile, local_files
from bucketry._transfer.workers import fan_out, fan_out_each
from bucketry.errors import AlreadyExistsError, InvalidRequestError, NotFoundError, StorageError


@fills_in_facts
class TransferManager(ObjectTransfers):
    """Transfers objects of any size, with limits on requests, memory and bandwidth that all its transfers share.

    Downloads are atomic (the target is the old file or the whole new one), pinned to one version and verified. Uploads
    are visible whole or not at all. A transfer that fails or is cancelled leaves no parts and no temporary files.
    Every error is a `StorageError`. Memory is at most `config.memory_budget` plus 1 MiB for each of
    `config.max_concurrency` bodies; each open `get_many` has its own budget.

    `config.max_bandwidth` limits the average rate of all uploads, downloads and `get_many` together. Each request's
    body is sent at full speed, and the next body waits until the average is kept. Therefore files of more than two
    parts are uploaded in parts on every provider, also on the local disk; a smaller `part_size` makes the rate more
    even. `get_many` reads each object as one body. The limit does not apply to `get`, `put` of bytes and
    `stream`.

    Args:
        provider: Any provider; the manager neither connects nor disconnects it.
        config: Part sizes, limits, verification. `None`: the defaults, with no more parallel requests than the
            provider has connections, if it has an attribute `max_connections`.

    Raises:
        ConfigError: `config.max_concurrency` is more than the provider's connections.
    """

    async def upload_many(
        self, pairs: Iterable[tuple[StrPath, str]], *, progress: ProgressCallback | None = None
    ) -> BatchResult:
        """Upload `(local_path, key)` pairs, several at once; if one fails, the others continue.

        Cost: as `upload`, for each pair.
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

        Cost: as `upload`, for each pair. Memory does not grow with the number of pairs.
        """

        async def one(pair: tuple[StrPath, str]) -> tuple[str, TransferResult | StorageError]:
            return await settled(pair[1], self.upload(pair[0], pair[1], progress=progress))

        return fan_out_each(pairs, one, width=self.config.max_concurrency)

    async def download_many(
        self, pairs: Iterable[tuple[str, StrPath]], *, progress: ProgressCallback | None = None
    ) -> BatchResult:
        """Download `(key, local_path)` pairs, several at once; if one fails, the others continue.

        Cost: as `download`, for each pair.
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

        Cost: as `download`, for each pair. Memory does not grow with the number of pairs.
        """

        async def one(pair: tuple[str, StrPath]) -> tuple[str, TransferResult | StorageError]:
            return await settled(pair[0], self.download(pair[0], pair[1], progress=progress))

        return fan_out_each(pairs, one, width=self.config.max_concurrency)

    async def upload_tree(
        self,
        local_dir: StrPath,
        prefix: str,
        *,
        overwrite: bool = True,
        leave_out: Callable[[str], bool] | None = None,
        keep_mtime: bool = False,
        progress: ProgressCallback | None = None,
        **write: Unpack[WriteKeywords],
    ) -> BatchResult:
        """Upload every file below a directory; each key is the prefix, `/` and the file's relative path.

        Symbolic links to files are followed. Links to directories, sockets and names that are not UTF-8 are reported as
        failed. Ignored are empty directories, temporary files of downloads (`.bucketry-<16 hex digits>.part`), and
        directories named `.bucketry`, where a local provider keeps its own files.

        Args:
            local_dir: The directory.
            prefix: Put before each path: `"models"` means `"models/"`; empty: the keys are the paths.
            overwrite: `False`: if there is an object at the key of a file, the object stays unchanged, the file is not
                sent, and the key is in `succeeded` without a result.
            leave_out: Returns whether a path below the directory is left out; the path of a directory ends in `/`, and
                covers everything below it. Called in worker threads.
            keep_mtime: Store the time of each file's last change as the metadata `mtime`, as rclone does, so that a
                later sync knows the file; a `mtime` in `metadata` is used instead.
            progress: Called with `Progress` about 10 times a second at most for each file.
            **write: Options of each write, see `WriteKeywords`: `metadata`, `content_type`, `storage_class`, ….

        Raises:
            InvalidMetadataError: The metadata cannot be stored; nothing was uploaded.
            InvalidRequestError: A header or a tag cannot be sent; nothing was uploaded.
            LocalFileNotFoundError: There is no such directory.
            LocalNotADirectoryError: `local_dir` is a file.

        Cost: as `upload`, for each file; without `overwrite` 1 HEAD more.
        """
        collector = BatchCollector()

        async def one(found: LocalFile) -> None:
            if found.error is not None:
                collector.note(found.key, filled(found.error, self.provider.name, "upload", found.key))
                return
            upload = self._send(found, progress, write, overwrite=overwrite, keep_mtime=keep_mtime)
            collector.note(*await settled(found.key, upload))

        await load_content_types()
        write_options(self.provider, prefix, **write)  # refuses wrong options before the first file is sent
        await fan_out(local_files(os.fspath(local_dir), prefix, leave_out), one, width=self.config.max_concurrency)
        return collector.result()

    async def download_tree(
        self,
        prefix: str,
        local_dir: StrPath,
        *,
        overwrite: bool = True,
        keep_mtime: bool = False,
        progress: ProgressCallback | None = None,
    ) -> BatchResult:
        """Download every object below a prefix; no file is written outside `local_dir`.

        Some keys fail with `UnsafeKeyError`, and the others are downloaded: a key that is not a safe relative path,
        whose path goes through a symbolic link, or that has the same file name as another key on this file system.

        Args:
            prefix: A directory of keys: `"models"` means `"models/"`.
            local_dir: The target directory; made if it is missing.
            overwrite: `False`: if the path of an object exists, the path stays unchanged, the object is not fetched,
                and its key is in `succeeded` without a result.
            keep_mtime: Set each file's time from the object's metadata, else to the time when the object was stored.
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
                save = self._save(entry, directory, progress, overwrite=overwrite, keep_mtime=keep_mtime)
                collector.note(*await settled(entry.key, save))

        await fan_out(every_object(self.provider, below), one, width=self.config.max_concurrency)
        batch = collector.result()
        if not batch.succeeded and not batch.failed:
            message = f"{self.provider.locate(below)}: there is no object below this prefix"
            raise NotFoundError(message, key=below)
        return batch

    @overload
    def get_many(
        self,
        keys: Iterable[str],
        *,
        ordered: bool = True,
        on_error: Literal["raise"] = "raise",
        cache: ObjectCache | None = None,
    ) -> AsyncGenerator[tuple[str, bytes], None]: ...

    @overload
    def get_many(
        self,
        keys: Iterable[str],
        *,
        ordered: bool = True,
        on_error: Literal["yield"],
        cache: ObjectCache | None = None,
    ) -> AsyncGenerator[tuple[str, bytes | StorageError], None]: ...

    def get_many(
        self,
        keys: Iterable[str],
        *,
        ordered: bool = True,
        on_error: Literal["raise", "yield"] = "raise",
        cache: ObjectCache | None = None,
    ) -> AsyncGenerator[tuple[str, bytes | StorageError], None]:
        """Iterate over `(key, bytes)`; the next objects are prefetched within a memory budget.

        Args:
            keys: Read as they are needed; an endless iterable is fine.
            ordered: `True`: in the order of `keys`; `False`: in the order in which the objects arrive.
            on_error: `"raise"`: the first error ends the iteration. `"yield"`: for a key that failed, `(key, error)` is
                yielded, and the iteration continues.
            cache: Objects with a current copy are read from this cache; copies of other objects are added. If two
                processes need the same missing object at the same time, both fetch it. Objects without an etag, and
                objects larger than the cache, are fetched each time. A full disk only causes a warning in the log.

        Raises:
            NotFoundError: A key has no object, and `on_error` is `"raise"`; its copy in the cache is removed.
            InvalidRequestError: `on_error` is neither `"raise"` nor `"yield"`, or `cache` is no `ObjectCache`.
            LocalFileError: The cache cannot be read or written.

        Cost: 1 request for each object up to 1 MiB, 2 for a larger one. For a current copy in the cache: 1 request
            without a body, and none for `cache.max_age` seconds after that. A copy that is not current: 1 HEAD more if
            not `capabilities.get_if_match`.
        """
        with Facts(self.provider.name, "get_many"):
            refuse_string(keys, self.provider.locate())
            if on_error not in ("raise", "yield"):
                message = f"{self.provider.locate()}: on_error={on_error!r}: give 'raise' or 'yield'"
                raise InvalidRequestError(message)
            if cache is not None and not isinstance(cache, ObjectCache):
                name = type(cache).__name__
                message = (
                    f"{self.provider.locate()}: cache must be an ObjectCache, not {name}; give ObjectCache(directory)"
                )
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
            cache=cache,
        )

    async def _send(
        self,
        found: LocalFile,
        progress: ProgressCallback | None,
        write: WriteKeywords,
        *,
        overwrite: bool,
        keep_mtime: bool,
    ) -> TransferResult | None:
        with Facts(self.provider.name, "upload", found.key):
            if not overwrite:
                if await exists(self.provider, found.key):
                    return None
                write = create_only(write, self.provider.capabilities)
            try:
                return await self.upload(found.path, found.key, keep_mtime=keep_mtime, progress=progress, **write)
            except AlreadyExistsError:  # another program has made the object meanwhile
                if overwrite:
                    raise
                return None

    async def _save(
        self,
        entry: ObjectInfo,
        directory: DownloadDirectory,
        progress: ProgressCallback | None,
        *,
        overwrite: bool,
        keep_mtime: bool,
    ) -> TransferResult | None:
        with Facts(self.provider.name, "download", entry.key):
            if entry.key.endswith("/") and not entry.size:  # consoles make such an object for an empty "directory"
                await in_thread(directory.make_directory, entry.key)
                return None
            path = directory.path_of(entry.key)
            make_way = partial(directory.make_way, entry.key, path)
            if not overwrite and await in_thread(os.path.lexists, path):
                return None
            refuse = None if overwrite else partial(refuse_existing, path)
            listed = Listed(entry, keep_mtime=keep_mtime, before_write=make_way, before_publish=refuse)
            try:
                return await self._download(entry.key, progress).of_listed(listed, path)
            except AlreadyExistsError:  # another program has made the file meanwhile
                return None
