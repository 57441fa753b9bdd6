"""Errors for wrong input: each of these was once accepted, or had an unclear error."""

from __future__ import annotations

import importlib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bucketry import MemoryProvider, S3Provider, StorageProviderFactory, TransferManager
from bucketry._core.conditions import judge_read
from bucketry._core.options import ReadOptions
from bucketry._core.values import ObjectInfo
from bucketry.errors import (
    ConfigError,
    InvalidKeyError,
    PreconditionFailedError,
    UnsupportedError,
)
from bucketry.providers import StorageProvider

KEYS = {"bucket_name": "my-bucket", "access_key_id": "key", "secret_access_key": "canary"}


async def test_one_key_is_not_several() -> None:
    """A `str` in place of several keys is refused: its letters are not keys."""
    provider = MemoryProvider()
    for key in "abc":
        await provider.put(key, b"1")
    with pytest.raises(InvalidKeyError, match="'abc' is one key"):
        await provider.delete_many("abc")
    with pytest.raises(InvalidKeyError, match="'abc' is one key"):
        provider.transfer.get_many("abc")
    assert await provider.list_files() == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("127.0.0.1:9000", "has no scheme; give https://127.0.0.1:9000"),
        ("localhost:9000", "has no scheme"),
        ("minio.example.org", "has no scheme"),
        ("http://127.0.0.1:9000/my-bucket", "ends in the bucket"),
        ("http://127.0.0.1:9000/my-bucket/", "ends in the bucket"),
    ],
)
def test_an_endpoint_is_a_url_without_the_bucket(url: str, said: str) -> None:
    """An endpoint without a scheme, or followed by the bucket, is refused, and the error says what to give."""
    with pytest.raises(ConfigError, match=said):
        S3Provider(KEYS | {"endpoint_url": url})


def test_an_entry_point_that_is_broken_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider of another package that cannot be loaded is a configuration error that names it."""
    info = tmp_path / "broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[bucketry.providers]\nunloadable = bucketry.providers.memory:Nope\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    with pytest.raises(ConfigError, match=r"bucketry\.providers\.memory:Nope"):
        StorageProviderFactory.create({"provider_type": "unloadable"})


@pytest.mark.parametrize("config", [{}, {"part_size": 8}, "fast", 3])
def test_a_transfer_configuration_is_one(config: Any) -> None:
    """A mapping in place of a TransferConfig is refused at once."""
    with pytest.raises(ConfigError, match="TransferConfig"):
        TransferManager(MemoryProvider(), config)


def test_a_provider_that_leaves_a_request_out_cannot_be_made() -> None:
    """A provider that lacks a required method cannot be made, and the error names those it lacks alone."""

    class Partial(StorageProvider):
        async def head(self, key: str, *, version_id: str | None = None) -> Any:
            raise AssertionError(key, version_id)

    with pytest.raises(TypeError, match=r"Partial must write .*put_object") as caught:
        Partial()
    assert "head" not in str(caught.value).replace("must write", "").split(", ")


async def test_a_condition_is_refused_above_the_provider_too() -> None:
    """If the row does not enforce a condition, no request is sent."""

    class Careless(MemoryProvider):
        @property
        def capabilities(self) -> Any:
            return replace(super().capabilities, put_if_none_match=False)

        async def put_object(self, *arguments: Any) -> Any:
            raise AssertionError(arguments)

    with pytest.raises(UnsupportedError, match="if_none_match"):
        await Careless().put("k", b"1", if_none_match="*")


def test_the_bucket_in_front_of_an_aws_endpoint_is_refused() -> None:
    """An AWS endpoint that contains the bucket is refused, because requests would name it twice."""
    with pytest.raises(ConfigError, match="holds the bucket"):
        S3Provider(KEYS | {"endpoint_url": "https://my-bucket.s3.eu-west-1.amazonaws.com"})


def test_an_answer_without_an_etag_is_said_to_have_none() -> None:
    """If a read has `if_match` and the answer has no etag, the error says so."""
    bare = ObjectInfo(key="k", size=1, etag="", last_modified=datetime(2026, 1, 1, tzinfo=UTC))
    with pytest.raises(PreconditionFailedError, match='the object has no etag now, and if_match names "e1"'):
        judge_read(bare, ReadOptions(if_match='"e1"'), "s3://my-bucket/k")
