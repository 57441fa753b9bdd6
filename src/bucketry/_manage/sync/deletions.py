"""Removes entries that only the target has: first checks the pinned state of each, then removes many at once."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing

from bucketry._core.os_errors import local_error
from bucketry._manage.sync.pins import file_is, object_at, object_is, status_of, target_changed
from bucketry._manage.sync.results import Outcome, SyncResult
from bucketry._manage.sync.values import SyncAction
from bucketry._runtime.threads import in_thread
from bucketry._transfer.workers import fan_out_each
from bucketry.errors import StorageError, UnsafeKeyError
from bucketry.providers.provider import StorageProvider

FILES = 256  # files that one call in a thread removes
OBJECTS = 1_000  # objects that are checked before the first is removed; one request on S3 removes so many


async def delete_objects(
    provider: StorageProvider, prefix: str, actions: AsyncGenerator[SyncAction, None], *, width: int
) -> AsyncGenerator[Outcome, None]:
    """Remove objects that have not changed since the plan was made, and yield the outcome of each action.

    Args:
        provider: The target.
        prefix: The beginning of the keys, before the path.
        actions: The deletions.
        width: Objects to check at once.

    Cost: 1 HEAD for each object, and 1 request for each `capabilities.max_delete_keys` objects.
    """

    async def check(action: SyncAction) -> tuple[SyncAction, SyncResult | StorageError | None]:
        key = prefix + action.path
        try:
            info = await object_at(provider, key)
        except StorageError as error:
            return action, error
        if info is None:
            return action, SyncResult(action=action, done="already_done")
        return action, None if object_is(info, action.target) else target_changed(
            provider.locate(key), action.target, key
        )

    most = max(1, min(OBJECTS, provider.capabilities.max_delete_keys))
    async with aclosing(_chunks(actions, most if most > 1 else OBJECTS)) as chunks:
        async for chunk in chunks:
            confirmed: dict[str, SyncAction] = {}
            async with aclosing(fan_out_each(chunk, check, width=width)) as checks:
                async for action, outcome in checks:
                    if outcome is None:
                        confirmed[prefix + action.path] = action
                    else:
                        yield action.path, outcome
            async with aclosing(_delete(provider, confirmed)) as deletions:
                async for deletion in deletions:
                    yield deletion


async def _delete(provider: StorageProvider, confirmed: dict[str, SyncAction]) -> AsyncGenerator[Outcome, None]:
    try:
        async with aclosing(provider.delete_each(list(confirmed))) as outcomes:
            async for key, error in outcomes:
                action = confirmed.pop(key)
                yield action.path, error or SyncResult(action=action, done="deleted")
    except StorageError as error:  # a whole request failed
        for action in confirmed.values():
            yield action.path, error


async def delete_files(root: str, actions: AsyncGenerator[SyncAction, None]) -> AsyncGenerator[Outcome, None]:
    """Remove files that have not changed since the plan was made, and yield the outcome of each action.

    Directories that become empty are removed, too, except `root`.

    Cost: no request; 1 call in a thread for each 256 files.
    """
    async with aclosing(_chunks(actions, FILES)) as chunks:
        async for chunk in chunks:
            for outcome in await in_thread(_remove_files, root, chunk):
                yield outcome


def _remove_files(root: str, actions: Iterable[SyncAction]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    emptied: set[str] = set()
    for action in actions:
        try:
            path = os.path.join(root, action.path)  # a plan has no path outside the directory
            done = _remove(root, path, action)
            outcomes.append((action.path, SyncResult(action=action, done="deleted" if done else "already_done")))
            emptied.add(os.path.dirname(path))
        except StorageError as error:
            outcomes.append((action.path, error))
    _remove_empty(root, emptied)
    return outcomes


def _remove(root: str, path: str, action: SyncAction) -> bool:
    """Remove a file; return whether it existed."""
    parent = os.path.dirname(path)
    if os.path.realpath(parent) != os.path.normpath(
        os.path.join(os.path.realpath(root), os.path.relpath(parent, root))
    ):
        message = f"{path}: the path goes through a symbolic link, so this file was not removed"
        raise UnsafeKeyError(message, key=action.path, path=path)
    status = status_of(path)
    if status is None:
        return False
    if not file_is(status, action.target):
        raise target_changed(path, action.target)
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    except OSError as exc:
        raise local_error(exc, path, "removing the file") from exc
    return True


def _remove_empty(root: str, directories: Iterable[str]) -> None:
    """Remove empty directories, and their parents that become empty, but not the root."""
    for directory in directories:
        while len(directory) > len(root):
            try:
                os.rmdir(directory)
            except OSError:  # the directory is not empty, or this process must not remove it
                break
            directory = os.path.dirname(directory)  # noqa: PLW2901 - climbs to the root


async def _chunks(actions: AsyncGenerator[SyncAction, None], most: int) -> AsyncGenerator[list[SyncAction], None]:
    chunk: list[SyncAction] = []
    async with aclosing(actions):
        async for action in actions:
            chunk.append(action)
            if len(chunk) == most:
                yield chunk
                chunk = []
        if chunk:
            yield chunk
