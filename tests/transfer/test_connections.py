"""A manager makes no more parallel requests than its provider has connections."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from bucketry import LocalProvider, MemoryProvider, S3Provider, SessionPool, TransferConfig, TransferManager
from bucketry.errors import (
    ConfigError,
)
from bucketry.providers import PrefixedProvider, StorageProvider
from bucketry.testing import FaultyProvider

KEYS: dict[str, Any] = {"bucket_name": "my-bucket", "access_key_id": "key", "secret_access_key": "canary"}


def of_four() -> list[StorageProvider]:
    """Give providers with four connections: by their own limit, by the pool's limit, and with a prefix."""
    own = S3Provider(KEYS | {"max_connections": 4})
    pooled = S3Provider(KEYS, pool=SessionPool(max_connections=4))
    return [own, pooled, PrefixedProvider(own, "a/"), FaultyProvider(PrefixedProvider(pooled, "a/"))]


@pytest.mark.parametrize("provider", of_four(), ids=repr)
def test_more_requests_than_connections_are_refused(provider: StorageProvider) -> None:
    """A configuration with more parallel requests than connections is refused, with both numbers."""
    with pytest.raises(ConfigError, match=r"max_connections 4 .* max_concurrency 16"):
        TransferManager(provider, TransferConfig(max_concurrency=16))
    assert TransferManager(provider, TransferConfig(max_concurrency=4)).config.max_concurrency == 4


@pytest.mark.parametrize("provider", of_four(), ids=repr)
@pytest.mark.parametrize("given", [None, TransferConfig()])
def test_the_default_is_as_many_as_fit(provider: StorageProvider, given: TransferConfig | None) -> None:
    """With the default number, a manager makes no more parallel requests than there are connections."""
    manager = TransferManager(provider, given)
    assert manager.config == provider.transfer.config == TransferConfig(max_concurrency=4)
    assert pickle.loads(pickle.dumps(provider)).transfer.config == manager.config


def test_the_default_number_of_connections_counts_too() -> None:
    """A provider has 80 connections, unless its configuration sets another number or its transfers need more."""
    with pytest.raises(ConfigError, match=r"max_connections 80 .* max_concurrency 100"):
        TransferManager(S3Provider(KEYS), TransferConfig(max_concurrency=100))
    assert TransferManager(S3Provider(KEYS)).config.max_concurrency == 64
    wide = TransferConfig(max_concurrency=100)
    assert TransferManager(S3Provider(KEYS, transfer=wide), wide).config is wide


def test_what_has_no_connections_limits_nothing() -> None:
    """Memory and disk have no limit of parallel requests; without a number, a manager makes 16 of them."""
    for provider in (MemoryProvider(), LocalProvider({"base_path": "."}), FaultyProvider(MemoryProvider())):
        assert TransferManager(provider, TransferConfig(max_concurrency=999)).config.max_concurrency == 999
        assert TransferManager(provider).config == TransferConfig(max_concurrency=16)


@pytest.mark.parametrize(
    "provider",
    [
        S3Provider(KEYS | {"max_connections": 8}),
        S3Provider(KEYS, pool=SessionPool(max_connections=8)),
        S3Provider(KEYS, transfer=TransferConfig(max_concurrency=64)),
    ],
)
def test_what_constructs_unpickles(provider: S3Provider) -> None:
    """A valid provider can be unpickled in another process."""
    twin = pickle.loads(pickle.dumps(provider))
    assert twin.transfer.config == provider.transfer.config
    assert twin._bucket.endpoint == provider._bucket.endpoint
