"""Copies or moves one file or object; a move deletes the source after the copy was checked."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from functools import partial

from bucketry._cli.copying.arguments import CopyArguments
from bucketry._cli.copying.items import Item
from bucketry._cli.copying.moved import (
    check_file,
    check_object,
    delete_file,
    delete_object,
    file_status,
    is_another_object,
)
from bucketry._cli.copying.pairs import Destination, Pair
from bucketry._cli.place import transfer_config
from bucketry._core.checks import same_etag
from bucketry._core.options import WriteKeywords
from bucketry._core.provider import IStorageProvider
from bucketry._core.values import ObjectInfo, TransferResult
from bucketry._runtime.threads import in_thread
from bucketry._transfer.manager import TransferManager
from bucketry._transfer.one.copy import same_server
from bucketry._transfer.one.download import refuse_existing
from bucketry._transfer.one.read import exists
from bucketry._transfer.one.write import create_only
from bucketry._transfer.progress import ProgressCallback
from bucketry.errors import AlreadyExistsError, IntegrityError, PreconditionFailedError


@dataclass(slots=True)
class Copier:
    """Copies or moves pairs to a destination.

    Attributes:
        destination: The destination.
        options: The options of the verb.
        write: The properties of each new object.
        moves: Whether the source is deleted.
        progress: Receives the reports of all transfers.
    """

    destination: Destination
    options: CopyArguments
    write: WriteKeywords
    moves: bool
    progress: ProgressCallback | None = None
    _managers: dict[int, TransferManager] = field(default_factory=dict)

    def manager(self, provider: IStorageProvider) -> TransferManager:
        """Return the manager of all transfers of a provider.

        Raises:
            ConfigError: A transfer option is out of range.
        """
        if id(provider) not in self._managers:
            config = transfer_config(provider, self.options)
            # Before a move deletes the object, its file is on the disk, so that a power cut loses nothing.
            config = replace(config, fsync=self.moves and self.destination.provider is None)
            self._managers[id(provider)] = TransferManager(provider, config)
        return self._managers[id(provider)]

    @property
    def width(self) -> int:
        """How many items are copied at once."""
        return max(manager.config.max_concurrency for manager in self._managers.values())

    async def skips(self, pair: Pair) -> bool:
        """Return whether the target exists, and must be kept.

        Cost: with `--no-clobber` 1 HEAD if the target is an object; else none.
        """
        if not self.options.no_clobber:
            return False
        if self.destination.provider is None:
            return await in_thread(os.path.lexists, pair.target)
        return await exists(self.destination.provider, pair.target)

    async def one(self, pair: Pair) -> TransferResult | None:
        """Copy or move one item; `None`: it was skipped, or a directory was made.

        Raises:
            StorageError: It was not copied, or the copy is not as expected; the source stays.
        """
        item = pair.item
        if item.error is not None:
            raise item.error
        try:
            if await self.skips(pair):
                return None
            if item.provider is not None:
                return await self._current(item, item.provider, pair.target)
            assert item.path is not None  # noqa: S101 - an item is an object or a file
            assert self.destination.provider is not None  # noqa: S101 - not both ends are local
            return await self._upload(self.destination.provider, item.path, pair.target)
        except AlreadyExistsError:
            if self.options.no_clobber:  # another program has made it meanwhile
                return None
            raise

    async def _upload(self, provider: IStorageProvider, path: str, key: str) -> TransferResult:
        manager, write = self.manager(provider), self._write(provider)
        if not self.moves:
            return await manager.upload(path, key, keep_mtime=True, progress=self.progress, **write)
        while True:
            found = await in_thread(file_status, path)
            try:
                result = await manager.upload_found(
                    path,
                    key,
                    size=found.st_size,
                    mtime=found.st_mtime_ns,
                    ctime=found.st_ctime_ns,
                    keep_mtime=True,
                    progress=self.progress,
                    **write,
                )
                break
            except (IntegrityError, PreconditionFailedError):
                # If another name of the file was moved meanwhile, the file has fewer links, and the same bytes.
                if (await in_thread(file_status, path)).st_nlink >= found.st_nlink:
                    raise
        await check_object(provider, key, result)
        await in_thread(delete_file, path, found)
        return result

    async def _current(self, item: Item, provider: IStorageProvider, target: str) -> TransferResult | None:
        """Copy the version that was listed; if it was replaced since, the new one."""
        entry = item.entry or await provider.head(item.key)
        try:
            return await self._from_object(item, provider, entry, target)
        except PreconditionFailedError:
            newer = await provider.head(item.key)
            if same_etag(newer.etag, entry.etag):
                raise
            return await self._from_object(item, provider, newer, target)

    async def _from_object(
        self, item: Item, provider: IStorageProvider, entry: ObjectInfo, target: str
    ) -> TransferResult | None:
        manager, other = self.manager(provider), self.destination.provider
        result = unproven = None
        is_mark = entry.key.endswith("/") and not entry.size  # consoles make such an object for an empty "directory"
        if other is None:
            way = partial(self._make_way, item, target)
            if is_mark:
                await in_thread(way)
            else:
                refuse = partial(refuse_existing, target) if self.options.no_clobber else None
                result = await manager.download_listed(
                    entry,
                    target,
                    keep_mtime=True,
                    before_write=way,
                    before_publish=refuse,
                    progress=self.progress,
                )
                if self.moves:
                    await in_thread(check_file, target, result)
        elif is_mark and other.capabilities.plain_paths:
            return None  # a directory of a local store cannot be empty
        else:
            is_another = not self.moves or await is_another_object(provider, entry.key, other, target)
            # The server does not copy with a condition, and without it no bytes pass through this machine.
            on_server = same_server(provider, other, entry.key)
            write = self.write if on_server else self._write(other)
            result = await manager.copy_to(
                other, entry.key, target, listed=entry, keep_mtime=True, progress=self.progress, **write
            )
            if self.moves:
                copy = await check_object(other, target, result)
                unproven = None if is_another else copy
        if self.moves:
            await delete_object(provider, entry, unproven)
        return result

    def _make_way(self, item: Item, target: str) -> None:
        """Make the directories that a target needs; for the mark of a directory, the directory. Blocks."""
        directory = self.destination.directory
        if directory is None:
            return
        if item.key.endswith("/"):
            directory.make_directory(item.name)
        else:
            directory.make_way(item.name, target)

    def _write(self, provider: IStorageProvider) -> WriteKeywords:
        """Return the keywords of a write; with `--no-clobber`, the server refuses to replace an object, if it can."""
        return create_only(self.write, provider.capabilities) if self.options.no_clobber else self.write
