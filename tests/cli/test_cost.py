"""The verb `cost`: numbers, a bucket as it is listed, bad input, and old prices."""

from __future__ import annotations

import json
import os
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from bucketry import MemoryProvider, StorageManager, compare_costs
from bucketry._cli.chart import layout
from bucketry._cli.costs import comparison_rows, item_rows, shown_price
from bucketry._cli.output import Output
from bucketry._cli.place import Places
from bucketry._cli.sync_report import ShownPlan
from bucketry._cli.verbs import cost
from bucketry._manage.sync.price import PlanPrice
from bucketry.errors import DiskFullError, UnsupportedError
from tests.cli.conftest import Shell

VENDOR_KEYS = {
    "vendor",
    "title",
    "total",
    "outside_policy",
    "as_of",
    "sources",
    "items",
    "notes",
    "leaves_out",
}
ITEM_KEYS = {"what", "name", "used", "billed", "unit", "price", "amount", "note"}


def totals(document: Any) -> dict[str, str | None]:
    """Return each vendor's total."""
    return {one["vendor"]: one["total"] for one in document["vendors"]}


async def ran(capsys: pytest.CaptureFixture[str], *, as_json: bool = False, **values: Any) -> tuple[str, str]:
    """Run the verb in this process, and return what it printed on both streams."""
    options = cost.Options(**values)
    async with Places(options, {}) as places:
        assert await cost.run(options, places, Output(as_json=as_json, debug=False)) == 0
    printed = capsys.readouterr()
    return printed.out, printed.err


@pytest.mark.slow
def test_numbers(bucketry: Shell) -> None:
    """Given numbers are compared in a table, the cheapest first, with what the figures leave out."""
    done = bucketry("cost", "--storage", "250GB", "--egress", "1TB", "--requests", "get=1M,put=100k")
    assert done.code == 0, done.err
    lines = done.text.splitlines()
    assert lines[0] == (
        "250 GB stored, 1 TB sent, 1,000,000 get requests, 100,000 put requests; list prices of one month in US dollars"
    )
    assert [line.split("  ")[0] for line in lines[2:7]] == [
        "Cloudflare R2",
        "Backblaze B2",
        "DigitalOcean Spaces",
        "AWS S3",
        "Wasabi",
    ]
    assert "$87.65" in lines[5]
    assert "outside policy" in lines[6]
    assert "$7.99 " not in lines[6].partition("outside")[0]
    assert "not in the figures:" in lines
    assert "taxes" in done.text
    assert "old versions" not in done.text  # nothing was listed
    assert "https://wasabi.com/pricing/faq" in done.text


@pytest.mark.slow
def test_numbers_as_json(bucketry: Shell) -> None:
    """With --json there is one document with every item, and a total to the cent or none."""
    done = bucketry("cost", "--storage", "1TB", "--egress", "10TB", "--json")
    document = done.document
    assert set(document) == {"place", "usage", "currency", "vendors"}
    assert document["usage"] == {
        "stored": {"STANDARD": {"bytes": 10**12, "objects": 0}},
        "egress": 10**13,
        "requests": {},
    }
    assert totals(document) == {
        "cloudflare_r2": "14.85",
        "backblaze": "76.88",
        "digitalocean": "101.52",
        "s3": "914.00",
        "wasabi": None,
    }
    for one in document["vendors"]:
        assert set(one) == VENDOR_KEYS
        assert all(set(item) == ITEM_KEYS for item in one["items"])
    assert document["vendors"][-1]["outside_policy"]


async def test_one_vendor_shows_each_item(capsys: pytest.CaptureFixture[str]) -> None:
    """With one vendor the table has the items, with the unit of each price."""
    out, _ = await ran(capsys, storage=10**12, egress=10**12, vendors=("aws",), requests={"get": 5})
    assert "AWS S3: $104.00" in out
    assert " 1,000  GB         $0.023   $23.00" in out
    assert "million     $0.40" in out
    assert "< $0.01" in out


async def test_a_class_without_a_price(capsys: pytest.CaptureFixture[str]) -> None:
    """A vendor whose price is not in the rows is last, with no figure."""
    out, _ = await ran(capsys, storage=10**12, storage_class="standard_ia")
    assert out.splitlines()[6].startswith("AWS S3")
    assert "price not known" in out.splitlines()[6]
    assert "the vendor has no class STANDARD_IA" in out.replace("\n    ", " ")


