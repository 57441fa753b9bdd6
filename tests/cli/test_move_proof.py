"""A move deletes a source only if its copy is certainly another object, whatever names the two have."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bucketry import MemoryProvider, S3Provider, StorageProviderFactory
from bucketry._cli.commands import UsageError
from bucketry._cli.copying.arguments import CopyArguments
from bucketry._cli.copying.items import CopySource, Item, find_source
from bucketry._cli.copying.one import Copier
from bucketry._cli.copying.pairs import Destination, Pair, find_destination, plan_pairs
from bucketry._cli.copying.words import Local
from bucketry._cli.place import Remote
from bucketry._core.units import MiB
from bucketry.errors import AccessDeniedError, InvalidRequestError, PreconditionFailedError
from bucketry.providers import StorageProvider
from bucketry.testing import EmbeddedS3, Fault, FaultyProvider, embedded_s3
from tests.cli.inside import Inside, inside
from tests.manage.syncing import RowOf

__all__ = ["inside"]

COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedS3]:
    """Return a running S3 server with the bucket `bkt`."""
    pytest.importorskip("moto")
    of_r2 = ("CLOUDFLARE_R2_ACCESS_KEY", "CLOUDFLARE_R2_SECRET_KEY", "CLOUDFLARE_R2_ACCOUNT_ID")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", *of_r2):
        monkeypatch.setenv(name, "e" * 32)
    with embedded_s3("bkt") as running:
        yield running


def stored(server: EmbeddedS3) -> dict[str, bytes]:
    """Return all objects of the server's bucket."""

    async def read() -> dict[str, bytes]:
        async with S3Provider(server.config) as provider:
            return {key: await provider.get(key) for key in await provider.list_files()}

    return asyncio.run(read())


@pytest.mark.slow
def test_two_endpoint_urls_of_one_bucket(inside: Inside, server: EmbeddedS3) -> None:
    """An object is not moved onto itself if its bucket is named by two endpoint URLs; one object, or many."""
    one, other = server.endpoint_url, server.endpoint_url.replace("127.0.0.1", "localhost")
    for name in ("k", "d/a", "d/b"):
        inside.write(f"tree/{name}", name.encode())
    assert inside("cp", "-r", "tree", f"s3://bkt?endpoint_url={one}").code == 0
    before = stored(server)
    assert len(before) == 3
    ran = inside("mv", f"s3://bkt/k?endpoint_url={one}", f"s3://bkt/k?endpoint_url={other}")
    assert (ran.code, "may mean one object, and nothing was done" in ran.err) == (2, True)
    ran = inside("mv", "-r", f"s3://bkt/d?endpoint_url={one}", f"s3://bkt/d?endpoint_url={other}")
    assert (ran.code, ran.err.count("may mean one object, and nothing was done")) == (1, 2)
    assert stored(server) == before
    ran = inside("mv", "-r", f"s3://bkt/d?endpoint_url={one}", f"s3://bkt/e?endpoint_url={other}")
    assert ran.code == 0
    assert set(stored(server)) == {"k", "e/a", "e/b"}


@pytest.mark.slow
def test_two_schemes_of_one_bucket(inside: Inside, server: EmbeddedS3) -> None:
    """A move or copy onto itself is refused if the two words name the bucket with different schemes."""
    inside.write("f")
    url = server.endpoint_url
    assert inside("cp", "f", f"s3://bkt/ff/1?endpoint_url={url}").code == 0
    for verb in ("cp", "mv"):
        ran = inside(verb, f"r2://bkt/ff/1?endpoint_url={url}", f"s3://bkt/ff/1?endpoint_url={url}")
        assert (ran.code, "would be copied onto itself" in ran.err) == (2, True)
    assert stored(server) == {"ff/1": b"x"}


@pytest.mark.parametrize("url", ["https://s3.us-east-1.amazonaws.com", "https://s3.dualstack.eu-west-1.amazonaws.com"])
async def test_the_standard_endpoint_may_be_written_or_not(url: str) -> None:
    """A bucket of AWS is the same bucket with and without its endpoint URL."""
    keys = {"access_key_id": "id", "secret_access_key": "secret", "bucket_name": "bkt"}
    one, other = S3Provider(keys), S3Provider({**keys, "endpoint_url": url})
    source = CopySource(Remote(one, "k"), "k", "one", Item("k", "s3://bkt/k", provider=one, key="k"))
    with pytest.raises(UsageError, match="would be copied onto itself"):
        await plan_pairs([source], Destination(other, "k", is_directory=False), CopyArguments())


async def test_credentials_that_may_not_look_at_the_target() -> None:
    """If the target cannot be looked at before the copy, the copy is compared with the source, which stays if alike."""
    store, another = MemoryProvider(), MemoryProvider()
    await store.put("k", b"x")
    denied = Fault(operation="head", error=AccessDeniedError("denied"))
    for target in (store, another):
        provider, faulty = FaultyProvider(store), FaultyProvider(target, (denied,))
        copier = Copier(Destination(faulty, "k", is_directory=False), CopyArguments(), {}, moves=True)
        pair = Pair(Item("k", "k", provider=provider, key="k"), "k")
        if target is store:
            with pytest.raises(PreconditionFailedError, match="may be the same object as its copy, so it was kept"):
                await copier.one(pair)
            assert await store.get("k") == b"x"
        else:
            await copier.one(pair)
    assert (await store.list_files(), await another.get("k")) == ([], b"x")


