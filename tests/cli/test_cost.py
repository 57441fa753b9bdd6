"""The verb `cost`: numbers, a bucket as it is listed, bad input, and old prices."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from bucketry._cli.output import Output
from bucketry._cli.place import Places
from bucketry._cli.verbs import cost
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
    assert "1,000 GB  $0.023 per GB" in out
    assert "$0.40 per million" in out
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
        (("s3x://bucket",), "did you mean 's3'"),
    ],
)
def test_bad_input(bucketry: Shell, words: tuple[str, ...], hint: str) -> None:
    """Each mistake is one line that says what to do, with exit code 2 and no result."""
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
