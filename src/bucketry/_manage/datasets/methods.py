"""DatasetMethods: the part of the StorageManager that keeps datasets."""

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
    """Datasets: directories of files below `datasets/<name>/`, each with a manifest that is published last.

    The files are plain objects, which other programs can read. The manifest, `.bucketry-dataset.json`, has the size and
    the SHA-256 of each. A prefix without a manifest is a dataset, too: it is all that a listing gives, and etags take
    the place of the SHA-256.

    What a reader sees while a dataset is uploaded: the version before, as long as none of its objects is replaced, and
    the new version from the moment when its manifest is published. Between the two, a reader that needs an object that
    was already replaced gets an error, never a mixture of two versions: every file is verified by the SHA-256 of one
    manifest, and the local files change only when all are verified. Files that a version only adds disturb no reader.
    The first upload of a dataset begins with a mark, so that nobody takes its first half for a dataset; this also ends
    the use of the prefix as a dataset without a manifest.

    Two uploads of one dataset at once: where `capabilities.conditional_put` is true, at least one of them fails with
    `PreconditionFailedError`. Elsewhere the last manifest wins. In both cases an upload may have replaced an object
    that the manifest of the other one names. If so, readers get an `IntegrityError` until the dataset is uploaded
    again.
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
        """Make a directory the dataset: upload what has changed, publish the manifest, remove the old version's rest.

        Files whose bytes the provider has already are not sent again; this also holds for an upload that continues an
        interrupted one. Links to files are followed. Left out are directories named `.bucketry`, temporary files of
        downloads, and empty directories. Objects below the prefix that no manifest names are left alone.

        Args:
            name: 1 to 128 letters, digits, `.`, `_` and `-`.
            local_dir: The directory; its files must not change meanwhile.
            metadata: Texts that the manifest keeps, such as a source or a licence.
            include: Patterns of the files to upload, as in a `.gitignore` file in the directory; empty: all.
            exclude: Patterns of the files to leave out.
            progress: Called with `SyncProgress` about 10 times a second at most.

        Returns:
            The new version; the present one if nothing has changed.

        Raises:
            InvalidRequestError: The name, the metadata or a pattern cannot be used, no file is selected, or the
                directory overlaps the place where the provider itself keeps the dataset; nothing was sent.
            LocalFileError: The directory is missing, or has an entry that cannot be uploaded; nothing was sent.
            UnsafeKeyError: A file could not be downloaded under its name; nothing was sent.
            PreconditionFailedError: Another upload of this dataset is under way.
            IntegrityError: A file changed meanwhile; no new version was published.

        Cost: every file is read once, and once more if it is sent. 1 request for the manifest, 1 for each 1,000 objects
            of the dataset, 1 HEAD for each object that is not as the manifest says, as `upload` for each changed file,
            1 for the new manifest, 1 more for a first upload, 1 for each 1,000 removed objects. Memory for all names.
        """
        place = self._place(name)
        texts = dict(metadata or {})
        if not all(isinstance(text, str) for pair in texts.items() for text in pair):
            message = f"dataset {name!r}: metadata must map texts to texts"
            raise InvalidRequestError(message)
        filters = Filter(include, exclude)
        root = LocalDirectory(local_dir).root
        with Facts(self.provider.name, "upload_dataset"):
            return await Publishing(place, root, filters, texts, progress).run()

    async def ensure_dataset(
        self, name: str, local_dir: StrPath, *, exact: bool = False, progress: SyncProgressCallback | None = None
    ) -> DatasetResult:
        """Bring a directory in step with a dataset, verified; quick if it is in step already.

        Safe to call in many processes at once: a lock in `local_dir` lets one process of a machine download, and the
        others wait and find it done; if it is killed, another one continues with what it has downloaded. In a
        distributed job, call it in every rank. Ranks on several machines with their own disks download once for each
        machine; with a shared directory, the lock works where the file system passes locks on, as NFS does.

        The directory changes only after all files are downloaded and verified; on an error before that it is as before.
        Complete files of an interrupted call wait in `.bucketry/staging`, and the next call uses them. If a call is
        interrupted while it moves the verified files to their places, the next call moves the others. A file at the
        path of one of the dataset is replaced if its bytes differ. Files of an earlier version are removed, if nobody
        has changed them. All other files stay, and the result names them.

        A file counts as verified while it has the size and the time that it had when it was verified.

        Args:
            name: The dataset.
            local_dir: The directory; made if it is missing.
            exact: Other files in the directory are an error, raised before anything is changed.
            progress: Called with `SyncProgress` about 10 times a second at most.

        Raises:
            NotFoundError: There is no such dataset (the message names similar ones), its first upload has not ended,
                or an object that the manifest names does not exist.
            PreconditionFailedError: The dataset changed while it was downloaded; run it again.
            IntegrityError: An object or the manifest was changed by other means.
            UnsupportedError: The manifest has a newer format.
            UnsafeKeyError: A key cannot be a local path.
            InvalidRequestError: The directory holds another dataset, or is inside of one; or a file is in the way.
            LocalFileError: The directory cannot be written, or is a file.

        Cost: nothing to do: 1 request (without a manifest, 1 for each 1,000 objects), and a walk. Else 1 more request
            the first time without a manifest, and as `download_tree` for the missing files. Files of the right size
            that are not known are read instead of downloaded. Memory for all names; disk for the missing files beside
            those that they replace.
        """
        return await self._ensuring(name, local_dir, exact=exact, trust=True, progress=progress)

    async def download_dataset(
        self, name: str, local_dir: StrPath, *, exact: bool = False, progress: SyncProgressCallback | None = None
    ) -> DatasetResult:
        """Do the same as `ensure_dataset`, but trust no local file: each is read again, and downloaded if it differs.

        It repairs files that changed without a change of size and time. Without a manifest there is nothing to compare
        local bytes with, so that everything is downloaded again.

        Args:
            name: The dataset.
            local_dir: The directory; made if it is missing.
            exact: Other files in the directory are an error, raised before anything is changed.
            progress: Called with `SyncProgress` about 10 times a second at most.

        Raises:
            StorageError: As `ensure_dataset`.

        Cost: as `ensure_dataset`, and every local file is read.
        """
        return await self._ensuring(name, local_dir, exact=exact, trust=False, progress=progress)

    async def list_datasets(self) -> list[str]:
        """Return the names of all datasets, sorted, also of those without a manifest.

        Directories whose names the other methods do not accept are left out.

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
            IntegrityError: The manifest was tampered with.
            UnsupportedError: The manifest has a newer format.

        Cost: 1 request; without a manifest 1 more for each 1,000 objects.
        """
        place = self._place(name)
        with Facts(self.provider.name, "dataset_info"):
            return (await place.read()).info

    async def delete_dataset(self, name: str) -> None:
        """Remove a dataset: every object below its prefix, the manifest last.

        If it is interrupted, readers get an error about a missing object, never a part of the dataset; delete it again.
        But a dataset without a manifest is always what a listing gives, so readers may get the part that is left.

        Args:
            name: The dataset.

        Raises:
            NotFoundError: There is no object below the prefix.
            StorageError: An object could not be removed; the manifest is still there.

        Cost: 1 request for each 1,000 objects to list them, as many to remove them (1 for each object where there is
            no bulk delete), and 1 for the manifest.
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
