"""Turns the words of `sync` into its two sides, and plans between them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from bucketry._cli.args import TransferArguments
from bucketry._cli.commands import UsageError
from bucketry._cli.globs import Glob
from bucketry._cli.output import shown
from bucketry._cli.place import Places, Remote, transfer_config
from bucketry._cli.url_words import mistyped_url
from bucketry._core.provider import IStorageProvider
from bucketry._manage.overlap import store_below
from bucketry._manage.sync.filters import exact_pattern
from bucketry._manage.sync.values import Direction, PlanHeader
from bucketry._runtime.threads import in_thread
from bucketry._transfer.listing import as_directory
from bucketry.providers.url import read_url

if TYPE_CHECKING:
    from bucketry import StorageManager, SyncPlan
    from bucketry.providers.provider import StorageProvider

_LOCAL = "file://"


@dataclass(frozen=True, slots=True)
class Sides:
    """The two sides of a sync.

    Attributes:
        direction: Whether the local directory is the source or the target, or whether there is none.
        source: The prefix to read from; for an upload the local directory.
        target: The prefix to change; for a download the local directory.
        said: What the command line does not say, for the user to know before the sync begins.
        exclude: Patterns of what must be left out, because the usual store is there.
    """

    direction: Direction
    source: Remote | str
    target: Remote | str
    said: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def names(self, *, urls: bool = False) -> tuple[str, str]:
        """Both sides, as texts show them; `urls`: as results in JSON do."""
        return _name(self.source, urls=urls), _name(self.target, urls=urls)

    @property
    def target_and_server(self) -> str:
        """What is changed, and where it is: for a question before something is deleted."""
        return self.target if isinstance(self.target, str) else self.target.name_and_server

    @property
    def local(self) -> str | None:
        """The local directory; `None`: both sides are providers."""
        return next((side for side in (self.source, self.target) if isinstance(side, str)), None)

    @property
    def other(self) -> StorageProvider | None:
        """The second provider; `None`: one side is the local directory."""
        if self.direction != "copy":
            return None
        return cast("StorageProvider", _remote(self.target).provider)  # the manager checks it

    @property
    def _mine(self) -> Remote:
        return _remote(self.target if self.direction == "upload" else self.source)

    def manager(self, options: TransferArguments) -> StorageManager:
        """Return the manager that plans and applies: that of the source, or for an upload of the target.

        Raises:
            ConfigError: A transfer option is wrong.
        """
        from bucketry import StorageManager

        provider = self._mine.provider
        return StorageManager(provider, transfer=transfer_config(provider, options))

    async def plan(self, manager: StorageManager, arguments: Mapping[str, Any]) -> SyncPlan:
        """Compare the sides.

        Args:
            manager: The manager of this sync.
            arguments: The arguments that `plan_sync` and `plan_sync_to` share.
        """
        other, local = self.other, self.local
        if other is not None:
            return await manager.plan_sync_to(other, self._mine.key, _remote(self.target).key, **arguments)
        assert local is not None  # noqa: S101 - one side is local if there is no other provider
        direction: Direction = "upload" if self.direction == "upload" else "download"
        return await manager.plan_sync(local, self._mine.key, direction=direction, **arguments)

    async def places(self) -> tuple[str, str]:
        """Return both sides as a plan names them: as absolute paths, and as URLs of directories."""
        return await in_thread(_planned_name, self.source), await in_thread(_planned_name, self.target)


def _name(side: Remote | str, *, urls: bool) -> str:
    return side if isinstance(side, str) else side.url if urls else side.name


def _planned_name(side: Remote | str) -> str:
    if isinstance(side, str):
        return os.path.abspath(side)
    return side.provider.locate(as_directory(side.key))


def _remote(side: Remote | str) -> Remote:
    assert isinstance(side, Remote)  # noqa: S101 - `direction` says which side is local
    return side


async def sides_of_words(places: Places, source: str, target: str) -> Sides:
    """Return the sides of `sync SOURCE DESTINATION`.

    A word that is neither a URL nor `NAME:path` is a local path. So is `file:///directory` beside a URL of a cloud;
    otherwise the directory of this URL is a store.

    Raises:
        UsageError: No word is a URL or `NAME:path`, or the path of a URL has wildcards.
    """
    here, there = not places.is_remote(source), not places.is_remote(target)
    for word in (source, target):
        url = None if places.is_remote(word) else mistyped_url(word)
        if url is not None:
            message = f"{shown(word)} is not a URL; write {url}, or ./{word} for a local path"
            raise UsageError(message)
        problem = places.unknown_place(word)
        if problem is not None:
            message = f"{problem}; for a local path, write ./{word}"
            raise UsageError(message)
    places.expect([word for word in (source, target) if places.is_remote(word) and not word.startswith(_LOCAL)])
    if here and there:
        message = (
            f"{shown(source)} and {shown(target)} are both local paths: write the remote side as a URL, such as "
            f"s3://BUCKET/{target.strip('./') or 'data'}/, or give --direction upload --local {shown(source)} "
            f"--remote PREFIX"
        )
        raise UsageError(message)
    here = here or (_is_file_url(source) and not there and not _is_file_url(target))
    there = there or (_is_file_url(target) and not here and not _is_file_url(source))
    if here:
        return Sides("upload", _path(source), await _opened(places, target))
    if there:
        return Sides("download", await _opened(places, source), _path(target))
    return Sides("copy", await _opened(places, source), await _opened(places, target))


def _is_file_url(word: str) -> bool:
    return word.startswith(_LOCAL)


def _path(word: str) -> str:
    """Return the path of a local word."""
    return read_url(word).place["base_path"] if _is_file_url(word) else word


async def _opened(places: Places, word: str) -> Remote:
    """Open a URL or `NAME:path`.

    Raises:
        UsageError: Its path has wildcards.
    """
    if _is_file_url(word):
        word = f"{word.rstrip('/')}/"  # the store is this directory, whether it exists or not
    remote = await places.open(word)
    if not remote.is_glob:
        return remote
    glob = Glob(remote.key)
    if not glob.is_plain:
        message = f"{shown(word)}: a sync takes a whole prefix; choose the keys with --include and --exclude"
        raise UsageError(message)
    return replace(remote, key=glob.literal, is_glob=False)


async def sides_of_options(places: Places, direction: str, local: str | None, remote: str | None) -> Sides:
    """Return the sides of `sync --direction D [--local L] [--remote R]`.

    Args:
        places: Opens the remote side.
        direction: `upload` or `download`.
        local: The directory; `None`: that of the named place, else `data/`.
        remote: A URL, `NAME:path` or a prefix of the usual provider; `None`: that of the named place, else `datasets/`.
    """
    usual_local, usual_remote = places.defaults()
    directory = usual_local if local is None else local
    word = usual_remote if remote is None else remote
    is_url = places.is_remote(word)
    opened = await (_opened(places, word) if is_url else places.open(word))
    said, exclude = [], []
    missing = [name for name, value in (("--local", local), ("--remote", remote)) if value is None]
    if missing:
        said.append(f"{' and '.join(missing)} not given: using {shown(directory)} and {shown(opened.name)}")
    # Not for a URL that the user has written: its directory must not be in the local one by mistake.
    inside = None if is_url else await in_thread(store_below, opened.provider.locate(), directory)
    if inside is not None:
        said.append(f"leaving out {shown(inside)} in {shown(directory)}: the store keeps its objects there")
        exclude.append(exact_pattern(f"{inside}/"))
    source, target = (directory, opened) if direction == "upload" else (opened, directory)
    kind: Direction = "upload" if direction == "upload" else "download"
    return Sides(kind, source, target, tuple(said), tuple(exclude))


async def sides_of_plan(places: Places, header: PlanHeader, given: Sides | None) -> Sides:
    """Return the sides of a saved plan.

    Args:
        places: Opens the providers that the plan names by URL.
        header: The plan's header.
        given: The sides on the command line, which tell how to reach the providers; `None`: there are none.

    Raises:
        UsageError: The sides are not those of the plan.
    """
    if given is None:
        source: Remote | str = header.source
        target: Remote | str = header.target
        if header.direction != "upload":
            prefix = header.source_prefix if header.direction == "copy" else header.prefix
            source = Remote(await _root(places, header.source, prefix), prefix)
        if header.direction != "download":
            target = Remote(await _root(places, header.target, header.prefix), header.prefix)
        given = Sides(header.direction, source, target)
    if given.direction != header.direction or await given.places() != (header.source, header.target):
        message = (
            f"the plan is for {shown(header.source)} → {shown(header.target)}, and this is {shown(given.names()[0])} → "
            f"{shown(given.names()[1])}; give the same paths, --url and --provider as when it was made"
        )
        raise UsageError(message)
    return given


async def _root(places: Places, url: str, prefix: str) -> IStorageProvider:
    """Open the provider of a URL in a plan, without the plan's prefix; the manager then compares both URLs."""
    scheme, _, rest = url.removesuffix(prefix).partition("://")
    return (await places.open(f"{scheme}://{quote(rest.rstrip('/'))}/")).provider
