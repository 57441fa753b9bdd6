"""Directories and prefixes: every file a key and every key a file, or a reported failure; nothing outside, ever."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bucketry._core.values import Progress
from bucketry.errors import (
    AccessDeniedError,
    InvalidKeyError,
    InvalidMetadataError,
    LocalFileError,
    LocalFileNotFoundError,
    LocalNotADirectoryError,
    NotFoundError,
    UnsafeKeyError,
)
from bucketry.testing import Fault, FaultyProvider
from tests.transfer.doubles import PART, Bench, noise

HOSTILE = [
    "../../etc/passwd",
    "../escape",
    "/abs",
    "a/../../b",
    "data//../x",
    "..",
    ".",
    "./here",
    "a//b",
    "nul\0byte",
    "C:\\x",
    "\\\\host\\share",
    "a\\..\\..\\x",
    "x" * 256,
]


async def all_of(memory, prefix: str = "") -> dict[str, bytes]:  # noqa: ANN001 - a provider
    """Give all objects below a prefix."""
    return {key: await memory.get(key) for key in await memory.list_files(prefix)}


def files_of(root: Path) -> dict[str, bytes]:
    """Give all files below a directory."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


class TestDownload:
    """A prefix into a directory."""

    async def test_whole_tree(self, bench: Bench) -> None:
        """Small, large and empty objects land where their keys say, and each has its result."""
        memory = bench.memory()
        wanted = {"a": b"1", "d/b": noise(3 * PART + 1), "d/e/f": b"", "z ä": noise(PART)}
        for key, data in wanted.items():
            await memory.put(f"pre/{key}", data)
        await memory.put("prefix-of-another/x", b"no")
        provider = FaultyProvider(memory)
        result = await bench.manager(provider).download_tree("pre", bench.target("tree"))
        assert files_of(bench.target("tree")) == wanted
        assert sorted(result.succeeded) == sorted(f"pre/{key}" for key in wanted)
        assert result.results["pre/d/b"].verified == result.results["pre/a"].verified == "crc32"
        assert provider.calls["head"] == 1  # for the large one alone

    async def test_hostile_keys_are_refused_one_by_one(self, bench: Bench) -> None:
        """Each key that is no safe path fails by itself; the others land; nothing is outside the directory."""
        memory = bench.memory()
        for key in [*HOSTILE, "good", "d/good"]:
            await memory.put(f"pre/{key}", b"x")
        (bench.target("tree")).mkdir()
        result = await bench.manager(memory).download_tree("pre/", bench.target("tree"))
        assert set(result.failed) == {f"pre/{key}" for key in HOSTILE}
        assert {type(error) for error in result.failed.values()} == {UnsafeKeyError}
        assert sorted(result.succeeded) == ["pre/d/good", "pre/good"]
        assert bench.files() == ["tree", "tree/d", "tree/d/good", "tree/good"]
        assert sorted(os.listdir(bench.directory)) == ["out"]
        with pytest.raises(UnsafeKeyError):
            result.raise_for_failures()

    async def test_hostile_keys_without_a_prefix(self, bench: Bench) -> None:
        """The same from the root of the bucket, where a key may begin with a slash."""
        memory = bench.memory()
        for key in [*HOSTILE, "good"]:
            await memory.put(key, b"x")
        result = await bench.manager(memory).download_tree("", bench.target("tree"))
        assert set(result.failed) == set(HOSTILE)
        assert bench.files() == ["tree", "tree/good"]

    @pytest.mark.slow
    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        keys=st.lists(
            st.lists(
                st.sampled_from(["..", ".", "/", "\\", "\0", "C:", "a", "é", "e\u0301", "A", " "]),
                min_size=1,
                max_size=7,
            ).map("".join),
            min_size=1,
            max_size=6,
            unique=True,
        )
    )
    def test_no_keys_lead_outside(self, keys: list[str]) -> None:
        """For any keys, each succeeds or fails by name, and everything that exists afterwards is in the directory."""
        import asyncio  # noqa: PLC0415 - the one test with a loop of its own

        async def main(place: Path) -> None:
            bench = Bench(place)
            memory = bench.memory()
            for key in keys:
                await memory.put(f"pre/{key}", key.encode())
            result = await bench.manager(memory).download_tree("pre", place / "tree")
            assert {*result.succeeded, *result.failed} == {f"pre/{key}" for key in keys}
            assert os.listdir(place) in ([], ["tree"])
            for name, data in files_of(place / "tree").items():
                assert data == name.encode()
            await bench.check()

        with tempfile.TemporaryDirectory() as place:
            asyncio.run(main(Path(place)))

    @pytest.mark.parametrize("key", ["link/x", "link/sub/x", "link/sub/", "d/up/x"])
    async def test_a_planted_link_is_not_followed(self, bench: Bench, key: str) -> None:
        """A symbolic link to another directory below the target fails the keys through it; nothing is made there."""
        outside = bench.directory / "outside"
        outside.mkdir()
        tree = bench.target("tree")
        (tree / "d").mkdir(parents=True)
        (tree / "link").symlink_to(outside)
        (tree / "d" / "up").symlink_to("../..")
        memory = bench.memory()
        await memory.put(key, b"" if key.endswith("/") else b"x")
        await memory.put("good", b"x")
        result = await bench.manager(memory).download_tree("", tree)
        assert set(result.failed) == {key}
        assert isinstance(result.failed[key], UnsafeKeyError)
        assert result.succeeded == ("good",)
        assert list(outside.iterdir()) == []
        assert os.listdir(bench.directory / "out") == ["tree"]

    async def test_a_planted_link_in_the_files_place_is_replaced(self, bench: Bench) -> None:
        """A link where the file itself belongs is replaced; its target stays as it is."""
        precious = bench.directory / "precious"
        precious.write_bytes(b"precious")
        bench.target("tree").mkdir()
        (bench.target("tree") / "k").symlink_to(precious)
        memory = bench.memory()
        await memory.put("k", b"new")
        await bench.manager(memory).download_tree("", bench.target("tree"))
        assert files_of(bench.target("tree")) == {"k": b"new"}
        assert precious.read_bytes() == b"precious"

    async def test_the_root_may_be_a_link(self, bench: Bench) -> None:
        """A directory that the user names by a link is the user's choice."""
        real = bench.directory / "real"
        real.mkdir()
        bench.target("tree").symlink_to(real)
        memory = bench.memory()
        await memory.put("d/k", b"x")
        result = await bench.manager(memory).download_tree("", bench.target("tree"))
        assert not result.failed
        assert files_of(real) == {"d/k": b"x"}

    async def test_placeholders_are_directories(self, bench: Bench) -> None:
        """An empty object whose key ends in a slash makes a directory, the prefix's own makes nothing new."""
        memory = bench.memory()
        for key in ("pre/", "pre/empty/", "pre/d/", "pre/d/k"):
            await memory.put(key, b"x" if key.endswith("k") else b"")
        result = await bench.manager(memory).download_tree("pre", bench.target("tree"))
        assert not result.failed
        assert bench.files() == ["tree", "tree/d", "tree/d/k", "tree/empty"]

    async def test_a_placeholder_with_bytes_is_reported(self, bench: Bench) -> None:
        """An object of bytes whose key ends in a slash has no file to be: it is not dropped silently."""
        memory = bench.memory()
        await memory.put("data/", b"bytes that somebody wants")
        result = await bench.manager(memory).download_tree("", bench.target("tree"))
        assert set(result.failed) == {"data/"}

    @pytest.mark.parametrize("concurrency", [1, 4])
    async def test_a_key_that_is_file_and_directory(self, bench: Bench, concurrency: int) -> None:
        """Where one key needs a file and another a directory in its place, one lands and the other is reported."""
        memory = bench.memory()
        for key in ("a", "a/b", "a/b/c", "d"):
            await memory.put(key, key.encode())
        result = await bench.manager(memory, max_concurrency=concurrency).download_tree("", bench.target("tree"))
        assert {*result.succeeded, *result.failed} == {"a", "a/b", "a/b/c", "d"}
        assert result.failed
        assert files_of(bench.target("tree")) == {key: key.encode() for key in result.succeeded}

    @pytest.mark.parametrize(("size", "operation"), [(PART, "open_body"), (PART + 1, "fetch_range")])
    async def test_a_failure_does_not_stop_the_others(self, bench: Bench, size: int, operation: str) -> None:
        """An object that cannot be read, small or large, is reported with its error; the others land."""
        memory = bench.memory()
        for number in range(10):
            await memory.put(f"k{number}", noise(size))
        faults = (Fault(operation=operation, nth=4, error=AccessDeniedError("no")),)
        result = await bench.manager(FaultyProvider(memory, faults)).download_tree("", bench.target("tree"))
        assert [type(error) for error in result.failed.values()] == [AccessDeniedError]
        assert len(files_of(bench.target("tree"))) == 9

    async def test_a_listing_that_fails_ends_it(self, bench: Bench) -> None:
        """What was not listed cannot be reported key by key: the listing's error is raised, and no task stays."""
        memory = bench.memory(max_list_keys=3)
        for number in range(10):
            await memory.put(f"k{number}", noise(PART))
        provider = FaultyProvider(memory, (Fault(operation="list_page", nth=3, error=AccessDeniedError("no")),))
        with pytest.raises(AccessDeniedError):
            await bench.manager(provider).download_tree("", bench.target("tree"))

    async def test_many_pages(self, bench: Bench) -> None:
        """Every key of every page is downloaded once."""
        memory = bench.memory(max_list_keys=7)
        wanted = {f"k{number:03}": str(number).encode() for number in range(50)}
        for key, data in wanted.items():
            await memory.put(key, data)
        result = await bench.manager(memory).download_tree("", bench.target("tree"))
        assert files_of(bench.target("tree")) == wanted
        assert sorted(result.succeeded) == sorted(wanted)

    async def test_progress(self, bench: Bench) -> None:
        """The reports of a tree's files add up to its bytes, each under its own key."""
        memory = bench.memory()
        for number in range(5):
            await memory.put(f"k{number}", noise(number * PART))
        reports: list[Progress] = []
        await bench.manager(memory).download_tree("", bench.target("tree"), progress=reports.append)
        assert sum(report.increment for report in reports) == 10 * PART
        assert {report.key for report in reports} == {f"k{number}" for number in range(5)}


