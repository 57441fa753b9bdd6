"""A dataset at the provider: reads its manifest or, if it has none, lists its objects."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from bucketry._core.options import ReadOptions
from bucketry._core.values import CommonPrefix, ObjectInfo
from bucketry._manage.datasets.values import DatasetFile, DatasetInfo
from bucketry._manage.managed import DATASET_MANIFEST, Managed
from bucketry._manage.manifest import Json, ManifestReader, format_time, from_json, to_json
from bucketry._manage.paths import check_paths
from bucketry._runtime.threads import in_thread
from bucketry._transfer.listing import every_object
from bucketry._transfer.one.read import read
from bucketry.errors import NotFoundError, PreconditionFailedError, StorageError


@dataclass(frozen=True, slots=True)
class StoredDataset:
    """A dataset as it was read.

    Attributes:
        info: The files, the time and the metadata of the dataset.
        version: The manifest's etag; `None`: there is no manifest, or the provider has no etags.
        complete: Whether its first upload has ended; if not, only uploads may use the dataset.
    """

    info: DatasetInfo
    version: str | None = None
    complete: bool = True


class DatasetPlace:
    """Where one dataset is: its prefix at a provider.

    Attributes:
        manager: Has the provider and the transfers.
        name: The dataset's name.
        prefix: The prefix of its objects, with `/` at the end.
        manifest: The key of its manifest.
    """

    def __init__(self, manager: Managed, root: str, name: str) -> None:
        """Store the arguments; no I/O.

        Args:
            manager: Has the provider and the transfers.
            root: The prefix of all datasets, with `/` at the end; it may be empty.
            name: The dataset's name.
        """
        self.manager = manager
        self.root = root
        self.name = name
        self.prefix = f"{self.root}{name}/"
        self.manifest = self.prefix + DATASET_MANIFEST

    @property
    def url(self) -> str:
        """The dataset's URL, for messages."""
        return self.manager.provider.locate(self.prefix)

    def key(self, path: str) -> str:
        """Return the key of a file, in the Unicode form in which the vendor stores and lists it."""
        form = self.manager.provider.capabilities.key_normalization
        return unicodedata.normalize(form, self.prefix + path) if form is not None else self.prefix + path

    async def read(self) -> StoredDataset:
        """Read the dataset from its manifest or, without a manifest, from a listing.

        Raises:
            NotFoundError: There is no such dataset, or its first upload has not ended.
            UnsupportedError: The manifest has a newer format.
            IntegrityError: The manifest was changed by another program, or is damaged.

        Cost: 1 request; without a manifest 1 more for each 1,000 objects.
        """
        found = await self.read_manifest()
        return await self.read_listing() if found is None else self.check_complete(found)

    async def read_again(self, known: StoredDataset) -> StoredDataset:
        """Read the dataset again, with 1 request if the manifest has not changed.

        Cost: 1 request if the manifest has not changed; without a manifest 1 for each 1,000 objects.
        """
        if not known.info.has_manifest:
            return await self.read_listing()
        try:
            found = await self.read_manifest(known.version)
        except PreconditionFailedError:  # `if_none_match` raises this error if the manifest has not changed
            return known
        return await self.read_listing() if found is None else self.check_complete(found)

    def check_complete(self, found: StoredDataset) -> StoredDataset:
        """Refuse a dataset whose first upload has not ended.

        Raises:
            NotFoundError: The first upload has not ended.
        """
        if not found.complete:
            message = f"{self.url}: the first upload of this dataset is under way or was interrupted; upload it again"
            raise NotFoundError(message, key=self.manifest)
        return found

    async def read_manifest(self, other_than: str | None = None) -> StoredDataset | None:
        """Read the dataset from its manifest; `None`: it has no manifest.

        Raises:
            PreconditionFailedError: The manifest still has the etag `other_than`.

        Cost: 1 request.
        """
        options = ReadOptions(if_none_match=other_than or None)
        try:
            got, data = await read(self.manager.provider, self.manifest, options, policy=self.manager.transfers.policy)
        except NotFoundError:
            return None
        return await in_thread(self._from_manifest, data, got.etag or None)

    def _from_manifest(self, data: bytes, version: str | None) -> StoredDataset:
        entries = from_json(data, self.manager.provider.locate(self.manifest))
        if entries.text("name") != self.name:
            entries.refuse("name", f"is not {self.name!r}: it is the manifest of another dataset, or was copied")
        files = tuple(map(_file_of, entries.each("files")))
        self._check_paths(file.path for file in files)
        info = DatasetInfo(
            name=self.name,
            prefix=self.prefix,
            files=files,
            has_manifest=True,
            created=entries.time("created"),
            metadata=entries.texts("metadata"),
        )
        return StoredDataset(info, version, complete=entries.text("state") == "complete")

    async def read_listing(self) -> StoredDataset:
        """Read the dataset from a listing of its prefix; if the listing has a manifest, from the manifest.

        Raises:
            NotFoundError: There is no object below the prefix.
            UnsafeKeyError: A key cannot be a local path.

        Cost: 1 request for each 1,000 objects.
        """
        entries = await self.objects()
        if self.manifest in entries:
            found = await self.read_manifest()
            if found is not None:
                return self.check_complete(found)
        files = tuple(
            DatasetFile(path=key.removeprefix(self.prefix), size=entry.size, etag=entry.etag)
            for key, entry in entries.items()
            if key != self.manifest and not (key.endswith("/") and not entry.size)  # no mark of a directory
        )
        if not files:
            raise await self.missing()
        await in_thread(self._check_paths, [file.path for file in files])
        return StoredDataset(DatasetInfo(name=self.name, prefix=self.prefix, files=files, has_manifest=False))

    async def objects(self) -> dict[str, ObjectInfo]:
        """Return the objects below the prefix, the manifest included, by key and in the order of the keys.

        Cost: 1 request for each 1,000 objects; memory for all of them.
        """
        found = every_object(self.manager.provider, self.prefix)
        return {entry.key: entry async for entry in found if isinstance(entry, ObjectInfo)}

    def _check_paths(self, paths: Iterable[str]) -> None:
        check_paths(paths, self.url)

    async def missing(self) -> NotFoundError:
        """Return the error for a dataset that does not exist; the message suggests similar names."""
        message = f"{self.url}: there is no dataset {self.name!r}"
        try:
            near = get_close_matches(self.name, await dataset_names(self.manager, self.root))
        except StorageError:  # a token may lack the right to list the names, which only help
            near = []
        if near:
            message += f"; did you mean {' or '.join(map(repr, near))}?"
        return NotFoundError(message, key=self.prefix)


