"""Moves tags, `latest` included, so that no tag names a version that a prune removes; `leases` explains why.

`latest` names the version whose backup ended last, but a numbered version never replaces a higher number. All providers
get the same plain writes: a backup writes `latest`, then lists the versions, and if there is a higher number, writes
`latest` again with this number. The last writer sees every version that was published before its listing, and the
backup of each later version writes `latest` itself. So in the end `latest` names the highest number, in whatever order
the writes arrive.
"""

from __future__ import annotations

from bucketry._manage.manifest import to_json
from bucketry._manage.models.keys import LATEST, number_of
from bucketry._manage.models.leases import read_condemned
from bucketry._manage.models.stored import StoredModel
from bucketry.errors import NotFoundError


async def place_tag(model: StoredModel, tag: str, version: str, *, number: int = 0) -> None:
    """Let a tag name a version; if a prune removes the version at the same time, take the tag back.

    Args:
        model: The model.
        tag: The tag; if it exists, it is moved.
        version: The name of the version, not a tag.
        number: The highest number of a version so far; used for `latest` only.

    Raises:
        NotFoundError: The version was removed, or is being removed.

    Cost: 4 requests.
    """
    key = model.keys.tag(tag)
    before = await model.read_bytes(key)
    data = to_json({"version": version, "number": number})
    await model.provider.put(key, data)
    condemned = await read_condemned(model)
    if version not in condemned.versions and await model.provider.exists(model.keys.version(version)):
        return
    await _take_back(model, key, data, before)
    message = f"{model.url}: version {version!r} is being removed by prune_models, and was not tagged {tag!r}"
    raise NotFoundError(message, key=model.keys.version(version))


async def _take_back(model: StoredModel, key: str, data: bytes, before: bytes | None) -> None:
    """Write back the earlier content of a tag, unless another call has moved the tag since."""
    if await model.read_bytes(key) != data:
        return
    if before is None:
        await model.provider.delete(key)
    else:
        await model.provider.put(key, before)


async def advance_latest(model: StoredModel, version: str) -> None:
    """Let `latest` name a version that was just published, or the version with the highest number if that is higher.

    Cost: 5 requests, 6 for a number; more if other backups end at the same time.
    """
    number = number_of(version) or 0
    while True:
        current, highest = await model.read_latest()
        if number and (number_of(current) or 0) > number:
            return
        await place_tag(model, LATEST, version, number=max(number, highest))
        if not number:
            return
        above = max(number_of(name) or 0 for name in (version, *await model.version_names()))
        if above <= number:
            return
        version, number = f"v{above}", above
