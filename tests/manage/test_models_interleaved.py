"""Backups, prunes and tags at the same time: each is stopped at each of its requests, and the others run meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from bucketry import MemoryProvider
from bucketry._core.values import Body, ObjectInfo
from bucketry.errors import (
    AlreadyExistsError,
    InvalidRequestError,
    NotFoundError,
    RequestTimeoutError,
    TransientError,
)
from bucketry.testing import FaultyProvider
from tests.manage.model_bench import (
    Models,
    PausesAt,
    StopsAt,
    at_every_event,
    blobs,
    check_whole,
    leftovers,
    needed,
    noise,
    restored,
    store,
    until_killed,
    versions,
    write_model,
)

pytestmark = pytest.mark.slow

A, B, C = (noise(300, seed) for seed in range(3))


@pytest.fixture(params=[True, False], ids=["create-only", "claims"])
def create_only(request: pytest.FixtureRequest) -> bool:
    """Whether the provider enforces create-only writes."""
    return bool(request.param)


class Scene:
    """A model with the versions v1 (only A) and v2 (only B), and a directory with A and C to back up next.

    A prune to one version removes v1, and A too, unless the backup reuses it.
    """

    def __init__(self, tmp_path: Path, *, create_only: bool) -> None:
        self.tmp_path = tmp_path
        self.create_only = create_only
        self.next = write_model(tmp_path / "next", a=A, c=C)
        self.old = (write_model(tmp_path / "v1", a=A), write_model(tmp_path / "v2", b=B))
        self.count = 0
        self.objects: dict[str, bytes] = {}

    async def memory(self) -> MemoryProvider:
        """Make the model in a new memory; from the second time on, copy its objects."""
        memory = store(create_only=self.create_only)
        if not self.objects:
            for directory in self.old:
                await Models(memory).backup_model(directory, "net")
            self.objects = {key: await memory.get(key) for key in await memory.list_files()}
        for key, data in self.objects.items():
            await memory.put(key, data)
        return memory

    async def check(self, memory: MemoryProvider, version: str | None) -> None:
        """Check that everything is whole, that the version has its bytes, and that a last prune leaves nothing."""
        models = Models(memory)
        await check_whole(models)
        if version is not None:
            self.count += 1
            scratch = self.tmp_path / f"out-{self.count}"
            assert await restored(models, "net", version, scratch) == {"a": A, "c": C}
        await models.prune_models("net", keep=10)
        assert await blobs(memory) == await needed(models)
        await check_whole(models)


async def drop_leases(memory: MemoryProvider) -> None:
    """Let all leases end, as those of suspended processes do."""
    await memory.delete_many(await memory.list_files("models/net/leases/"))


@pytest.mark.parametrize("lease_ends", [False, True])
async def test_a_prune_at_any_request_of_a_backup_loses_nothing(
    tmp_path: Path, *, create_only: bool, lease_ends: bool
) -> None:
    """A whole prune runs at each request of a backup, also if the backup's lease has ended: the version is whole."""
    scene = Scene(tmp_path, create_only=create_only)

    async def play(at: int) -> int:
        memory = await scene.memory()

        async def prune() -> None:
            if lease_ends:
                await drop_leases(memory)
            await Models(memory).prune_models("net", keep=1)

        stopping = StopsAt(memory, at, prune)
        version = await Models(stopping).backup_model(scene.next, "net")
        assert version.version not in {"v1", "v2"}
        assert (await Models(memory).model_info("net")).version == version.version
        await scene.check(memory, version.version)
        return stopping.events

    assert await at_every_event(play) > 10


@pytest.mark.parametrize("lease_ends", [False, True])
async def test_a_backup_at_any_request_of_a_prune_loses_nothing(tmp_path: Path, *, lease_ends: bool) -> None:
    """A whole backup runs at each request of a prune; with `lease_ends`, every lease disappears at once."""
    scene = Scene(tmp_path, create_only=True)

    async def play(at: int) -> int:
        memory = await scene.memory()
        made: list[str] = []

        async def backup() -> None:
            provider = memory if not lease_ends else StopsAt(memory, 3, lambda: drop_leases(memory))
            made.append((await Models(provider).backup_model(scene.next, "net")).version)

        stopping = StopsAt(memory, at, backup)
        await Models(stopping).prune_models("net", keep=1)
        await scene.check(memory, made[0] if made else None)
        return stopping.events

    assert await at_every_event(play) > 10