class TestUpload:
    """A directory into a prefix."""

    async def test_whole_tree(self, bench: Bench) -> None:
        """Every file gets the key of its place; hidden ones too; an empty directory has no key."""
        for name, data in (("a", b"1"), ("d/b", noise(3 * PART)), ("d/.hidden", b""), ("d/e/ä", b"2")):
            bench.file(data, f"tree/{name}")
        (bench.directory / "in" / "tree" / "empty").mkdir()
        memory = bench.memory()
        result = await bench.manager(memory).upload_tree(bench.directory / "in" / "tree", "pre")
        assert await all_of(memory) == {
            "pre/a": b"1",
            "pre/d/.hidden": b"",
            "pre/d/b": noise(3 * PART),
            "pre/d/e/ä": b"2",
        }
        assert not result.failed
        assert result.results["pre/d/b"].parts == 3

    async def test_what_cannot_be_uploaded_is_reported(self, bench: Bench) -> None:
        """Broken links, links to directories, sockets, FIFOs, names that are not UTF-8: each by name; the rest goes."""
        root = bench.file(b"good", "tree/good").parent
        (root / "broken").symlink_to("nowhere")
        (root / "loop").symlink_to("loop")
        (root / "dir").mkdir()
        (root / "to-dir").symlink_to("dir")
        (root / "to-file").symlink_to("good")
        os.mkfifo(root / "fifo")
        bench.file(b"x", os.fsdecode(b"tree/bad-\xff"))
        memory = bench.memory()
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(root / "sock"))
            result = await bench.manager(memory).upload_tree(root, "pre")
        kinds = {key.split("/")[-1]: type(error) for key, error in result.failed.items()}
        bad = next(name for name in kinds if "bad-" in name)
        assert kinds.pop(bad) is InvalidKeyError
        assert kinds == {
            "broken": LocalFileNotFoundError,
            "loop": LocalFileError,
            "to-dir": LocalFileError,
            "fifo": LocalFileError,
            "sock": LocalFileError,
        }
        assert await all_of(memory) == {"pre/good": b"good", "pre/to-file": b"good"}

    async def test_files_go_in_the_order_of_their_keys(self, bench: Bench) -> None:
        """The order is that of listings, so that what an interrupted upload has stored is a beginning of the list."""
        names = ["a!", "a-b/c", "a/1", "a0", "b"]
        for name in reversed(names):
            bench.file(b"1", f"tree/{name}")
        result = await bench.manager(bench.memory(), max_concurrency=1).upload_tree(
            bench.directory / "in" / "tree", "p"
        )
        assert result.succeeded == tuple(f"p/{name}" for name in names)

    async def test_a_directory_whose_name_is_not_utf8(self, bench: Bench) -> None:
        """It is reported once, whatever is below it; the rest goes."""
        root = bench.file(b"good", "tree/good").parent
        for name in ("1", "2"):
            bench.file(b"x", os.fsdecode(b"tree/bad-\xff/") + name)
        result = await bench.manager(bench.memory()).upload_tree(root, "p")
        assert result.succeeded == ("p/good",)
        assert {key: type(error) for key, error in result.failed.items()} == {repr("p/bad-\udcff/"): InvalidKeyError}

    async def test_a_link_to_a_parent_does_not_loop(self, bench: Bench) -> None:
        """A link to the directory above is reported, not walked for ever."""
        root = bench.file(b"x", "tree/d/k").parent.parent
        (root / "d" / "up").symlink_to("..")
        memory = bench.memory()
        result = await bench.manager(memory).upload_tree(root, "")
        assert set(result.failed) == {"d/up"}
        assert await all_of(memory) == {"d/k": b"x"}

    async def test_what_a_killed_download_left_is_passed_over(
        self, bench: Bench, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        """A staged file is no file of the user's; one that is only called alike is."""
        memory, root = bench.memory(), tmp_path_factory.mktemp("left")
        for name in (".bucketry-0123456789abcdef.part", ".bucketry-mine.part", "file"):
            (root / name).write_bytes(b"x")
        result = await bench.manager(memory).upload_tree(root, "p/")
        assert sorted(result.succeeded) == sorted(await all_of(memory)) == ["p/.bucketry-mine.part", "p/file"]

    async def test_an_empty_directory(self, bench: Bench) -> None:
        """There is nothing to do, and that is a success."""
        (bench.directory / "in").mkdir()
        result = await bench.manager(bench.memory()).upload_tree(bench.directory / "in", "pre")
        assert (result.succeeded, dict(result.failed)) == ((), {})

    async def test_no_directory(self, bench: Bench) -> None:
        """A missing directory and a file in its place are errors, not empty results."""
        manager = bench.manager(bench.memory())
        with pytest.raises(LocalFileNotFoundError):
            await manager.upload_tree(bench.directory / "missing", "")
        with pytest.raises(LocalNotADirectoryError):
            await manager.upload_tree(bench.file(b"x"), "")

    async def test_a_file_that_vanishes_is_reported(self, bench: Bench) -> None:
        """A file removed between the listing and its turn fails by itself."""
        root = bench.file(b"x", "tree/a").parent
        victim = bench.file(b"x", "tree/b")

        async def remove() -> None:
            victim.unlink()

        memory = bench.memory()
        provider = FaultyProvider(memory, (Fault(operation="put_object", hook=remove),))
        result = await bench.manager(provider, max_concurrency=1).upload_tree(root, "")
        assert {key: type(error) for key, error in result.failed.items()} == {"b": LocalFileNotFoundError}
        assert result.succeeded == ("a",)

    async def test_round_trip(self, bench: Bench) -> None:
        """A tree that is uploaded and downloaded is the same tree."""
        for number in range(30):
            bench.file(noise(number * 311, number), f"tree/{number % 3}/{number % 5}/{number}")
        memory = bench.memory(max_list_keys=4)
        manager = bench.manager(memory)
        await manager.upload_tree(bench.directory / "in" / "tree", "pre")
        await manager.download_tree("pre", bench.target("tree"))
        assert files_of(bench.target("tree")) == files_of(bench.directory / "in" / "tree")

    async def test_a_directory_that_cannot_be_listed(self, bench: Bench) -> None:
        """A directory without permission is reported; its siblings go."""
        if os.geteuid() == 0:
            pytest.skip("root may list everything")
        root = bench.file(b"x", "tree/good").parent
        (root / "closed").mkdir(mode=0)
        memory = bench.memory()
        result = await bench.manager(memory).upload_tree(root, "")
        assert set(result.failed) == {"closed/"}
        assert await all_of(memory) == {"good": b"x"}


@pytest.mark.parametrize("count", [255, 256, 257, 600, 1_025])
async def test_no_file_is_left_out_however_many_there_are(bench: Bench, tmp_path: Path, count: int) -> None:
    """A directory is read in batches, and no file falls between two of them, up or down."""
    wanted = {f"f{number:04}": b"%d" % number for number in range(count)}
    source = tmp_path / "source"
    source.mkdir()
    for name, data in wanted.items():
        (source / name).write_bytes(data)
    memory = bench.memory()
    manager = bench.manager(memory)
    result = await manager.upload_tree(source, "tree")
    assert (len(result.succeeded), dict(result.failed)) == (count, {})
    assert await memory.list_files("tree/") == [f"tree/{name}" for name in sorted(wanted)]
    result = await manager.download_tree("tree", tmp_path / "target")
    assert (len(result.succeeded), dict(result.failed)) == (count, {})
    assert files_of(tmp_path / "target") == wanted


class TestBoth:
    """What directories have in common with single objects."""

    @pytest.mark.parametrize("prefix", ["absent", "absent/", "k", ""])
    async def test_nothing_below_a_prefix(self, bench: Bench, prefix: str) -> None:
        """A prefix without any object is `NotFoundError`; a placeholder or a failed key is something."""
        memory = bench.memory()
        if prefix:
            await memory.put("k", b"an object, and no directory")
        manager = bench.manager(memory)
        with pytest.raises(NotFoundError, match="there is no object below this prefix") as caught:
            await manager.download_tree(prefix, bench.target("tree"))
        assert caught.value.key == (f"{prefix.rstrip('/')}/" if prefix else "")
        await memory.put("placeholder/", b"")
        await memory.put("failed/a//b", b"1")
        assert (await manager.download_tree("placeholder", bench.target("tree"))).succeeded == ("placeholder/",)
        assert set((await manager.download_tree("failed", bench.target("tree"))).failed) == {"failed/a//b"}

    async def test_metadata_of_a_tree(self, bench: Bench) -> None:
        """Each file of a directory gets the same metadata; what cannot be stored is refused before any file."""
        memory = bench.memory()
        manager = bench.manager(memory)
        for name in ("tree/a", "tree/b/c"):
            bench.file(b"1", name)
        with pytest.raises(InvalidMetadataError):
            await manager.upload_tree(bench.directory / "in" / "tree", "t", metadata={"a": "\u00e9"})
        assert await memory.list_files() == []
        await manager.upload_tree(bench.directory / "in" / "tree", "t", metadata={"Version": "1.0"})
        for key in ("t/a", "t/b/c"):
            assert (await memory.head(key)).metadata == {"version": "1.0"}
