"""The methods of a StorageManager that plan a sync: `plan_sync` and `plan_sync_to`."""

from __future__ import annotations

import os
import posixpath
import re
import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from typing import Any, get_args

from bucketry._core.facts import fills_in_facts
from bucketry._core.os_errors import check_path
from bucketry._core.provider import StrPath
from bucketry._manage.managed import Managed
from bucketry._manage.overlap import local_place, refuse_overlap
from bucketry._manage.sync.compare import Place
from bucketry._manage.sync.filters import Filter
from bucketry._manage.sync.memo import memo_of
from bucketry._manage.sync.plan import PlanRequest, make_plan
from bucketry._manage.sync.saved import SyncPlan
from bucketry._manage.sync.values import Compare, Direction, PlanHeader
from bucketry._runtime.threads import in_thread
from bucketry._transfer.listing import as_directory
from bucketry._transfer.plan import check_part_size
from bucketry.errors import InvalidRequestError
from bucketry.providers.provider import StorageProvider

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@fills_in_facts
class SyncMethods(Managed):
    """Methods that plan a sync."""

    async def plan_sync(
        self,
        local_dir: StrPath,
        prefix: str,
        *,
        direction: Direction = "upload",
        delete: bool = False,
        max_delete: int | None = None,
        force: bool = False,
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
        compare: Compare = "size-mtime",
        path: StrPath | None = None,
    ) -> SyncPlan:
        """Compare a directory with the objects below a prefix, and return a plan that makes them equal; change nothing.

        An entry that only the source has, or whose size differs, is transferred. Entries of equal size are compared:

        - `"size-mtime"`: by the time of the last change. Uploads store this time in the metadata `mtime`, as rclone
          does; times that differ by less than 1 µs are equal. A target object without `mtime` counts as equal if it
          was stored after the last change of the file. The time of a source object without `mtime` is the time when
          it was stored.
        - `"size"`: entries of equal size count as equal.
        - `"checksum"`: by a stored checksum of the object and the computed checksum of the file. The object is read if
          it has no stored checksum that can be computed here.

        These are ignored on both sides: objects of size 0 whose keys end in `/` (web consoles make them for
        directories), empty directories, staged files of downloads, directories named `.bucketry`, and the manifest of
        a dataset directly below the prefix. Links to files are followed. Entries that cannot be synced are in the plan
        with the kind `"skip"` and the reason: links to directories, sockets, unreadable directories, names that are not
        UTF-8, keys that are not a safe path, different names that the target stores under the same name, and keys or
        sizes that the provider does not store. If an entry cannot be read, nothing at or below its path is overwritten
        or deleted.

        Patterns are as in a `.gitignore` file in the directory. An entry is selected if `include` is empty or has a
        pattern that matches, and no pattern of `exclude` matches. Entries that are not selected are neither transferred
        nor deleted, on either side. If the provider normalizes keys, patterns and names are compared in its form.

        Args:
            local_dir: The directory; as the target it need not exist.
            prefix: A directory of keys: `"data"` means `"data/"`; empty: all keys. A URL, a `/` at the beginning, and
                empty, `.` and `..` names in it are errors.
            direction: `"upload"`: the prefix changes; `"download"`: the directory changes.
            delete: Remove entries that only the target has, after all transfers succeeded.
            max_delete: If the plan has more deletions, `apply` raises an error before it changes anything; only with
                `delete`.
            force: Allow `delete` even if the source has nothing to sync, and a download from a prefix without objects.
            include: Patterns of the entries to sync; empty: all.
            exclude: Patterns of the entries to leave out.
            compare: How entries of equal size are compared.
            path: Write the plan to this file, as `SyncPlan.save` does. `None`: the plan is in memory, or in a temporary
                file if it is larger than 1 MiB.

        Raises:
            InvalidRequestError: An argument is wrong; the provider is a directory, and it overlaps `local_dir`, unless
                it is below `local_dir` and `exclude` leaves it out; `include` matches nothing; or `delete` is
                set, and the source has nothing to sync.
            NotFoundError: There is no object at all below the prefix of a download, without `force`; or `include` is
                given, and the source has no entries at all.
            LocalFileNotFoundError: The directory to upload does not exist.
            LocalNotADirectoryError: `local_dir` is a file.
            IntegrityError: A listing is not sorted.

        Cost: 1 request for each 1,000 objects. `"size-mtime"`: 1 HEAD for each pair of equal size whose object was
            not seen before, see `memo_dir` of the manager. `"checksum"`: 1 HEAD for each pair of equal size; each such
            file is read, and each such object without a comparable checksum. HEADs run `max_concurrency` at once.
            Memory does not grow with the number of entries. If the provider normalizes keys, the directory is walked
            twice, and memory grows with the number of names that change.
        """
        if direction not in ("upload", "download"):
            raise InvalidRequestError(f"direction={direction!r}: give 'upload' or 'download'")
        filters = Filter(include, exclude, form=self.provider.capabilities.key_normalization)
        _check(compare=compare, delete=delete, max_delete=max_delete, force=force)
        remote = _remote(self.provider, prefix, self.memo_dir)
        root = _absolute(local_dir)
        await in_thread(partial(refuse_overlap, remote.url, root, excludes=filters.excludes))
        local = Place(root, root=root)
        source, target = (local, remote) if direction == "upload" else (remote, local)
        if direction == "upload":
            check_part_size(self.transfers.config.part_size, self.provider.capabilities, remote.url)
        header = PlanHeader(
            direction=direction,
            source=source.url,
            target=target.url,
            prefix=remote.prefix,
            compare=compare,
            delete=delete,
            max_delete=max_delete,
            include=filters.include,
            exclude=filters.exclude,
            created=datetime.now(UTC),
        )
        return await self._plan(header, source, target, filters, path, force=force)

    async def plan_sync_to(
        self,
        other: StorageProvider,
        source_prefix: str,
        prefix: str,
        *,
        delete: bool = False,
        max_delete: int | None = None,
        force: bool = False,
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
        compare: Compare = "size-mtime",
        path: StrPath | None = None,
    ) -> SyncPlan:
        """Compare the objects below a prefix with the objects of another provider, and return a plan, as `plan_sync`.

        All objects are synced, except empty objects whose keys end in `/`. Two objects have the same time if their
        `mtime` is equal; a copy without `mtime` counts as equal if it was stored after the time of the source. If the
        other provider is a directory, a key that is not a safe path is skipped.

        Args:
            other: The target; it can be this provider with another prefix.
            source_prefix: The prefix of this provider: `"data"` means `"data/"`; empty: all keys. A URL is an error.
            prefix: The prefix of the other provider; as in `plan_sync`.
            delete: See `plan_sync`.
            max_delete: See `plan_sync`.
            force: Allow `delete` even if the source has nothing to sync.
            include: See `plan_sync`.
            exclude: See `plan_sync`.
            compare: See `plan_sync`.
            path: See `plan_sync`.

        Raises:
            InvalidRequestError: An argument is wrong; both prefixes are of the same provider and overlap; `include`
                matches nothing; or `delete` is set, and the source has nothing to sync.
            NotFoundError: `include` is given, and the source has no entries at all.
            IntegrityError: A listing is not sorted.

        Cost: 1 request for each 1,000 objects of each side, of the source twice if the target normalizes keys and the
            source does not. `"size-mtime"`: 1 HEAD for each object of a pair of equal size that was not seen before,
            see `memo_dir` of the manager. `"checksum"`: 2 HEADs for each pair of equal size; an object is read if it
            has no stored checksum that can be compared.
        """
        if not isinstance(other, StorageProvider):
            raise InvalidRequestError(f"other must be a provider, not {type(other).__name__}")
        form = other.capabilities.key_normalization or self.provider.capabilities.key_normalization
        filters = Filter(include, exclude, form=form)
        _check(compare=compare, delete=delete, max_delete=max_delete, force=force)
        source = _remote(self.provider, source_prefix, self.memo_dir, "source_prefix", may_be_odd=True)
        target = _remote(other, prefix, self.memo_dir)
        await in_thread(_refuse_overlapping, source, target)
        check_part_size(self.transfers.config.part_size, other.capabilities, target.url)
        header = PlanHeader(
            direction="copy",
            source=source.url,
            target=target.url,
            prefix=target.prefix,
            source_prefix=source.prefix,
            compare=compare,
            delete=delete,
            max_delete=max_delete,
            include=filters.include,
            exclude=filters.exclude,
            created=datetime.now(UTC),
        )
        return await self._plan(header, source, target, filters, path, force=force)

    async def _plan(
        self,
        header: PlanHeader,
        source: Place,
        target: Place,
        filters: Filter,
        path: StrPath | None,
        *,
        force: bool,
    ) -> SyncPlan:
        request = PlanRequest(
            header=header, source=source, target=target, filters=filters, force=force, transfers=self.transfers
        )
        return await make_plan(request, path)


