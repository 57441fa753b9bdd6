"""The price of a plan: by the list prices of both sides, saved and loaded, and none where there are no prices."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bucketry import LocalProvider, MemoryProvider, S3Provider, SyncPlan, WasabiProvider
from bucketry._core.units import MiB
from bucketry._cost.estimate import prices_of
from bucketry._manage.sync.methods import SyncMethods
from bucketry._manage.sync.plan_lines import FORMAT
from bucketry._manage.sync.price import price_of
from bucketry._manage.sync.values import PlanSummary, SideUsage
from bucketry._vendors import aws
from bucketry._vendors.prices import StorageClass
from bucketry.errors import InvalidRequestError
from bucketry.providers import StorageProvider
from bucketry.providers.prefixed import PrefixedProvider
from tests.manage.planning import store, write

KEYS = {"bucket_name": "bucket", "access_key_id": "a", "secret_access_key": "s"}


class Cloud(MemoryProvider):
    """Objects in memory, with the prices of a cloud."""

    def __init__(self, billed_by: str) -> None:
        self.billed_by = billed_by
        super().__init__()


@pytest.mark.parametrize(
    ("provider", "vendor"),
    [
        (S3Provider(KEYS), "s3"),
        (S3Provider(KEYS | {"endpoint_url": "https://s3.eu-central-1.amazonaws.com"}), "s3"),
        (S3Provider(KEYS | {"endpoint_url": "http://127.0.0.1:9000"}), ""),
        (S3Provider(KEYS | {"endpoint_url": "http://127.0.0.1:9000", "server": "aws"}), ""),
        (WasabiProvider(KEYS | {"region": "us-east-1"}), "wasabi"),
        (WasabiProvider(KEYS | {"endpoint_url": "http://127.0.0.1:9000"}), ""),
        (PrefixedProvider(WasabiProvider(KEYS), "run/"), "wasabi"),
        (PrefixedProvider(MemoryProvider(), "run/"), ""),
    ],
)
def test_whose_prices_apply(provider: Any, vendor: str) -> None:
    """A cloud's prices apply to its own endpoints only, also behind a prefix."""
    assert provider.billed_by == vendor


async def test_an_upload(root: Path) -> None:
    """The price of an upload is that of the target's requests."""
    for number in range(1000):
        write(root, f"{number:04}", b"1")
    plan = await SyncMethods(Cloud("s3")).plan_sync(root, "data")
    price = plan.price()
    assert price is not None
    assert plan.summary.sides == (SideUsage(vendor="s3", requests={"put": 1000}),)
    assert price.total == Decimal("0.005")  # 1,000 PUTs of $5.00 a million
    assert [one.vendor for one in price.estimates] == ["s3"]
    assert price.as_of == price.estimates[0].as_of
    assert any("free amounts" in text for text in price.estimates[0].leaves_out)


async def test_a_download(root: Path) -> None:
    """The price of a download has the requests and the bytes that leave the source."""
    provider = Cloud("s3")
    await store(provider, "data/a", bytes(MiB))
    plan = await SyncMethods(provider).plan_sync(root, "data", direction="download")
    price = plan.price()
    assert plan.summary.sides == (SideUsage(vendor="s3", requests={"get": 1}, egress=MiB),)
    assert price is not None
    assert price.total == Decimal("0.09") * MiB / 10**9 + Decimal("0.0000004")


async def test_a_copy_between_clouds_has_both_prices() -> None:
    """A copy costs reads and egress at the source, and writes at the target."""
    source, target = Cloud("s3"), Cloud("cloudflare_r2")
    await store(source, "data/a", bytes(MiB))
    price = (await SyncMethods(source).plan_sync_to(target, "data", "data")).price()
    assert price is not None
    assert [one.vendor for one in price.estimates] == ["s3", "cloudflare_r2"]
    assert [[(item.what, item.used) for item in one.items] for one in price.estimates] == [
        [("egress", MiB), ("requests", 2)],  # of the object, and of its tags
        [("requests", 1)],
    ]
    assert price.total == sum(one.total or 0 for one in price.estimates)
    assert price.total == Decimal("0.09") * MiB / 10**9 + Decimal("0.0000008") + Decimal("0.0000045")


