"""--no-clobber keeps what another program writes meanwhile, because the server refuses to replace it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from bucketry import MemoryProvider, StorageProviderFactory, TransferManager
from bucketry._cli.copying.arguments import CopyArguments
from bucketry._cli.copying.items import Item
from bucketry._cli.copying.one import Copier
from bucketry._cli.copying.pairs import Destination, Pair
from bucketry.testing import Fault, FaultyProvider
from tests.cli.inside import Inside, inside

__all__ = ["inside"]


def racing(operation: str = "put_object") -> FaultyProvider:
    """Return a store in which another program makes the object `k` just before a request."""
    store = MemoryProvider()

    async def put() -> None:
        await store.put("k", b"of another program")

    return FaultyProvider(store, (Fault(operation=operation, hook=put),))


@pytest.mark.parametrize("words", [("upload", "k", "k"), ("upload", "-", "k"), ("upload", "tree", "")])
def test_an_upload_does_not_replace(
    inside: Inside, monkeypatch: pytest.MonkeyPatch, words: tuple[str, str, str]
) -> None:
    """A file, standard input and the files of a directory are skipped if the object appears just before the write."""
    for name in ("k", "tree/k"):
        inside.write(name)
    provider = racing()
    StorageProviderFactory.register("racing", lambda _, **__: provider)
    with (inside.directory / "k").open(encoding="utf-8") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        ran = inside(*words, "--no-clobber", "--provider", "racing", "--json")
    assert (ran.code, ran.document["files"], ran.document["skipped"]) == (0, 0, 1)
    assert asyncio.run(provider.get("k")) == b"of another program"


@pytest.mark.parametrize("moves", [False, True])
async def test_a_copy_between_stores_does_not_replace(*, moves: bool) -> None:
    """An object that appears at the destination is kept, and the source, too."""
    source, target = MemoryProvider(), racing()
    await source.put("k", b"x")
    copier = Copier(Destination(target, "k", is_directory=False), CopyArguments(no_clobber=True), {}, moves=moves)
    assert await copier.one(Pair(Item("k", "k", provider=source, key="k"), "k")) is None
    assert (await source.get("k"), await target.get("k")) == (b"x", b"of another program")


@pytest.mark.parametrize("many", [False, True])
async def test_a_download_does_not_replace(tmp_path: Path, *, many: bool) -> None:
    """A file that appears during the download is kept, and is counted as one that was there."""

    async def write() -> None:
        (tmp_path / "k").write_bytes(b"of another program")

    store = MemoryProvider()
    await store.put("k", b"x")
    provider = FaultyProvider(store, tuple(Fault(operation=name, hook=write) for name in ("open_body", "fetch_range")))
    if many:
        batch = await TransferManager(provider).download_tree("", tmp_path, overwrite=False)
        assert (batch.succeeded, batch.results) == (("k",), {})
    else:
        target = str(tmp_path / "k")
        copier = Copier(Destination(None, target, is_directory=False), CopyArguments(no_clobber=True), {}, moves=True)
        assert await copier.one(Pair(Item("k", "k", provider=provider, key="k"), target)) is None
    assert (await store.get("k"), (tmp_path / "k").read_bytes()) == (b"x", b"of another program")
