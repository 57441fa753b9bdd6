"""The objects of an examination: all are below one scratch prefix, and all are removed at its end."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bucketry._core.options import WriteOptions
from bucketry._core.requests import ObjectRequests
from bucketry._core.values import CommonPrefix, MultipartUpload, ObjectInfo, ObjectVersion
from bucketry._doctor.values import Check
from bucketry.errors import (
    AccessDeniedError,
    ConnectionFailedError,
    RequestTimeoutError,
    StorageError,
    UnsupportedError,
)

SCRATCH = ".bucketry-doctor/"
"""The prefix of every object that an examination makes."""

OLD = timedelta(hours=1)  # longer than an examination takes, so that no running one is disturbed

_NAME = re.compile("[0-9a-f]{16}")


def new_name() -> str:
    """Return an unused name for what one examination makes."""
    return secrets.token_hex(8)


def is_name(name: str) -> bool:
    """Return whether a name has the form of those that examinations choose; others below the prefix stay."""
    return _NAME.fullmatch(name) is not None


def removed_old(count: int) -> Check:
    """Return the check that says how many killed examinations had left something that was removed."""
    text = f"removed what {count} killed examination{'' if count == 1 else 's'} had left"
    return Check(group="access", name="old_objects", outcome="ok", text=text)


@dataclass(slots=True)
class Scratch:
    """The scratch prefix of one examination, and what was made there.

    Attributes:
        requests: The provider's requests.
        base: The prefix of all examinations, with the prefix of the URL before it.
        prefix: The prefix of this examination.
        keys: The keys that were named, also if the object was never stored.
        uploads: The uploads that were opened.
        made: The version of each object that was stored, if the bucket keeps versions.
        versioned: Whether the bucket keeps versions; `None`: not known yet.
    """

    requests: ObjectRequests
    base: str = SCRATCH
    prefix: str = ""
    keys: set[str] = field(default_factory=set)
    uploads: set[MultipartUpload] = field(default_factory=set)
    made: set[tuple[str, str]] = field(default_factory=set)
    versioned: bool | None = None

    def __post_init__(self) -> None:
        """Choose an unused prefix."""
        self.prefix = self.prefix or f"{self.base}{new_name()}/"

    def key(self, name: str) -> str:
        """Return a key below the prefix; the object is removed at the end."""
        key = f"{self.prefix}{name}"
        self.keys.add(key)
        return key

    async def put(self, name: str, data: bytes, options: WriteOptions | None = None) -> ObjectInfo:
        """Store an object."""
        info = await self.requests.put_object(self.key(name), data, options or WriteOptions())
        self.versioned = bool(self.versioned) or info.version_id is not None
        if info.version_id is not None:
            self.made.add((info.key, info.version_id))
        return info

    async def open_upload(self, name: str, options: WriteOptions | None = None) -> MultipartUpload:
        """Open a multipart upload; it is aborted at the end, unless it was completed."""
        upload = await self.requests.create_multipart(self.key(name), options or WriteOptions())
        self.uploads.add(upload)
        return upload

    async def remove(self) -> list[str]:
        """Remove everything below the prefix, and return what is still there.

        Raises:
            StorageError: The prefix cannot be listed; objects whose keys are known were removed nevertheless.
        """
        # By their ids first, because a server may be unable to list versions of keys with control characters.
        for key, version_id in sorted(self.made):
            await _try(self.requests.delete(key, version_id=version_id))
        return await self._remove(self.prefix, () if self.versioned else self.keys, self.uploads)

    async def remove_old(self, now: datetime) -> int:
        """Remove the scratch prefixes of examinations that were killed more than an hour ago; return their number.

        Args:
            now: The server's time, from an object that was just written. This machine's clock may be wrong.

        Raises:
            StorageError: A prefix cannot be listed.
        """
        newest: dict[str, datetime] = {}
        async for key, moment in self._dated(self.base):
            name, slash, _ = key[len(self.base) :].partition("/")
            prefix = f"{self.base}{name}/"
            if moment is not None and slash and is_name(name) and prefix != self.prefix:
                newest[prefix] = max(moment, newest.get(prefix, moment))
        old = [prefix for prefix, moment in newest.items() if now - moment > OLD]
        for prefix in old:
            await self._remove(prefix, (), ())
        return len(old)

    async def _remove(self, prefix: str, keys: Iterable[str], uploads: Iterable[MultipartUpload]) -> list[str]:
        requests = self.requests
        # By their ids, because a listed upload also has the time when it was opened.
        known = {upload.upload_id: upload for upload in uploads}
        known |= {upload.upload_id: upload async for upload in _uploads(requests, prefix)}
        for upload in known.values():
            await _try(requests.abort_multipart(upload))
        problem: StorageError | None = None
        versions: list[ObjectVersion] = []
        try:
            versions = [version async for version in self._versions(prefix)]
        except StorageError as error:
            problem = error
        for version in versions:
            await _try(requests.delete(version.key, version_id=version.version_id))
        for key in sorted({*keys, *[entry.key async for entry in _objects(requests, prefix)]}):
            await _try(requests.delete(key))
        if problem is not None:
            raise problem
        left = [entry.key async for entry in _objects(requests, prefix)]
        left += [f"{entry.key} (version {entry.version_id})" async for entry in self._versions(prefix)]
        left += [f"{upload.key} (open upload)" async for upload in _uploads(requests, prefix)]
        return left

    async def _dated(self, prefix: str) -> AsyncIterator[tuple[str, datetime | None]]:
        async for entry in _objects(self.requests, prefix):
            yield entry.key, entry.last_modified
        async for version in self._versions(prefix):
            yield version.key, version.last_modified
        async for upload in _uploads(self.requests, prefix):
            yield upload.key, upload.initiated

    async def _versions(self, prefix: str) -> AsyncIterator[ObjectVersion]:
        """Iterate over the versions below a prefix; nothing, if the bucket keeps none."""
        token, known = None, self.versioned
        while known is not False:
            try:
                page = await self.requests.list_versions_page(prefix, token=token)
            except StorageError:
                if known:
                    raise
                return  # perhaps the server does not know the request
            for entry in page.entries:
                if entry.key.startswith(prefix):  # some servers ignore the prefix
                    yield entry
            if page.next_token is None or page.next_token == token:
                return
            token = page.next_token


async def _try(request: Awaitable[None]) -> None:
    """Wait for a request that removes something; if it is refused, the listing at the end shows what is left."""
    try:
        await request
    except (ConnectionFailedError, RequestTimeoutError):
        raise
    except StorageError:
        pass


async def _objects(requests: ObjectRequests, prefix: str) -> AsyncIterator[ObjectInfo]:
    token = None
    while True:
        page = await requests.list_page(prefix, token=token)
        for entry in page.entries:
            if not isinstance(entry, CommonPrefix):
                yield entry
        if page.next_token is None or page.next_token == token:
            return
        token = page.next_token


async def _uploads(requests: ObjectRequests, prefix: str) -> AsyncIterator[MultipartUpload]:
    after: MultipartUpload | None = None
    seen: set[MultipartUpload] = set()
    while True:
        try:
            page = await requests.list_multiparts(prefix, after=after)
        except (AccessDeniedError, UnsupportedError):
            return
        new = [upload for upload in page if upload not in seen]
        for upload in new:
            if upload.key.startswith(prefix):
                yield upload
        if not new:
            return
        seen.update(new)
        after = page[-1]
