"""Listings, versions, tags and deletions through aiobotocore."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bucketry._core.values import ListPage, ObjectVersion, VersionPage
from bucketry._providers.s3.answers import Deletions, list_page, marker_of, required, utc, version_page
from bucketry._providers.s3.boto.calls import BotoCalls, nothing


class BotoListings(BotoCalls):
    """The requests of one bucket about keys, versions and tags, not about bytes."""

    async def list_page(
        self,
        prefix: str = "",
        *,
        delimiter: str | None = None,
        start_after: str | None = None,
        token: str | None = None,
        max_keys: int | None = None,
        operation: str = "list",
    ) -> ListPage:
        return await self.send(
            operation,
            "list_objects_v2",
            lambda answer: list_page(answer, token),
            Prefix=prefix,
            Delimiter=delimiter,
            StartAfter=start_after,
            ContinuationToken=token,
            MaxKeys=max_keys,
        )

    async def list_versions_page(self, prefix: str, token: str | None) -> VersionPage:

        def read(answer: dict[str, Any]) -> VersionPage:
            entries = [_version(entry, deleted=False) for entry in answer.get("Versions", ())]
            entries += [_version(entry, deleted=True) for entry in answer.get("DeleteMarkers", ())]
            return version_page(entries, answer, token)

        marker = marker_of(token)
        return await self.send(
            "list_versions",
            "list_object_versions",
            read,
            Prefix=prefix,
            KeyMarker=marker.get("key-marker"),
            VersionIdMarker=marker.get("version-id-marker"),
        )

    async def get_tags(self, key: str) -> dict[str, str]:

        def read(answer: dict[str, Any]) -> dict[str, str]:
            return {tag["Key"]: tag["Value"] for tag in required(answer, "TagSet")}

        return await self.send("get_tags", "get_object_tagging", read, key=key)

    async def put_tags(self, key: str, tags: Mapping[str, str]) -> None:
        if not tags:
            await self.send("put_tags", "delete_object_tagging", nothing, key=key)
            return
        tag_set = [{"Key": name, "Value": value} for name, value in tags.items()]
        await self.send("put_tags", "put_object_tagging", nothing, key=key, Tagging={"TagSet": tag_set})

    async def delete(self, key: str, *, version_id: str | None = None) -> None:
        await self.send("delete", "delete_object", nothing, key=key, VersionId=version_id)

    async def delete_named(self, keys: Sequence[str]) -> Deletions:
        """Delete keys that XML 1.0 can represent, in one request, and return the result for each key."""

        def read(answer: dict[str, Any]) -> Deletions:
            deleted = [entry.get("Key", "") for entry in answer.get("Deleted", ())]
            return deleted, [dict(entry) for entry in answer.get("Errors", ())]

        named = {"Objects": [{"Key": key} for key in keys]}
        return await self.send("delete_many", "delete_objects", read, Delete=named)


def _version(entry: dict[str, Any], *, deleted: bool) -> ObjectVersion:
    return ObjectVersion(
        key=entry["Key"],
        version_id=entry["VersionId"],
        is_latest=entry["IsLatest"],
        is_delete_marker=deleted,
        size=entry.get("Size", 0),
        etag=entry.get("ETag", ""),
        last_modified=utc(entry["LastModified"]),
        storage_class=entry.get("StorageClass"),
    )
