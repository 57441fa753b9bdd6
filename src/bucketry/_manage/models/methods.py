"""The methods of the StorageManager for models: back up, list, tag, verify, restore, prune."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bucketry._core.facts import fills_in_facts
from bucketry._core.provider import StrPath
from bucketry._manage.managed import Managed, check_name
from bucketry._manage.models.backup import Backup
from bucketry._manage.models.keys import LATEST, ModelKeys, check_new_tag, check_new_version
from bucketry._manage.models.leases import new_id
from bucketry._manage.models.manifests import metadata_text
from bucketry._manage.models.prune import Prune
from bucketry._manage.models.restore import Restore
from bucketry._manage.models.stored import ModelConfig, StoredModel, model_names
from bucketry._manage.models.tags import place_tag
from bucketry._manage.models.values import ModelVersion, PruneReport, VerifyReport
from bucketry._manage.models.verify import Verification
from bucketry._transfer.progress import ProgressCallback
from bucketry._transfer.workers import fan_out
from bucketry.errors import InvalidRequestError


@fills_in_facts
class ModelMethods(Managed):
    """Methods for models with versions that never change.

    A model has a name, and versions: `v1`, `v2`, … or names that you choose. A tag, such as `prod`, names a version and
    can be moved. Each backup moves the tag `latest`. Every method that reads takes a version or a tag; if a version and
    a tag have the same name, the version is used.

    Any number of processes, on any number of machines, may back up, tag, prune and restore one model at once.

    Attributes:
        models_root: The prefix of all models.
        model_config: The times of backups and prunes.
    """

    models_root: str = "models"
    model_config: ModelConfig = ModelConfig()

    async def backup_model(
        self,
        local_path: StrPath,
        name: str,
        *,
        version: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        progress: ProgressCallback | None = None,
    ) -> ModelVersion:
        """Store a file or a directory as a new version, which appears whole or not at all.

        Files that an earlier version has are not sent again, unless the stored object was changed or damaged meanwhile:
        its etag or its stored checksum shows that. Then the object is replaced, which also repairs the earlier
        versions. Afterwards `latest` names the new version, unless both versions are numbered and `latest` names a
        higher number.

        Symbolic links to files are followed. Links to directories, broken links, sockets, unreadable files, and names
        that are no UTF-8 or begin with a drive, such as `c:x`, raise an error, because the version would not be
        complete. Empty directories are
        not stored. Temporary files of this package and directories named `.bucketry` are left out. Of a file's
        permissions, only whether its owner may execute it is stored.

        If the process is killed before the version is published, there is no version, and a later `prune_models`
        removes the objects that were uploaded.

        Args:
            local_path: A file or a directory.
            name: The model: letters, digits, `.`, `_` and `-`.
            version: The name of the version, not a tag; `None`: the next number, such as `v3`. Numbers may have gaps.
            metadata: Maps texts to JSON values, such as `{"loss": 0.1, "tags": ["small"]}`; at most 64 KiB as JSON.
            progress: Called with `Progress` about 10 times a second at most, for all files together, with the model's
                name as the key. Files that are stored already do not count.

        Raises:
            AlreadyExistsError: The model has a version of this name.
            InvalidRequestError: A name or the metadata is not valid, the directory has no files, or it overlaps the
                place where the provider itself keeps the model.
            LocalFileError: A file is missing or cannot be backed up.
            UnsafeKeyError: A file's name cannot be restored on every system.
            IntegrityError: A file changed during the backup; no version was made.
            TransientError: In several attempts, prunes removed objects of this backup; no version was made.

        Cost: about 18 requests, 4 more at providers without create-only writes, and 1 upload for each file that is not
        stored yet. 1 request more for each stored file that the latest version does not have or that another program
        replaced; if the provider has no checksum of it, 1 for each version. Each file is read twice: to hash it, and to
        send it. The memory of uploads.
        """
        text = metadata_text(metadata)
        if version is not None:
            check_new_version(check_name("version", version))
        return await Backup(self._model(name), local_path, version or "", text, progress, new_id()).run()

    async def list_models(self) -> list[str]:
        """Return the names of all models that have a version, sorted.

        Cost: 1 request for each 1,000 models, and 1 for each model.
        """
        found: list[str] = []

        async def one(name: str) -> None:
            model = self._model(name)
            page = await self.provider.list_page(model.keys.versions)
            if page.entries:
                found.append(name)

        names = [name for name in await model_names(self.provider, self.models_root) if _is_name(name)]
        await fan_out(names, one, width=self.transfers.config.max_concurrency)
        return sorted(found)

    async def list_model_versions(self, name: str) -> list[ModelVersion]:
        """Return all versions of a model, oldest first.

        Numbered versions come in the order of their numbers, versions with other names by the time of their backup.

        Raises:
            NotFoundError: There is no such model; the message suggests similar names.
            IntegrityError: A manifest was changed by another program, or is damaged.
            UnsupportedError: A manifest has a newer format.

        Cost: 1 request for each 1,000 versions, and 1 for each version. Memory for all manifests.
        """
        model = self._model(name)
        versions = await model.read_versions(await model.version_names())
        if not versions:
            raise await model.unknown_model()
        return versions

    async def model_info(self, name: str, version: str = LATEST) -> ModelVersion:
        """Return one version of a model.

        Args:
            name: The model.
            version: The version or a tag.

        Raises:
            NotFoundError: There is no such model, version or tag; the message suggests similar names.
            IntegrityError: The manifest was changed by another program, or is damaged.
            UnsupportedError: The manifest has a newer format.

        Cost: 1 request; 2 for `latest`, 3 for another tag.
        """
        return await self._model(name).find(check_name("version", version))

    async def tag_model(self, name: str, version: str, tag: str) -> ModelVersion:
        """Let a tag name a version; if the tag exists, it is moved. A version with a tag is never pruned.

        If several callers move one tag at the same time, the last one wins.

        Args:
            name: The model.
            version: The version, or another tag that names it.
            tag: The tag, such as `prod`; not `latest`, and not the name of a version.

        Returns:
            The version.

        Raises:
            NotFoundError: There is no such version, or a prune is removing it.
            InvalidRequestError: The tag is not a valid name, or is the name of a version.

        Cost: 6 requests.
        """
        check_new_tag(check_name("tag", tag))
        model = self._model(name)
        found = await model.find(check_name("version", version))
        if await self.provider.exists(model.keys.version(tag)):
            message = f"{model.url}: {tag!r} is the name of a version; choose another tag"
            raise InvalidRequestError(message)
        await place_tag(model, tag, found.version)
        return found

    async def untag_model(self, name: str, tag: str) -> None:
        """Remove a tag; its version stays until a prune removes it. If there is no such tag, nothing happens.

        Args:
            name: The model.
            tag: The tag; not `latest`.

        Raises:
            InvalidRequestError: The tag is not a valid name.

        Cost: 1 request.
        """
        check_new_tag(check_name("tag", tag))
        await self.provider.delete(self._model(name).keys.tag(tag))

    async def model_tags(self, name: str) -> dict[str, str]:
        """Return the version that each tag of a model names, `latest` included.

        Cost: 1 request, and 1 for each tag.
        """
        return dict(sorted((await self._model(name).read_tags()).items()))

    async def verify_model(self, name: str, version: str = LATEST) -> VerifyReport:
        """Check that every file of a version is stored undamaged.

        If the provider stores a checksum of the whole object, this checksum is compared, and the object is not read.
        All other objects are read and hashed, but not written to the disk.

        Args:
            name: The model.
            version: The version or a tag.

        Raises:
            NotFoundError: There is no such model, version or tag. A missing file is in the report.

        Cost: the requests of `model_info`, and 1 for each file, or 2 if the provider stores checksums but none of this
        file; the bytes of the files that are read.
        """
        model = self._model(name)
        return await Verification(model, await model.find(check_name("version", version))).run()

    async def restore_model(
        self,
        name: str,
        local_path: StrPath,
        *,
        version: str = LATEST,
        progress: ProgressCallback | None = None,
    ) -> ModelVersion:
        """Restore a version; the target is replaced as a whole, after every byte was verified by SHA-256.

        The backup of a file is restored as a file, and the backup of a directory as a directory. If the target is a
        directory, everything in it is removed, also files that the version does not have. If the target is a symbolic
        link, the link is replaced, not followed. The target is unchanged until the new version is complete. It also
        stays unchanged after an error or a cancellation.

        If the process is killed, the target has the old or the new content, with one exception: a directory is replaced
        by two renames, and if the process is killed between these renames, there is nothing at the target. The next
        restore to the same target first puts the old directory back.

        Args:
            name: The model.
            local_path: The file or directory to make or replace. Missing parents are made.
            version: The version or a tag.
            progress: Called with `Progress` about 10 times a second at most, for all files together, with the model's
                name as the key.

        Returns:
            The restored version.

        Raises:
            NotFoundError: There is no such model, version or tag, or a file of the version is missing.
            IntegrityError: A file or the manifest is damaged, or was changed by another program.
            LocalIsADirectoryError: The target is a directory, and the version is one file.
            LocalNotADirectoryError: The target is a file, and the version is a directory.
            InvalidRequestError: The target overlaps the place where the provider itself keeps its objects.
            LocalFileError: The target cannot be written; or it is or contains the current directory, a mount point, or
                the directory of a local provider or of a dataset.
            UnsafeKeyError: Two files have the same name on this file system.

        Cost: the requests of `model_info`, 1 for each 1,000 objects of the model, and 1 for each file; for each large
        file 1 for each part and 1 more. The bytes down; disk space for the old and the new target.
        """
        model = self._model(name)
        found = await model.find(check_name("version", version))
        await Restore(model, found, local_path, progress).run()
        return found

    async def prune_models(self, name: str, *, keep: int) -> PruneReport:
        """Remove old versions of a model, and all stored files that no version names any more.

        The last `keep` versions of `list_model_versions` stay, and also every version that a tag names, `latest`
        included. A version that you gave a name is removed like a numbered one: tag it to keep it. Objects that a
        backup under way needs stay, too, because each backup holds a lease on them. The lease of a killed backup ends
        after `model_config.lease_duration` seconds, and a later prune removes what this backup has uploaded.

        Args:
            name: The model.
            keep: How many versions to keep, at least 1.

        Raises:
            InvalidRequestError: `keep` is less than 1.
            NotFoundError: There is no such model.
            IntegrityError: A manifest was changed by another program, or is damaged; nothing was removed, because it is
                unknown which objects this version needs.
            UnsupportedError: A manifest has a newer format; nothing was removed.

        Cost: about 15 requests, 1 for each version and each tag, and 1 for each 1,000 objects that are listed, and
        again for each 1,000 that are removed. Memory for all manifests.
        """
        if isinstance(keep, bool) or not isinstance(keep, int) or keep < 1:
            message = f"prune_models: keep={keep!r}: give the number of versions to keep, at least 1"
            raise InvalidRequestError(message)
        return await Prune(self._model(name), keep).run()

    def _model(self, name: str) -> StoredModel:
        keys = ModelKeys(self.models_root, check_name("model", name))
        return StoredModel(self.provider, self.transfers, keys, self.model_config)


def _is_name(name: str) -> bool:
    """Return whether this can be the name of a model; `list_models` leaves other prefixes out."""
    try:
        check_name("model", name)
    except InvalidRequestError:
        return False
    return True
