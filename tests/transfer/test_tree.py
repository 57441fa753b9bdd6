"""Directories and prefixes: each file or key succeeds or is reported; no file is written outside the directory."""

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
    InvalidRequestError,
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
    """Downloads of a prefix to a directory."""

    async def test_whole_tree(self, bench: Bench) -> None:
        """Small, large and empty objects get the paths of their keys, and each has its result."""
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
        assert provider.calls["head"] == 0

    async def test_hostile_keys_are_refused_one_by_one(self, bench: Bench) -> None:
        """Each unsafe key fails; the others are downloaded; no file is outside the directory."""
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
        """The same for the whole bucket, where a key may begin with a slash."""
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
        """For any keys, each has a result or an error, and every new file is in the directory."""
        import asyncio  # noqa: PLC0415 - the only test with its own event loop

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
        """Keys whose path goes through a symbolic link to a directory fail, and nothing is made there."""
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
        """If the file's own path is a link, the link is replaced, and its target does not change."""
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
        """The target directory itself may be a symbolic link."""
        real = bench.directory / "real"
        real.mkdir()
        bench.target("tree").symlink_to(real)
        memory = bench.memory()
        await memory.put("d/k", b"x")
        result = await bench.manager(memory).download_tree("", bench.target("tree"))
        assert not result.failed
        assert files_of(real) == {"d/k": b"x"}

    async def test_placeholders_are_directories(self, bench: Bench) -> None:
        """An empty object whose key ends in a slash makes a directory; that of the prefix makes nothing new."""
        memory = bench.memory()
        for key in ("pre/", "pre/empty/", "pre/d/", "pre/d/k"):
            await memory.put(key, b"x" if key.endswith("k") else b"")
        result = await bench.manager(memory).download_tree("pre", bench.target("tree"))
        assert not result.failed
        assert bench.files() == ["tree", "tree/d", "tree/d/k", "tree/empty"]

    async def test_a_placeholder_with_bytes_is_reported(self, bench: Bench) -> None:
        """An object with bytes whose key ends in a slash has no possible file: it is reported as failed."""
        memory = bench.memory()
        await memory.put("data/", b"bytes that somebody wants")
        result = await bench.manager(memory).download_tree("", bench.target("tree"))
        assert set(result.failed) == {"data/"}

    @pytest.mark.parametrize("concurrency", [1, 4])
    async def test_a_key_that_is_file_and_directory(self, bench: Bench, concurrency: int) -> None:
        """If one key needs a file and another a directory at the same path, one succeeds and the other fails."""
        memory = bench.memory()
        for key in ("a", "a/b", "a/b/c", "d"):
            await memory.put(key, key.encode())
        result = await bench.manager(memory, max_concurrency=concurrency).download_tree("", bench.target("tree"))
        assert {*result.succeeded, *result.failed} == {"a", "a/b", "a/b/c", "d"}
        assert result.failed
        assert files_of(bench.target("tree")) == {key: key.encode() for key in result.succeeded}

    @pytest.mark.parametrize(("size", "operation"), [(PART, "open_body"), (PART + 1, "fetch_range")])
    async def test_a_failure_does_not_stop_the_others(self, bench: Bench, size: int, operation: str) -> None:
        """An object that cannot be read, small or large, is reported with its error; the others are downloaded."""
        memory = bench.memory()
        for number in range(10):
            await memory.put(f"k{number}", noise(size))
        faults = (Fault(operation=operation, nth=4, error=AccessDeniedError("no")),)
        result = await bench.manager(FaultyProvider(memory, faults)).download_tree("", bench.target("tree"))
        assert [type(error) for error in result.failed.values()] == [AccessDeniedError]
        assert len(files_of(bench.target("tree"))) == 9

    async def test_a_listing_that_fails_ends_it(self, bench: Bench) -> None:
        """If the listing fails, its error is raised, and no task is left."""
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
        """The progress reports of each key add up to its bytes."""
        memory = bench.memory()
        for number in range(5):
            await memory.put(f"k{number}", noise(number * PART))
        reports: list[Progress] = []
        await bench.manager(memory).download_tree("", bench.target("tree"), progress=reports.append)
        assert sum(report.increment for report in reports) == 10 * PART
        assert {report.key for report in reports} == {f"k{number}" for number in range(5)}


