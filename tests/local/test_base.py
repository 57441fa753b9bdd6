"""The base directory of a local provider, and features that a directory does not have."""

# ruff: noqa: ASYNC240 - the tests look at the disk between calls, and nothing else runs meanwhile

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from bucketry import LocalProvider
from bucketry._core.config import LocalConfig
from bucketry._providers.local.requests import LocalRequests
from bucketry._vendors.local import VENDOR
from bucketry.errors import (
    LocalNotADirectoryError,
    LocalPermissionError,
    NotFoundError,
    UnsafeKeyError,
)
from tests.local.disk import PLAIN, names, read

NOT_AS_ROOT = pytest.mark.skipif(os.geteuid() == 0, reason="root may do everything")


async def test_connect_makes_the_base(base: Path) -> None:
    """Connecting makes the directory with its parents; without it, the first write does."""
    for path in (base / "deep" / "one", base / "deep" / "two"):
        local = LocalRequests(LocalConfig(base_path=path), VENDOR)
        assert await names(local) == []
        with pytest.raises(NotFoundError):
            await local.head("key")
        if path.name == "one":
            await local.connect()
            assert path.is_dir()
        await local.put_object("a/key", b"x", PLAIN)
        await local.delete("a/key")
        assert await names(local) == []


@pytest.mark.parametrize("below", ["", "/below"])
async def test_a_base_that_is_a_file(tmp_path: Path, below: str) -> None:
    """A base that is a file, or below a file, is refused, and the error has its path."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(LocalNotADirectoryError, match="file") as caught:
        await LocalRequests(LocalConfig(base_path=f"{tmp_path}/file{below}"), VENDOR).connect()
    assert caught.value.path is not None


@NOT_AS_ROOT
async def test_a_base_that_may_not_be_written(base: Path) -> None:
    """`connect` refuses a base without write permission; it can still be read."""
    base.mkdir()
    (base / "key").write_bytes(b"x")
    base.chmod(0o500)
    local = LocalRequests(LocalConfig(base_path=base), VENDOR)
    with pytest.raises(LocalPermissionError):
        await local.connect()
    assert await read(local, "key") == b"x"
    base.chmod(0o700)


async def test_a_relative_base_is_fixed_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative base is relative to the working directory at construction, also after pickling."""
    monkeypatch.chdir(tmp_path)
    local = LocalRequests(LocalConfig(base_path="data"), VENDOR)
    await local.put_object("key", b"x", PLAIN)
    copy = pickle.loads(pickle.dumps(local))
    monkeypatch.chdir("/")
    assert await read(copy, "key") == b"x"
    assert copy.locate("key") == f"file://{tmp_path}/data/key"


async def test_batches_report_each_key(local: LocalRequests) -> None:
    """A bulk delete continues after a refused key, and reports it."""
    await local.put_object("a", b"", PLAIN)
    result = await local.delete_batch(["a", "missing", "../up"])
    assert result.succeeded == ("a", "missing")
    assert isinstance(result.failed["../up"], UnsafeKeyError)


async def test_a_store_that_is_a_file_is_not_empty(tmp_path: Path) -> None:
    """Listing a local store whose directory is a file fails; a store that does not exist is empty."""
    (tmp_path / "file").write_bytes(b"1")
    with pytest.raises(LocalNotADirectoryError, match="file"):
        await LocalProvider({"base_path": tmp_path / "file"}).list_files()
    assert await LocalProvider({"base_path": tmp_path / "none"}).list_files() == []