@pytest.mark.slow
def test_a_listed_place(bucketry: Shell) -> None:
    """The bytes and objects below a prefix are those of the listing."""
    for name, size in (("run-1/a", 1000), ("run-1/b", 5000), ("run-2/c", 7)):
        bucketry.write(f"data/storage/{name}", bytes(size))
    for words in (("run-1/",), (f"file://{bucketry.store}/run-1/",)):
        document = bucketry("cost", *words, "--json").document
        assert document["usage"]["stored"] == {"STANDARD": {"bytes": 6000, "objects": 2}}
        assert document["place"].rstrip("/").endswith("/run-1")
        (wasabi,) = [one for one in document["vendors"] if one["vendor"] == "wasabi"]
        assert wasabi["total"] == "7.99"
    document = bucketry("cost", f"file://{bucketry.store}/run-*/", "--exclude", "b", "--json").document
    assert document["usage"]["stored"] == {"STANDARD": {"bytes": 1007, "objects": 2}}
    missing = bucketry("cost", "run-9/")
    assert (missing.code, missing.out) == (3, b"")
    text = bucketry("cost", "run-1/", "--vendors", "spaces").text
    assert "6 kB stored in 2 objects, 0 bytes sent" in text
    assert "objects count as at least 4,096 bytes" in text


async def test_the_provider_of_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    """With numbers of one's own, --provider names the vendor."""
    out, _ = await ran(capsys, storage=10**12, provider="b2")
    assert "Backblaze B2: $6.88" in out


async def test_old_prices_warn(capsys: pytest.CaptureFixture[str]) -> None:
    """Prices that are older than 180 days cause a warning on standard error; fresh ones do not."""
    _, err = await ran(capsys, storage=1, today=date(2026, 10, 2))
    assert err == ""
    _, err = await ran(capsys, storage=1, vendors=("r2",), today=date(2028, 1, 1))
    assert err.startswith("warning: the prices of Cloudflare R2 are of 2026-")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ((), "needs something to price"),
        (("--vendors", "r2"), "needs something to price"),
        (("--storage", "1TB", "--vendors", "wasabbi"), "did you mean 'wasabi'"),
        (("--storage", "1TB", "--vendors", "local"), "no prices of a vendor 'local'"),
        (("--storage", "1TB", "--vendors", ","), "no vendor is named"),
        (("--storage", "1 mile"), "is not a size"),
        (("--storage", "1TB", "--requests", "gets=1"), "did you mean 'get'"),
        (("--storage", "1TB", "--requests", "get"), "is not KIND=NUMBER"),
        (("--storage", "1TB", "--requests", "get=1,get=2"), "given twice"),
        (("--storage", "1TB", "--requests", "get=1.23456k"), "not a number of items"),
        (("--storage", "1TB", "--objects", "many"), "not a number of items"),
        (("prefix/", "--storage", "1TB"), "a bucket is listed"),
        (("prefix/", "--url", "memory://"), "not both"),
        (("--storage", "1TB", "--include", "*.bin"), "give its URL"),
        (("--storage", "1TB", "--chart", "c.gif"), "ends in .svg or .png"),
        (("--storage", "1TB", "--chart", "missing/c.svg"), "there is no directory missing"),
        (("--storage", "1TB", "--chart", "directory.svg"), "this is a directory"),
        (("--plan", "p.jsonl", "--storage", "1TB"), "leave out PLACE and the other options"),
        (("--plan", "p.jsonl", "--chart", "c.svg"), "leave out PLACE and the other options"),
        (("s3x://bucket",), "did you mean 's3'"),
    ],
)
def test_bad_input(bucketry: Shell, words: tuple[str, ...], hint: str) -> None:
    """Each mistake is one line that says what to do, with exit code 2 and no result."""
    (bucketry.directory / "directory.svg").mkdir()
    done = bucketry("cost", *words)
    assert (done.code, done.out) == (2, b"")
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1
    assert hint in done.err


@pytest.mark.parametrize(
    ("text", "expected"),
    [("get=1M,put=100k", {"get": 10**6, "put": 10**5}), ("GET=1.5k, head=2", {"get": 1500, "head": 2})],
)
def test_requests(text: str, expected: dict[str, int]) -> None:
    """Numbers of requests have decimal factors, and kinds any case."""
    assert cost._requests(text) == expected


class Cloud(MemoryProvider):
    """Objects in memory, with the prices of AWS."""

    billed_by = "s3"


