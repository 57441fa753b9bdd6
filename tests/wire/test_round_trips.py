"""The table of `docs/reference/round-trips.md`: each operation is run, and its requests and round trips are counted."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import zlib
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from bucketry import LocalProvider, MemoryProvider, ObjectCache, StorageManager, TransferConfig, TransferManager
from bucketry._core.units import MiB
from bucketry.errors import ChecksumMismatchError, NotFoundError
from bucketry.testing import FaultyProvider
from tests.wire.conftest import Provide
from tests.wire.scripted import Answer, Request, completed, content, created, error, serving

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "round-trips.md"
PART = 5 * MiB
CONFIG = TransferConfig(part_size=PART, multipart_threshold=PART, max_concurrency=8, retry_delay=0)
SIZES = {"small": 100, "empty": 0, "three": 2 * PART + 100, **{f"tree/{number}": 10 for number in range(4)}}
BYTES = {key: bytes(size) for key, size in SIZES.items()}
STORED = {key: base64.b64encode(zlib.crc32(data).to_bytes(4)).decode() for key, data in BYTES.items()}
LISTED = [f"many/{number:04}" for number in range(2_500)]
TREE = [key for key in BYTES if key.startswith("tree/")]

Run = Callable[[Any, Path], Awaitable[object]]


def file_of(directory: Path, key: str) -> Path:
    """Make a file with the bytes of an object."""
    path = directory / key
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(BYTES[key])
    return path


async def all_of(found: Any) -> list[Any]:
    """Take all items of an iteration."""
    async with aclosing(found):
        return [one async for one in found]


async def stream(provider: Any, key: str) -> None:
    """Read an object in chunks."""
    async with provider.stream(key) as chunks:
        async for _ in chunks:
            pass


async def chunks_of(key: str) -> Any:
    """Give an object's bytes in one chunk."""
    yield BYTES[key]


async def upload_tree(provider: Any, directory: Path) -> object:
    """Upload four files."""
    for key in TREE:
        file_of(directory, key)
    return await TransferManager(provider, CONFIG).upload_tree(directory / "tree", "tree")


async def sync_up(provider: Any, directory: Path) -> object:
    """Upload four files with a sync."""
    for key in TREE:
        file_of(directory, key)
    manager = StorageManager(provider, transfer=CONFIG, memo_dir=None)
    return await manager.sync(directory / "tree", "new", direction="upload")


async def cached(provider: Any, directory: Path) -> None:
    """Fetch an object into a cache, and use its copy."""
    cache = ObjectCache(directory / "cache", max_bytes=MiB, max_age=60)
    for _ in range(2):
        await TransferManager(provider, CONFIG).cached("small", cache)


def moves(method: str, *arguments: object) -> Run:
    """Make a call of a `TransferManager`; the last argument of a download is a file below the test's directory."""

    async def run(provider: Any, directory: Path) -> object:
        given = [directory / one.name if isinstance(one, Path) else one for one in arguments]
        if method == "upload":
            given[0] = file_of(directory, str(given[0]))
        return await getattr(TransferManager(provider, CONFIG), method)(*given)

    return run


OPERATIONS: dict[str, Run] = {
    "`connect()`": lambda p, _: p.connect(),
    "`presign()`": lambda p, _: p.presign("small"),
    "`head()`, `exists()`, `get_file_size()`": lambda p, _: p.exists("small"),
    "`get()`": lambda p, _: p.get("small"),
    "`get_range()`": lambda p, _: p.get_range("small", 0, 10),
    "`get_ranges()` of three ranges that are not near each other": lambda p, _: p.get_ranges(
        "three", [(0, 10), (5 * MiB, 5 * MiB + 10), (10 * MiB, 10 * MiB + 10)], coalesce=0
    ),
    "`stream()`": lambda p, _: stream(p, "three"),
    "`put()`": lambda p, _: p.put("small", b"x"),
    "`delete()`": lambda p, _: p.delete("small"),
    "`delete_many()` of 1,000 keys": lambda p, _: p.delete_many(LISTED[:1_000]),
    "`list()` of 2,500 keys": lambda p, _: all_of(p.list("many/")),
    "`copy()`": lambda p, _: p.copy("small", "other"),
    "`move()`": lambda p, _: p.move("small", "other"),
    "`download()` of up to one part": moves("download", "small", Path("target")),
    "`download()` of three parts": moves("download", "three", Path("target")),
    "`download()` of an empty object": moves("download", "empty", Path("target")),
    "`cached()`, and again within `max_age`": cached,
    "`upload()` up to the threshold": moves("upload", "small", "small"),
    "`upload()` in three parts": moves("upload", "three", "three"),
    "`upload_stream()` of up to one part": lambda p, _: TransferManager(p, CONFIG).upload_stream(
        chunks_of("small"), "small"
    ),
    "`upload_stream()` of three parts": lambda p, _: TransferManager(p, CONFIG).upload_stream(
        chunks_of("three"), "three"
    ),
    "`get_many()` of four objects": lambda p, _: all_of(TransferManager(p, CONFIG).get_many(TREE)),
    "`download_tree()` of four objects": moves("download_tree", "tree", Path("tree")),
    "`upload_tree()` of four files": upload_tree,
    "`sync()` of four new objects to a directory": lambda p, directory: StorageManager(
        p, transfer=CONFIG, memo_dir=None
    ).sync(directory / "tree", "tree", direction="download"),
    "`sync()` of four new files to a prefix": sync_up,
}


