"""Leases of backups and records of prunes: how a prune removes nothing that a backup needs, without waiting.

A backup reuses blobs that are stored already. A prune removes blobs that no version names. Both may run at once, in
different processes and on different machines. Neither waits for the other, and neither depends on clocks to be safe.

**What each does, in this order.** Every step ends before the next one begins.

A backup:

- B1. writes its *lease*: the SHA-256 of all files that it needs;
- B2. reads the *records* of all prunes, and then lists the blobs. It uses a blob that is listed and in no record. It
  uploads the others; if the plain name of a blob is in a record, under another name, which nothing else uses;
- B3. writes its manifest: now the version exists;
- B4. reads the records of all prunes, and then lists the blobs, once more. If its version or one of its blobs is in a
  record, or a blob is missing, it withdraws the manifest and begins again at B2;
- B5. moves `latest`, and removes its lease.

A prune:

- P1. reads versions, tags, leases and blobs, and chooses what to remove: the old versions without a tag, and the blobs
  that neither the other versions nor a live lease name;
- P2. writes this choice as its *record*;
- P3. reads leases, then tags, then the versions that are new, and leaves out what any of them names by now;
- P4. removes the versions that are left, then the blobs that are left;
- P5. removes its record.

All vendors are strongly consistent: a request that begins after a write was answered sees this write. A lease and a
record are listed once after they were written, because some small servers may not list them; see `put_listed`.

**Why no version loses a blob.** A version names the blob X, and a prune removes X in P4. Then X is in the record that
this prune wrote in P2.

- *The backup read the records in B2 after P2.* It saw the record, and did not use X. Or the record was removed
  already (P5); then X was removed before, the listing in B2 did not show X, and the backup uploaded it again, after
  the removal.
- *The backup read the records in B2 before P2.* So its lease was written (B1) before the prune read the leases in P3.
  If the lease was there and live, the prune left X out. If it was removed already (B5), the manifest was written
  before, and the prune saw it, because it reads the versions after the leases: it left X out.
- *The lease had expired,* because the backup was suspended, or had no network for a long time. If the manifest was
  written (B3) before the prune read the versions in P3, the prune left X out. Else B4 began after P2, and so the backup
  saw the record; or it was removed already (P5), and the listing did not show X. The backup withdrew the version.

**Why no version is removed by mistake.** A prune removes versions by their names. A name that is in a record could
belong to a new version by now, if another prune has removed the old one. Such a backup sees the record in B4, and does
not keep the name: it takes another number, or raises an error if the name was given.

So the lease only prevents wasted work. A lease that is judged wrongly, because a clock is wrong, costs a second
upload, never a version. A prune that is suspended between two steps, and goes on days later, removes only blobs in its
record, and no backup has used these since. Therefore a record stays when its prune was killed; a later prune removes it
after `ModelConfig.dead_prune` seconds.

**Why no tag names a removed version.** `tag_model` writes the tag, and then looks for the version in the records and in
the listing. A prune writes its record, and then reads the tags. If both run at once, at least one of them sees the
other: the prune leaves the version out, or `tag_model` takes the tag back and raises an error. `latest` is moved in the
same way. A version whose lease is still live is not removed, even if it has no tag yet.

**Killed processes.** A killed backup leaves no version if it was killed before B3, and a whole one after it. Its lease
keeps its blobs until `ModelConfig.lease_duration` seconds after its last renewal; nothing waits for that. The ages of
leases are differences between two times of the provider's clock.
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

from bucketry._manage.manifest import ManifestReader, to_json
from bucketry._manage.models.keys import name_in, sha256_of
from bucketry._manage.models.stored import StoredModel
from bucketry._runtime.finish import finish
from bucketry._transfer.workers import stop
from bucketry.errors import StorageError

_RENEWALS = 3  # in the time of one lease, so that one or two may fail
_CLOCK_STEP = timedelta(seconds=1)  # listings show times in whole seconds

_logger = logging.getLogger("bucketry")


def new_id() -> str:
    """Give the id of a new backup or prune: 16 random hexadecimal digits."""
    return secrets.token_hex(8)


@asynccontextmanager
async def leased(model: StoredModel, backup_id: str, sha256s: Collection[str]) -> AsyncIterator[None]:
    """Hold a lease on the files inside the context, and renew it.

    A renewal that fails is logged and tried again later: without a lease, a backup is still safe.

    Args:
        model: The model.
        backup_id: Identifies the backup.
        sha256s: The SHA-256 of each file that it needs.

    Cost: 3 requests, and 3 for each `lease_duration`.
    """
    key = model.keys.lease(backup_id)
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
        # A plain task: a context must not yield inside a task group. `finally` ends the task.
        renewing = asyncio.get_running_loop().create_task(renew())
        try:
            yield
        finally:
            await stop([renewing])
    finally:
        await finish(lambda: _removed(model, key))


async def _removed(model: StoredModel, key: str) -> None:
    """Remove a lease; if that fails, it expires."""
    try:
        await model.provider.delete(key)
    except StorageError as error:
        _logger.debug("removing the lease of a backup failed; it will expire: %s", error)


@dataclass(frozen=True, slots=True)
class Leases:
    """The leases of all backups under way, as they were at one time.

    Attributes:
        backups: The ids of the backups whose lease is live.
        sha256s: The SHA-256 of each file that they need.
        expired: The keys of the leases that are not live.
    """

    backups: frozenset[str] = field(default_factory=frozenset)
    sha256s: frozenset[str] = field(default_factory=frozenset)
    expired: tuple[str, ...] = ()


async def read_leases(model: StoredModel, now: datetime) -> Leases:
    """Give the leases of the backups that are under way.

    Args:
        model: The model.
        now: The present time by the provider's clock, or an earlier one.

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
    """Give what the records of all prunes name.

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
    """The record of one prune, which says what it may remove."""

    def __init__(self, model: StoredModel) -> None:
        """Choose an id; no I/O."""
        self._model = model
        self._key = model.keys.prune(new_id())

    async def begin(self) -> tuple[datetime, tuple[str, ...]]:
        """Write an empty record, and give the time by the provider's clock, and the keys of the records of dead prunes.

        Cost: 3 requests.
        """
        now = (await self._model.put_listed(self._key, _record_of(Condemned()))).last_modified
        oldest = now - timedelta(seconds=self._model.config.dead_prune)
        records = await self._model.listed(self._model.keys.prunes)
        return now, tuple(entry.key for entry in records if entry.last_modified < oldest)

    async def write(self, condemned: Condemned) -> None:
        """Write what the prune may remove; replaces what was written before.

        Cost: 1 request.
        """
        await self._model.provider.put(self._key, _record_of(condemned))

    async def remove(self) -> None:
        """Remove the record.

        Cost: 1 request.
        """
        await self._model.provider.delete(self._key)


async def stored_blobs(model: StoredModel) -> dict[str, int]:
    """Give the size of each stored blob, by its name.

    Cost: 1 request for each 1,000 blobs.
    """
    found = {entry.key.removeprefix(model.keys.blobs): entry.size for entry in await model.listed(model.keys.blobs)}
    return {blob: size for blob, size in found.items() if sha256_of(blob)}


async def usable_blobs(model: StoredModel) -> tuple[dict[str, int], Condemned]:
    """Give the size of each blob that a new version may name, and what prunes may remove.

    The order of the two reads matters: see the module.

    Cost: 2 requests, 1 more for each further 1,000 blobs, and 1 for each prune under way.
    """
    condemned = await read_condemned(model)
    stored = await stored_blobs(model)
    return {blob: size for blob, size in stored.items() if blob not in condemned.blobs}, condemned