def _check(*, compare: Any, delete: Any, max_delete: Any, force: Any) -> None:  # noqa: ANN401 - to be checked
    """Refuse wrong arguments.

    Raises:
        InvalidRequestError: See `plan_sync`.
    """
    if compare not in get_args(Compare):
        raise InvalidRequestError(f"compare={compare!r}: give one of {', '.join(map(repr, get_args(Compare)))}")
    for name, value in (("delete", delete), ("force", force)):
        if not isinstance(value, bool):
            raise InvalidRequestError(f"{name}={value!r}: give True or False")
    if max_delete is not None and (not isinstance(max_delete, int) or isinstance(max_delete, bool) or max_delete < 0):
        raise InvalidRequestError(f"max_delete={max_delete!r}: give a number of entries, or None for no limit")
    if max_delete is not None and not delete:
        raise InvalidRequestError(
            f"max_delete={max_delete}: delete is False, so nothing is deleted; give delete=True, or omit max_delete"
        )


def _absolute(local_dir: StrPath) -> str:
    """Return the absolute path of a directory, because a plan can be applied in another working directory."""
    root = os.fspath(local_dir) if isinstance(local_dir, os.PathLike) else local_dir
    if not isinstance(root, str):
        raise InvalidRequestError(f"local_dir={root!r}: give a str or a path of str")
    check_path(root)
    return os.path.abspath(root)


