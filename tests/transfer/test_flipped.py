"""After a transmission error, the bytes are read a second time; an iterated stream cannot repeat them."""

from __future__ import annotations

import pickle
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from bucketry import MemoryProvider
from bucketry._core import checksums
from bucketry._core.optional import RangeSink
from bucketry._core.options import WHOLE, ReadOptions
from bucketry._core.requests import BodyReader
from bucketry._core.units import KiB, MiB
from bucketry._core.values import ObjectInfo, Progress
from bucketry.errors import ChecksumMismatchError, IntegrityError
from tests.transfer.doubles import PART, Bench, noise


class FlippedBody:
    """A body that compares its checksum, as S3 bodies do, and may have one flipped bit."""

    verified: str | None = "crc32"

    def __init__(self, body: BodyReader, *, flipped: bool) -> None:
        self.info = body.info
        self._body = body
        self._flipped = flipped

    async def read(self) -> bytes:
        """Give all the bytes."""
        return b"".join([chunk async for chunk in self])

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        """Give the bytes; the last byte is given after the comparison."""
        data = bytearray(await self._body.read())
        if self._flipped:
            data[0] ^= 1
        yield bytes(data[:-1])
        if checksums.of("crc32", bytes(data)) != self.info.checksums["crc32"]:
            message = f"{self.info.key}: the bytes are not those that were stored"
            raise ChecksumMismatchError(message)
        yield bytes(data[-1:])


class Flipping(MemoryProvider):
    """A memory whose first `flips` bodies have one flipped bit."""

    def __init__(self, flips: int, *, seen_by_body: bool = True) -> None:
        super().__init__()
        self.flips = flips
        self.bodies = 0
        self._seen_by_body = seen_by_body

    @asynccontextmanager
    async def open_body(self, key: str, options: ReadOptions = WHOLE) -> AsyncIterator[BodyReader]:
        """Open the body, flipped or not."""
        async with super().open_body(key, options) as body:
            self.bodies += 1
            flipped = self.bodies <= self.flips
            if self._seen_by_body:
                yield FlippedBody(body, flipped=flipped)
            else:
                yield Unchecked(body, flipped=flipped)

    async def fetch_range(self, key: str, sink: RangeSink, options: ReadOptions = WHOLE) -> ObjectInfo:
        """Fetch the range, flipped or not."""
        self.bodies += 1
        if self.bodies > self.flips:
            return await super().fetch_range(key, sink, options)
        async with MemoryProvider.open_body(self, key, options) as body:
            data = bytearray(await body.read())
            data[0] ^= 1
            sink.write(data)
            return body.info


class Unchecked(FlippedBody):
    """A body that compares nothing."""

    verified = None

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        """Give the bytes."""
        data = bytearray(await self._body.read())
        if self._flipped:
            data[0] ^= 1
        yield bytes(data)


async def flipping(bench: Bench, size: int, flips: int, *, seen_by_body: bool = True) -> Flipping:
    """Make a memory with one object."""
    provider = bench.watch(Flipping(flips, seen_by_body=seen_by_body))
    await provider.put("t/k", noise(size))
    return provider


@pytest.mark.parametrize("size", [1 * KiB, MiB + 1])
async def test_get_reads_once_more(bench: Bench, size: int) -> None:
    """`get` gives the right bytes after one flip, and fails after two."""
    provider = await flipping(bench, size, 1)
    assert await provider.get("t/k") == noise(size)
    assert provider.bodies == 2
    provider = await flipping(bench, size, 2)
    with pytest.raises(ChecksumMismatchError):
        await provider.get("t/k")
    assert provider.bodies == 2


@pytest.mark.parametrize("size", [1 * KiB, MiB + 1])
async def test_get_many_reads_once_more(bench: Bench, size: int) -> None:
    """`get_many` gives the right bytes after one flip, and fails after two."""
    provider = await flipping(bench, size, 1 if size < MiB else 2)  # a large object is opened twice
    manager = bench.manager(provider, memory_budget=8 * MiB)
    assert [pair async for pair in manager.get_many(["t/k"])] == [("t/k", noise(size))]
    provider = await flipping(bench, size, 3)
    with pytest.raises(ChecksumMismatchError):
        _ = [pair async for pair in bench.manager(provider, memory_budget=8 * MiB).get_many(["t/k"])]


@pytest.mark.parametrize("size", [PART, 5 * PART])
async def test_download_fetches_all_once_more(bench: Bench, size: int) -> None:
    """After a wrong checksum, the download is repeated into the same staged file, and counted in `retries`."""
    provider = await flipping(bench, size, 1)
    reports: list[Progress] = []
    result = await bench.manager(provider).download("t/k", bench.target(), progress=reports.append)
    assert bench.target().read_bytes() == noise(size)
    assert (result.retries, result.verified) == (1, "crc32")
    assert provider.bodies == 2 * result.parts
    assert reports[-1].transferred == size
    assert sum(report.increment for report in reports) == size


@pytest.mark.parametrize("size", [PART, 5 * PART])
async def test_download_fails_after_the_second_difference(bench: Bench, size: int) -> None:
    """If the checksum is wrong twice, the download fails, and the target does not change."""
    provider = await flipping(bench, size, 2 * -(-size // PART))
    bench.target().write_bytes(b"old")
    with pytest.raises(ChecksumMismatchError):
        await bench.manager(provider).download("t/k", bench.target())
    assert bench.target().read_bytes() == b"old"


@pytest.mark.parametrize("seen_by_body", [True, False])
async def test_a_small_object_of_a_tree_is_read_once_more(bench: Bench, seen_by_body: bool) -> None:
    """`download_tree` repeats the read after one flip and fails after two; provider or transfer compares."""
    provider = await flipping(bench, KiB, 1, seen_by_body=seen_by_body)
    batch = await bench.manager(provider).download_tree("t", bench.target())
    assert (bench.target() / "k").read_bytes() == noise(KiB)
    assert batch.results["t/k"].retries == 1
    provider = await flipping(bench, KiB, 2, seen_by_body=seen_by_body)
    batch = await bench.manager(provider).download_tree("t", bench.target("other"))
    assert type(batch.failed["t/k"]) is ChecksumMismatchError
    assert provider.bodies == 2


async def test_what_is_no_flip_is_not_repeated(bench: Bench) -> None:
    """A body longer than its length is an error at once."""

    class Longer(Flipping):
        async def fetch_range(self, key: str, sink: RangeSink, options: ReadOptions = WHOLE) -> ObjectInfo:
            self.bodies += 1
            info = replace(await self.head(key), size=10)
            sink.begin(info)
            sink.write(noise(20))
            return info

    provider = bench.watch(Longer(0))
    await provider.put("k", noise(20))
    with pytest.raises(IntegrityError) as caught:
        await bench.manager(provider).download("k", bench.target())
    assert type(caught.value) is IntegrityError
    assert provider.bodies == 1


async def test_an_iterated_stream_raises(bench: Bench) -> None:
    """An iterated stream raises the error, without a second request: the caller has chunks already."""
    provider = await flipping(bench, KiB, 1)
    async with provider.stream("t/k") as chunks:
        with pytest.raises(ChecksumMismatchError):
            _ = [chunk async for chunk in chunks]
    assert provider.bodies == 1


def test_the_error_pickles() -> None:
    """The error is an `IntegrityError`, and pickles as what it is."""
    error = pickle.loads(pickle.dumps(ChecksumMismatchError("k: differs", key="k")))
    assert (type(error), isinstance(error, IntegrityError), error.key) == (ChecksumMismatchError, True, "k")