async def dataset_names(manager: Managed, root: str) -> list[str]:
    """Return the names of all datasets, sorted.

    Args:
        manager: Has the provider.
        root: The prefix of all datasets, with `/` at the end; it may be empty.

    Cost: 1 request for each 1,000 datasets.
    """
    found = every_object(manager.provider, root, delimiter="/")
    return [entry.prefix[len(root) : -1] async for entry in found if isinstance(entry, CommonPrefix)]


def write_manifest(info: DatasetInfo, *, complete: bool = True) -> bytes:
    """Return the manifest of a dataset.

    Args:
        info: The dataset; it has a time.
        complete: `False`: the manifest only shows that the first upload is under way.
    """
    assert info.created is not None  # noqa: S101 - only a dataset from a listing has no time
    return to_json(
        {
            "name": info.name,
            "created": format_time(info.created),
            "metadata": dict(info.metadata),
            "state": "complete" if complete else "uploading",
            "files": [_entry_of(file) for file in info.files],
        }
    )


def _entry_of(file: DatasetFile) -> dict[str, Json]:
    return {
        "path": file.path,
        "size": file.size,
        "sha256": file.sha256,
        "mtime": file.mtime,
        "etag": file.etag,
    }


def _file_of(entry: ManifestReader) -> DatasetFile:
    return DatasetFile(
        path=entry.text("path"),
        size=entry.number("size"),
        sha256=entry.sha256("sha256"),
        mtime=entry.number("mtime"),
        etag=entry.text("etag"),
    )
