"""Makes a version visible, so that only one backup gets each name, also at providers without create-only writes.

A version exists as soon as its manifest exists. Two backups may want the same name at the same time.

**If the provider enforces create-only writes,** the manifest is written with one, and only one of several writers
succeeds. Every other backup waits for a short random time and takes the next number. If the user chose the name, it
raises `AlreadyExistsError`.

**At other providers,** a backup first claims the name:

- C1. it writes the claim `claims/<version>/<backup id>`;
- C2. it lists the claims on this version, and goes on only if its own claim is listed and is the only one;
- C3. it checks that the version does not exist, and goes on only then;
- C4. it writes the manifest;
- C5. it removes its claim, also if it did not go on. But if C4 failed or was cancelled, and its request may still
  arrive, the claim stays.

Two backups A and B cannot both reach C4 for one version. Suppose that in C2 each of them saw only its own claim. Then
each listing began before the claim of the other backup was written, or after this claim was removed.

- *No claim was removed before the listing of the other backup.* Then the order in time was: A's claim, A's listing,
  B's claim, B's listing, and again A's claim. That is impossible, because A writes its claim only once.
- *A's claim was removed before B's listing.* Then A had not gone on, or had written its manifest before. In the second
  case, B sees the manifest in C3.

A backup that does not go on waits for a short random time, and takes the next number. Its longest wait grows with each
collision. If a claim on a number stays, its backup was probably killed, so the number is skipped after some attempts.
Therefore numbers may have gaps. If the user chose the name, a claim counts only while its backup has a live lease.

For names that users choose, this depends on clocks: if a backup is suspended between C2 and C4 for longer than its
lease, another backup may publish a version of the same name meanwhile, and the first backup overwrites it. Numbered
versions are safe, because no backup ignores a claim on a number, and a prune removes a claim on a number only if there
is a version with this or a higher number.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Literal

from bucketry._manage.models.keys import number_of
from bucketry._manage.models.leases import Lease, read_leases
from bucketry._manage.models.manifests import manifest_of
from bucketry._manage.models.stored import StoredModel
from bucketry._manage.models.values import ModelVersion
from bucketry._runtime.finish import finish
from bucketry._runtime.threads import in_thread
from bucketry.errors import AlreadyExistsError, StorageError

_ATTEMPTS_AT_A_NUMBER = 8  # after so many collisions, the backup with the claim on this number was probably killed
_ATTEMPTS_AT_A_NAME = 20  # about half a minute by default, and a running backup publishes within a second
_MOST_DOUBLINGS = 5  # of the longest wait, which is then 3 s by default

_logger = logging.getLogger("bucketry")

_Outcome = Literal["published", "exists", "claimed"]


async def publish(model: StoredModel, draft: ModelVersion, avoid: Collection[str], lease: Lease) -> ModelVersion:
    """Publish a version under its name, or under the next free number if its name is empty, and return it.

    Args:
        model: The model.
        draft: The version; its blobs are stored already.
        avoid: Versions that prunes may remove; their numbers are not used.
        lease: The lease of the backup.

    Raises:
        AlreadyExistsError: There is a version of the given name, or a running backup has claimed the name.

    Cost: 1 request for a given name, 3 for a number; 4 more without create-only writes; and more if other backups
    publish at the same time.
    """
    collisions: Counter[str] = Counter()
    while True:
        name = draft.version or await _next_number(model, collisions, avoid)
        version = replace(draft, version=name, created=datetime.now(UTC))
        outcome = await _attempt(model, version, lease, given=bool(draft.version))
        if outcome == "published":
            return version
        collisions[name] += 1
        if draft.version and (outcome == "exists" or collisions[name] == _ATTEMPTS_AT_A_NAME):
            raise version_exists(model, name)
        longest = model.config.collision_delay * 2 ** min(collisions.total() - 1, _MOST_DOUBLINGS)
        await asyncio.sleep(random.uniform(0, longest))  # noqa: S311 - no secret


def version_exists(model: StoredModel, version: str) -> AlreadyExistsError:
    """Return the error for a version name that is taken."""
    key = model.keys.version(version)
    message = (
        f"{model.provider.locate(key)}: version {version!r} exists, and versions never change; choose another name"
    )
    return AlreadyExistsError(message, key=key)


async def _next_number(model: StoredModel, collisions: Counter[str], avoid: Collection[str]) -> str:
    """Return the name with the next number.

    `latest` stores the highest number, because the version with this number may have been removed.

    Cost: 2 requests.
    """
    numbers = [number_of(name) or 0 for name in await model.version_names()]
    _, highest = await model.read_latest()
    number = max(*numbers, highest, 0) + 1
    while collisions[f"v{number}"] >= _ATTEMPTS_AT_A_NUMBER or f"v{number}" in avoid:
        number += 1
    return f"v{number}"


async def _attempt(model: StoredModel, version: ModelVersion, lease: Lease, *, given: bool) -> _Outcome:
    """Try to publish a version under its name, and return whether it was published or why not."""
    key = model.keys.version(version.version)
    data = await in_thread(manifest_of, version)
    if model.provider.capabilities.put_if_none_match:
        try:
            await _write(model, key, data, lease, if_none_match="*")
        except AlreadyExistsError:
            return "exists"
        return "published"
    claim = model.keys.claims_on(version.version) + version.backup_id
    try:
        await model.provider.put(claim, b"")
        if await _others_claim(model, claim, version, given=given):
            return "claimed"
        if await model.provider.exists(key):
            return "exists"
        await _write(model, key, data, lease)
        return "published"
    finally:
        if not lease.stays:
            await finish(partial(_remove_claim, model, claim))


async def _write(model: StoredModel, key: str, data: bytes, lease: Lease, *, if_none_match: str | None = None) -> None:
    """Write the manifest; let the lease stay if the request failed, and may still arrive at the provider."""
    try:
        await model.provider.put(key, data, if_none_match=if_none_match)
    except BaseException as error:
        lease.stays = not isinstance(error, StorageError) or error.retryable
        raise


async def _remove_claim(model: StoredModel, claim: str) -> None:
    """Remove a claim; if the request fails, a later prune removes it."""
    try:
        await model.provider.delete(claim)
    except StorageError as error:
        _logger.debug("removing the claim of a backup failed; a prune will remove it: %s", error)


async def _others_claim(model: StoredModel, claim: str, version: ModelVersion, *, given: bool) -> bool:
    """Return whether another backup has a claim on the same version, or the server does not list this claim."""
    claims = {entry.key: entry.last_modified for entry in await model.listed(model.keys.claims_on(version.version))}
    now = claims.pop(claim, None)
    if now is None or (claims and not given):
        return True
    if not claims:
        return False
    leases = await read_leases(model, now)
    return any(key.rpartition("/")[2] in leases.backups for key in claims)