async def test_a_move_over_an_object_that_exists() -> None:
    """An object that exists is replaced if it is certainly another one; the same object by another name is refused."""
    store, another = MemoryProvider(), MemoryProvider()
    for provider in (store, another):
        await provider.put("k", b"x")
    for target in (store, another):
        copier = Copier(Destination(FaultyProvider(target), "k", is_directory=False), CopyArguments(), {}, moves=True)
        pair = Pair(Item("k", "k", provider=store, key="k"), "k")
        if target is store:
            with pytest.raises(InvalidRequestError, match="may mean one object"):
                await copier.one(pair)
        else:
            await copier.one(pair)
    assert (await store.list_files(), await another.get("k")) == ([], b"x")


class Normalizing(RowOf):
    """A store that keeps keys in NFC, as R2 does."""

    def __init__(self) -> None:
        super().__init__(key_normalization="NFC")

    async def head(self, key: str, **options: Any) -> Any:
        """Find the object by either form of its key."""
        return await super().head(unicodedata.normalize("NFC", key), **options)

    async def put_object(self, key: str, *rest: Any) -> Any:
        """Store the object under the form that is kept."""
        return await super().put_object(unicodedata.normalize("NFC", key), *rest)

    async def delete(self, remote_path: str, **options: Any) -> None:
        """Delete the object by either form of its key."""
        await super().delete(unicodedata.normalize("NFC", remote_path), **options)

    async def copy_object(self, source: str, destination: str, **options: Any) -> Any:
        """Copy between the forms that are stored."""
        names = (unicodedata.normalize("NFC", name) for name in (source, destination))
        return await super().copy_object(*names, **options)


@pytest.mark.parametrize("more", [(), ("--metadata", "x=y")])
def test_two_forms_of_one_key(inside: Inside, more: tuple[str, ...]) -> None:
    """Two Unicode forms of a key are one object if the vendor normalizes keys, and a move between them is refused."""
    store = Normalizing()
    asyncio.run(store.put(COMPOSED, b"kept"))
    StorageProviderFactory.register("normalizing", lambda _, **__: store)
    for names in ((DECOMPOSED, COMPOSED), (COMPOSED, DECOMPOSED)):
        ran = inside("mv", *names, "--provider", "normalizing", *more)
        assert (ran.code, "would be copied onto itself" in ran.err) == (2, True)
    assert asyncio.run(store.get(COMPOSED)) == b"kept"


@pytest.mark.parametrize("listed", [False, True])
async def test_two_sources_that_become_one_key(tmp_path: Path, *, listed: bool) -> None:
    """Two names that the destination stores under one key are refused before anything is moved; others are not."""
    names = [f"{COMPOSED}/x", f"{DECOMPOSED}/x", "z"]
    options = CopyArguments(recursive=True)
    if listed:
        (tmp_path / "names").write_text("\n".join(names), encoding="utf-8")
        options.files_from = str(tmp_path / "names")
    for name in names:
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name).write_text(name, encoding="utf-8")
    store = MemoryProvider()
    for name in names:
        await store.put(f"tree/{name}", name.encode())
    targets: tuple[StorageProvider, ...] = (Normalizing(), MemoryProvider())
    for end in (Local(str(tmp_path / "tree")), Remote(store, "tree/")):
        source = await find_source(end, options)
        for target in targets:
            destination = await find_destination(Remote(target, "to/"), [source], options)
            if target is targets[0]:
                with pytest.raises(UsageError, match="would both become"):
                    await plan_pairs([source], destination, options)
            else:
                pairs = await plan_pairs([source], destination, options)
                assert {pair.target async for pair in pairs()} == {f"to/{name}" for name in names}


class Unstable(RowOf):
    """A store whose completion of an upload does not return the final etag, as R2's may be."""

    def __init__(self) -> None:
        super().__init__(stable_multipart_etag=False)

    async def complete_multipart(self, *arguments: Any, **options: Any) -> Any:
        """Complete the upload, and return another etag."""
        made = await super().complete_multipart(*arguments, **options)
        return replace(made, etag='"other"')


async def test_a_move_in_parts_to_a_vendor_without_a_stable_etag() -> None:
    """A large object is moved also if the completion of an upload returns another etag than a HEAD."""
    store, target = RowOf(), Unstable()
    await store.put("k", bytes(6 * MiB))
    copier = Copier(Destination(target, "k", is_directory=False), CopyArguments(part_size=MiB), {}, moves=True)
    result = await copier.one(Pair(Item("k", "k", provider=store, key="k"), "k"))
    assert result is not None
    assert result.parts > 1
    assert result.etag == (await target.head("k")).etag
    assert await store.list_files() == []
