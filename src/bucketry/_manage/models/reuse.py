"""Finds the stored blobs that a backup may reuse, because they still have the bytes that their names say.

Another program may have overwritten a blob. Its size alone does not show that, so a backup compares more, without
reading the blob:

- the etag of the blob with the etags that manifests recorded when its bytes were known to be right;
- else the stored checksum of the blob with the checksum of the local file.

If an etag is recorded and differs, and there is no stored checksum, the blob may still be right, such as after a copy
to another bucket. Then it is uploaded again, which costs only time. If neither can be compared, the size must do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bucketry._core.checks import same_etag
from bucketry._core.values import ObjectInfo
from bucketry._manage.models.keys import sha256_of
from bucketry._manage.models.stored import StoredModel
from bucketry._manage.models.values import ModelFile
from bucketry._transfer.workers import fan_out
from bucketry.errors import IntegrityError, NotFoundError, UnsupportedError


async def intact_blobs(
    model: StoredModel, found: Mapping[str, ObjectInfo], files: Mapping[str, ModelFile]
) -> dict[str, str]:
    """Return the blobs that may be reused, each with its etag; the etag is empty if only the size was compared.

    Args:
        model: The model.
        found: The listed blobs that the backup needs, by their names.
        files: A file with the bytes of each blob, by SHA-256.

    Cost: 2 requests to read the latest manifest. 1 for each blob whose etag this manifest does not have, if the
    provider stores checksums. If this leaves a blob undecided, 1 for each other manifest.
    """
    intact: dict[str, str] = {}
    wanted = {blob: files[sha256_of(blob) or ""] for blob in found}
    undecided = {blob for blob, entry in found.items() if entry.size == wanted[blob].size}
    if not undecided:
        return intact
    latest, _ = await model.read_latest()
    recorded = await _recorded_etags(model, [latest] if latest else [], undecided)
    intact |= {blob: found[blob].etag for blob in undecided if _among(found[blob].etag, recorded[blob])}
    undecided -= intact.keys()

    async def compare(blob: str) -> None:
        info = await _head(model, blob)
        if info is None or info.size != wanted[blob].size:
            undecided.discard(blob)  # deleted or replaced since it was listed
        elif common := info.checksums.keys() & wanted[blob].checksums.keys():
            undecided.discard(blob)
            if all(info.checksums[name] == wanted[blob].checksums[name] for name in common):
                intact[blob] = info.etag

    if model.provider.capabilities.stored_checksums:
        await fan_out(list(undecided), compare, width=model.transfers.config.max_concurrency)
    if undecided:
        others = [name for name in await model.version_names() if name != latest]
        earlier = await _recorded_etags(model, others, undecided)
        for blob in undecided:
            known = recorded[blob] | earlier[blob]
            if not known or _among(found[blob].etag, known):
                intact[blob] = found[blob].etag if known else ""
    return intact


async def _head(model: StoredModel, blob: str) -> ObjectInfo | None:
    try:
        return await model.provider.head(model.keys.blob(blob))
    except NotFoundError:
        return None


async def _recorded_etags(model: StoredModel, versions: Iterable[str], blobs: Iterable[str]) -> dict[str, set[str]]:
    """Return the etags that the manifests of some versions have for each blob; damaged manifests are left out."""
    etags: dict[str, set[str]] = {blob: set() for blob in blobs}

    async def one(version: str) -> None:
        try:
            read = await model.read_version(version)
        except (IntegrityError, UnsupportedError):  # it says nothing about blobs, and must not stop a new backup
            return
        for file in read.files if read is not None else ():
            if file.etag and file.blob in etags:
                etags[file.blob].add(file.etag)

    await fan_out(list(versions), one, width=model.transfers.config.max_concurrency)
    return etags


def _among(etag: str, known: Iterable[str]) -> bool:
    return any(same_etag(etag, one) for one in known)
