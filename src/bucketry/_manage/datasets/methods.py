"""The methods of the StorageManager for datasets: upload, ensure, download, list, delete."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bucketry._core.facts import Facts
from bucketry._core.provider import StrPath
from bucketry._manage.datasets.ensure import Ensuring
from bucketry._manage.datasets.local_state import LocalDirectory
from bucketry._manage.datasets.publish import Publishing
from bucketry._manage.datasets.stored import DatasetPlace, dataset_names
from bucketry._manage.datasets.values import DatasetInfo, DatasetResult
from bucketry._manage.managed import Managed, check_name
from bucketry._manage.sync.filters import Filter
from bucketry._manage.sync.progress import SyncProgressCallback
from bucketry._transfer.listing import as_directory
from bucketry.errors import InvalidRequestError


class DatasetMethods(Managed):
    """Methods for datasets: directories of files below `datasets/<name>/`, with a manifest that is published last.

    The files are plain objects, which other programs can read. The manifest, `.bucketry-dataset.json`, has the size and
    the SHA-256 of each file. A prefix without a manifest is a dataset, too: its files are the objects in a listing, and
    their etags are used instead of the SHA-256.

    During an upload, a reader sees the version before until one of its objects is replaced, and sees the new version
    when its manifest is published. In between, a reader that needs a replaced object gets an error. A reader never gets
    a mixture of two versions, because every file is verified by the SHA-256 in one manifest, and the local files change
    only after all files are verified. An object that the new version only adds causes no error. The first upload of a
    dataset begins with a manifest which says that the upload is under way, so that no reader uses an incomplete
    dataset. From then on, the prefix is no longer a dataset without a manifest.

    If an upload is interrupted, the manifest of the version before stays, but some of its objects may be replaced.
    Until somebody uploads the dataset again, `ensure_dataset` still works in directories that are in step with that
    version, and raises `IntegrityError` where it has to download a replaced object.

    Do not run two uploads of one dataset at once. If you do, and `capabilities.conditional_put` is true, at least one
    of them fails with `PreconditionFailedError`. At other providers both may report success, and the last manifest
    wins. At all providers the failed or overwritten upload may have replaced objects that the published manifest names,
    also after the other call has returned. Then readers get an `IntegrityError` until one of the uploads is repeated.
    """

    datasets_root = "datasets"

    async def upload_dataset(
        self,
        name: str,
        local_dir: StrPath,
        *,
        metadata: Mapping[str, str] | None = None,
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
        progress: SyncProgressCallback | None = None,
    ) -> DatasetInfo:
        """Upload a directory as a dataset: send the changed files, publish the manifest, and remove old objects.

        Files whose bytes the provider has already are not sent again, also if an interrupted upload has stored them.
        Links to files are followed. Directories named `.bucketry`, temporary files of downloads, and empty directories
        are left out. Objects below the prefix that are not in the manifest of the version before are left alone.

        Args:
            name: 1 to 128 letters, digits, `.`, `_` and `-`.
            local_dir: The directory; its files must not change during the upload.
            metadata: Texts that are stored in the manifest, such as a source or a licence. `None`: those of the version
                before stay, unless its manifest is damaged; `{}` removes them.
            include: Patterns of the files to upload, as in a `.gitignore` file in the directory; empty: all.
            exclude: Patterns of the files to leave out.
            progress: Called with `SyncProgress` about 10 times a second at most.

        Returns:
            The new version; if nothing has changed, the present version.

        Raises:
            InvalidRequestError: The name, the metadata or a pattern cannot be used, no file is selected, or the
                directory overlaps the place where the provider itself keeps the dataset; nothing was sent.
            LocalFileError: The directory is missing, or has an entry that cannot be uploaded; nothing was sent.
            UnsafeKeyError: The name of a file cannot be restored on every system; nothing was sent.
            PreconditionFailedError: Another upload of this dataset is under way, or has just ended. This call has
                published no version, but may have replaced objects of the version that the other upload publishes. Wait
                until the other upload has ended, and repeat one of the two uploads, also if the other one succeeded.
            IntegrityError: A file changed during the upload; no new version was published.

        Cost: every file is read once, and once more if it is sent. 1 request for the manifest, 1 for each 1,000 objects
            of the dataset, 1 HEAD for each object of the right size whose etag is not in the manifest, the cost of
            `upload` for each changed file, 1 for the new manifest, 1 more for a first upload, 1 for each 1,000 removed
            objects. Memory for all names.
        """
        place = self._place(name)
        texts = None if metadata is None else dict(metadata)
        if texts and not all(isinstance(text, str) for pair in texts.items() for text in pair):
            message = f"dataset {name!r}: metadata must map texts to texts"
            raise InvalidRequestError(message)
        filters = Filter(include, exclude)
        root = LocalDirectory(local_dir).root
        with Facts(self.provider.name, "upload_dataset"):
            return await Publishing(place, root, filters, texts, progress).run()

    async def ensure_dataset(
        self, name: str, local_dir: StrPath, *, exact: bool = False, progress: SyncProgressCallback | None = None
    ) -> DatasetResult:
        """Make a directory equal to a dataset, and verify its files; this is quick if the directory is equal already.

        Many processes can call this at once: a lock in `local_dir` lets one process of a machine download, and the
        other processes wait and then have nothing to do. If the downloading process is killed, another process
        continues with the downloaded files. In a distributed job, call it in every rank. If ranks run on several
        machines with their own disks, each machine downloads once. If the machines share the directory, the lock works
        if the file system sends locks to its server, as NFS does.

        The directory changes only after all files are downloaded and verified; if one of these steps fails, the
        directory is as before. Complete files of an interrupted call stay in `.bucketry/staging`, and the next call
        uses them. If a call is interrupted while it moves the verified files to their paths, the next call moves the
        others. A local file is replaced if its path is in the dataset and its bytes differ, also if no earlier call has
        written it, or somebody has edited it: then `replaced` of the result names it, and a warning is logged.
        Unchanged files of an earlier version that this version does not have are removed. All other files stay, and
        `foreign` of the result names them.

        A file counts as verified while it has the size and the time that it had when it was verified.

        Args:
            name: The dataset.
            local_dir: The directory; if it is missing, it is made.
            exact: Raise an error, before any file is changed or downloaded, if the directory has files that are not in
                the dataset, or files that would be in `replaced` of the result.
            progress: Called with `SyncProgress` about 10 times a second at most.

        Raises:
            NotFoundError: There is no such dataset (the message names similar ones), its first upload has not ended,
                or an object that the manifest names does not exist.
            PreconditionFailedError: The dataset changed while it was downloaded; run it again.
            IntegrityError: An object was replaced by an upload that is under way or has failed; upload the dataset
                again. Or an object or the manifest was changed by another program, or is damaged.
            UnsupportedError: The manifest has a newer format.
            UnsafeKeyError: A key cannot be a local path.
            InvalidRequestError: The directory has another dataset, or is inside the directory of a dataset; or a local
                file has a path where the dataset needs a directory, or the reverse; or see `exact`.
            LocalFileError: The directory cannot be written, or is a file.

        Cost: if there is nothing to do, 1 request (without a manifest, 1 for each 1,000 objects), and a walk through
            the directory. Else in addition the cost of `download_many` for the missing files, and 1 request for the
            first call without a manifest. Unverified local files of the right size are read and hashed, not downloaded.
            Memory for all names; disk space for the missing files, in addition to the files that they replace.
        """
        return await self._ensuring(name, local_dir, exact=exact, trust=True, progress=progress)

    async def download_dataset(
        self, name: str, local_dir: StrPath, *, exact: bool = False, progress: SyncProgressCallback | None = None
    ) -> DatasetResult:
        """Do the same as `ensure_dataset`, but read every local file again, and download it if its bytes differ.

        This repairs files that changed without a change of size and time. If the dataset has no manifest, all files are
        downloaded again, because no SHA-256 is known to compare local files with.

        Args:
            name: The dataset.
            local_dir: The directory; if it is missing, it is made.
            exact: Raise an error, before any file is changed or downloaded, if the directory has files that are not in
                the dataset, or files that would be in `replaced` of the result.
            progress: Called with `SyncProgress` about 10 times a second at most.

        Raises:
            StorageError: See `ensure_dataset`.

        Cost: as `ensure_dataset`, and every local file is read.
        """
        return await self._ensuring(name, local_dir, exact=exact, trust=False, progress=progress)

    async def list_datasets(self) -> list[str]:
        """Return the names of all datasets, with or without a manifest, sorted.

        Names that the other methods do not accept are left out. A dataset whose first upload is under way or was
        interrupted is listed, because only a request for each dataset would show it; `dataset_info` raises
        `NotFoundError` for it.

        Cost: 1 request for each 1,000 datasets.
        """
        with Facts(self.provider.name, "list_datasets"):
            return [name for name in await dataset_names(self, as_directory(self.datasets_root)) if _is_name(name)]

    async def dataset_info(self, name: str) -> DatasetInfo:
        """Return the files of a dataset, its time and its metadata.

        Args:
            name: The dataset.

        Raises:
            NotFoundError: There is no such dataset, or its first upload has not ended.
            IntegrityError: The manifest was changed by another program, or is damaged.
            UnsupportedError: The manifest has a newer format.

        Cost: 1 request; without a manifest 1 more for each 1,000 objects.
        """
        place = self._place(name)
        with Facts(self.provider.name, "dataset_info"):
            return (await place.read()).info

    async def delete_dataset(self, name: str) -> None:
        """Remove every object below the prefix of a dataset, the manifest last.

        If the call is interrupted, call it again. Until then, readers get an error about a missing object, never a part
        of the dataset. But if the dataset has no manifest, readers may get the part that is left.

        Args:
            name: The dataset.

        Raises:
            NotFoundError: There is no object below the prefix.
            StorageError: An object could not be removed; the manifest still exists.

        Cost: 1 request for each 1,000 objects to list them, the cost of `delete_many` to remove them, and 1 request for
            the manifest.
        """
        place = self._place(name)
        with Facts(self.provider.name, "delete_dataset"):
            stored = await place.objects()
            if not stored:
                raise await place.missing()
            removed = await self.provider.delete_many(key for key in stored if key != place.manifest)
            removed.raise_for_failures()
            if place.manifest in stored:
                await self.provider.delete(place.manifest)

    def _place(self, name: str) -> DatasetPlace:
        return DatasetPlace(self, as_directory(self.datasets_root), check_name("dataset", name))

    async def _ensuring(
        self, name: str, local_dir: StrPath, *, exact: bool, trust: bool, progress: SyncProgressCallback | None
    ) -> DatasetResult:
        place = self._place(name)
        directory = LocalDirectory(local_dir)
        with Facts(self.provider.name, "ensure_dataset" if trust else "download_dataset"):
            return await Ensuring(place, directory, exact=exact, trust=trust, progress=progress).run()


def _is_name(name: str) -> bool:
    try:
        check_name("dataset", name)
    except InvalidRequestError:
        return False
    return True