async def saved_plan(directory: Path, provider: MemoryProvider) -> str:
    """Save a plan that uploads a file."""
    (directory / "data").mkdir()
    (directory / "data" / "a").write_bytes(b"1")
    plan = await StorageManager(provider).plan_sync(directory / "data", "data")
    await plan.save(directory / "plan.jsonl")
    return str(directory / "plan.jsonl")


async def test_a_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A saved plan is priced by its own cloud: what it uploads, the requests, and about how much they cost."""
    file = await saved_plan(tmp_path, Cloud())
    out, _ = await ran(capsys, plan=file)
    assert "1 transfer of 1 bytes, 1 request: less than $0.01 by list prices" in out
    assert "AWS S3:" in out
    assert "free amounts" in out
    out, _ = await ran(capsys, plan=file, as_json=True)
    document = json.loads(out)
    assert set(document) == {
        *("plan", "direction", "source", "target", "transfers", "bytes", "requests"),
        *("currency", "total", "as_of", "vendors"),
    }
    assert document["total"] == document["vendors"][0]["total"] == "0.000005"
    assert set(document["vendors"][0]) == VENDOR_KEYS


async def test_a_sync_shows_the_price(tmp_path: Path) -> None:
    """The summary of a plan has its price, if a side has list prices."""
    priced, unpriced = [
        await StorageManager(provider).plan_sync(tmp_path, "data") for provider in (Cloud(), MemoryProvider())
    ]
    assert dict(ShownPlan(priced, ("a", "b"), 0.0).rows())["price"].startswith("about $0.00 by list prices of 2026-")
    assert "price" not in dict(ShownPlan(unpriced, ("a", "b"), 0.0).rows())


@pytest.mark.parametrize(
    ("total", "text"),
    [("0", "about $0.00"), ("0.004", "less than $0.01"), ("0.005", "about $0.01"), (None, "price not known")],
)
def test_the_price_of_a_plan_in_words(total: str | None, text: str) -> None:
    """The price is about so much; one below a cent is not nothing, and a missing one is not known."""
    amount = None if total is None else Decimal(total)
    assert shown_price(PlanPrice(total=amount, estimates=(), as_of=date(2026, 10, 1))) == text


async def test_a_plan_without_a_price(tmp_path: Path) -> None:
    """A plan of a store without list prices is an error that says so."""
    file = await saved_plan(tmp_path, MemoryProvider())
    options = cost.Options(plan=file)
    async with Places(options, {}) as places:
        with pytest.raises(UnsupportedError, match="neither side is a cloud with list prices"):
            await cost.run(options, places, Output(as_json=False, debug=False))


async def test_a_former_plan(tmp_path: Path) -> None:
    """A plan that an older version saved is an error that says what to do."""
    file = await saved_plan(tmp_path, Cloud())
    lines = [json.loads(line) for line in (tmp_path / "plan.jsonl").read_text().splitlines()]
    lines[0]["bucketry-plan"] = 1
    del lines[-1]["summary"]["sides"]
    (tmp_path / "plan.jsonl").write_text("\n".join(map(json.dumps, lines)))
    options = cost.Options(plan=file)
    async with Places(options, {}) as places:
        with pytest.raises(UnsupportedError, match="plan again"):
            await cost.run(options, places, Output(as_json=False, debug=False))


def test_the_vendor_that_has_the_objects_is_marked() -> None:
    """In the table of a listed bucket, its own vendor has a mark, and the table fits into 80 columns."""
    estimates = compare_costs(storage=10**14, egress=2 * 10**14, requests={"get": 10**10})
    rows = comparison_rows(estimates, "digitalocean")
    assert [row[0] for row in rows if "*" in row[0]] == ["DigitalOcean Spaces *"]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    assert sum(widths) + 2 * (len(widths) - 1) <= 80
    for one in estimates:
        rows = item_rows(one.items)
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        assert sum(widths) + 2 * (len(widths) - 1) <= 80


@pytest.mark.slow
def test_a_missing_plan(bucketry: Shell) -> None:
    """A plan that is not there is an error with the exit code for missing files."""
    done = bucketry("cost", "--plan", "none.jsonl")
    assert (done.code, done.out) == (3, b"")
    assert "none.jsonl" in done.err


@pytest.mark.slow
def test_a_bucket_of_a_cloud(bucketry: Shell) -> None:
    """The listed storage classes are priced as such, and the vendor that has the objects is marked."""
    code = """
