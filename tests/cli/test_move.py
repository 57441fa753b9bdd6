"""The verb move: the source is deleted after the copy was checked, and a move that is stopped loses nothing."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from bucketry import MemoryProvider, StorageProviderFactory
from bucketry._cli.copying.arguments import CopyArguments
from bucketry._cli.copying.items import Item
from bucketry._cli.copying.one import Copier
from bucketry._cli.copying.pairs import Destination, Pair
from bucketry._core.units import MiB
from bucketry.errors import AccessDeniedError, LocalFileError
from bucketry.providers import StorageProvider
from bucketry.testing import Fault, FaultyProvider
from tests.cli.conftest import Shell, files_below
from tests.cli.inside import Inside, inside

__all__ = ["inside"]

TREE = {"a.csv": b"1", "b.txt": b"22", "sub/c.csv": b"333", "sub/deep/d": bytes(100_000)}


def tree(inside: Inside, name: str = "tree") -> None:
    """Make a directory with files."""
    for path, data in TREE.items():
        inside.write(f"{name}/{path}", data)


def faulty(*faults: Fault, **objects: bytes) -> StorageProvider:
    """Register the provider `faulty`, which has these objects, and return its store."""
    store = MemoryProvider()

    async def fill() -> None:
        for key, data in objects.items():
            await store.put(key, data)

    asyncio.run(fill())
    provider = FaultyProvider(store, faults)
    StorageProviderFactory.register("faulty", lambda _, **__: provider)
    return store


def content(store: StorageProvider) -> dict[str, bytes]:
    """Return all objects."""

    async def read() -> dict[str, bytes]:
        return {key: await store.get(key) for key in await store.list_files()}

    return asyncio.run(read())


def test_every_route_moves_all_files(inside: Inside) -> None:
    """To a store, within it, to another one and back to the disk: each time the sources are gone."""
    tree(inside)
    assert inside("move", "-r", "tree", "st:data").code == 0
    assert inside.files("tree") == {}
    assert inside("mv", "-r", "st:data", "st:other/").code == 0
    assert inside.files("st") == {f"other/{name}": data for name, data in TREE.items()}
    assert inside("mv", "-r", "st:other/", "two:").code == 0
    assert (inside.files("st"), inside.files("two")) == ({}, TREE)
    assert inside("mv", "-r", "two:", "out").code == 0
    assert (inside.files("two"), inside.files("out")) == ({}, TREE)


def test_one_object_gets_another_name(inside: Inside) -> None:
    """An object is renamed; a link on the disk is removed, and its target stays."""
    inside.write("st/draft", b"text")
    assert inside("mv", "st:draft", "st:final").code == 0
    assert inside.files("st") == {"final": b"text"}
    inside.write("real", b"data")
    (inside.directory / "link").symlink_to("real")
    assert inside("mv", "link", "st:").code == 0
    assert inside.files("st") == {"final": b"text", "link": b"data"}
    assert (inside.directory / "real").exists()
    assert not (inside.directory / "link").is_symlink()


def test_what_is_left_out_stays(inside: Inside) -> None:
    """What a pattern leaves out, and what --no-clobber finds at the destination, stays at the source."""
    tree(inside)
    inside.write("st/d/a.csv", b"old")
    ran = inside("mv", "-r", "tree", "st:d", "--no-clobber", "--exclude", "deep/", "--json")
    assert (ran.code, ran.document["files"], ran.document["skipped"]) == (0, 2, 1)
    assert inside.files("tree") == {"a.csv": b"1", "sub/deep/d": bytes(100_000)}
    assert inside.files("st/d") == {"a.csv": b"old", "b.txt": b"22", "sub/c.csv": b"333"}


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("st:d/a.csv", "st:d/"), "onto itself"),
        (("-r", "st:d", "st:d/below"), "into itself"),
        (("st:top", "st:d/top", "two:x/"), "would both become"),
        (("-r", "st:d/d/", "st:d/"), "would overwrite"),
        (("st:d", "two:d"), "add --recursive"),
        (("st:top", "two:", "--no-verify"), "each copy is checked; leave out --no-verify"),
        (("-", "st:x"), "cannot be moved; use copy"),
        (("st:top", "-"), "cannot be moved; use copy"),
    ],
)
def test_what_would_lose_data_is_refused(inside: Inside, words: tuple[str, ...], hint: str) -> None:
    """A move onto or into itself, and two sources with one target, are refused, and nothing is changed."""
    tree(inside, "st/d")
    for name in ("st/top", "st/d/top", "st/d/d/top", "st/d/d/d/top"):
        inside.write(name, name.encode())
    before = inside.files("st")
    ran = inside("move", *words)
    assert (ran.code, ran.out, ran.err.count("\n"), hint in ran.err) == (2, "", 1, True)
    assert inside.files("st") == before


def test_items_that_fail_stay_and_the_others_go_on(inside: Inside) -> None:
    """An object whose copy or deletion fails stays; the others are moved; the next run moves the rest."""
    denied = AccessDeniedError("denied")
    faults = (Fault(operation="copy_object", nth=2, error=denied), Fault(operation="delete", nth=2, error=denied))
    store = faulty(*faults, **{f"d/{name}": name.encode() for name in "abcd"})
    words = ("mv", "-r", "d", "e", "--provider", "faulty", "--concurrency", "1")
    ran = inside(*words)
    assert (ran.code, ran.err.count("failed: ")) == (1, 2)
    assert "to try only these again, run the same command again" in ran.out
    assert "--no-clobber" not in ran.out
    found = content(store)
    assert set(found) == {"d/b", "e/a", "e/c", "d/c", "e/d"}
    assert inside(*words).code == 0
    assert content(store) == {f"e/{name}": name.encode() for name in "abcd"}


def test_one_object_that_fails_is_the_error_of_the_verb(inside: Inside) -> None:
    """The error of one named object is reported in one line with its exit code; the object stays."""
    store = faulty(Fault(operation="copy_object", error=AccessDeniedError("denied")), k=b"x")
    ran = inside("mv", "k", "l", "--provider", "faulty")
    assert (ran.code, ran.out, ran.err) == (4, "", "error: move: denied\n")
    assert content(store) == {"k": b"x"}


def test_a_copy_that_was_replaced_is_not_trusted(inside: Inside) -> None:
    """If the destination is not the copy any more, the source stays."""
    store: StorageProvider

    async def replace() -> None:
        await store.put("l", b"of another program")

    store = faulty(Fault(operation="head", nth=4, hook=replace), k=b"x")
    ran = inside("mv", "k", "l", "--provider", "faulty")
    assert (ran.code, "was replaced just after it was written, so the source was kept" in ran.err) == (1, True)
    assert content(store) == {"k": b"x", "l": b"of another program"}


def test_a_new_version_of_the_source_is_moved_too(inside: Inside) -> None:
    """If the source is replaced after it was copied, the new version is not deleted, but copied."""
    store: StorageProvider

    async def replace() -> None:
        await store.put("k", b"new version")

    store = faulty(Fault(operation="head", nth=5, hook=replace), k=b"x")
    assert inside("mv", "k", "l", "--provider", "faulty").code == 0
    assert content(store) == {"l": b"new version"}


async def test_a_file_that_changes_meanwhile_stays(tmp_path: Path) -> None:
    """A local file that is written after its upload is kept, with an error."""
    file = tmp_path / "f"
    file.write_bytes(b"old")

    async def write() -> None:
        file.write_bytes(b"newer")

    provider = FaultyProvider(MemoryProvider(), (Fault(operation="head", hook=write),))
    copier = Copier(Destination(provider, "f", is_directory=False), CopyArguments(), {}, moves=True)
    with pytest.raises(LocalFileError, match="changed after it was copied, so it was kept"):
        await copier.one(Pair(Item("f", str(file), path=str(file)), "f"))
    assert (file.read_bytes(), await provider.get("f")) == (b"newer", b"old")


HANGING = """
import asyncio
from bucketry import LocalProvider, StorageProviderFactory
from bucketry.testing import Fault, FaultyProvider
async def told():
    print('now', flush=True)