@pytest.mark.parametrize("backup_at", [4, 5, 6])
async def test_a_prune_goes_on_in_the_middle_of_a_backup(tmp_path: Path, backup_at: int) -> None:
    """A prune pauses, a backup begins and pauses, the prune ends, the backup ends: it publishes once, and is whole."""
    scene = Scene(tmp_path, create_only=True)

    async def play(at: int) -> int:
        memory = await scene.memory()
        pruning, backing_up = PausesAt(memory, at), PausesAt(memory, backup_at)
        async with asyncio.TaskGroup() as group:
            prune = group.create_task(Models(pruning).prune_models("net", keep=1))
            await pruning.until_paused(prune)
            backup = group.create_task(Models(backing_up).backup_model(scene.next, "net"))
            await backing_up.until_paused(backup)
            pruning.released.set()
            await asyncio.wait([prune])
            backing_up.released.set()
        assert backing_up.calls["put_object"] <= 5  # the lease, two blobs, one manifest, and `latest`
        await scene.check(memory, backup.result().version)
        return pruning.calls.total()

    assert await at_every_event(play) > 10


async def test_a_suspended_prune_loses_nothing(tmp_path: Path) -> None:
    """A prune stops at any request; a backup, another prune, and a second backup run; then the prune goes on."""
    scene = Scene(tmp_path, create_only=True)

    async def play(at: int) -> int:
        memory = await scene.memory()
        models = Models(memory)
        made: list[str] = []

        async def meanwhile() -> None:
            await models.prune_models("net", keep=1)
            made.append((await models.backup_model(scene.next, "net")).version)
            await models.prune_models("net", keep=1)
            made.append((await models.backup_model(scene.next, "net")).version)

        stopping = StopsAt(memory, at, meanwhile)
        await Models(stopping).prune_models("net", keep=2)
        await scene.check(memory, made[-1] if made else None)
        return stopping.events

    assert await at_every_event(play) > 10


async def test_a_name_that_a_suspended_prune_removes_is_not_given_again(tmp_path: Path) -> None:
    """While a prune that removes version `x` is suspended, a new version `x` is refused or stays whole."""
    scene = Scene(tmp_path, create_only=True)
    refused: list[int] = []

    async def play(at: int) -> int:
        memory = store()
        models = Models(memory)
        await models.backup_model(scene.old[0], "net", version="x")
        for _ in range(2):
            await models.backup_model(scene.old[1], "net")
        made: list[str] = []

        async def meanwhile() -> None:
            await models.prune_models("net", keep=2)
            try:
                made.append((await models.backup_model(scene.next, "net", version="x")).version)
            except InvalidRequestError:
                refused.append(at)
            await models.backup_model(scene.old[1], "net")  # `latest` does not protect `x` any more

        stopping = StopsAt(memory, at, meanwhile)
        await Models(stopping).prune_models("net", keep=2)
        await scene.check(memory, made[0] if made else None)
        return stopping.events

    assert await at_every_event(play) > 10
    assert refused


async def test_a_killed_prune_blocks_nothing(tmp_path: Path) -> None:
    """A prune is killed at any request: all versions are whole, a backup works, and the next prune cleans up."""
    scene = Scene(tmp_path, create_only=True)

    async def play(at: int) -> int:
        memory = await scene.memory()
        stopping = StopsAt(memory, at)
        await until_killed(Models(stopping).prune_models("net", keep=1))
        await check_whole(Models(memory))
        version = await Models(memory).backup_model(scene.next, "net")
        await scene.check(memory, version.version)
        return stopping.events

    assert await at_every_event(play) > 10


async def test_a_killed_backup_blocks_nothing(tmp_path: Path, *, create_only: bool) -> None:
    """A backup is killed at any request: there is no version, or a whole one, and the next backup works at once."""
    scene = Scene(tmp_path, create_only=create_only)

    async def play(at: int) -> int:
        memory = await scene.memory()
        stopping = StopsAt(memory, at)
        await until_killed(Models(stopping).backup_model(scene.next, "net", version="given"))
        await check_whole(Models(memory))
        version = await Models(memory).backup_model(scene.next, "net")
        assert version.version == "v3"
        await drop_leases(memory)
        try:
            await Models(memory).backup_model(scene.next, "net", version="given")
        except AlreadyExistsError:
            assert "given" in await versions(Models(memory))
        await scene.check(memory, version.version)
        assert await leftovers(memory) == []
        return stopping.events

    assert await at_every_event(play) > 10


async def test_a_killed_claim_of_a_number_is_passed_over(tmp_path: Path) -> None:
    """Without create-only writes, the number that a killed backup has claimed is left out after some attempts."""
    scene = Scene(tmp_path, create_only=False)
    memory = await scene.memory()
    await memory.put("models/net/claims/v3/0123456789abcdef", b"")
    assert (await Models(memory).backup_model(scene.next, "net")).version == "v4"
    await Models(memory).prune_models("net", keep=10)
    assert await leftovers(memory) == []