def test_a_missing_price_is_not_zero() -> None:
    """If the rows have no price for a part of the work, the plan has no total, instead of one without that part."""
    prices = prices_of(aws.VENDOR)
    unpriced = replace(aws.VENDOR, prices=replace(prices, classes=(StorageClass(name="STANDARD"),)))
    usage = (
        SideUsage(vendor="here", requests={"put": 1}),
        SideUsage(vendor="s3", requests={"get": 1_000_000}),
    )
    summary = PlanSummary(sides=usage)
    price = price_of(summary, {"here": unpriced, "s3": aws.VENDOR})
    assert price is not None
    assert price.total is None
    assert [one.total for one in price.estimates] == [None, Decimal("0.40")]


async def test_a_plan_with_nothing_to_do_costs_nothing(root: Path) -> None:
    """No action, no cost; the price is still known."""
    write(root, "a")
    provider = Cloud("wasabi")
    manager = SyncMethods(provider)
    await store(provider, "data/a", b"data")
    price = (await manager.plan_sync(root, "data", compare="size")).price()
    assert price is not None
    assert price.total == 0


@pytest.mark.parametrize("kind", ["memory", "local", "unknown cloud"])
async def test_no_prices(root: Path, tmp_path: Path, kind: str) -> None:
    """The local disk, memory and servers without list prices have no price."""
    providers: dict[str, StorageProvider] = {
        "memory": MemoryProvider(),
        "local": LocalProvider({"base_path": str(tmp_path / "store")}),
        "unknown cloud": Cloud("mycloud"),
    }
    write(root, "a")
    assert (await SyncMethods(providers[kind]).plan_sync(root, "data")).price() is None


async def test_a_loaded_plan_has_the_same_price(root: Path, tmp_path: Path) -> None:
    """The file keeps what the price needs."""
    write(root, "a")
    plan = await SyncMethods(Cloud("s3")).plan_sync(root, "data")
    await plan.save(tmp_path / "plan")
    loaded = await SyncPlan.load(tmp_path / "plan")
    assert loaded.summary == plan.summary
    assert loaded.price() == plan.price() is not None


async def saved(root: Path, file: Path) -> list[Any]:
    """Save a plan, and return its lines."""
    write(root, "a")
    await (await SyncMethods(Cloud("s3")).plan_sync(root, "data")).save(file)
    return lines_of(file)


def lines_of(file: Path) -> list[Any]:
    """Return the lines of a saved plan."""
    return [json.loads(line) for line in file.read_text().splitlines()]


async def test_a_plan_of_the_former_format_loads(root: Path, tmp_path: Path) -> None:
    """A plan that was saved before plans had prices still loads and applies; it has no price."""
    lines = await saved(root, tmp_path / "plan")
    assert lines[0]["bucketry-plan"] == FORMAT == 2
    lines[0]["bucketry-plan"] = 1
    del lines[-1]["summary"]["sides"]
    (tmp_path / "plan").write_text("\n".join(map(json.dumps, lines)))
    plan = await SyncPlan.load(tmp_path / "plan")
    assert (plan.summary.transfers, plan.summary.requests, plan.summary.sides) == (1, 1, ())
    assert plan.price() is None


@pytest.mark.parametrize(
    "sides",
    [
        5,
        ["s3"],
        [{}],
        [{"vendor": 5, "requests": {}, "egress": 0}],
        [{"vendor": "s3", "requests": [], "egress": 0}],
        [{"vendor": "s3", "requests": {"gets": 1}, "egress": 0}],
        [{"vendor": "s3", "requests": {"get": -1}, "egress": 0}],
        [{"vendor": "s3", "requests": {}, "egress": 0.5}],
        [{"vendor": "s3", "requests": {}, "egress": 0, "more": 1}],
    ],
)
async def test_a_damaged_use_of_a_side_is_refused(root: Path, tmp_path: Path, sides: Any) -> None:
    """A side that is no side is an error that names the file and the line."""
    lines = await saved(root, tmp_path / "plan")
    lines[-1]["summary"]["sides"] = sides
    (tmp_path / "plan").write_text("\n".join(map(json.dumps, lines)))
    with pytest.raises(InvalidRequestError, match=r"plan, line 3: the use of a side cannot be read"):
        await SyncPlan.load(tmp_path / "plan")