fault = Fault(operation={operation!r}, nth={nth}, hook=told, hang=True)
provider = FaultyProvider(LocalProvider({{'base_path': 'store'}}), (fault,))
StorageProviderFactory.register('hanging', lambda config, **options: provider)
"""


@pytest.mark.slow
@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize(("operation", "nth"), [("copy_object", 2), ("head", 5), ("delete", 1), ("delete", 3)])
def test_a_move_that_is_stopped_loses_nothing(
    bucketry: Shell, tmp_path: Path, operation: str, nth: int, sent: signal.Signals
) -> None:
    """Stopped or killed at any request, each object is at its source or its destination; the next run ends the move."""
    data = {f"f{number}": os.urandom(1_000) for number in range(5)}
    for name, body in data.items():
        bucketry.write(f"store/d/{name}", body)
    hanging = bucketry.scripted(HANGING.format(operation=operation, nth=nth))
    words = ("move", "-r", "d", "e", "--concurrency", "1")
    with hanging.start(*words, "--provider", "hanging") as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"now\n"
        running.send_signal(sent)
        _, err = running.communicate()
    if sent == signal.SIGINT:
        assert running.returncode == 130
        assert err.endswith(b"move: what is complete was kept; to continue, run the same command again\n")
        assert not list((tmp_path / "store").rglob("*.part"))
    found = files_below(tmp_path / "store")
    for name, body in data.items():
        assert body in (found.get(f"d/{name}"), found.get(f"e/{name}"))
    assert found.get(f"e/f{len(data) - 1}") is None  # it was stopped in the middle
    bucketry.environ["LOCAL_STORAGE_PATH"] = "store"
    assert bucketry(*words).code == 0
    found = {name: body for name, body in files_below(tmp_path / "store").items() if not name.startswith(".bucketry")}
    assert found == {f"e/{name}": body for name, body in data.items()}


@pytest.mark.parametrize("operation", ["put_part", "head"])
async def test_two_names_of_one_file(tmp_path: Path, operation: str) -> None:
    """A hard link is moved although another name of the file is deleted meanwhile, which changes the file's time."""
    file, other = tmp_path / "a", tmp_path / "b"
    file.write_bytes(bytes(20 * MiB))
    other.hardlink_to(file)

    async def unlink() -> None:
        other.unlink()

    provider = FaultyProvider(MemoryProvider(), (Fault(operation=operation, hook=unlink),))
    copier = Copier(Destination(provider, "a", is_directory=False), CopyArguments(), {}, moves=True)
    await copier.one(Pair(Item("a", str(file), path=str(file)), "a"))
    assert (file.exists(), await provider.get("a")) == (False, bytes(20 * MiB))
