"""Every error names its provider, operation and object, on every provider."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from bucketry import TransferConfig, TransferManager
from bucketry._core.options import ReadOptions, WriteOptions
from bucketry._core.values import ByteRange, FileRange, MultipartUpload, Part
from bucketry.errors import StorageError
from bucketry.providers import StorageProvider
from tests.contract.conftest import OpenFile, Sink

pytestmark = pytest.mark.asyncio(loop_scope="session")

WRONG = '"0123456789abcdef0123456789abcdef"'
GONE = MultipartUpload(key="key", upload_id="0" * 32)
PLAIN = WriteOptions()
Request = Callable[[StorageProvider], Awaitable[object]]


async def _streamed(provider: StorageProvider, key: str, **span: int) -> None:
    async with provider.stream(key, **span) as chunks:
        async for _ in chunks:
            pass


async def _opened(provider: StorageProvider, key: str, *, if_match: str | None = None) -> None:
    async with provider.open_body(key, ReadOptions(if_match=if_match)) as body:
        await body.read()


async def _many(provider: StorageProvider) -> None:
    async for _ in provider.transfer.get_many(["key", "no"]):
        pass


REFUSALS: dict[str, tuple[Request, str | None]] = {
    "head of nothing": (lambda p: p.head("no"), "no"),
    "get of nothing": (lambda p: p.get("no"), "no"),
    "get of another version": (lambda p: p.get("key", if_match=WRONG), "key"),
    "a body of nothing": (lambda p: _opened(p, "no"), "no"),
    "a body of another version": (lambda p: _opened(p, "key", if_match=WRONG), "key"),
    "a range backwards": (lambda p: p.get_range("key", 5, 3), "key"),
    "a range beyond the end": (lambda p: p.get_range("key", 500, 600), "key"),
    "an empty range beyond the end": (lambda p: p.get_range("key", 500, 500), "key"),
    "ranges of nothing": (lambda p: p.get_ranges("no", [(0, 1), (3, 3)]), "no"),
    "ranges with a bad gap": (lambda p: p.get_ranges("key", [(0, 1)], coalesce=-1), "key"),
    "a stream of nothing": (lambda p: _streamed(p, "no"), "no"),
    "a stream beyond the end": (lambda p: _streamed(p, "key", start=500), "key"),
    "a stream backwards": (lambda p: _streamed(p, "key", start=5, end=3), "key"),
    "many with one missing": (_many, "no"),
    "an empty key": (lambda p: p.get(""), ""),
    "head of an empty key": (lambda p: p.head(""), ""),
    "delete of an empty key": (lambda p: p.delete(""), ""),
    "bad metadata": (lambda p: p.put("key", b"", metadata={"a": "é"}), "key"),
    "a bad header": (lambda p: p.put("key", b"", content_type="a\nb"), "key"),
    "a condition of nothing": (lambda p: p.put("key", b"", if_none_match="etag"), "key"),
    "a write held to any etag": (lambda p: p.put("key", b"", if_match="*"), "key"),
    "a write that must create": (lambda p: p.put("key", b"", if_none_match="*"), "key"),
    "a write of another version": (lambda p: p.put("key", b"", if_match=WRONG), "key"),
    "a copy of nothing": (lambda p: p.copy("no", "to"), "no"),
    "a copy onto itself": (lambda p: p.copy("key", "key"), "key"),
    "a move of nothing": (lambda p: p.move("no", "to"), "no"),
    "a part of no upload": (lambda p: p.put_part(GONE, 1, b"x"), "key"),
    "completing no upload": (
        lambda p: p.complete_multipart(GONE, [Part(part_number=1, size=1, etag=WRONG)], PLAIN),
        "key",
    ),
    "a string of keys": (lambda p: p.delete_many("key"), None),
    "a signed URL for too long": (lambda p: p.presign("key", expires_in=10**9), "key"),
}
"""The calls, and the key that each error names."""


def _check(error: StorageError, provider: StorageProvider, key: str | None) -> None:
    facts = (error.provider, bool(error.operation))
    assert facts == (provider.name, True), (facts, error)
    if key is not None:
        assert error.key == key, error


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_a_refusal_says_where_it_is_from(provider: StorageProvider, refusal: str) -> None:
    """An error names provider and operation, and the key as the caller gave it."""
    await provider.put("key", b"0123456789")
    request, key = REFUSALS[refusal]
    with pytest.raises(StorageError) as caught:
        await request(provider)
    _check(caught.value, provider, key)


async def test_a_key_that_is_too_long(provider: StorageProvider) -> None:
    """So does the refusal of a key that is longer than the row's limit."""
    key = "x" * (provider.capabilities.max_key_length + 1)
    with pytest.raises(StorageError) as caught:
        await provider.put(key, b"")
    _check(caught.value, provider, key)


async def test_refusals_of_local_files(provider: StorageProvider, tmp_path: Path, open_file: OpenFile) -> None:
    """Errors about local files also name provider and operation, and the path."""
    await provider.put("key", b"0123456789")
    manager = provider.transfer
    (tmp_path / "file").write_bytes(b"x")
    directory = str(tmp_path)
    for call, path in (
        (lambda: provider.upload(tmp_path / "none", "key"), str(tmp_path / "none")),
        (lambda: provider.upload(directory, "key"), directory),
        (lambda: provider.upload("", "key"), ""),
        (lambda: provider.download("key", directory), directory),
        (lambda: provider.download("key", ""), ""),
        (lambda: provider.download("key", tmp_path / "file" / "below"), None),
        (lambda: manager.upload_tree(tmp_path / "none", ""), str(tmp_path / "none")),
    ):
        with pytest.raises(StorageError) as caught:
            await call()
        _check(caught.value, provider, None if caught.value.operation == "upload_tree" else "key")
        assert path is None or caught.value.path == path
    with pytest.raises(StorageError) as caught:
        await provider.put_object("key", FileRange(open_file(b"short"), 0, 100), PLAIN)
    _check(caught.value, provider, "key")
    sink = Sink(open_file(b""), 0, needs_bytes=False)
    with pytest.raises(StorageError) as caught:
        await provider.fetch_range("key", sink, ReadOptions(byte_range=ByteRange(500, 600)))
    _check(caught.value, provider, "key")


async def test_refusals_in_batches(provider: StorageProvider, tmp_path: Path) -> None:
    """Errors in a batch's result have the same attributes as raised errors."""
    manager = TransferManager(provider, TransferConfig(max_concurrency=2))
    await provider.put("t/key", b"x")
    too_long = "x" * (provider.capabilities.max_key_length + 1)
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "link").symlink_to(tmp_path)
    (tmp_path / "out" / "key").mkdir(parents=True)
    for batch, key in (
        (await provider.delete_many([too_long]), too_long),
        (await manager.upload_many([(tmp_path / "none", "k")]), "k"),
        (await manager.download_many([("no", tmp_path / "target")]), "no"),
        (await manager.upload_tree(tmp_path / "tree", "p"), "p/link"),
        (await manager.download_tree("t", tmp_path / "out"), "t/key"),
    ):
        assert set(batch.failed) == {key}
        _check(batch.failed[key], provider, key)
    given = dict([pair async for pair in manager.get_many(["no"], on_error="yield")])
    error = given["no"]
    assert isinstance(error, StorageError)
    _check(error, provider, "no")
    with pytest.raises(StorageError) as caught:
        await manager.download_tree("absent", tmp_path / "out")
    _check(caught.value, provider, "absent/")