from bucketry import MemoryProvider, StorageProviderFactory
class Cloud(MemoryProvider):
    billed_by = "cloudflare_r2"
    def __init__(self, config, **options):
        super().__init__()
    async def list_page(self, prefix, **options):
        await self.put("a", bytes(4_000), storage_class="STANDARD_IA")
        await self.put("b", bytes(1_000))
        return await super().list_page(prefix, **options)
StorageProviderFactory.register("cloud", Cloud)
"""
    cloud = bucketry.scripted(code)
    document = cloud("cost", "--provider", "cloud", "--egress", "1GB", "--json").document
    assert document["usage"]["stored"] == {
        "STANDARD_IA": {"bytes": 4_000, "objects": 1},
        "STANDARD": {"bytes": 1_000, "objects": 1},
    }
    text = cloud("cost", "--provider", "cloud").text
    assert "Cloudflare R2 *" in text
    assert "* has the objects now" in text
    assert text.count("old versions and the parts of open uploads") == 1  # once for all vendors
    assert "5 kB stored in 2 objects in STANDARD_IA, STANDARD, 0 bytes sent" in text


async def test_a_chart_as_svg(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The SVG is well-formed and has each vendor with its total; the file's name is said on standard error."""
    file = tmp_path / "chart.svg"
    _, err = await ran(capsys, storage=25 * 10**10, egress=10**12, chart=str(file))
    assert err == f"chart: {file}\n"
    root = ET.parse(file).getroot()  # noqa: S314 - a file of our own
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[0] == "A month of 250 GB stored, 1 TB sent"
    assert {"storage", "egress"} <= set(texts)
    assert "requests" not in texts  # none are in the figures
    for text in ("Backblaze B2", "$4.17", "Wasabi", "outside policy", "$86.75"):
        assert text in texts
    assert "$7.99" not in texts


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
async def test_a_chart_on_a_full_disk(tmp_path: Path) -> None:
    """A chart that cannot be written is an error that names the file."""
    (tmp_path / "chart.svg").symlink_to("/dev/full")
    options = cost.Options(storage=1, chart=str(tmp_path / "chart.svg"))
    async with Places(options, {}) as places:
        with pytest.raises(DiskFullError, match=r"chart\.svg"):
            await cost.run(options, places, Output(as_json=False, debug=False))


async def test_a_chart_as_png(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The PNG has the chart's size, twice as many pixels as the SVG, and its colours."""
    images = pytest.importorskip("PIL.Image")
    file = tmp_path / "chart.PNG"
    await ran(capsys, storage=10**12, egress=10**12, requests={"get": 10**8}, chart=str(file))
    with images.open(file) as image:
        assert image.width == 2 * 760
        colours = {colour for _, colour in image.getcolors(10**6)}
    assert {(255, 255, 255), (0x2B, 0x6C, 0xB0), (0xD9, 0x82, 0x2B), (0x2A, 0x9D, 0x5C)} <= colours


@pytest.mark.slow
def test_a_png_without_pillow(bucketry: Shell) -> None:
    """Without Pillow, a PNG is an error that says what to install, before anything else; an SVG needs nothing."""
    without = bucketry.scripted("import sys; sys.modules['PIL'] = None")
    done = without("cost", "missing/", "--chart", "c.png")
    assert (done.code, done.out) == (2, b"")
    assert 'pip install "bucketry[chart]"' in done.err
    assert without("cost", "--storage", "1TB", "--chart", "c.svg").code == 0
    assert (bucketry.directory / "c.svg").stat().st_size > 1000


@pytest.mark.parametrize(
    ("storage", "egress", "requests"),
    [(10**12, 10**12, {}), (0, 0, {}), (10**17, 10**18, {"get": 10**12, "put": 10**10, "list": 10**9, "head": 5})],
)
def test_labels_do_not_overlap(storage: int, egress: int, requests: dict[str, int]) -> None:
    """No label touches another one or the edge, also in a font whose letters are wide."""
    chart = layout("a month of " + "many words " * 20, compare_costs(storage=storage, egress=egress, requests=requests))
    sizes = {"title": 16, "text": 13, "note": 12}
    boxes = [
        (label.x, label.y - sizes[label.kind], label.x + len(label.text) * sizes[label.kind] * 0.62, label.y + 4)
        for label in chart.labels
    ]
    assert all(left >= 0 and top >= 0 and right <= 760 and low <= chart.height for left, top, right, low in boxes)
    for number, one in enumerate(boxes):
        for other in boxes[number + 1 :]:
            assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
