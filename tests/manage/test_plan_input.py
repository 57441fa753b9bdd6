"""Arguments of a plan that are wrong, and places that do not fit."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from bucketry import LocalProvider, MemoryProvider, S3Provider
from bucketry._core.values import ListPage
from bucketry._manage.sync.methods import SyncMethods
from bucketry.errors import (
    AccessDeniedError,
    IntegrityError,
    InvalidRequestError,
    LocalFileError,
    LocalFileNotFoundError,
    LocalNotADirectoryError,
    NotFoundError,
)
from bucketry.providers.prefixed import PrefixedProvider
from bucketry.testing import Fault, FaultyProvider
from tests.manage.planning import lines, store, write


class TestBadInput:
    """Each is an error that says what is wrong; nothing is requested."""

    @pytest.mark.parametrize(
        ("arguments", "text"),
        [
            ({"direction": "sideways"}, "'upload' or 'download'"),
            ({"direction": "copy"}, "'upload' or 'download'"),
            ({"compare": "color"}, "'size-mtime', 'size', 'checksum'"),
            ({"max_delete": -1}, "max_delete=-1"),
            ({"max_delete": True}, "max_delete=True"),
            ({"max_delete": 3}, "max_delete=3: delete is False.*give delete=True, or omit max_delete"),
            ({"delete": "yes"}, "delete='yes'"),
            ({"force": 1}, "force=1"),
            ({"include": "*.bin"}, "one pattern"),
            ({"exclude": ["[z-a]"]}, "malformed"),
            ({"prefix": None}, "prefix=None"),
            ({"local_dir": b"bytes"}, "local_dir=b'bytes'"),
            ({"local_dir": 3}, "local_dir=3"),
        ],
    )
    async def test_wrong_arguments(
        self, memory: MemoryProvider, root: Path, arguments: dict[str, Any], text: str
    ) -> None:
        """Wrong values are refused before anything is requested."""
        faulty = FaultyProvider(memory)
        given = {"local_dir": root, "prefix": "", **arguments}
        with pytest.raises(InvalidRequestError, match=text):
            await SyncMethods(faulty).plan_sync(**given)
        assert not faulty.calls

    async def test_wrong_arguments_of_a_copy(self, memory: MemoryProvider) -> None:
        """A copy checks its arguments in the same way."""
        with pytest.raises(InvalidRequestError, match="must be a provider"):
            await SyncMethods(memory).plan_sync_to("s3://bucket", "", "")  # type: ignore[arg-type]
        with pytest.raises(InvalidRequestError, match="compare"):
            await SyncMethods(memory).plan_sync_to(MemoryProvider(), "", "", compare="mtime")  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("prefix", "advice"),
        [
            ("/abs/x", "give 'abs/x'"),
            ("a//b", "give 'a/b'"),
            ("a//", "give 'a'"),
            ("./a/", "give 'a'"),
            ("a/./b", "give 'a/b'"),
            ("a/../x", "give 'x'"),
            (".", "give ''"),
            ("/", "give ''"),
            ("../x", "without empty, '.' and '..' names"),
            ("s3://bucket/a/x", "give 'a/x'"),
            ("s3://bucket/", "give ''"),
            ("s3://bucket", "give ''"),
            ("r2://bucket//a/", "give 'a'"),
            ("https://bucket.example/a", "give only the part after s3://bucket/"),
            ("s3://other/a", "give only the part after s3://bucket/"),
        ],
    )
    async def test_a_prefix_that_no_object_has(self, root: Path, prefix: str, advice: str) -> None:
        """A URL, and a prefix that is absolute or has odd names, are refused before a request; the error has the fix.

        A prefix of the source of a copy may be odd, because such keys can exist, but it must not be a URL.
        """
        provider = FaultyProvider(S3Provider({"bucket_name": "bucket", "region": "us-east-1"}))
        manager = SyncMethods(provider)
        (root / "x").write_bytes(b"1")
        for direction in ("upload", "download"):
            with pytest.raises(InvalidRequestError) as caught:
                await manager.plan_sync(root, prefix, direction=direction)  # type: ignore[arg-type]
            assert str(caught.value).startswith(f"prefix={prefix!r}: ")
            assert advice in str(caught.value)
        with pytest.raises(InvalidRequestError, match=r"^prefix="):
            await SyncMethods(MemoryProvider()).plan_sync_to(provider, "", prefix)
        if "://" in prefix:
            with pytest.raises(InvalidRequestError, match=r"^source_prefix="):
                await manager.plan_sync_to(MemoryProvider(), prefix, "")
        assert not provider.calls

    async def test_odd_prefixes_of_a_source(self, memory: MemoryProvider) -> None:
        """Objects below an odd prefix can be copied to a prefix that is not odd."""
        for prefix in ("/a/", "b//c/", "../d/"):
            await store(memory, f"{prefix}x")
            assert lines(await SyncMethods(memory).plan_sync_to(MemoryProvider(), prefix, "")) == [("copy", "x", "new")]

    async def test_a_url_of_a_local_provider(self, root: Path) -> None:
        """The URL of a directory below the provider's own is refused with the prefix to give."""
        manager = SyncMethods(LocalProvider({"base_path": str(root / "store")}))
        with pytest.raises(InvalidRequestError, match=r"give 'a/b'$"):
            await manager.plan_sync(root / "d", f"file://{root}/store/a/b/", direction="download")

    @pytest.mark.parametrize("kept", [None, "local"])
    async def test_a_download_from_a_prefix_without_objects(
        self, memory: MemoryProvider, root: Path, kept: str | None
    ) -> None:
        """It is an error, because the prefix is probably wrong, and nothing is made; `force=True` allows it."""
        await store(memory, "data/a")
        target = root / "target"
        if kept is not None:
            write(target, kept)
        manager = SyncMethods(memory)
        for options in ({}, {"delete": True}, {"exclude": ["*.txt"]}, {"path": root / "plan"}):
            with pytest.raises(
                NotFoundError, match=r"/dat/: there is no object below this prefix.*force=True"
            ) as error:
                await manager.plan_sync(target, "dat", direction="download", **options)  # type: ignore[arg-type]
            assert (error.value.provider, error.value.key) == ("memory", "dat/")
        assert os.listdir(root) == ([] if kept is None else ["target"])
        plan = await manager.plan_sync(target, "dat", direction="download", delete=True, force=True)
        assert lines(plan) == ([] if kept is None else [("delete", kept, "not in source")])

    async def test_a_download_of_what_cannot_be_synced(self, memory: MemoryProvider, root: Path) -> None:
        """A prefix that has only an object that is skipped, or the mark of a directory, is no wrong prefix."""
        await store(memory, "odd/../x")
        await store(memory, "empty/", b"")
        manager = SyncMethods(memory)
        assert [kind for kind, _, _ in lines(await manager.plan_sync(root, "odd", direction="download"))] == ["skip"]
        assert lines(await manager.plan_sync(root, "empty", direction="download")) == []

    async def test_a_directory_that_is_missing_or_a_file(self, memory: MemoryProvider, root: Path) -> None:
        """A missing source is an error, a missing target is empty, and a file is neither."""
        write(root, "file")
        manager = SyncMethods(memory)
        with pytest.raises(LocalFileNotFoundError):
            await manager.plan_sync(root / "none", "")
        await store(memory, "a")
        assert lines(await manager.plan_sync(root / "none", "", direction="download")) == [("download", "a", "new")]
        for direction in ("upload", "download"):
            with pytest.raises(LocalNotADirectoryError):
                await manager.plan_sync(root / "file", "", direction=direction)  # type: ignore[arg-type]
        with pytest.raises(LocalFileError, match="empty"):
            await manager.plan_sync("", "")

    @pytest.mark.parametrize(("place", "prefix"), [("", ""), ("", "a"), ("a", ""), ("a", "b"), ("a/b", "")])
    async def test_a_sync_into_the_directory_it_reads_from(self, root: Path, place: str, prefix: str) -> None:
        """A directory and a prefix of a local provider must not overlap, also not through a link."""
        provider = LocalProvider({"base_path": str(root / "a")})
        (root / "link").symlink_to(root)
        local = root / "link" / place
        for direction in ("upload", "download"):
            with pytest.raises(InvalidRequestError, match="overlap"):
                await SyncMethods(provider).plan_sync(local, prefix, direction=direction)  # type: ignore[arg-type]

    async def test_a_directory_beside_a_local_provider_is_fine(self, root: Path) -> None:
        """Neighbours whose names begin alike do not overlap."""
        write(root, "ab/x")
        provider = LocalProvider({"base_path": str(root / "a")})
        assert lines(await SyncMethods(provider).plan_sync(root / "ab", "")) == [("upload", "x", "new")]
        write(root, "a/data/y")
        plan = await SyncMethods(provider).plan_sync(root / "a" / "data-new", "data", direction="download")
        assert lines(plan) == [("download", "y", "new")]

    async def test_a_local_provider_in_the_directory_can_be_left_out(self, root: Path) -> None:
        """If a pattern leaves out the provider's directory, the rest of the local directory can be synced both ways."""
        write(root, "d/x")
        write(root, "d/a b[1]/p/old")
        manager = SyncMethods(LocalProvider({"base_path": str(root / "d/a b[1]")}))
        with pytest.raises(InvalidRequestError, match=r"with exclude=\['/a b\\\\\[1\]/p/'\]$"):
            await manager.plan_sync(root / "d", "p")
        plan = await manager.plan_sync(root / "d", "p", exclude=["/a b\\[1]/"], delete=True)
        assert lines(plan) == [("delete", "old", "not in source"), ("upload", "x", "new")]
        plan = await manager.plan_sync(root / "d", "p", exclude=["/a b\\[1]/"], delete=True, direction="download")
        assert lines(plan) == [("download", "old", "new"), ("delete", "x", "not in source")]

    async def test_a_copy_into_the_prefix_it_reads_from(self, memory: MemoryProvider, root: Path) -> None:
        """Two prefixes of one provider must not overlap, also if it is wrapped, or a second one of one directory."""
        await store(memory, "a/x")
        manager = SyncMethods(memory)
        one, two = (LocalProvider({"base_path": str(root)}) for _ in range(2))
        for source, other, prefix in (
            ("a", memory, "a"),
            ("a", memory, ""),
            ("", memory, "a"),
            ("a", PrefixedProvider(memory, "a/"), "b"),
        ):
            with pytest.raises(InvalidRequestError, match="overlap"):
                await manager.plan_sync_to(other, source, prefix)
        with pytest.raises(InvalidRequestError, match="overlap"):
            await SyncMethods(one).plan_sync_to(two, "a", "a/b")
        assert lines(await manager.plan_sync_to(memory, "a", "ab")) == [("copy", "x", "new")]
        assert lines(await manager.plan_sync_to(MemoryProvider(), "a", "a")) == [("copy", "x", "new")]

    async def test_a_copy_within_one_bucket_of_two_providers(self) -> None:
        """Two prefixes of one bucket must not overlap, also if each has a provider and credentials of its own."""

        def bucket(name: str = "bucket", port: int = 1, **keys: str) -> S3Provider:
            url = f"http://127.0.0.1:{port}"
            return S3Provider({"bucket_name": name, "endpoint_url": url, "region": "us-east-1", **keys})

        faults = tuple(Fault(operation="list_page", nth=nth, error=AccessDeniedError("listed")) for nth in (1, 2, 3))
        manager = SyncMethods(FaultyProvider(bucket(), faults))
        own = {"access_key_id": "a", "secret_access_key": "s"}
        for other, prefix in ((bucket(), ""), (bucket(**own), "data/a"), (PrefixedProvider(bucket(), "da"), "ta/a")):
            with pytest.raises(InvalidRequestError, match="overlap"):
                await manager.plan_sync_to(other, "data", prefix)
        for other, prefix in ((bucket(), "data-2"), (bucket("another"), "data"), (bucket(port=2), "data")):
            with pytest.raises(AccessDeniedError, match="listed"):
                await manager.plan_sync_to(other, "data", prefix)

    async def test_delete_with_an_empty_source(self, memory: MemoryProvider, root: Path) -> None:
        """An empty source would delete everything, so this needs `force=True`; so does one without selected entries."""
        await store(memory, "data/a")
        manager = SyncMethods(memory)
        (root / "dir").mkdir()
        (root / "link").symlink_to(root)
        for excluded in ([], ["*.txt"]):
            with pytest.raises(InvalidRequestError, match="force=True"):
                await manager.plan_sync(root, "data", delete=True, exclude=excluded)
            write(root, "b.txt")
        assert lines(await manager.plan_sync(root, "data", exclude=["*.txt", "link"])) == []
        plan = await manager.plan_sync(root, "data", delete=True, exclude=["*.txt", "link"], force=True)
        assert lines(plan) == [("delete", "a", "not in source")]
        await store(memory, "marked/", b"")
        with pytest.raises(InvalidRequestError, match="force=True"):
            await manager.plan_sync(root, "marked", direction="download", delete=True)
        with pytest.raises(InvalidRequestError, match="force=True"):
            await SyncMethods(MemoryProvider()).plan_sync_to(memory, "", "data", delete=True)

    async def test_an_empty_source_and_an_empty_target_are_in_step(self, memory: MemoryProvider, root: Path) -> None:
        """If there is nothing to delete, an empty source is no error."""
        assert lines(await SyncMethods(memory).plan_sync(root, "data", delete=True)) == []

    async def test_an_include_that_matches_nothing(self, memory: MemoryProvider, root: Path) -> None:
        """It is an error, with and without delete; another one if the source has no entries at all."""
        manager = SyncMethods(memory)
        await store(memory, "data/a.bin")
        for delete in (False, True):
            with pytest.raises(NotFoundError, match="nothing at all"):
                await manager.plan_sync(root, "data", include=["*.bin"], delete=delete)
        write(root, "a.txt")
        for delete in (False, True):
            with pytest.raises(InvalidRequestError, match="matches nothing of 1 entries"):
                await manager.plan_sync(root, "data", include=["*.bin"], delete=delete)
        write(root, "a.bin")
        plan = await manager.plan_sync(root, "data", include=["*.bin"], exclude=["*"])
        assert lines(plan) == []

    async def test_a_listing_out_of_order(self, root: Path) -> None:
        """A provider whose listing is not sorted, or goes outside the prefix, is an error."""

        class Unsorted(MemoryProvider):
            async def list_page(self, prefix: str = "", **options: Any) -> ListPage:
                page = await super().list_page("" if prefix == "x/" else prefix, **options)
                return ListPage(page.entries[::-1], page.next_token)

        unsorted = Unsorted()
        for key in ("data/a", "data/b"):
            await store(unsorted, key)
        with pytest.raises(IntegrityError, match="not in UTF-8 binary order"):
            await SyncMethods(unsorted).plan_sync(root, "data")
        with pytest.raises(IntegrityError, match="does not begin with it"):
            await SyncMethods(unsorted).plan_sync(root, "x")
