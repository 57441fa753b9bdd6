"""Unusual inputs: invalid paths, files that change or report a wrong size, streams that are not open."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from bucketry import LocalProvider, MemoryProvider
from bucketry._core.options import WriteOptions
from bucketry._core.values import FileRange
from bucketry._runtime.file_bodies import file_state
from bucketry.errors import (
    IntegrityError,
    InvalidKeyError,
    InvalidRangeError,
    InvalidRequestError,
    LocalFileError,
    LocalNotADirectoryError,
    PreconditionFailedError,
)
from bucketry.testing import Fault, FaultyProvider
from tests.transfer.doubles import PART, Bench, noise


async def test_a_file_rewritten_with_its_time_restored_is_noticed(bench: Bench) -> None:
    """If the source has other bytes but the same length and time, the upload fails, and nothing is stored."""
    path = bench.file(noise(5 * PART))

    async def rewrite() -> None:
        before = path.stat()
        path.write_bytes(noise(5 * PART, 8))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    provider = FaultyProvider(bench.memory(), (Fault(operation="put_part", nth=2, hook=rewrite),))
    with pytest.raises(IntegrityError, match="changed"):
        await bench.manager(provider, max_concurrency=1).upload(path, "k")
    assert await provider.list_files() == []


async def test_a_range_of_a_file_is_held_to_its_state(bench: Bench, tmp_path: Path) -> None:
    """Memory and disk refuse a body whose file was changed, even if its time was restored."""
    path = bench.file(b"12345")
    for provider in (bench.memory(), LocalProvider({"base_path": tmp_path / "base"})):
        with path.open("rb") as file:
            source = file_state(os.fstat(file.fileno()))
            before = path.stat()
            path.write_bytes(b"54321")
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
            with pytest.raises(IntegrityError, match="changed"):
                await provider.put_object("k", FileRange(file.fileno(), 0, 5, as_of=source), WriteOptions())
        assert await provider.list_files() == []


async def test_an_empty_path_is_refused_before_any_request(bench: Bench) -> None:
    """Every transfer refuses an empty local path before any request, and says what to give."""
    provider = FaultyProvider(bench.memory())
    await provider.put("k", b"1")
    provider.calls.clear()
    manager = bench.manager(provider)
    calls: tuple[Callable[[], Awaitable[object]], ...] = (
        lambda: manager.download("k", ""),
        lambda: manager.upload("", "k"),
        lambda: manager.upload_tree("", "k"),
        lambda: manager.download_tree("", ""),
    )
    for call in calls:
        with pytest.raises(LocalFileError, match="the local path is empty; name a file or a directory"):
            await call()
    assert not provider.calls


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
@pytest.mark.parametrize("key", [None, 5, b"a.b"])
async def test_a_key_that_is_no_string_is_refused(bench: Bench, key: Any) -> None:
    """The error is that of every other call with such a key."""
    path = bench.file(noise(PART))
    with pytest.raises(InvalidKeyError):
        await bench.manager(bench.memory()).upload(path, key)


async def test_a_file_that_hides_its_length_is_refused(bench: Bench) -> None:
    """A file of /proc, whose size is reported as 0, is refused; a really empty file is stored."""
    memory = bench.memory()
    manager = bench.manager(memory)
    with pytest.raises(LocalFileError, match="put its bytes as a stream") as caught:
        await manager.upload("/proc/self/status", "k")
    assert caught.value.path == "/proc/self/status"
    assert await memory.list_files() == []
    await manager.upload(bench.file(b""), "k")
    assert await memory.get("k") == b""


async def test_the_providers_own_directory_is_not_uploaded(bench: Bench, tmp_path: Path) -> None:
    """`upload_tree` of a local store uploads its objects, and none of the provider's own files."""
    store = LocalProvider({"base_path": tmp_path / "store"})
    async with store:
        await store.put("a/k", b"1", metadata={"a": "1"})
        await store.create_multipart("open", WriteOptions())
    memory = bench.memory()
    batch = await bench.manager(memory).upload_tree(tmp_path / "store", "")
    assert (batch.succeeded, dict(batch.failed)) == (("a/k",), {})
    assert await memory.list_files() == ["a/k"]


async def test_a_stream_is_read_inside_its_context() -> None:
    """The error of a stream that is not open says how to open it; a closed stream gives no more bytes."""
    provider = MemoryProvider()
    await provider.put("k", b"12345")
    stream = provider.stream("k", chunk_size=1)
    said = r"async with provider\.stream\(key\) as chunks:"
    with pytest.raises(InvalidRequestError, match=said) as caught:
        _ = [chunk async for chunk in stream]  # type: ignore[attr-defined]  # what a user forgets
    assert caught.value.key == "k"
    with pytest.raises(InvalidRequestError, match=said):
        _ = stream.info  # type: ignore[attr-defined]  # as above
    async with stream as chunks:
        assert chunks.info.size == 5
    with pytest.raises(InvalidRequestError, match=said):
        _ = [chunk async for chunk in chunks]


async def test_an_object_without_an_etag_is_said_to_have_none(bench: Bench) -> None:
    """If an object has no etag, the message says so."""

    class Bare(MemoryProvider):
        async def put_object(self, *arguments: object) -> object:  # type: ignore[override]  # passed on as they are
            made = await super().put_object(*arguments)  # type: ignore[arg-type]  # as above
            object.__setattr__(self._objects[made.key].info, "etag", "")
            return made

    store = bench.watch(Bare())
    await store.put("k", b"1")
    for call in (store.get("k", if_match='"e1"'), store.put("k", b"2", if_match='"e1"')):
        with pytest.raises(PreconditionFailedError, match='the object has no etag now, and if_match names "e1"'):
            await call


async def test_bad_headers_and_ranges_are_refused_before_anything_is_sent(bench: Bench) -> None:
    """Invalid header text, and a range that ends before its start, are refused before any request."""
    provider = FaultyProvider(bench.memory())
    for options in ({"content_type": "a\r\nb"}, {"storage_class": "ä"}, {"if_match": "\ud800"}):
        with pytest.raises(InvalidRequestError, match=next(iter(options))):
            await provider.put("k", b"1", **options)
    with pytest.raises(InvalidRangeError, match="malformed"):
        provider.stream("k", start=2, end=1)
    assert not provider.calls


async def test_a_file_in_the_way_of_a_directory_is_named(tmp_path: Path) -> None:
    """If a file is where a download needs a directory, the error says so."""
    provider = MemoryProvider()
    await provider.put("k", b"1")
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(LocalNotADirectoryError, match="needs a directory"):
        await provider.download("k", tmp_path / "file" / "k")
    assert (tmp_path / "file").read_bytes() == b"old"