def table() -> dict[str, list[str]]:
    """Read the page's table: the cells of each operation."""
    rows = (line.strip("|").split("|") for line in PAGE.read_text().splitlines() if line.startswith("| `"))
    return {name.strip(): [cell.strip() for cell in cells] for name, *cells in rows}


def waves(cell: str) -> list[int]:
    """Read a cell: `1 + 3` is 1 request, and 3 at once after its answer."""
    return [int(number) for number in cell.split("+")]


class Bucket:
    """A bucket on the scripted server. It answers a wave of requests only when all requests of the wave have arrived.

    The body of the first range of a large object is sent only when the requests of the next wave have arrived.
    """

    def __init__(self, expected: list[int]) -> None:
        ends = [sum(expected[: count + 1]) for count in range(len(expected))]
        self.arrived = 0
        self._waves = [(end, asyncio.Event()) for end in ends]

    def __call__(self, request: Request) -> Answer:
        """Answer a request."""
        self.arrived += 1
        for end, event in self._waves:
            if self.arrived >= end:
                event.set()
        number = next((at for at, (end, _) in enumerate(self._waves) if self.arrived <= end), None)
        found = self._answer(request)
        if number is None:
            return found  # one request too many, which the test counts
        first = request.headers.get("range", "").startswith("bytes=0-") and request.path.endswith("/three")
        later = first and len(found.body) > 100 and number + 1 < len(self._waves)
        return Answer(
            found.status,
            found.body,
            found.headers,
            after=self._waves[number][1],
            hold=self._waves[number + 1][1] if later else None,
        )

    def _answer(self, request: Request) -> Answer:
        if request.method in {"DELETE", "POST", "PUT"}:
            return _written(request)
        if "list-type" in request.query:
            return _page(request.query)
        key = request.path.removeprefix("/bkt/")
        data = BYTES.get(key, BYTES["small"])
        if "range" in request.headers and not data:
            return error("InvalidRange", 416)
        found = content(data, request)
        if len(found.body) < len(data):  # as on AWS: a checksum is sent with the whole object only
            return found
        kept = {"x-amz-checksum-crc32": STORED.get(key, STORED["small"]), "x-amz-checksum-type": "FULL_OBJECT"}
        return Answer(found.status, found.body, {**found.headers, **kept})


def _written(request: Request) -> Answer:
    if request.method == "DELETE":
        return Answer(204, b"", {"Content-Length": None})
    if "x-amz-copy-source" in request.headers:
        made = "<ETag>e1</ETag><LastModified>2026-10-21T07:28:00Z</LastModified>"
        return Answer(200, f"<CopyObjectResult>{made}</CopyObjectResult>".encode())
    return Answer(200, b"", {"ETag": '"e1"'}) if request.method == "PUT" else _post(request)


def _post(request: Request) -> Answer:
    if "uploads" in request.query:
        return created("u1")
    if "uploadId" in request.query:
        return completed("e1")
    keys = re.findall(rb"<Key>(.*?)</Key>", request.body)
    deleted = b"".join(b"<Deleted><Key>%b</Key></Deleted>" % key for key in keys)
    return Answer(200, b"<DeleteResult>%b</DeleteResult>" % deleted)


def _page(query: str) -> Answer:
    keys = LISTED if "many" in query else TREE if "tree" in query else []
    found = re.search(r"continuation-token=(\d+)", query)
    at = int(found[1]) if found else 0
    more = at + 1_000 < len(keys)
    entries = "".join(
        f"<Contents><Key>{key}</Key><ETag>&quot;e1&quot;</ETag><Size>10</Size>"
        "<LastModified>2026-10-21T07:28:00Z</LastModified></Contents>"
        for key in keys[at : at + 1_000]
    )
    token = f"<NextContinuationToken>{at + 1_000}</NextContinuationToken>" if more else ""
    said = f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}{entries}"
    return Answer(200, f"<ListBucketResult>{said}</ListBucketResult>".encode())


def test_the_table_has_every_operation() -> None:
    """The page's table and this test have the same operations, each with four cells."""
    assert list(table()) == list(OPERATIONS)
    assert {len(cells) for cells in table().values()} == {4}


