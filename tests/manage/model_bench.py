"""Shared by the tests of models: model directories, providers that stop at one request, and whole-model checks."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from bucketry import MemoryProvider, TransferConfig
from bucketry._manage.models.methods import ModelMethods
from bucketry._manage.models.stored import ModelConfig
from bucketry.errors import NotFoundError
from bucketry.providers import StorageProvider
from bucketry.testing import FaultyProvider
from tests.transfer.doubles import RowOf

T = TypeVar("T")

AT_ONCE = TransferConfig(retry_delay=0)
NO_CONDITIONS = {"put_if_none_match": False, "put_if_match": False, "complete_if_none_match": False}
"""What a row says that enforces no condition on writes: backups claim their versions."""


def store(*, create_only: bool = True, **row: Any) -> MemoryProvider:
    """Make an empty memory, with create-only writes or without."""
    return RowOf(**row) if create_only else RowOf(**NO_CONDITIONS, **row)


class Models(ModelMethods):
    """The methods under test, with short waits."""

    model_config = ModelConfig(collision_delay=0.001)


def write_model(directory: Path, **files: bytes) -> Path:
    """Make a directory with these files and nothing else; `_` in a name becomes `/`."""
    for name, data in files.items():
        path = directory / name.replace("_", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return directory


def noise(size: int, seed: int) -> bytes:
    """Give bytes that differ by their seed."""
    return random.Random(seed).randbytes(size)


def content(directory: Path) -> dict[str, bytes]:
    """Give the bytes of all files below a directory, by their path; of a file, its bytes under an empty name."""
    if directory.is_file():
        return {"": directory.read_bytes()}
    return {
        str(path.relative_to(directory)): path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()
    }


async def restored(models: ModelMethods, name: str, version: str, scratch: Path) -> dict[str, bytes]:
    """Restore a version, and give its files."""
    target = scratch / f"restored-{name}-{version}"
    await models.restore_model(name, target, version=version)
    return content(target)


async def versions(models: ModelMethods, name: str = "net") -> list[str]:
    """Give the names of all versions; none if there is no model."""
    try:
        return [one.version for one in await models.list_model_versions(name)]
    except NotFoundError:
        return []


async def check_whole(models: ModelMethods, name: str = "net") -> None:
    """Check that every version has all its files undamaged, and that every tag names a version."""
    names = await versions(models, name)
    for version in names:
        report = await models.verify_model(name, version)
        assert not report.failed, (version, report.failed)
    for tag, version in (await models.model_tags(name)).items():
        assert version in names, (tag, version, names)


async def blobs(provider: StorageProvider, name: str = "net") -> set[str]:
    """Give the names of all stored blobs."""
    prefix = f"models/{name}/blobs/"
    return {key.removeprefix(prefix) for key in await provider.list_files(prefix)}


async def needed(models: ModelMethods, name: str = "net") -> set[str]:
    """Give the names of the blobs that the versions name."""
    found = await models.list_model_versions(name)
    return {file.blob for version in found for file in version.files}


async def leftovers(provider: StorageProvider, name: str = "net") -> list[str]:
    """Give all objects of a model that are neither manifests nor blobs nor tags."""
    keys = await provider.list_files(f"models/{name}/")
    return [key for key in keys if key.split("/")[2] not in {"versions", "blobs", "tags"}]


class Killed(BaseException):
    """Raised in place of a request, as if the process was killed there."""


class StopsAt(FaultyProvider):
    """Runs a hook before the n-th request.

    Attributes:
        events: The number of requests so far.
        where: The request before which the hook ran.
    """

    def __init__(self, inner: StorageProvider, at: int, hook: Callable[[], Awaitable[object]] | None = None) -> None:
        """Store the arguments; without a hook, the process is killed there."""
        super().__init__(inner)
        self.at = at
        self.hook = hook
        self.events = 0
        self.where = ""
        self.dead = False

    async def around(self, operation: str, request: Callable[[], Awaitable[T]]) -> T:
        """Make the request after its event."""
        await self._event(operation)
        return await super().around(operation, request)

    async def _event(self, name: str) -> None:
        self.events += 1
        if self.events == self.at:
            self.where = name
            if self.hook is not None:
                await self.hook()
            else:
                self.dead = True
        if self.dead:
            raise Killed


class PausesAt(FaultyProvider):
    """Waits before the n-th request until it is released.

    Attributes:
        paused: Set when it waits.
        released: Set it to let it go on.
    """

    def __init__(self, inner: StorageProvider, at: int) -> None:
        super().__init__(inner)
        self.at = at
        self.paused = asyncio.Event()
        self.released = asyncio.Event()

    async def around(self, operation: str, request: Callable[[], Awaitable[T]]) -> T:
        """Make the request, after a pause if it is the n-th."""
        if self.calls.total() + 1 == self.at:
            self.paused.set()
            await self.released.wait()
        return await super().around(operation, request)

    async def until_paused(self, task: asyncio.Task[Any]) -> None:
        """Wait until a request waits, or the task has ended before."""
        waiting = asyncio.ensure_future(self.paused.wait())
        await asyncio.wait([waiting, task], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()


async def until_killed(step: Awaitable[object]) -> None:
    """Await a step that may be killed."""
    try:
        await step
    except BaseException as error:
        if not _is_kill(error):
            raise


def _is_kill(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return any(_is_kill(one) for one in error.exceptions)
    while error is not None:
        if isinstance(error, Killed):
            return True
        error = error.__cause__ or error.__context__  # type: ignore[assignment]  # ends the loop with None
    return False


async def at_every_event(play: Callable[[int], Awaitable[int]], *, first: int = 1) -> int:
    """Call `play` with 1, 2, 3, … until it had fewer events than that; give the number of calls.

    Args:
        play: Plays one scene that stops at the given event, and gives the number of events that it had.
        first: The first event.
    """
    at = first
    while await play(at) >= at:
        at += 1
        await asyncio.sleep(0)
    return at - first