class TestUpload:
    """Uploads of a directory to a prefix."""

    async def test_whole_tree(self, bench: Bench) -> None:
        """Every file, also a hidden one, gets the key of its path; an empty directory has no key."""
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
        """Broken links, links to directories, sockets, FIFOs and non-UTF-8 names are reported; others are stored."""
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
        """Files are uploaded in the order of listings, so an interrupted upload has stored the first keys."""
        names = ["a!", "a-b/c", "a/1", "a0", "b"]
        for name in reversed(names):
            bench.file(b"1", f"tree/{name}")
        result = await bench.manager(bench.memory(), max_concurrency=1).upload_tree(
            bench.directory / "in" / "tree", "p"
        )
        assert result.succeeded == tuple(f"p/{name}" for name in names)

    async def test_each_object_has_the_options(self, bench: Bench) -> None:
        """The options of the write are those of each object; a wrong option is refused before the first file."""
        bench.file(b"1", "tree/a.bin")
        root = bench.file(b"2", "tree/d/b").parent.parent
        memory = bench.memory()
        manager = bench.manager(memory)
        await manager.upload_tree(root, "p", metadata={"run": "7"}, cache_control="no-cache", content_type="text/x")
        for key in ("p/a.bin", "p/d/b"):
            made = await memory.head(key)
            assert (made.metadata, made.cache_control, made.content_type) == ({"run": "7"}, "no-cache", "text/x")
        with pytest.raises(InvalidRequestError, match="cache_control"):
            await manager.upload_tree(root, "other", cache_control="ü")
        assert sorted(await all_of(memory)) == ["p/a.bin", "p/d/b"]

    async def test_existing_objects_can_be_kept(self, bench: Bench) -> None:
        """With `overwrite=False` an existing object stays as it is, and has no result."""
        bench.file(b"new", "tree/a")
        root = bench.file(b"new", "tree/b").parent
        memory = bench.memory()
        await memory.put("p/a", b"old")
        result = await bench.manager(memory).upload_tree(root, "p", overwrite=False)
        assert await all_of(memory) == {"p/a": b"old", "p/b": b"new"}
        assert (sorted(result.succeeded), list(result.results)) == (["p/a", "p/b"], ["p/b"])

    async def test_a_directory_whose_name_is_not_utf8(self, bench: Bench) -> None:
        """A directory whose name is not UTF-8 is reported once, for all its files; other files are stored."""
        root = bench.file(b"good", "tree/good").parent
        for name in ("1", "2"):
            bench.file(b"x", os.fsdecode(b"tree/bad-\xff/") + name)
        result = await bench.manager(bench.memory()).upload_tree(root, "p")
        assert result.succeeded == ("p/good",)
        assert {key: type(error) for key, error in result.failed.items()} == {repr("p/bad-\udcff/"): InvalidKeyError}

    async def test_a_link_to_a_parent_does_not_loop(self, bench: Bench) -> None:
        """A link to the parent directory is reported, and not followed for ever."""
        root = bench.file(b"x", "tree/d/k").parent.parent
        (root / "d" / "up").symlink_to("..")
        memory = bench.memory()
        result = await bench.manager(memory).upload_tree(root, "")
        assert set(result.failed) == {"d/up"}
        assert await all_of(memory) == {"d/k": b"x"}

    async def test_what_a_killed_download_left_is_passed_over(
        self, bench: Bench, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        """Staged files of downloads are not uploaded; files with similar names are."""
        memory, root = bench.memory(), tmp_path_factory.mktemp("left")
        for name in (".bucketry-0123456789abcdef.part", ".bucketry-mine.part", "file"):
            (root / name).write_bytes(b"x")
        result = await bench.manager(memory).upload_tree(root, "p/")
        assert sorted(result.succeeded) == sorted(await all_of(memory)) == ["p/.bucketry-mine.part", "p/file"]

    async def test_an_empty_directory(self, bench: Bench) -> None:
        """An upload of an empty directory succeeds, with no keys."""
        (bench.directory / "in").mkdir()
        result = await bench.manager(bench.memory()).upload_tree(bench.directory / "in", "pre")
        assert (result.succeeded, dict(result.failed)) == ((), {})

    async def test_no_directory(self, bench: Bench) -> None:
        """A missing directory, or a file instead of it, is an error, not an empty result."""
        manager = bench.manager(bench.memory())
        with pytest.raises(LocalFileNotFoundError):
            await manager.upload_tree(bench.directory / "missing", "")
        with pytest.raises(LocalNotADirectoryError):
            await manager.upload_tree(bench.file(b"x"), "")

    async def test_a_file_that_vanishes_is_reported(self, bench: Bench) -> None:
        """If a file is removed before its upload, only this file fails."""
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
        """A directory without permission is reported; the others are uploaded."""
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
    """A directory is read in batches, and no file is lost between them, in uploads and downloads."""
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
    """Features that directories share with single objects."""

    @pytest.mark.parametrize("prefix", ["absent", "absent/", "k", ""])
    async def test_nothing_below_a_prefix(self, bench: Bench, prefix: str) -> None:
        """A prefix without any object is `NotFoundError`; a placeholder or a failed key counts as an object."""
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