@pytest.mark.parametrize("server", ["aws", "generic"])
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_requests_to_a_server(provide: Provide, operation: str, server: str, tmp_path: Path) -> None:
    """As many requests arrive as the table says, and those of one round trip arrive before one of them is answered."""
    cell = table()[operation][("aws", "generic").index(server)]
    bucket = Bucket([] if cell == "0" else waves(cell))
    async with serving(bucket) as running, asyncio.timeout(10):
        await OPERATIONS[operation](provide(running, **({} if server == "aws" else {"server": "generic"})), tmp_path)
    assert bucket.arrived == sum(waves(cell)), running.asked


async def test_a_server_that_ignores_ranges(provide: Provide, tmp_path: Path) -> None:
    """An object of up to one part is then the response; a larger one is requested again, without a range."""
    headers = {"ETag": '"e1"', "Last-Modified": "Wed, 21 Oct 2026 07:28:00 GMT"}
    for key, expected in (("small", 1), ("three", 2)):
        async with serving([Answer(200, BYTES[key], headers)] * 2) as server:
            manager = TransferManager(provide(server, server="generic"), CONFIG)
            await manager.download(key, tmp_path / "target")
        assert (tmp_path / "target").read_bytes() == BYTES[key]
        assert ["range" in request.headers for request in server.requests] == [True, False][:expected]


CRC = {"x-amz-checksum-crc32": STORED["small"]}
OTHER = {"x-amz-checksum-crc32": "AAAAAA=="}
FULL = {"x-amz-checksum-type": "FULL_OBJECT"}


@pytest.mark.parametrize(
    ("ranged", "headed", "etag", "verified", "requests"),
    [
        (CRC | FULL, {}, '"e1"', "crc32", 1),
        ({}, CRC | FULL, '"e1"', "crc32", 2),  # moto
        ({}, OTHER | FULL, '"e2"', "length", 2),  # replaced meanwhile
        (OTHER, {"x-amz-checksum-crc32": "AAAAAA==-2"}, '"e1"', "length", 2),  # a COMPOSITE one, not marked in a range
        ({}, {}, '"e1"', "length", 2),
    ],
)
async def test_the_checksum_of_an_object_of_one_part(
    provide: Provide,
    tmp_path: Path,
    ranged: dict[str, str],
    headed: dict[str, str],
    etag: str,
    verified: str,
    requests: int,
) -> None:
    """A HEAD asks for the checksum if the response to the range has none of the whole object, while the body comes."""
    asked = asyncio.Event()

    def script(request: Request) -> Answer:
        if request.method == "HEAD":
            asked.set()
            return content(BYTES["small"], request, etag, **headed)
        found = content(BYTES["small"], request, **ranged)
        return Answer(found.status, found.body, found.headers, hold=asked if requests > 1 else None)

    async with serving(script) as server, asyncio.timeout(10):
        result = await TransferManager(provide(server), CONFIG).download("small", tmp_path / "target")
    assert (result.verified, len(server.requests), result.etag) == (verified, requests, '"e1"')
    assert (tmp_path / "target").read_bytes() == BYTES["small"]


async def test_a_checksum_that_comes_late_is_compared(provide: Provide, tmp_path: Path) -> None:
    """If only the HEAD has the checksum, it is compared, too: bytes that do not match it are not published."""

    def script(request: Request) -> Answer:
        return content(BYTES["three"], request, **(OTHER | FULL if request.method == "HEAD" else {}))

    async with serving(script) as server:
        with pytest.raises(ChecksumMismatchError):
            await TransferManager(provide(server), CONFIG).download("three", tmp_path / "target")
    assert os.listdir(tmp_path) == []


async def test_a_missing_object_makes_no_directory(provide: Provide, tmp_path: Path) -> None:
    """The directories of the target and the staged file are made only when the object is known to exist."""
    async with serving(lambda _: error("NoSuchKey", 404)) as server:
        with pytest.raises(NotFoundError):
            await provide(server).download("k", tmp_path / "a" / "b")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("kind", ["memory", "local"])
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_calls_of_a_provider(operation: str, kind: str, tmp_path: Path) -> None:
    """As many requests are made of the provider as the table says."""
    cell = table()[operation][("memory", "local").index(kind) + 2]
    if cell == "none":
        return
    base, directory = tmp_path / "base", tmp_path / "files"
    directory.mkdir()
    inner = MemoryProvider() if kind == "memory" else LocalProvider({"base_path": base})
    for key in LISTED if "keys" in operation else BYTES:
        if kind == "memory":
            await inner.put(key, BYTES.get(key, b"x"))
        else:
            (base / key).parent.mkdir(parents=True, exist_ok=True)
            (base / key).write_bytes(BYTES.get(key, b"x"))
    provider = FaultyProvider(inner)
    await OPERATIONS[operation](provider, directory)
    assert sum(provider.calls.values()) == sum(waves(cell)), provider.calls
