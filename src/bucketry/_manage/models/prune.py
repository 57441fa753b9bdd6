"""Removes old versions, and blobs that no version names; `leases` explains why nothing that is in use is removed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from bucketry._manage.models.keys import name_in, number_of, sha256_of
from bucketry._manage.models.leases import Condemned, Leases, PruneRecord, read_leases, stored_blobs
from bucketry._manage.models.manifests import in_order
from bucketry._manage.models.stored import StoredModel
from bucketry._manage.models.values import ModelVersion, PruneReport
from bucketry._runtime.finish import finish
from bucketry._runtime.threads import in_thread
from bucketry._transfer.many import collected
from bucketry.errors import StorageError


@dataclass(frozen=True, slots=True)
class Prune:
    """One prune.

    Attributes:
        model: The model.
        keep: How many of the newest versions to keep.
    """

    model: StoredModel
    keep: int

    async def run(self) -> PruneReport:
        """Remove old versions and unused blobs; see `ModelMethods.prune_models`."""
        model = self.model
        listed = await self._listed_versions()
        if not listed and not await stored_blobs(model):
            raise await model.unknown_model()
        record = PruneRecord(model)
        try:
            now, dead = await record.begin()
            versions = await model.read_versions(listed)
            old = await self._old(versions)
            blobs = await stored_blobs(model)
            leases = await read_leases(model, now)
            staying = [one for one in versions if _identity(one) not in old]
            chosen = Condemned(
                frozenset(version for version, backup_id in old if backup_id not in leases.backups),
                frozenset(await in_thread(_unused, blobs, staying, leases)),
            )
            await record.write(chosen)
            leases = await read_leases(model, now)
            tags = await model.read_tags()
            present = await self._present(versions, listed)
        except BaseException as error:
            await finish(partial(_remove_record, record, error))
            raise
        removed = [
            one
            for one in present
            if _identity(one) in old
            and one.version in chosen.versions
            and one.version not in tags.values()
            and one.backup_id not in leases.backups
        ]
        gone = {one.version for one in removed}
        kept = [one for one in present if one.version not in gone]
        unused = chosen.blobs & await in_thread(_unused, blobs, kept, leases)
        in_use = await in_thread(_unused, blobs, kept, Leases()) - unused
        # From here on, the record stays after an error, because a request whose response was lost may still remove an
        # object.
        await self._delete(model.keys.version(one.version) for one in removed)
        await self._delete(map(model.keys.blob, sorted(unused)))
        await self._delete([*dead, *leases.expired, *await self._dead_claims(present, leases)])
        await record.remove()
        return PruneReport(
            kept=tuple(one.version for one in kept),
            removed=tuple(one.version for one in removed),
            blobs_removed=len(unused),
            bytes_removed=sum(blobs[blob].size for blob in unused),
            blobs_in_use=len(in_use),
        )

    async def _listed_versions(self) -> dict[str, tuple[str, datetime]]:
        """Return the etag and the time of each manifest, by the name of the version."""
        prefix = self.model.keys.versions
        return {
            name_in(entry.key, prefix): (entry.etag, entry.last_modified) for entry in await self.model.listed(prefix)
        }

    async def _present(
        self, versions: list[ModelVersion], listed: dict[str, tuple[str, datetime]]
    ) -> list[ModelVersion]:
        """Return the versions that exist now; read only the manifests that are newer than `listed`."""
        now = await self._listed_versions()
        same = {name for name, state in now.items() if state[0] and listed.get(name) == state}
        fresh = await self.model.read_versions(now.keys() - same)
        return in_order([*fresh, *(one for one in versions if one.version in same)])

    async def _old(self, versions: list[ModelVersion]) -> set[tuple[str, str]]:
        """Return the identities of the versions to remove."""
        return {_identity(one) for one in _old(versions, await self.model.read_tags(), self.keep)}

    async def _dead_claims(self, present: list[ModelVersion], leases: Leases) -> list[str]:
        """Return the claims that a prune may remove.

        A claim stays while its backup has a live lease, and while a backup may still get the number that it is on.
        """
        if self.model.provider.capabilities.put_if_none_match:
            return []
        highest = max((number_of(one.version) or 0 for one in present), default=0)
        dead = []
        for entry in await self.model.listed(self.model.keys.claims):
            version, _, backup_id = entry.key.removeprefix(self.model.keys.claims).rpartition("/")
            if backup_id not in leases.backups and (number_of(version) or 0) <= highest:
                dead.append(entry.key)
        return dead

    async def _delete(self, keys: Iterable[str]) -> None:
        batch = await collected(self.model.provider.delete_each(keys))
        batch.raise_for_failures()


def expected_report(versions: Sequence[ModelVersion], tags: Mapping[str, str], keep: int) -> PruneReport:
    """Return what a prune would report that begins now; objects that no version names are not counted. No I/O.

    Args:
        versions: All versions, as `list_model_versions` returns them.
        tags: The version that each tag names.
        keep: How many of the newest versions to keep.
    """
    old = _old(versions, tags, keep)
    gone = {one.version for one in old}
    kept = [one for one in versions if one.version not in gone]
    needed = {file.blob for one in kept for file in one.files}
    unused = {file.blob: file.size for one in old for file in one.files if file.blob not in needed}
    return PruneReport(
        kept=tuple(one.version for one in kept),
        removed=tuple(one.version for one in old),
        blobs_removed=len(unused),
        bytes_removed=sum(unused.values()),
        blobs_in_use=0,
    )


def _old(versions: Sequence[ModelVersion], tags: Mapping[str, str], keep: int) -> list[ModelVersion]:
    """Return the versions to remove: all except the newest `keep`, and except tagged versions."""
    tagged = set(tags.values())
    return [one for one in versions[:-keep] if one.version not in tagged]


def _identity(version: ModelVersion) -> tuple[str, str]:
    """Return values that are equal only for the same version, not for a later version with the same name."""
    return version.version, version.backup_id


def _unused(blobs: Iterable[str], versions: Iterable[ModelVersion], leases: Leases) -> set[str]:
    """Return the blobs that no version and no lease names."""
    used = {file.blob for one in versions for file in one.files}
    return {blob for blob in blobs if blob not in used and sha256_of(blob) not in leases.sha256s}


async def _remove_record(record: PruneRecord, error: BaseException) -> None:
    """Remove the record of a prune that failed before it removed anything."""
    try:
        await record.remove()
    except StorageError as failure:
        error.add_note(f"the record of this prune is left, and a later prune removes it: {failure}")
