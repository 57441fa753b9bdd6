"""One model at a provider: reads its manifests, tags and listings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar

from bucketry._core.entries import nearest
from bucketry._core.units import KiB
from bucketry._core.values import CommonPrefix, ObjectInfo
from bucketry._manage.manifest import ManifestReader, from_json
from bucketry._manage.models.keys import LATEST, ModelKeys, models_prefix, name_in
from bucketry._manage.models.manifests import in_order, version_from
from bucketry._manage.models.values import ModelVersion
from bucketry._runtime.threads import in_thread
from bucketry._transfer.listing import every_object
from bucketry._transfer.manager import TransferManager
from bucketry.errors import (
    IntegrityError,
    NotFoundError,
    PreconditionFailedError,
    StorageError,
    TransientError,
)
from bucketry.providers.provider import StorageProvider

T = TypeVar("T")

_AT_ONCE = 64 * KiB  # bytes of JSON that are read in less than a millisecond
_ATTEMPTS = 5  # to follow a tag that moves while its old version is pruned, or to store an object that is listed


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """The times of backups and prunes.

    Attributes:
        lease_duration: Seconds after the last renewal of its lease when a prune treats a backup as killed, and may
            remove its blobs. A running backup renews its lease three times in this time. 15 minutes, because retries of
            a request do not take so long, and a prune in the next hour removes what a killed backup has left.
        collision_delay: The longest first wait in seconds after several backups wanted the same version at once; this
            limit grows with each collision. 0.1, because that is several round trips to a cloud.
        dead_prune: Seconds after which a later prune removes the record of a killed prune. Until then, the record
            protects backups from a prune that was suspended, such as on a closed laptop, and goes on later. 7 days.
    """

    lease_duration: float = 900.0
    collision_delay: float = 0.1
    dead_prune: float = 7 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class StoredModel:
    """One model at a provider.

    Attributes:
        provider: The provider.
        transfers: Transfers files, with limits that all transfers share.
        keys: The keys of the model.
        config: The times of backups and prunes.
    """

    provider: StorageProvider
    transfers: TransferManager
    keys: ModelKeys
    config: ModelConfig

    @property
    def url(self) -> str:
        """The model's URL, for messages."""
        return self.provider.locate(self.keys.base)

    async def listed(self, prefix: str) -> list[ObjectInfo]:
        """Return all objects below a prefix.

        Cost: 1 request for each 1,000 objects.
        """
        async with aclosing(every_object(self.provider, prefix)) as entries:
            return [entry async for entry in entries if isinstance(entry, ObjectInfo)]

    async def put_listed(self, key: str, data: bytes) -> ObjectInfo:
        """Store an object, check that a listing shows it, and return its entry in the listing.

        A server that keeps objects as files, such as `rclone serve s3`, may not list a new object. This happens if the
        server removes the directory at the same moment, because the last other object in it was deleted.

        Raises:
            TransientError: After several attempts, the listing still does not show the object.

        Cost: 2 requests.
        """
        for _ in range(_ATTEMPTS):
            await self.provider.put(key, data)
            for entry in await self.listed(key):
                if entry.key == key:
                    return entry
        message = f"{self.provider.locate(key)}: was stored, but the server does not list it; call the method again"
        raise TransientError(message, key=key)

    async def names(self, prefix: str) -> list[str]:
        """Return the names of all JSON objects directly below a prefix.

        Cost: 1 request for each 1,000 objects.
        """
        return [name_in(entry.key, prefix) for entry in await self.listed(prefix) if entry.key.endswith(".json")]

    async def version_names(self) -> list[str]:
        """Return the names of all versions, in no useful order."""
        return await self.names(self.keys.versions)

    async def read_json(self, key: str, parse: Callable[[ManifestReader], T]) -> T | None:
        """Read a JSON object, and return what `parse` returns for it; `None`: the object does not exist.

        Raises:
            IntegrityError: The object was changed by another program, or is damaged.
            UnsupportedError: The object has a newer format.

        Cost: 1 request.
        """
        data = await self.read_bytes(key)
        return None if data is None else await self._parsed(key, data, parse)

    async def read_bytes(self, key: str) -> bytes | None:
        """Return an object's bytes; `None`: the object does not exist.

        Cost: 1 request.
        """
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self.provider.get(key)
            except NotFoundError:
                return None
            except PreconditionFailedError:  # the body broke off, and the object was replaced, as a tag that moves
                if attempt == _ATTEMPTS:
                    raise

    async def read_all(self, keys: Iterable[str], parse: Callable[[ManifestReader], T]) -> dict[str, T]:
        """Read several JSON objects, and return what `parse` returns for each, by key; missing objects are left out.

        `read_json` documents the errors.

        Cost: 1 request for each object up to 1 MiB, 2 for a larger object; several objects are read at once.
        """
        found: dict[str, T] = {}
        async with aclosing(self.transfers.get_many(keys, on_error="yield")) as objects:
            async for key, data in objects:
                if isinstance(data, NotFoundError):
                    continue
                if isinstance(data, PreconditionFailedError):  # a tag was moved, as in `read_bytes`
                    again = await self.read_json(key, parse)
                    found |= {} if again is None else {key: again}
                    continue
                if isinstance(data, StorageError):
                    raise data
                found[key] = await self._parsed(key, data, parse)
        return found

    async def _parsed(self, key: str, data: bytes, parse: Callable[[ManifestReader], T]) -> T:
        """Parse a manifest; a large manifest is parsed in a worker thread, so that the event loop is not blocked."""
        where = self.provider.locate(key)
        try:
            if len(data) <= _AT_ONCE:
                return parse(from_json(data, where))
            return await in_thread(lambda: parse(from_json(data, where)))
        except IntegrityError as exc:
            if not key.startswith(self.keys.versions):
                raise
            message = (
                f"{exc.message}; restore this object from a copy, or delete it: then version "
                f"{name_in(key, self.keys.versions)!r} is gone, and the other versions can be used again"
            )
            raise IntegrityError(message, key=key) from exc

    # --- versions ------------------------------------------------------------------------------------

    async def read_version(self, version: str) -> ModelVersion | None:
        """Return the version with this name, which is not a tag; `None`: there is no such version.

        `read_json` documents the errors.

        Cost: 1 request.
        """
        key = self.keys.version(version)
        found = await self.read_json(key, version_from)
        return None if found is None else self._checked(key, found)

    async def read_versions(self, names: Iterable[str]) -> list[ModelVersion]:
        """Return several versions, oldest first; versions that no longer exist are left out."""
        found = await self.read_all(map(self.keys.version, names), version_from)
        return in_order(self._checked(key, version) for key, version in found.items())

    def _checked(self, key: str, found: ModelVersion) -> ModelVersion:
        """Return the version, or raise `IntegrityError` if its manifest is at the key of another version."""
        if found.name != self.keys.name or self.keys.version(found.version) != key:
            message = (
                f"{self.provider.locate(key)}: is the manifest of version {found.version!r} of model {found.name!r}"
            )
            raise IntegrityError(message, key=key)
        return found

    async def find(self, version: str) -> ModelVersion:
        """Return the version with this name or this tag.

        Raises:
            NotFoundError: There is no such version, tag or model; the message suggests similar names.

        Cost: 1 request; 3 for a tag, 2 for `latest`.
        """
        target = ""
        for _ in range(_ATTEMPTS):
            found = None if version == LATEST else await self.read_version(version)
            if found is not None:
                return found
            target = await self.read_tag(version) or ""
            if not target:
                raise await self.unknown(version)
            found = await self.read_version(target)
            if found is not None:
                return found
        message = f"{self.url}: the tag {version!r} names version {target!r}, which does not exist; tag another version"
        raise NotFoundError(message, key=self.keys.version(target))

    async def unknown(self, version: str) -> NotFoundError:
        """Return the error for a version, tag or model that does not exist."""
        versions = await self.version_names()
        if not versions:
            return await self.unknown_model()
        known = (*versions, *await self.names(self.keys.tags))
        message = f"{self.url}: there is no version or tag {version!r}; {nearest(version, known)}"
        return NotFoundError(message, key=self.keys.version(version))

    async def unknown_model(self) -> NotFoundError:
        """Return the error for a model that has no version."""
        known = tuple(name for name in await model_names(self.provider, self.keys.root) if name != self.keys.name)
        message = f"{self.url}: there is no version of a model {self.keys.name!r}; {nearest(self.keys.name, known)}"
        return NotFoundError(message, key=self.keys.base)

    # --- tags ----------------------------------------------------------------------------------------

    async def read_tag(self, tag: str) -> str | None:
        """Return the version that a tag names; `None`: there is no such tag.

        Cost: 1 request.
        """
        return await self.read_json(self.keys.tag(tag), lambda entries: entries.text("version"))

    async def read_latest(self) -> tuple[str, int]:
        """Return the version that `latest` names, and the highest number so far; without `latest`, `("", 0)`.

        Cost: 1 request.
        """
        key = self.keys.tag(LATEST)
        found = await self.read_json(key, lambda entries: (entries.text("version"), entries.number("number")))
        return found or ("", 0)

    async def read_tags(self) -> dict[str, str]:
        """Return the version that each tag names, `latest` included.

        Cost: 1 request, and 1 for each tag.
        """
        keys = map(self.keys.tag, await self.names(self.keys.tags))
        found = await self.read_all(keys, lambda entries: entries.text("version"))
        return {name_in(key, self.keys.tags): version for key, version in found.items()}


async def model_names(provider: StorageProvider, root: str) -> list[str]:
    """Return the names of everything directly below the root of the models.

    Cost: 1 request for each 1,000 names.
    """
    prefix = models_prefix(root)
    async with aclosing(every_object(provider, prefix, delimiter="/")) as entries:
        return [
            entry.prefix.removeprefix(prefix).removesuffix("/")
            async for entry in entries
            if isinstance(entry, CommonPrefix)
        ]