@pytest.mark.parametrize("given", [None, "given"])
async def test_two_backups_never_get_one_version(tmp_path: Path, given: str | None, *, create_only: bool) -> None:
    """A second backup runs at each request of a first one: each gets its own version, or a given name goes to one."""
    scene = Scene(tmp_path, create_only=create_only)

    async def play(at: int) -> int:
        memory = await scene.memory()
        made: list[str] = []

        async def backup(provider: MemoryProvider | StopsAt) -> None:
            try:
                made.append((await Models(provider).backup_model(scene.next, "net", version=given)).version)
            except AlreadyExistsError:
                assert given

        stopping = StopsAt(memory, at, lambda: backup(memory))
        await backup(stopping)
        assert len(made) == (1 if given else 2 if stopping.where else 1)
        assert sorted(await versions(Models(memory))) == sorted(["v1", "v2", *made])
        latest = (await Models(memory).model_info("net")).version
        assert latest == max(made, key=lambda name: int(name[1:]) if name[1:].isdigit() else 0)
        await scene.check(memory, made[0])
        return stopping.events

    assert await at_every_event(play) > 10


Step = Callable[[Models], Awaitable[object]]


@pytest.mark.parametrize("stopped", ["tag", "prune"])
async def test_a_tag_never_names_a_removed_version(tmp_path: Path, stopped: str) -> None:
    """A prune runs at each request of `tag_model`, and the reverse: the version stays, or the tag is refused."""
    scene = Scene(tmp_path, create_only=True)

    async def play(at: int) -> int:
        memory = await scene.memory()
        await Models(memory).tag_model("net", "v2", "prod")
        tagged: list[bool] = []

        async def tag(models: Models) -> None:
            try:
                await models.tag_model("net", "v1", "prod")
            except NotFoundError:
                tagged.append(False)
            else:
                tagged.append(True)

        async def prune(models: Models) -> None:
            await models.prune_models("net", keep=1)

        steps: tuple[Step, Step] = (tag, prune) if stopped == "tag" else (prune, tag)
        stopping = StopsAt(memory, at, lambda: steps[1](Models(memory)))
        await steps[0](Models(stopping))
        await check_whole(Models(memory))
        prod = (await Models(memory).model_tags("net"))["prod"]
        assert prod == ("v1" if tagged == [True] else "v2")
        return stopping.events

    assert await at_every_event(play) > 4


async def test_a_backup_gives_up_if_its_blobs_disappear_again_and_again(tmp_path: Path) -> None:
    """A backup whose blobs are removed after each publication ends with an error, and leaves no version."""
    scene = Scene(tmp_path, create_only=True)
    memory = await scene.memory()

    class Vanishing(StopsAt):
        """Loses a blob after each manifest of v3."""

        async def around(self, operation, request):  # noqa: ANN001, ANN202 - as the method it replaces
            """Make the request, then remove a blob."""
            result = await super().around(operation, request)
            if operation == "put_object" and await memory.exists("models/net/versions/v3.json"):
                await memory.delete_many(await memory.list_files("models/net/blobs/"))
            return result

    with pytest.raises(TransientError, match="nothing was published"):
        await Models(Vanishing(memory, 0)).backup_model(scene.next, "net")
    assert await versions(Models(memory)) == ["v1", "v2"]
    assert await leftovers(memory) == []


class Late(FaultyProvider):
    """Loses the first request for a manifest, and gives it back to the test, which lets it arrive later.

    Attributes:
        cancels: Whether the caller is cancelled during this request, instead of an error.
        lost: The arguments of the request.
    """

    cancels = False
    lost: dict[str, Any] | None = None

    async def put(self, key: str, data: Body, **options: Any) -> ObjectInfo:
        """Store an object, or lose the request."""
        if "/versions/" not in key or self.lost is not None:
            return await super().put(key, data, **options)
        self.lost = {"key": key, "data": data, **options}
        if self.cancels:
            raise asyncio.CancelledError
        message = "the answer did not come in time"
        raise RequestTimeoutError(message)


@pytest.mark.parametrize("given", [None, "best"])
@pytest.mark.parametrize("cancels", [True, False])
async def test_a_manifest_that_arrives_late_loses_nothing(
    tmp_path: Path, given: str | None, *, create_only: bool, cancels: bool
) -> None:
    """A request for a manifest that failed or was cancelled arrives after another backup and a prune: all is whole."""
    scene = Scene(tmp_path, create_only=create_only)
    memory = await scene.memory()
    late = Late(memory)
    late.cancels = cancels
    with pytest.raises((RequestTimeoutError, asyncio.CancelledError)):
        await Models(late).backup_model(scene.next, "net", version=given)
    try:
        other = await Models(memory).backup_model(write_model(tmp_path / "other", b=B), "net", version=given)
    except AlreadyExistsError:
        assert given  # the claim stays with its lease
        other = None
    await Models(memory).prune_models("net", keep=1)
    try:
        assert late.lost is not None
        await memory.put(**late.lost)
    except AlreadyExistsError:
        assert create_only
    await check_whole(Models(memory))
    if other is not None:
        assert await Models(memory).model_info("net", other.version) == other
