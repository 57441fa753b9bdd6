"""What a plan says of its application's requests, compared with those that are made; memory of a large plan."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bucketry import TransferConfig
from bucketry._core.units import MiB
from bucketry._manage.sync.methods import SyncMethods
from bucketry._manage.sync.values import Compare, SideUsage
from bucketry.providers.provider import StorageProvider
from bucketry.testing import FaultyProvider
from tests.manage.generated import GeneratedProvider
from tests.manage.planning import store, write
from tests.manage.syncing import PatientMethods
from tests.transfer.doubles import RowOf

SMALL_PARTS = TransferConfig(part_size=MiB, multipart_threshold=2 * MiB)
LARGE = bytes(3 * MiB + 1)  # 4 parts


async def fill(provider: StorageProvider, prefix: str) -> None:
    """Store objects: one to replace in one request, one in parts, one to delete."""
    await store(provider, f"{prefix}/replaced", b"12")
    await store(provider, f"{prefix}/replaced-large", b"12")
    for number in range(3):
        await store(provider, f"{prefix}/gone-{number}")


def fill_directory(root: Path) -> None:
    """Write the files that `fill` has objects for, and new ones."""
    for name, data in (("new", b"1"), ("replaced", b"1"), ("large", LARGE), ("replaced-large", LARGE), ("empty", b"")):
        write(root, name, data)


def row(*, enforced: bool, **changes: Any) -> RowOf:
    """Give a provider with small parts that enforces conditions or does not, and deletes two objects at once."""
    return RowOf(
        **changes,
        min_part_size=1,
        max_delete_keys=2,
        put_if_none_match=enforced,
        put_if_match=enforced,
        complete_if_none_match=enforced,
        complete_if_match=enforced,
    )


KIND_OF = {
    "head": "head",
    "list_page": "list",
    "put_object": "put",
    "put_part": "put",
    "create_multipart": "post",
    "complete_multipart": "post",
    "fetch_range": "get",
    "open_body": "get",
    "get_tags": "get",
    "copy_object": "copy",
    "copy_part": "copy",
    "delete": "delete",
    "delete_batch": "delete",
}
"""The kind of request of each method of a provider, as price lists count them."""


def kinds(*providers: FaultyProvider) -> dict[str, int]:
    """Give the number of made requests by kind."""
    made: Counter[str] = Counter()
    for provider in providers:
        for method, count in provider.calls.items():
            made[KIND_OF[method]] += count
    return dict(made)


def planned(*sides: SideUsage) -> dict[str, int]:
    """Give the number of planned requests by kind."""
    return dict(sum((Counter(side.requests) for side in sides), Counter()))


@pytest.mark.parametrize("enforced", [True, False])
async def test_an_upload_makes_the_planned_requests(root: Path, enforced: bool) -> None:
    """Uploads and deletions cost what the plan says, with and without conditions that the provider enforces."""
    provider = FaultyProvider(row(enforced=enforced))
    await fill(provider, "data")
    fill_directory(root)
    manager = PatientMethods(provider, transfer=SMALL_PARTS)
    plan = await manager.plan_sync(root, "data", delete=True)
    assert (plan.summary.transfers, plan.summary.deletions) == (5, 3)
    provider.calls.clear()
    (await manager.apply(plan)).raise_for_failures()
    assert provider.calls.total() == plan.summary.requests
    (target,) = plan.summary.sides
    assert (planned(target), target.egress) == (kinds(provider), 0)


@pytest.mark.parametrize(
    ("changes", "pages", "heads"),
    [
        pytest.param({"max_list_keys": 4}, 3, 0, id="many pages"),
        pytest.param({"max_list_keys": 1}, 6, 0, id="one page for each"),
        pytest.param({"key_normalization": "NFC"}, 1, 1, id="normalized keys"),
        pytest.param({"plain_paths": True}, 0, 6, id="paths of a file system"),
    ],
)
async def test_pages_that_compare_targets(root: Path, changes: dict[str, Any], pages: int, heads: int) -> None:
    """Where no condition is enforced, the plan counts the pages that compare targets, and the HEADs of odd keys."""
    provider = FaultyProvider(RowOf(put_if_none_match=False, put_if_match=False, **changes))
    for number in range(12):
        await store(provider, f"data/{number:02}", b"12")
        write(root, f"{number:02}", b"1" if number in {0, 3, 5, 7, 10} else b"12")
    write(root, "é", b"1")
    manager = PatientMethods(provider, transfer=SMALL_PARTS)
    plan = await manager.plan_sync(root, "data", compare="size")
    provider.calls.clear()
    (await manager.apply(plan)).raise_for_failures()
    assert provider.calls == Counter(put_object=6, list_page=pages, head=heads)
    assert provider.calls.total() == plan.summary.requests


@pytest.mark.parametrize(
    ("changes", "unneeded"),
    [({"stored_checksums": ()}, 0), ({}, 1)],
    ids=["without stored checksums", "with stored checksums"],
)
async def test_a_download_makes_the_planned_requests(root: Path, changes: dict[str, Any], unneeded: int) -> None:
    """Downloads cost what the plan says, and deletions of files no request.

    The plan counts the HEAD for the stored checksum of the large object, which the memory tells without it.
    """
    provider = FaultyProvider(row(enforced=True, **changes))
    await fill(provider, "data")
    await store(provider, "data/large", LARGE)
    await store(provider, "data/empty", b"")
    write(root, "gone")
    manager = PatientMethods(provider, transfer=SMALL_PARTS)
    plan = await manager.plan_sync(root, "data", direction="download", delete=True)
    provider.calls.clear()
    (await manager.apply(plan)).raise_for_failures()
    assert provider.calls.total() == plan.summary.requests - unneeded
    (source,) = plan.summary.sides
    assert Counter(planned(source)) - Counter(head=unneeded) == kinds(provider)
    assert source.egress == plan.summary.transfer_bytes


@pytest.mark.parametrize("enforced", [True, False])
@pytest.mark.parametrize("same", [True, False])
async def test_a_copy_makes_the_planned_requests(same: bool, enforced: bool) -> None:
    """Copies cost what the plan says, of both providers together, on the server and through memory."""
    provider, other = FaultyProvider(row(enforced=enforced)), FaultyProvider(row(enforced=enforced))
    target = provider if same else other
    await fill(target, "target")
    await store(target, "target/large", b"12")
    for name, data in (("new", b"1"), ("replaced", b"1"), ("large", LARGE), ("empty", b"")):
        await store(provider, f"source/{name}", data)
    manager = PatientMethods(provider, transfer=SMALL_PARTS)
    plan = await manager.plan_sync_to(target, "source", "target", delete=True)
    provider.calls.clear()
    other.calls.clear()
    (await manager.apply(plan, other=target)).raise_for_failures()
    made = provider.calls.total() + other.calls.total()
    assert made == plan.summary.requests
    if same:
        assert planned(*plan.summary.sides) == kinds(provider)
        assert [side.egress for side in plan.summary.sides] == [0, 0]  # the server copies
    else:
        assert [planned(side) for side in plan.summary.sides] == [kinds(provider), kinds(other)]
        assert [side.egress for side in plan.summary.sides] == [plan.summary.transfer_bytes, 0]


async def test_a_large_copy_on_the_server_makes_the_planned_requests() -> None:
    """An object that is too large for one copy is copied on the server in parts, and no byte leaves it."""
    provider = FaultyProvider(RowOf(min_part_size=1, max_copy_size=2 * MiB, max_part_size=MiB))
    await store(provider, "source/large", LARGE)
    manager = PatientMethods(provider, transfer=SMALL_PARTS)
    plan = await manager.plan_sync_to(provider, "source", "target")
    provider.calls.clear()
    (await manager.apply(plan, other=provider)).raise_for_failures()
    assert planned(*plan.summary.sides) == kinds(provider)
    assert planned(plan.summary.sides[1])["copy"] == 4
    assert [side.egress for side in plan.summary.sides] == [0, 0]


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("source", "target", "actions"),
    [
        pytest.param(range(30_000), range(30_000), 0, id="in step"),
        pytest.param(range(0, 20_000, 2), range(1, 20_001, 2), 20_000, id="nothing in common"),
    ],
)
async def test_memory_does_not_grow_with_the_number_of_keys(source: range, target: range, actions: int) -> None:
    """Planning needs memory for a few listing pages and 1 MiB of actions, however many there are."""
    manager, other = SyncMethods(GeneratedProvider(source)), GeneratedProvider(target)
    await manager.plan_sync_to(GeneratedProvider(range(5_000)), "", "", compare="size")  # imports and caches
    gc.collect()
    tracemalloc.start()
    try:
        plan = await manager.plan_sync_to(other, "", "", compare="size", delete=True)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert plan.summary.transfers + plan.summary.deletions == actions
    assert peak < 12 * MiB


@pytest.mark.slow
@pytest.mark.parametrize("compare", ["size", "size-mtime"])
async def test_other_tasks_run_while_a_plan_is_made(compare: Compare) -> None:
    """The event loop gets back control after each few hundred entries, also if nothing has to wait."""
    metadata = {"mtime": "1700000000.000000000"}
    one, two = GeneratedProvider(range(4_000), metadata=metadata), GeneratedProvider(range(8_000))
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    counting = asyncio.create_task(count())
    try:
        plan = await SyncMethods(one).plan_sync_to(two, "", "", compare=compare, delete=True)
    finally:
        counting.cancel()
    assert plan.summary.deletions == 4_000
    assert turns >= 8_000 / 250


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_memory_does_not_grow_with_the_number_of_heads() -> None:
    """Pairs that wait for a HEAD are compared before there are many of them."""
    metadata = {"mtime": "1700000000.000000000"}
    one, two = (GeneratedProvider(range(6_000), metadata=metadata) for _ in range(2))
    gc.collect()
    tracemalloc.start()
    try:
        plan = await SyncMethods(one).plan_sync_to(two, "", "")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert plan.summary.unchanged == one.heads == two.heads == 6_000
    assert peak < 12 * MiB
