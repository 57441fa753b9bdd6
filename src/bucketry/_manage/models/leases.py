"""Leases of backups and records of prunes, so that a prune removes nothing that a backup needs, and neither waits.

A backup reuses blobs that are stored already. A prune removes blobs that no version names. Both can run at the same
time, in different processes and on different machines. Neither waits for the other, and their safety does not depend
on clocks.

**What each does, in this order.** Every step ends before the next one begins.

A backup:

- B1. writes its *lease*: the SHA-256 of all files that it needs;
- B2. reads the *records* of all prunes, and then lists the blobs. It uses a blob that is listed and in no record. It
  uploads all other blobs, and overwrites a blob with other bytes than its name says, which also repairs the versions
  that name it. If the plain name of a blob is in a record, the blob gets a new name with a random id;
- B3. writes its manifest; from now on, the version exists;
- B4. reads the records of all prunes again, and then lists the blobs again. If its version or one of its blobs is in a
  record, or a blob is missing, the backup removes its manifest and begins again at B2;
- B5. moves `latest`, and removes its lease.

A prune:

- P1. reads versions, tags, leases and blobs, and chooses what to remove: the old versions without a tag, and the blobs
  that no other version and no live lease names;
- P2. writes this choice as its *record*;
- P3. reads the leases, then the tags, then the new versions, and does not remove what any of them names now;
- P4. removes the remaining versions of its choice, then the remaining blobs;
- P5. removes its record.

All vendors are strongly consistent: a request that begins after a write was answered sees this write. After a
lease or record is written, a listing checks that it is listed, because some small servers may not list it; see
`put_listed`.

**Why no version loses a blob.** Suppose that a version names the blob X, and that a prune removes X in P4. Then X is in
the record that this prune wrote in P2.

- *The backup read the records in B2 after P2.* If the backup saw the record, it did not use X. If the record was
  removed already (P5), X was removed before the record. Then the listing in B2 did not show X, and the backup uploaded
  X again, after the removal.
- *The backup read the records in B2 before P2.* So its lease was written (B1) before the prune read the leases in P3.
  If the lease was there and live, the prune did not remove X. If the lease was removed already (B5), the manifest was
  written before that. The prune saw the manifest, because a prune reads the versions after the leases, and did not
  remove X.
- *The lease had expired,* because the backup was suspended, or had no network for a long time. If the manifest was
  written (B3) before the prune read the versions in P3, the prune did not remove X. Otherwise B4 began after P2. So the
  backup saw the record; or the record was removed already (P5), and the listing did not show X. In both cases the
  backup removed its manifest.

**Why no version is removed by mistake.** A prune removes versions by their names. If another prune has removed the old
version of a name in a record, a backup may have given this name to a new version. This backup sees the record in B4,
and does not keep the name: it takes another number, or raises an error if the user chose the name.

So the lease only prevents wasted work. If a wrong clock makes a live lease seem expired, the backup uploads blobs
again, but no version is lost. If a prune is suspended between two steps, and goes on days later, it removes only blobs
in its record, and no backup has used these blobs since the record was written. Therefore the record of a killed prune
stays; a later prune removes the record after `ModelConfig.dead_prune` seconds.

**Why no tag names a removed version.** `tag_model` writes the tag, then reads the records, and then checks that the
version exists. A prune writes its record, and then reads the tags. If both run at once, the prune sees the tag and
does not remove the version, or `tag_model` sees the record or the missing version, takes the tag back, and raises an
error. `latest` is moved in the same way. While the lease of a version's backup is live, the version is not removed,
even if it has no tag yet.

**Manifests that arrive late.** If a backup fails or is cancelled in B3, its request may still arrive at the provider,
and the version then exists. Therefore the lease of this backup is not removed; it expires. For other backups
and prunes, this backup is the same as a killed one.

**Killed processes.** A backup that is killed before B3 leaves no version. A backup that is killed later leaves a
version, but perhaps `latest` does not name it. This version is complete, unless the lease had expired before B3 and a
prune removed a blob before the check in B4. The lease of a killed backup protects its blobs for
`ModelConfig.lease_duration` seconds after the last renewal; no process waits for that. The age of a lease is computed
from two times of the provider's clock.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain

from bucketry._core.values import ObjectInfo
from bucketry._manage.manifest import ManifestReader, to_json
from bucketry._manage.models.keys import name_in, sha256_of
from bucketry._manage.models.stored import StoredModel
from bucketry._runtime.finish import finish
from bucketry._transfer.workers import stop
from bucketry.errors import StorageError

_RENEWALS = 3  # in the duration of one lease, so that the lease stays live if one renewal fails
_CLOCK_STEP = timedelta(seconds=1)  # listings show times in whole seconds

_logger = logging.getLogger("bucketry")


def new_id() -> str:
    """Return the id of a new backup or prune: 16 random hexadecimal digits."""
    return secrets.token_hex(8)


@dataclass(slots=True)
class Lease:
    """The lease of one backup.

    Attributes:
        stays: Whether the lease stays after the backup has ended, until it expires.
    """

    stays: bool = False


@asynccontextmanager
async def leased(model: StoredModel, backup_id: str, sha256s: Collection[str]) -> AsyncIterator[Lease]:
    """While the context is open, hold a lease on the backup's files, and renew it; remove it at the end.

    A failed renewal is only logged, and tried again later. The lease is not needed for safety: it only keeps a prune
    from removing blobs that the backup would have to upload again.

    Args:
        model: The model.
        backup_id: Identifies the backup.
        sha256s: The SHA-256 of each file that the backup needs.

    Cost: 3 requests, and 3 for each `lease_duration`.
    """
    key = model.keys.lease(backup_id)
    lease = Lease()
    duration = model.config.lease_duration
    data = to_json({"duration": round(1000 * duration), "sha256s": " ".join(sorted(sha256s))})

    async def renew() -> None:
        while True:
            await asyncio.sleep(duration / _RENEWALS)
            try:
                await model.provider.put(key, data)
            except StorageError as error:
                _logger.debug("renewing the lease of a backup failed: %s", error)

    try:
        await model.put_listed(key, data)
        # A plain task, because a context manager must not yield inside a task group. `finally` ends the task.
        renewing = asyncio.get_running_loop().create_task(renew())
        try:
            yield lease
        finally:
            await stop([renewing])
    finally:
        if not lease.stays:
            await finish(lambda: _removed(model, key))


async def _removed(model: StoredModel, key: str) -> None:
    """Remove a lease; if the request fails, the lease expires later."""
    try:
        await model.provider.delete(key)
    except StorageError as error:
        _logger.debug("removing the lease of a backup failed; it will expire: %s", error)


@dataclass(frozen=True, slots=True)
class Leases:
    """The leases of all backups under way, as they were at one time.

    Attributes:
        backups: The ids of the backups whose lease is live.
        sha256s: The SHA-256 of each file that these backups need.
        expired: The keys of the leases that have expired.
    """

    backups: frozenset[str] = field(default_factory=frozenset)
    sha256s: frozenset[str] = field(default_factory=frozenset)
    expired: tuple[str, ...] = ()


async def read_leases(model: StoredModel, now: datetime) -> Leases:
    """Return the leases of the backups that are under way.

    Args:
        model: The model.
        now: The present time by the provider's clock, or an earlier time.

    Cost: 1 request for each 1,000 leases, and 1 for each lease.
    """
    written = {entry.key: entry.last_modified for entry in await model.listed(model.keys.leases)}
    found = await model.read_all(written, lambda entries: (entries.number("duration"), entries.text("sha256s").split()))
    live = {
        key: sha256s
        for key, (duration, sha256s) in found.items()
        if now - written[key] <= timedelta(milliseconds=duration) + _CLOCK_STEP
    }
    return Leases(
        backups=frozenset(name_in(key, model.keys.leases) for key in live),
        sha256s=frozenset(chain.from_iterable(live.values())),
        expired=tuple(key for key in found if key not in live),
    )


@dataclass(frozen=True, slots=True)
class Condemned:
    """The versions and blobs that the prunes under way may remove.

    Attributes:
        versions: The names of versions.
        blobs: The names of blobs.
    """

    versions: frozenset[str] = field(default_factory=frozenset)
    blobs: frozenset[str] = field(default_factory=frozenset)


async def read_condemned(model: StoredModel) -> Condemned:
    """Return the versions and blobs in the records of all prunes.

    Cost: 1 request, and 1 for each prune under way.
    """
    keys = [entry.key for entry in await model.listed(model.keys.prunes)]
    found = (await model.read_all(keys, _condemned_from)).values()
    return Condemned(
        frozenset(chain.from_iterable(one.versions for one in found)),
        frozenset(chain.from_iterable(one.blobs for one in found)),
    )


def _condemned_from(entries: ManifestReader) -> Condemned:
    return Condemned(frozenset(entries.text("versions").split()), frozenset(entries.text("blobs").split()))


def _record_of(condemned: Condemned) -> bytes:
    return to_json({"versions": " ".join(sorted(condemned.versions)), "blobs": " ".join(sorted(condemned.blobs))})


class PruneRecord:
    """The record of one prune: the versions and blobs that this prune may remove."""

    def __init__(self, model: StoredModel) -> None:
        """Choose an id; no I/O."""
        self._model = model
        self._key = model.keys.prune(new_id())

    async def begin(self) -> tuple[datetime, tuple[str, ...]]:
        """Write an empty record; return the time by the provider's clock, and the keys of dead prunes' records.

        A prune counts as dead if its record is older than `ModelConfig.dead_prune` seconds.

        Cost: 3 requests.
        """
        now = (await self._model.put_listed(self._key, _record_of(Condemned()))).last_modified
        oldest = now - timedelta(seconds=self._model.config.dead_prune)
        records = await self._model.listed(self._model.keys.prunes)
        return now, tuple(entry.key for entry in records if entry.last_modified < oldest)

    async def write(self, condemned: Condemned) -> None:
        """Write what the prune may remove, in place of what was written before.

        Cost: 1 request.
        """
        await self._model.provider.put(self._key, _record_of(condemned))

    async def remove(self) -> None:
        """Remove the record.

        Cost: 1 request.
        """
        await self._model.provider.delete(self._key)


async def stored_blobs(model: StoredModel) -> dict[str, ObjectInfo]:
    """Return the listed entry of each stored blob, by the blob's name.

    Cost: 1 request for each 1,000 blobs.
    """
    found = {entry.key.removeprefix(model.keys.blobs): entry for entry in await model.listed(model.keys.blobs)}
    return {blob: entry for blob, entry in found.items() if sha256_of(blob)}


async def usable_blobs(model: StoredModel) -> tuple[dict[str, ObjectInfo], Condemned]:
    """Return the listed entry of each blob that a new version may name, and what prunes may remove.

    The records are read before the blobs are listed; the module docstring explains why this order matters.

    Cost: 2 requests, 1 more for each further 1,000 blobs, and 1 for each prune under way.
    """
    condemned = await read_condemned(model)
    stored = await stored_blobs(model)
    return {blob: entry for blob, entry in stored.items() if blob not in condemned.blobs}, condemned
