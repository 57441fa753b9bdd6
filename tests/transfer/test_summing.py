"""The checksum of a small object is computed once at most: by the provider or by the transfer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from bucketry import MemoryProvider
from bucketry._core.options import WHOLE, ReadOptions
from bucketry._core.requests import BodyReader
from bucketry._core.values import ObjectInfo
from bucketry.errors import ChecksumMismatchError, IncompleteBodyError
from tests.transfer.doubles import Bench


class Body:
    """A body with a `verified` attribute, of an object with a wrong stored checksum.

    So if the transfer computes the checksum, it finds a difference.
    """

    def __init__(self, body: BodyReader, verified: str | None, *, breaks: bool) -> None:
        self.info: ObjectInfo = replace(body.info, checksums={"crc32": "00000000"})
        self.verified = verified
        self._body = body
        self._breaks = breaks

    async def read(self) -> bytes:
        """Give all the bytes, or raise `IncompleteBodyError`."""
        if self._breaks:
            message = "the body broke"
            raise IncompleteBodyError(message)
        return await self._body.read()

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        """Give all the bytes, and perhaps raise `IncompleteBodyError` after them."""
        yield await self._body.read()
        await self.read()


class Wrong(MemoryProvider):
    """A memory whose bodies differ from the stored checksums.

    Attributes:
        asked: What each read asked for.
    """

    def __init__(self, verified: str | None, *, breaks: bool = False) -> None:
        super().__init__()
        self._verified = verified
        self._breaks = breaks
        self.asked: list[ReadOptions] = []

    @asynccontextmanager
    async def open_body(self, key: str, options: ReadOptions = WHOLE) -> AsyncIterator[BodyReader]:
        """Open, and give another checksum."""
        self.asked.append(options)
        async with super().open_body(key, options) as body:
            yield Body(body, self._verified, breaks=self._breaks)


async def test_what_the_provider_has_compared_is_not_summed_again(bench: Bench) -> None:
    """If the provider compares a body, the transfer does not, and the result names the checksum."""
    memory = bench.watch(Wrong("crc32"))
    await memory.put("k", b"data")
    result = await bench.manager(memory).download_tree("", bench.target("tree"))
    assert result.results["k"].verified == "crc32"
    assert memory.asked == [WHOLE]


async def test_what_the_provider_has_not_compared_is_summed(bench: Bench) -> None:
    """If the provider does not compare a body, the transfer does, and finds the difference."""
    memory = bench.watch(Wrong(None))
    await memory.put("k", b"data")
    result = await bench.manager(memory).download_tree("", bench.target("tree"))
    assert isinstance(result.failed["k"], ChecksumMismatchError)


async def test_a_body_that_broke_is_summed(bench: Bench) -> None:
    """If a body raises an error after its last byte, it may not have been compared: the transfer does it."""
    memory = bench.watch(Wrong("crc32", breaks=True))
    await memory.put("k", b"data")
    result = await bench.manager(memory).download_tree("", bench.target("tree"))
    assert isinstance(result.failed["k"], ChecksumMismatchError)


@pytest.mark.parametrize("verified", ["crc32", None])
async def test_nothing_is_summed_without_verify(bench: Bench, verified: str | None) -> None:
    """With `verify=False`, neither the provider nor the transfer compares a checksum."""
    memory = bench.watch(Wrong(verified))
    await memory.put("k", b"data")
    result = await bench.manager(memory, verify=False).download_tree("", bench.target("tree"))
    assert not result.failed
    assert [options.verify for options in memory.asked] == [False]