def _remote(
    provider: StorageProvider, prefix: str, memo_dir: str | None, name: str = "prefix", *, may_be_odd: bool = False
) -> Place:
    """Return the place of a prefix, in the Unicode form in which the provider stores it.

    Args:
        provider: The provider.
        prefix: The prefix.
        memo_dir: The directory of the remembered times; `None`: nothing is remembered.
        name: The argument's name, for errors.
        may_be_odd: Whether the prefix may be absolute and may have empty, `.` and `..` names, because objects can have
            such keys. Nothing is written to such keys.
    """
    if not isinstance(prefix, str):
        raise InvalidRequestError(f"{name}={prefix!r}: give a str; '' means all keys")
    _refuse_url(provider, prefix, name)
    if not may_be_odd:
        _refuse_odd(prefix, name)
    form = provider.capabilities.key_normalization
    below = as_directory(unicodedata.normalize(form, prefix) if form else prefix)
    return Place(provider.locate(below), provider, below, memo=memo_of(provider, memo_dir))


def _refuse_url(provider: StorageProvider, prefix: str, name: str) -> None:
    """Refuse a URL as a prefix.

    Raises:
        InvalidRequestError: It is a URL; if it is one of the provider's, the message has the prefix to give.
    """
    if not _SCHEME.match(prefix):
        return
    here = as_directory(provider.locate())
    place, own = as_directory(prefix.partition("://")[2]), here.partition("://")[2]
    below = _plain(place.removeprefix(own)) if place.startswith(own) else None
    advice = f"give only the part after {here}" if below is None else f"give {below!r}"
    raise InvalidRequestError(f"{name}={prefix!r}: a prefix is a part of keys, not a URL; {advice}")


def _refuse_odd(prefix: str, name: str) -> None:
    """Refuse a prefix whose keys could not be the paths of files.

    Raises:
        InvalidRequestError: The prefix begins with `/`, or has an empty, `.` or `..` name; the message has the prefix
            to give, if that is clear.
    """
    if not prefix or all(part not in ("", ".", "..") for part in prefix.removesuffix("/").split("/")):
        return
    plain = _plain(prefix)
    advice = "give a prefix without empty, '.' and '..' names" if plain is None else f"give {plain!r}"
    raise InvalidRequestError(
        f"{name}={prefix!r}: a prefix has no '/' at its beginning, and no empty, '.' or '..' names; {advice}"
    )


def _plain(prefix: str) -> str | None:
    """Return the prefix without empty, `.` and `..` names; `None`: it goes out of the store."""
    plain = posixpath.normpath(prefix.strip("/") or ".")
    if plain == ".." or plain.startswith("../"):
        return None
    return "" if plain == "." else plain


def _refuse_overlapping(source: Place, target: Place) -> None:
    """Refuse two prefixes of which one is below the other. Blocks.

    Raises:
        InvalidRequestError: They are in one store, and overlap.
    """
    (one_store, one), (other_store, other) = _in_store(source), _in_store(target)
    if one_store == other_store and _overlap(one, other):
        raise InvalidRequestError(
            f"{source.url} and {target.url} overlap; a sync must not write into its own source, so give two prefixes "
            "of which none is below the other"
        )


def _in_store(place: Place) -> tuple[object, str]:
    """Return where a place's objects are stored, equal for two providers of one store, and the place in it. Blocks.

    Two providers of one bucket have the same endpoint and bucket, whatever their credentials.
    """
    assert place.provider is not None  # noqa: S101 - both sides of a copy are providers
    directory = local_place(place.url)
    if directory is not None:
        return "directory", directory
    name = "x"  # a key must not be empty
    source = place.provider.copy_source(place.prefix + name)
    if source is not None:
        return (source.endpoint, source.bucket), source.key.removesuffix(name)
    return _innermost(place.provider), place.url


def _overlap(one: str, other: str) -> bool:
    one, other = as_directory(one), as_directory(other)
    return one.startswith(other) or other.startswith(one)


def _innermost(provider: Any) -> Any:  # noqa: ANN401 - a wrapped provider, or any other
    """Return the provider that makes the requests, without its wrappers."""
    while (inner := getattr(provider, "inner", None)) is not None:
        provider = inner
    return provider
