"""ModelMethods: the methods of the StorageManager that back up, restore and look after models."""

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
    """Models with versions that never change.

    A model has a name, and versions: `v1`, `v2`, … or names that you give. A tag, such as `prod`, names a version and
    can be moved. The tag `latest` moves by itself with each backup. Every method that reads takes a version or a tag; a
    version comes before a tag of the same name.

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
        """Store a file or a directory as a new version, which is visible whole or not at all.

        Files that an earlier version has are not sent again. `latest` names the new version afterwards; but a numbered
        version never replaces a higher-numbered one as `latest`.

        Symbolic links to files are followed. Links to directories, broken links, sockets, unreadable files, and names
        that not every system allows are an error, because the version would not be whole. Empty directories are not
        stored. Temporary files of this package and directories named `.bucketry` are left out. Of the modes of a file,
        only "executable" is kept.

        A backup that is killed leaves no version; a later `prune_models` removes what it has uploaded.

        Args:
            local_path: A file or a directory.
            name: The model: letters, digits, `.`, `_` and `-`.
            version: The name of the version, not a tag; `None`: the next number, such as `v3`. Numbers may have gaps.
            metadata: Texts to JSON values, such as `{"loss": 0.1, "tags": ["small"]}`; at most 64 KiB as JSON.
            progress: Called with `Progress` about 10 times a second at most: the bytes of all files together, with the
                model's name as the key. Files that are stored already do not count.

        Raises:
            AlreadyExistsError: The model has a version of this name.
            InvalidRequestError: A name or the metadata is not valid, or the directory has no files.
            LocalFileError: A file is missing or cannot be backed up.
            UnsafeKeyError: A file's name cannot be restored on every system.
            IntegrityError: A file changed meanwhile; no version was made.
            TransientError: Prunes removed files of this backup again and again; no version was made.

        Cost: about 16 requests, 4 more at providers without create-only writes, and 1 upload for each file that is not
        stored yet. Each file is read twice: to hash it, and to send it. Memory as for uploads.
        """
        text = metadata_text(metadata)
        if version is not None:
            check_new_version(check_name("version", version))
        return await Backup(self._model(name), local_path, version or "", text, progress, new_id()).run()

    async def list_models(self) -> list[str]:
        """Give the names of all models that have a version, sorted.

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
        """Give all versions of a model, oldest first.

        Numbered versions come in the order of their numbers, others by the time of their backup.

        Raises:
            NotFoundError: There is no such model; the message names the nearest.
            IntegrityError: A manifest was tampered with.
            UnsupportedError: A manifest has a newer format.

        Cost: 1 request for each 1,000 versions, and 1 for each version. Memory for all manifests.
        """
        model = self._model(name)
        versions = await model.read_versions(await model.version_names())
        if not versions:
            raise await model.unknown_model()
        return versions

    async def model_info(self, name: str, version: str = LATEST) -> ModelVersion:
        """Give one version of a model.

        Args:
            name: The model.
            version: The version or a tag.

        Raises:
            NotFoundError: There is no such model, version or tag; the message names the nearest.
            IntegrityError: The manifest was tampered with.
            UnsupportedError: The manifest has a newer format.

        Cost: 1 request; 2 for `latest`, 3 for another tag.
        """
        return await self._model(name).find(check_name("version", version))

    async def tag_model(self, name: str, version: str, tag: str) -> ModelVersion:
        """Let a tag name a version; a tag that exists is moved. A version with a tag is never pruned.

        Args:
            name: The model.
            version: The version, or another tag that names it.
            tag: The tag, such as `prod`; not `latest`, and not the name of a version.

        Returns:
            The version.

        Raises:
            NotFoundError: There is no such version, or a prune is removing it.
            InvalidRequestError: The tag is not a valid name, or is the name of a version.

        Cost: 6 requests; the last of several callers wins.
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
        """Remove a tag; its version stays until it is pruned. Succeeds if there is no such tag.

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
        """Give the version that each tag of a model names, `latest` included.

        Cost: 1 request, and 1 for each tag.
        """
        return dict(sorted((await self._model(name).read_tags()).items()))

    async def verify_model(self, name: str, version: str = LATEST) -> VerifyReport:
        """Check that every file of a version is stored undamaged.

        Where the provider stores a checksum of the whole object, it is compared, and the object is not read. Other
        objects are read and hashed, but not written to the disk.

        Args:
            name: The model.
            version: The version or a tag.

        Raises:
            NotFoundError: There is no such model, version or tag. A missing file is in the report.

        Cost: as `model_info`; 1 request for each file, 2 where the provider stores checksums, but has none of this one.
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

        A version that was backed up from a file becomes a file, one from a directory becomes a directory. If the target
        is a directory, all that it has is gone afterwards, also files that the version does not have. A target that is
        a symbolic link is replaced, not followed. Until the new version is complete, the target is unchanged; after an
        error or a cancellation, it stays so.

        If the process is killed, the target is the old or the new one, with one exception: a directory is replaced by
        two renames, and a process that is killed between them leaves nothing at the target. The next restore to the
        same target first puts the old directory back.

        Args:
            name: The model.
            local_path: The file or directory to make or replace. Missing parents are made.
            version: The version or a tag.
            progress: Called with `Progress` about 10 times a second at most: the bytes of all files together, with the
                model's name as the key.

        Returns:
            The restored version.

        Raises:
            NotFoundError: There is no such model, version or tag, or a file of the version is missing.
            IntegrityError: A file is damaged, or the manifest was tampered with.
            LocalIsADirectoryError: The target is a directory, and the version is one file.
            LocalNotADirectoryError: The target is a file, and the version is a directory.
            LocalFileError: The target cannot be written; or it is the current directory, a mount point, or the place of
                a local provider.
            UnsafeKeyError: Two files have the same name on this file system.

        Cost: as `model_info`; 1 request for each 1,000 objects of the model, and 1 for each file, or 1 for each part
        and 1 more if it is large. The bytes down; disk space for the old and the new target.
        """
        model = self._model(name)
        found = await model.find(check_name("version", version))
        await Restore(model, found, local_path, progress).run()
        return found

    async def prune_models(self, name: str, *, keep: int) -> PruneReport:
        """Remove old versions of a model, and all stored files that no version names any more.

        The newest `keep` versions stay, in the order of `list_model_versions`, and so does every version that a tag
        names, `latest` included. What a backup under way needs stays, too; for that, each backup holds a lease. The
        lease of a killed backup ends after `model_config.lease_duration` seconds, and a later prune removes what it has
        uploaded.

        Args:
            name: The model.
            keep: How many versions to keep, at least 1.

        Raises:
            InvalidRequestError: `keep` is less than 1.
            NotFoundError: There is no such model.
            IntegrityError: A manifest was tampered with; nothing was removed, because nobody knows what it needs.
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
    """Tell whether a name can be that of a model; other prefixes are left out."""
    try:
        check_name("model", name)
    except InvalidRequestError:
        return False
    return True
